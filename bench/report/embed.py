"""usage: embed.py PAGE SCRIPT HEADER.in HEADER: the page with its script in place, as bytes before and
after the mark where the data goes."""
import pathlib
import sys

page, script, template, header = (pathlib.Path(name) for name in sys.argv[1:])
text = page.read_text(encoding="utf-8").replace("//@SCRIPT@", script.read_text(encoding="utf-8"))
head, tail = text.split("<!-- DATA -->\n")


def numbers(part):
    return "\n" + "\n".join(",".join(map(str, line)) + "," for line in
                            part.encode().splitlines(keepends=True)) + "\n"


header.write_text(template.read_text(encoding="utf-8").replace("@HEAD@", numbers(head))
                  .replace("@TAIL@", numbers(tail)), encoding="utf-8")
