#!/bin/sh
# The front door: installs what is missing, then runs a task of Makefile.toml.
#
#   ./make                 builds the image of the default variant
#   ./make TASK [-- ARGS]  runs a task; ARGS go to it
#   ./make help            lists the tasks
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
    echo 'usage: ./make [TASK] [-- ARGS]'
    echo
    tasks | awk -F '\t' '{ printf "  %-13s %s\n", $1, $2 }'
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
python_venv() { have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }
cxx_works() { have c++ && echo '#include <cstdlib>' | c++ -E -x c++ - >/dev/null 2>&1; }

# A check that passes where a package is not needed any more, and the package that satisfies it.
has_program() { have "$1" || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }
needs() { "$1" "$2" || missing="$missing $3"; }
is_file() { [ -e "$1" ]; }

# Leaves in $missing the packages (names of Debian and Ubuntu) that the task needs and the machine lacks.
find_missing() {
    missing=
    # The bundled SQLite and zstd are C, the fuzzer's engine is C++.
    c_works || missing='gcc libc6-dev'
    case $1 in
        fuzz) cxx_works || missing="$missing g++" ;;
    esac
    case $1 in
        build | build-package | fetch | update-lock | sdk | sbom | vm | repro | test | test-image | test-own-kernel)
            needs is_file /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
            needs has_program dpkg-deb dpkg
            needs docker_usable . docker.io
            # What systemd does elsewhere: a daemon needs the control groups to be mounted.
            needs cgroups_mountable . cgroupfs-mount
            ;;
    esac
    case $1 in
        vm | test | test-image | test-own-kernel | bench)
            needs has_program qemu-system-x86_64 qemu-system-x86
            needs is_file /usr/share/OVMF/OVMF_CODE_4M.fd ovmf
            needs has_program qemu-img qemu-utils
            needs has_program debugfs e2fsprogs
            ;;
    esac
    case $1 in
        bench)
            needs has_program fsck.erofs erofs-utils
            needs has_program casync casync
            ;;
    esac
    case $1 in
        test | test-image | test-own-kernel | repro)
            needs has_program sgdisk gdisk
            needs has_program veritysetup cryptsetup-bin
            needs has_program fsck.erofs erofs-utils
            needs has_program mkfs.fat dosfstools
            needs has_program mdir mtools
            needs has_program e2fsck e2fsprogs
            needs has_program rpm rpm
            needs has_program rpm2cpio rpm2cpio
            needs has_program cpio cpio
            needs has_program lz4 lz4
            needs has_program zstd zstd
            needs has_program systemd-analyze systemd
            needs has_program openssl openssl
            needs python_venv . python3-venv
            needs has_program qemu-img qemu-utils
            ;;
    esac
}

# Packages that the task needs are installed, with as few questions as possible.
require_packages() {
    find_missing "$1"
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
        $as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get install -y -qq --no-install-recommends $missing >&2
    } || die "apt could not install: $missing"
}

# The first docker client that can talk to BuildKit: one without its plug-in says that it is missing.
docker_client() {
    for client in /usr/bin/docker docker; do
        have "$client" || continue
        ! DOCKER_BUILDKIT=1 "$client" build --help 2>&1 | grep -q 'component is missing' || continue
        docker=$client
        return 0
    done
    return 1
}

# Whether there is a client, and a daemon that answers or can be started.
docker_usable() { docker_client . && { "$docker" info >/dev/null 2>&1 || has_program dockerd; }; }

cgroups_mounted() { grep -q ' /sys/fs/cgroup[^ ]* cgroup' /proc/mounts; }
cgroups_mountable() { cgroups_mounted || [ -d /run/systemd/system ] || has_program cgroupfs-mount; }

# A daemon that answers. One that an init system would have started is started here where there is none.
require_docker() {
    case $1 in
        build | build-package | sdk | sbom | vm | repro | test | test-image | test-own-kernel) ;;
        *) return 0 ;;
    esac
    docker_client . || die "no docker client with BuildKit: install the package docker.io"
    ! "$docker" info >/dev/null 2>&1 || return 0
    if [ "$(id -u)" != 0 ]; then
        die "docker does not answer: start it (sudo systemctl start docker), and see that you may use it (sudo usermod -aG docker $(id -un), then log in again)"
    fi
    if [ -d /run/systemd/system ]; then
        systemctl start docker || die 'docker could not be started: systemctl status docker says why'
    else
        has_program dockerd || die 'docker does not answer, and there is no dockerd to start: install the package docker.io'
        cgroups_mounted || cgroupfs-mount || die 'the control groups could not be mounted, and docker needs them'
        mkdir -p "$root/build/logs"
        say 'starting dockerd, which stays; its log is build/logs/dockerd.log'
        PATH=$PATH:/usr/sbin:/sbin setsid dockerd >"$root/build/logs/dockerd.log" 2>&1 </dev/null 3>&- 4>&- &
    fi
    tries=0
    until "$docker" info >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 60 ] || die 'docker did not come up within a minute: build/logs/dockerd.log or systemctl status docker says why'
        sleep 1
    done
}

cargo_make_works() {
    have "$1" && found=$("$1" make --version 2>/dev/null | awk '{ print $NF; exit }') && at_least "$found" "$cargo_make_needed"
}

# Leaves the program to run in $cargo_make.
require_cargo_make() {
    for cargo_make in cargo-make "${CARGO_HOME:-$HOME/.cargo}/bin/cargo-make" "$tools/bin/cargo-make"; do
        ! cargo_make_works "$cargo_make" || return 0
    done
    say "installing cargo-make $cargo_make_version into build/tools, once: a minute or two on two cores"
    # Not optimised: what it does takes no time, compiling it does.
    CARGO_PROFILE_DEV_DEBUG=0 cargo install cargo-make --version "$cargo_make_version" --locked \
        --no-default-features --force --profile dev --root "$tools" --target-dir "$tools/target" --quiet >&2 || die 'cargo-make could not be installed'
    rm -rf "$tools/target"
    cargo_make=$tools/bin/cargo-make
}

task=${1:-build}
case $task in
    help | -h | --help) list_tasks; exit 0 ;;
    --) task=build ;;
    *) [ $# = 0 ] || shift ;;
esac
[ "${1:-}" != -- ] || shift

if ! tasks | awk -F '\t' -v want="$task" '$1 == want { found = 1 } END { exit !found }'; then
    say "there is no task '$task': $(nearest "$task")"
    exit 2
fi

require_rust
require_packages "$task"
require_docker "$task"
require_cargo_make
# Programs of sbin are not on everybody's path.
export PATH="$PATH:/usr/sbin:/sbin"
# cargo-make's own lines are noise here, and at the level that drops them it drops the task's output too: the
# task finds the real output at descriptors 3 and 4.
export VISCO_MAKE=quiet
exec "$cargo_make" make --makefile "$root/Makefile.toml" --cwd "$root" \
    --loglevel error --disable-check-for-updates "$task" "$@" 3>&1 4>&2
