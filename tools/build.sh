# Sourced by run: the builds, one folder each below build/.

# The meson options of build $1.
options_of() {
    case $1 in
    release) echo --buildtype=release ;;
    debug) echo --buildtype=debugoptimized -Db_sanitize=address,undefined -Dchecks=slow -Dwerror=true ;;
    tsan) echo --buildtype=debugoptimized -Db_sanitize=thread -Dwerror=true ;;
    clang) echo --buildtype=release -Dwerror=true ;;
    fuzz) echo --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
        -Dchecks=slow -Dbench=false -Dc_args=-fsanitize=fuzzer-no-link ;;
    esac
}

# Configures and compiles build $1; prints little unless it fails.
build() {
    local name=$1 folder=$builds/$1 cc=${CC:-cc} log
    local -a options
    read -r -a options < <(options_of "$name")
    [[ $name = clang || $name = fuzz ]] && cc=clang-14
    # Without cmocka (a demo alone) the program is built without its tests.
    if ! pkg-config --exists cmocka; then
        options+=(-Dtests=false)
    else
        options+=(-Dtests=true)
    fi
    mkdir -p "$builds" || fail "cannot write to $builds"
    log=$builds/$name.log
    if [ ! -f "$folder/build.ninja" ]; then
        rm -rf "$folder"
        echo "configure: $name"
        CC=$cc meson setup "$folder" "$here" "${options[@]}" >"$log" 2>&1 || build_failed "$log"
    else
        meson configure "$folder" "${options[@]: -1}" >"$log" 2>&1 || build_failed "$log"
    fi
    echo "compile: $name"
    ninja -C "$folder" >"$log" 2>&1 || build_failed "$log"
}

build_failed() {
    tail -40 "$1" >&2
    fail "build failed; everything it said is in $1"
}
