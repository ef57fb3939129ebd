# Sourced by run: finds what a verb lacks, says how large it is, installs it.

# Prints the programs and pkg-config modules of set $1 that are missing.
missing_of() {
    local -n programs=programs_$1
    local modules_name=modules_$1
    [ "$1" = long ] || [ "$1" = lint ] && modules_name=modules_test
    local -n modules=$modules_name
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null 2>&1 || echo "$program"
    done
    if command -v pkg-config >/dev/null 2>&1; then
        for module in "${modules[@]}"; do
            pkg-config --exists "$module" || echo "$module.pc"
        done
    fi
}

# Prints the packages of set $1 that are not installed.
packages_missing_of() {
    local -n packages=packages_$1
    for package in "${packages[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            echo "$package"
    done
}

# Fails with the words, unless only what is optional is missing: then it says so.
fail_unless_optional() {
    local name
    for name in "${missing[@]}"; do
        [[ " ${optional[*]-} " == *" $name "* ]] || fail "$*"
    done
    echo "going on without ${missing[*]}: $*"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "installing needs root: run as root, install sudo, or install by hand: ${wanted[*]}" >&2
        return 1
    fi
}

# Makes sure that all of set $1 is there. The other words are the verb's; --no-install counts.
ensure() {
    local set=$1 missing wanted
    shift
    mapfile -t missing < <(missing_of "$set")
    if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
        [ ${#missing[@]} = 0 ] || fail_unless_optional "no apt here; please install: ${missing[*]}"
        return 0
    fi
    mapfile -t wanted < <(packages_missing_of "$set")
    if [ ${#wanted[@]} = 0 ] || [ ${#missing[@]} = 0 ] && [[ " $* " != *" --no-install "* ]]; then
        return 0
    fi
    if [ ${#wanted[@]} = 0 ]; then
        echo "every package is installed: ${set}"
        exit 0
    fi
    say_sizes "${wanted[@]}"
    if [[ " $* " == *" --no-install "* ]]; then
        exit 0
    fi
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq; then
        fail_unless_optional "apt-get update failed; is there a network?"
        return 0
    fi
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "${wanted[@]}" >/dev/null; then
        fail_unless_optional "apt could not install: ${wanted[*]}"
        return 0
    fi
    mapfile -t missing < <(missing_of "$set")
    [ ${#missing[@]} = 0 ] || fail "installed, but still missing: ${missing[*]}"
}

# Names packages with their installed sizes, and the download with all that they pull in.
say_sizes() {
    local kib bytes
    echo "packages to install:"
    for package in "$@"; do
        kib=$(apt-cache show --no-all-versions "$package" 2>/dev/null |
            awk '/^Installed-Size:/ { print $2; exit }')
        if [ -n "$kib" ]; then
            printf '  %-28s %8d KiB\n' "$package" "$kib"
        else
            printf '  %-28s %8s\n' "$package" "unknown"
        fi
    done
    bytes=$(apt-get install -y --print-uris --no-install-recommends "$@" 2>/dev/null |
        awk "/^'/ { sum += \$3 } END { printf \"%d\", sum / 1048576 }")
    echo "to download, with what they pull in: about ${bytes:-?} MiB"
}
