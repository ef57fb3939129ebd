#!/usr/bin/env python3
"""Fails when an #include crosses the layers that layers.txt draws.

usage: check_layers.py ROOT

The include path is the dependency edge, so the rule is textual:
  "x.h"         a header of the same folder, or made from x.h.in there
  "module/x.h"  a public header of include/, lib/, drivers/, tests/ or the root
  <x.h>         the system, or an external library on the allow-list
A header named *_internal.h may be included from its own folder and from tests only.
"""
import fnmatch
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
TOPS = ("include", "lib", "drivers", "api", "apps", "examples", "tests", "bench")


def read_rules(path):
    allowed, system = {}, {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("<"):
            pattern, places = line.split(":")
            system[pattern.strip().strip("<>")] = places.split()
        elif line:
            module, targets = line.split(":")
            allowed[module] = set(targets.split())
    return allowed, system


def module_of(path, modules):
    return max((m for m in modules if path.startswith(m + "/")), key=len, default=None)


def target_of(root, name):
    for top in ("include", "lib", "drivers", "tests", ""):
        if (root / top / name).is_file():
            return f"{top}/{name}".lstrip("/")
    return None


def check_file(root, file, allowed, system):
    path = file.relative_to(root).as_posix()
    here = module_of(path, allowed)
    if here is None:
        yield f"{path}: folder is not in layers.txt"
        return
    for kind, name in INCLUDE.findall(file.read_text()):
        if kind == "<":
            places = [v for k, v in system.items() if fnmatch.fnmatch(name, k)]
            if places and not any((path + "/").startswith(p + "/") for p in places[0]):
                yield f"{path}: <{name}> is allowed only in {' '.join(places[0])}"
            continue
        if "/" not in name:
            generated = file.parent / (name + ".in")
            if not (file.parent / name).is_file() and not generated.is_file():
                yield f'{path}: "{name}" is not in this folder; write "module/{name}"'
            continue
        target = target_of(root, name)
        there = target and module_of(target, allowed)
        if there is None:
            yield f'{path}: "{name}" is no header of ours'
        elif (name.endswith("_internal.h") and not path.startswith("tests/")
              and pathlib.Path(target).parent != pathlib.Path(path).parent):
            yield f'{path}: "{name}" is internal to {there}'
        elif there != here and not {there, "*"} & allowed[here]:
            yield f"{path}: {here} may not depend on {there} ({name})"


def check(root, rules_path):
    allowed, system = read_rules(rules_path)
    for top in TOPS:
        for file in sorted((root / top).rglob("*.[ch]")):
            yield from check_file(root, file, allowed, system)


if __name__ == "__main__":
    root_given = pathlib.Path(sys.argv[1])
    problems = list(check(root_given, root_given / "tests/tidy/layers.txt"))
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
