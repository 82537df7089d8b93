#!/bin/sh
# The front door: installs what is missing, then runs a task of Makefile.toml.
#
#   ./make                 lists the tasks
#   ./make TASK [-- ARGS]  runs one; ARGS go to the task
#
# POSIX sh, so that it runs with dash and busybox on a machine that has only Rust and git.
set -eu

rust_needed=1.95
cargo_make_version=0.37.24
cargo_make_needed=0.37

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
tools=$root/build/tools

say() { printf '%s\n' "make: $*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# The table of tasks, "name<TAB>description", from Makefile.toml itself.
tasks() {
    awk '/^\[tasks\./ { name = $0; sub(/^\[tasks\./, "", name); sub(/\].*$/, "", name) }
         /^description = "/ { text = $0; sub(/^description = "/, "", text); sub(/"[^"]*$/, "", text)
                              print name "\t" text }' "$root/Makefile.toml"
}

list_tasks() {
    echo 'usage: ./make TASK [-- ARGS]'
    echo
    tasks | awk -F '\t' '{ printf "  %-7s %s\n", $1, $2 }'
}

# The tasks at most two edits away from $1, or all of them.
nearest() {
    tasks | awk -F '\t' -v want="$1" '
        function least(a, b) { return a < b ? a : b }
        function distance(a, b,    i, j, row) {
            for (j = 0; j <= length(b); j++) row[0, j] = j
            for (i = 1; i <= length(a); i++) {
                row[i, 0] = i
                for (j = 1; j <= length(b); j++)
                    row[i, j] = least(least(row[i-1, j] + 1, row[i, j-1] + 1), \
                        row[i-1, j-1] + (substr(a, i, 1) != substr(b, j, 1)))
            }
            return row[length(a), length(b)]
        }
        { all = all " " $1
          if (distance(want, $1) <= 2 || index($1, want) == 1 || index(want, $1) == 1) near = near " " $1 }
        END { print (near ? "did you mean" near "?" : "the tasks are" all) }'
}

# True if the dotted version $1 is at least $2.
at_least() {
    awk -v have="$1" -v need="$2" 'BEGIN {
        n = split(need, b, "."); split(have, a, ".")
        for (i = 1; i <= n; i++) if (a[i] + 0 != b[i] + 0) exit !(a[i] + 0 > b[i] + 0)
        exit 0
    }'
}

require_rust() {
    if ! have cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
        export PATH
    fi
    have cargo && have rustc || die "Rust $rust_needed or later is needed, and there is no cargo on PATH: install it with rustup"
    rust=$(cd "$root" && rustc --version | awk '{ print $2 }')
    at_least "$rust" "$rust_needed" || die "Rust $rust_needed or later is needed, this is $rust: run 'rustup update stable'"
}

c_works() { have cc && echo '#include <stdlib.h>' | cc -E -x c - >/dev/null 2>&1; }
cxx_works() { have c++ && echo '#include <cstdlib>' | c++ -E -x c++ - >/dev/null 2>&1; }

# The bundled SQLite and zstd are C, the fuzzer's engine is C++.
require_packages() {
    missing=
    c_works || missing='gcc libc6-dev'
    [ "$1" != fuzz ] || cxx_works || missing="$missing g++"
    [ -n "$missing" ] || return 0

    as_root=
    if [ "$(id -u)" != 0 ]; then
        have sudo && sudo -n true 2>/dev/null || as_root=none
        [ "$as_root" = none ] || as_root='sudo -n'
    fi
    if [ "$as_root" = none ] || ! have apt-get; then
        die "these packages are missing: $missing (names of Debian and Ubuntu); install them, then run this again"
    fi
    say "installing packages: $missing"
    # shellcheck disable=SC2086 # both hold several words
    {
        $as_root apt-get update -qq >&2
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
    } || die "apt could not install: $missing"
}

cargo_make_works() {
    have "$1" && found=$("$1" make --version 2>/dev/null | awk '{ print $NF; exit }') && at_least "$found" "$cargo_make_needed"
}

# Leaves the program to run in $cargo_make.
require_cargo_make() {
    for cargo_make in cargo-make "${CARGO_HOME:-$HOME/.cargo}/bin/cargo-make" "$tools/bin/cargo-make"; do
        ! cargo_make_works "$cargo_make" || return 0
    done
    say "installing cargo-make $cargo_make_version into build/tools, once: 3 to 4 minutes on two cores"
    cargo install cargo-make --version "$cargo_make_version" --locked --no-default-features --force \
        --root "$tools" --target-dir "$tools/target" --quiet >&2 || die 'cargo-make could not be installed'
    rm -rf "$tools/target"
    cargo_make=$tools/bin/cargo-make
}

task=${1:-help}
case $task in
    help | -h | --help) list_tasks; exit 0 ;;
esac
shift
[ "${1:-}" != -- ] || shift

if ! tasks | awk -F '\t' -v want="$task" '$1 == want { found = 1 } END { exit !found }'; then
    say "there is no task '$task': $(nearest "$task")"
    exit 2
fi

require_rust
require_packages "$task"
require_cargo_make
# cargo-make's own lines are noise here, and at the level that drops them it drops the task's output too: the
# task finds the real output at descriptors 3 and 4.
export VISCO_MAKE=quiet
exec "$cargo_make" make --makefile "$root/Makefile.toml" --cwd "$root" \
    --loglevel error --disable-check-for-updates "$task" "$@" 3>&1 4>&2
