# Sourced by run: which tests run in which build, and how they are counted (tests/README.md).

logs=()
budget=()
steps_bad=0

# Runs tests: NAME BUILD WORDS-FOR-MESON...; remembers the log and the time.
step() {
    local name=$1 folder=$builds/$2 began=$SECONDS log
    shift 2
    log=$folder/meson-logs/$name.json
    rm -f "$log"
    echo "test: $name"
    meson test -C "$folder" --no-rebuild --logbase "$name" --print-errorlogs "$@" || steps_bad=1
    [ -f "$log" ] && logs+=("$log")
    budget+=("$(printf '%-24s %6d s' "$name" $((SECONDS - began)))")
}

# Fuzzes TARGET from CORPUS for SECONDS; what it finds is kept and named.
fuzz() {
    local target=$1 corpus=$here/tests/fuzz/corpus/$2 seconds=$3 began=$SECONDS
    local found=$builds/fuzz/found-$1
    mkdir -p "$found"
    echo "fuzz: $target, $seconds s"
    "$builds/fuzz/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 -verbosity=0 \
        -print_final_stats=1 -artifact_prefix="$found/fault-" "$found" "$corpus" \
        >"$builds/fuzz-$target.log" 2>&1 || {
        tail -30 "$builds/fuzz-$target.log" >&2
        steps_bad=1
    }
    grep -h 'stat::number_of_executed_units' "$builds/fuzz-$target.log"
    budget+=("$(printf '%-24s %6d s' "fuzz-$target" $((SECONDS - began)))")
}

# Ends a tier: exactly one line with the counts, and a status that tells.
count() {
    python3 "$here/tools/count_tests.py" "$steps_bad" ${logs[@]+"${logs[@]}"}
}

tier_short() {
    build debug
    step short debug --no-suite long --no-suite stress
    build tsan
    step stress-tsan tsan --suite stress --no-suite long --timeout-multiplier 3
    count
}

tier_long() {
    export SPATE_TIER=long
    build release
    step long-release release --no-suite long --no-suite tidy
    step long-tests release --suite long
    build clang
    # What another compiler changes shows in as many kills as the short tier makes.
    SPATE_TIER=short step long-clang clang --no-suite long --no-suite tidy
    build tsan
    step long-stress-tsan tsan --suite stress --timeout-multiplier 5
    build fuzz
    fuzz wire_decode wire 40
    fuzz wire_round_trip wire 40
    fuzz link_rx link 40
    fuzz stack_rx stack 40
    fuzz wal_scan wal 40
    fuzz kv_restore kv 40
    echo "time of each part:"
    printf '  %s\n' "${budget[@]}"
    count
}

tier_soak() {
    local until=$((SECONDS + $1 * 3600)) round=0
    export SPATE_TIER=soak
    build debug
    build release
    while [ $SECONDS -lt $until ] && [ $steps_bad = 0 ]; do
        round=$((round + 1))
        step "soak-$round-debug" debug --no-suite tidy
        step "soak-$round-release" release --no-suite tidy
    done
    count
}

lint() {
    local files
    mapfile -t files < <(cd "$here" && git ls-files '*.c')
    (cd "$here" && git ls-files '*.[ch]' | xargs clang-format-14 --dry-run -Werror) ||
        fail "formatting differs: clang-format-14 -i"
    (cd "$here" && printf '%s\n' "${files[@]}" | grep -v '^tests/' |
        xargs -P 2 -n 8 clang-tidy-14 --quiet -p "$builds/debug") || fail "clang-tidy complains"
    echo "lint: clean"
}
