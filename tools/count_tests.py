#!/usr/bin/env python3
"""Adds up what meson's test logs say and prints one line: N passed, N failed[, N skipped].

usage: count_tests.py STEPS_BAD LOG.json...

Sub-tests count one each where a test speaks TAP. A test that failed without naming a sub-test
counts as one failure, so a crash or a timeout is never lost. Nothing run is a failure too.
"""
import json
import re
import sys

POINT = re.compile(r"^(not )?ok\b(.*)$", re.M)


def count_one(record):
    """Returns (passed, failed, skipped) of one test."""
    passed = failed = skipped = 0
    for bad, rest in POINT.findall(record.get("stdout") or ""):
        if re.search(r"#\s*skip", rest, re.I):
            skipped += 1
        elif bad:
            failed += 1
        else:
            passed += 1
    result = record["result"]
    if result == "SKIP":
        return 0, 0, max(1, skipped)
    if result in ("OK", "EXPECTEDFAIL"):
        return (passed, failed, skipped) if passed + failed + skipped else (1, 0, 0)
    return passed, max(1, failed), skipped


def main(words):
    total = [0, 0, 0]
    for path in words[1:]:
        with open(path, encoding="utf-8") as log:
            for line in log:
                if line.strip():
                    total = [a + b for a, b in zip(total, count_one(json.loads(line)))]
    passed, failed, skipped = total
    if words[0] != "0" and failed == 0:
        failed = 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
