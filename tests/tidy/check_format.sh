#!/bin/sh
# Formatting is clang-format 14's. Skipped where that is not installed. usage: check_format.sh ROOT
command -v clang-format-14 >/dev/null 2>&1 || exit 77
cd "$1" || exit 1
find include lib drivers api apps examples tests bench -name '*.[ch]' -exec \
    clang-format-14 --dry-run -Werror {} +
