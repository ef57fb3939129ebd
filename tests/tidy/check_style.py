#!/usr/bin/env python3
"""Fails where the tree breaks a rule of style that text alone can show.

usage: check_style.py ROOT
"""
import pathlib
import re
import sys

TOPS = ("include", "lib", "drivers", "api", "apps", "examples", "tests", "bench")
# Generated tables of numbers (x_tables.c) may have longer lines.
FILE_LINES_MAX, FUNCTION_LINES_MAX, COLUMNS_MAX = 600, 70, 100
LONGER = {row.split()[0]: int(row.split()[1]) for row in
          (pathlib.Path(__file__).parent / "lengths.txt").read_text().splitlines()
          if row and not row.startswith("#")}

# pattern, what to use instead, where it is looked for, where it is allowed all the same
BANS = [
    (r"\b(strcpy|strcat|sprintf|vsprintf|strncpy|strtok|gets)\s*\(", "snprintf at the edge",
     TOPS, ()),
    (r"\b(atoi|atol|atof)\s*\(", "a parser that reports errors", TOPS, ()),
    (r"\b(rand|random|drand48|srand)\s*\(", "spate_prng", TOPS, ()),
    (r"\b(time|gettimeofday|clock_gettime)\s*\(", "spate_clock", ("lib", "api", "drivers"),
     ("drivers/clock",)),
    (r"(?<![\w.>])assert\s*\(", "spate_assert", ("lib", "drivers", "api", "apps"), ()),
    (r"\b(sleep|usleep|nanosleep)\s*\(", "a deadline", ("lib", "api"), ()),
    (r"\bvolatile\b", "<stdatomic.h>", ("lib", "api"), ()),
    (r"__attribute__\s*\(\(\s*constructor", "a table", TOPS, ()),
    (r'#\s*include\s*"[^"]*\.c"', "a header", TOPS, ()),
    (r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))", "an issue: TODO(#12)", TOPS, ()),
]
STRINGS_AND_COMMENTS = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
CONDITIONAL = re.compile(r"^\s*#\s*(ifdef|ifndef|if)\b(.*)$", re.M)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def blank(match):
    """Keeps the lines and removes the text, so that line numbers stay true."""
    text = match.group(0)
    return '""' if text[0] == '"' else "\n" * text.count("\n")


def code_of(text):
    return STRINGS_AND_COMMENTS.sub(
        lambda m: m.group(0) if m.string[:m.start()].rsplit("\n", 1)[-1].strip().startswith(
            "#include") or "#include" in m.string[m.string.rfind("\n", 0, m.start()) + 1:m.start()]
        else blank(m), text)


def functions_of(code):
    """Yields (first line, lines) of each function body: `{` and `}` alone in column one."""
    begin = None
    for number, line in enumerate(code.splitlines(), 1):
        if line.startswith("{") and begin is None:
            begin = number
        elif line.startswith("}") and begin is not None:
            if line.rstrip() == "}":
                yield begin, number - begin + 1
            begin = None


def check_text(path, text):
    lines = text.splitlines()
    most = LONGER.get(path, FILE_LINES_MAX)
    if len(lines) > most:
        yield f"{path}: {len(lines)} lines, at most {most}"
    elif path in LONGER and len(lines) <= FILE_LINES_MAX:
        yield f"{path}: fits now; take it out of lengths.txt"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX and not path.endswith("_tables.c"):
            yield f"{path}:{number}: {len(line)} columns, at most {COLUMNS_MAX}"
        if line != line.rstrip():
            yield f"{path}:{number}: blank at the end of the line"
        if "\t" in line:
            yield f"{path}:{number}: tab"
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at the end"


def check_bans(path, text):
    code = code_of(text)
    for pattern, instead, places, allowed in BANS:
        if path.split("/")[0] not in places or any(path.startswith(a) for a in allowed):
            continue
        where = text if "TODO" in pattern else code
        for match in re.finditer(pattern, where):
            number = where.count("\n", 0, match.start()) + 1
            yield f"{path}:{number}: {match.group(0).strip()} is banned; use {instead}"


