#!/bin/bash
# Makes the initramfs: the program `/init`, the kernel modules that reach the root file system, and the order to load
# them in.
#
#   make-initrd.sh INIT ROOT MODULES OUT
#
# INIT     the program
# ROOT     a folder with usr/lib/modules/VERSION, one version, with modules.dep
# MODULES  a file with names of modules, one a line; # begins a comment
# OUT      the file to make
#
# The same inputs give the same bytes: names are sorted, times are SOURCE_DATE_EPOCH, owners are root.
set -euo pipefail

init=$1
root=$(realpath "$2")
modules=$3
out=$(realpath -m "$4")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

versions=("$root"/usr/lib/modules/*)
[ "${#versions[@]}" = 1 ] && [ -d "${versions[0]}" ] || {
  echo "make-initrd: $root/usr/lib/modules must hold one version of the kernel's modules: ${versions[*]##*/}" >&2
  exit 1
}
version=${versions[0]##*/}

install -D -m 0755 "$init" "$work/init"
install -d -m 0755 "$work/modules"

# `modprobe --show-depends` prints a module's file after those it needs; one that is built in has none. It looks below
# lib/modules, so a link makes them appear there.
tree=$(mktemp -d)
trap 'rm -rf "$work" "$tree"' EXIT
mkdir "$tree/lib"
ln -s "${versions[0]%/*}" "$tree/lib/modules"

# Each line of `order` is a module that is wanted, after those it needs. Compressed modules are stored plain: the
# program needs no decompressor then, and the whole is compressed better.
while read -r wanted; do
  modprobe --dirname "$tree" --set-version "$version" --config /dev/null --show-depends "$wanted" > "$tree/depends" || {
    echo "make-initrd: the kernel $version has no module $wanted" >&2
    exit 1
  }
  chain=()
  while read -r file; do
    name=$(basename "$file" .zst)
    chain+=("$name")
    [ ! -e "$work/modules/$name" ] || continue
    case $file in
      *.zst) zstd --quiet --decompress "$file" -o "$work/modules/$name" ;;
      *) cp "$file" "$work/modules/$name" ;;
    esac
  done < <(sed -n 's/^insmod \([^ ]*\).*/\1/p' "$tree/depends")
  echo "${chain[*]}" >> "$work/modules/order"
done < <(sed 's/#.*//; /^[[:space:]]*$/d' "$modules")
chmod 0644 "$work/modules/"*

find "$work" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$(dirname "$out")"
(cd "$work" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet --create --format=newc --owner=0:0 --reproducible) \
  | zstd --quiet -19 --threads=1 -o "$out"
