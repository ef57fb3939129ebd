#!/bin/sh
# Global symbols of the libraries start with spate_, and lib/ keeps no writable global state.
# usage: check_symbols.sh BUILD_DIR. Sections, not nm's letters, because tables of pointers in
# a position-independent build look writable to nm. The sanitizers' own symbols do not count.
libraries=$(find "$1/lib" "$1/drivers" "$1/api" -name '*.a' 2>/dev/null)
[ -n "$libraries" ] || { echo "no libraries below $1"; exit 1; }
# shellcheck disable=SC2086
for library in $libraries; do
    objdump -t "$library" | awk -v library="$library" '
        !/\t/ { next }
        {
            tab = index($0, "\t")
            count = split(substr($0, 1, tab - 1), left, " ")
            split(substr($0, tab + 1), right, " ")
            section = left[count]; name = right[2] == ".hidden" ? right[3] : right[2]
            kind = substr($0, 18, 1); object = substr($0, 24, 1)
        }
        section == "*UND*" || name ~ /(asan|ubsan|tsan|sancov)/ { next }
        (kind == "g" || kind == "u") && name !~ /^spate_/ {
            print "not prefixed: " library ": " name; bad = 1
        }
        object == "O" && library ~ /\/lib\// && name !~ /^\.?L(ubsan|asan|C)/ &&
            section ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ && section !~ /^\.data\.rel\.ro/ {
            print "writable global: " library ": " name " in " section; bad = 1
        }
        END { exit bad }' || bad=1
done
exit "${bad:-0}"