def check_code(path, text):
    code = code_of(text)
    for begin, count in functions_of(code):
        if count > FUNCTION_LINES_MAX:
            yield f"{path}:{begin}: function of {count} lines, at most {FUNCTION_LINES_MAX}"
    if path.endswith(".h") and not text.startswith("/*"):
        yield f"{path}: a header begins with a comment that says what it is for"
    if path.startswith("lib/") and not path.startswith("lib/base/"):
        for kind, rest in CONDITIONAL.findall(code):
            if not (kind == "ifndef" and rest.strip().endswith("_H")):
                yield f"{path}: #{kind}{rest} in lib/ outside lib/base"
    if path.startswith("include/"):
        yield from check_declarations(path, text)


def check_declarations(path, text):
    """Each block of public declarations (after an empty line) begins with a comment."""
    before, depth = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        starts = re.match(r"(struct \w+ \{|enum \w+ \{|typedef |[a-z_]+[\w ]*\*?\s?spate_\w+\()", line)
        if starts and depth == 0 and not before.strip() and "extern" not in line:
            yield f"{path}:{number}: a public declaration without a comment before it"
        depth += line.count("{") - line.count("}") if "extern \"C\"" not in line else 0
        depth = max(depth, 0)
        before = line


def check_dead_files(root):
    named = "".join(p.read_text() for p in root.rglob("meson.build")
                    if "build/" not in p.relative_to(root).as_posix())
    for top in TOPS:
        for file in sorted((root / top).rglob("*.c")):
            if not re.search(rf"\b{re.escape(file.stem)}\b", named):
                yield f"{file.relative_to(root)}: no meson.build names it"


def check_links(root):
    for file in sorted(root.rglob("*.md")):
        if re.match(r"build|results|\.git", file.relative_to(root).parts[0]):
            continue
        for target in LINK.findall(file.read_text()):
            if "://" not in target and not target.startswith("mailto:"):
                if not (file.parent / target).exists():
                    yield f"{file.relative_to(root)}: the link to {target} points nowhere"


def check_assertions(root):
    """Assertions per function, on average over each module (assertions.txt says how many)."""
    rows = (pathlib.Path(__file__).parent / "assertions.txt").read_text().splitlines()
    floors = {row.split()[0]: float(row.split()[1]) for row in rows
              if row and not row.startswith("#")}
    for folder in sorted(p for p in (root / "lib").glob("*") if p.is_dir()):
        text = "".join(code_of(p.read_text()) for p in sorted(folder.glob("*.c")))
        functions = sum(1 for _ in functions_of(text))
        found = len(re.findall(r"\bspate_assert(?:_slow)?\s*\(|\b_?[sS]tatic_assert\s*\(", text))
        wanted = floors.get(folder.name, 1.0)
        if functions and found < wanted * functions:
            yield (f"lib/{folder.name}: {found} assertions in {functions} functions, "
                   f"at least {wanted} each on average")


def check_example(root):
    """The README shows examples/counter.c as it is."""
    readme, example = root / "README.md", root / "examples/counter.c"
    if readme.is_file() and example.is_file():
        shown = re.search(r"<!-- examples/counter\.c -->\n```c\n(.*?)```\n", readme.read_text(), re.S)
        if not shown or shown.group(1) != example.read_text():
            yield "README.md: the example differs from examples/counter.c; run tools/readme_example.py"


def check_cited(root):
    """What lib/raft/README.md cites in its table exists: functions spate_x and tests test_x."""
    readme = root / "lib/raft/README.md"
    if not readme.is_file():
        return
    everything = "".join(p.read_text() for top in ("include", "lib", "tests")
                         for suffix in ("*.[ch]", "meson.build")
                         for p in (root / top).rglob(suffix))
    for row in (r for r in readme.read_text().splitlines() if r.startswith("|")):
        for name in re.findall(r"`([a-z]\w*_\w+)(?:\(\))?`", row):
            if not re.search(rf"\b{name}\b", everything):
                yield f"lib/raft/README.md: `{name}` does not exist"


def check(root):
    for top in TOPS:
        for file in sorted((root / top).rglob("*.[ch]")):
            path, text = file.relative_to(root).as_posix(), file.read_text()
            yield from check_text(path, text)
            yield from check_bans(path, text)
            yield from check_code(path, text)
    for whole in (check_dead_files, check_links, check_assertions, check_example, check_cited):
        yield from whole(root)


if __name__ == "__main__":
    problems = list(check(pathlib.Path(sys.argv[1])))
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
