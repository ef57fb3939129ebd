#!/bin/sh
# Every header of include/spate compiles alone, in C and in C++ (where a C++ compiler is).
# usage: check_headers.sh ROOT
bad=0
for header in "$1"/include/spate/*.h; do
    cc -std=c17 -Wall -Wextra -Werror -fsyntax-only -I"$1/include" -x c "$header" || bad=1
    if command -v c++ >/dev/null 2>&1; then
        c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only -I"$1/include" -x c++ "$header" || bad=1
    fi
done
exit $bad
