#!/usr/bin/env python3
"""Puts examples/counter.c into the marked section of README.md."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
readme = ROOT / "README.md"
shown = (ROOT / "examples/counter.c").read_text()
text = re.sub(r"(<!-- examples/counter\.c -->\n).*?(<!-- end of the example)",
              lambda m: f"{m.group(1)}```c\n{shown}```\n{m.group(2)}", readme.read_text(), flags=re.S)
readme.write_text(text)
