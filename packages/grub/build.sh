#!/bin/bash
# Builds GRUB's images with the module gptprio inside, for UEFI and for BIOS.
#
#   build.sh SOURCE FILES OUT
#
# SOURCE  the unpacked grub2 source package, for its headers
# FILES   the root under which grub-efi-amd64-bin, grub-pc-bin and grub-common are unpacked
# OUT     receives bootx64.efi, i386-pc/boot.img and i386-pc/core.img
#
# Source and files must be of one version: the interface between GRUB and its modules is not stable.
# Nothing of GRUB is configured or built but the one module. That gives the same bytes as a build inside
# GRUB's tree, in a second instead of minutes.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
source=$(realpath "$1")
files=$(realpath "$2")
mkdir -p "$3"
out=$(realpath "$3")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What both early configurations and every grub.cfg of ours use. `normal` and `configfile` are one piece;
# `normal` itself is never called, because it ends at a prompt.
modules=(boot configfile echo ext2 gptprio halt linux normal part_gpt reboot sleep test)
efi_modules=(efi_gop fat)
bios_modules=(biosdisk serial terminal)

module_flags=(
  -std=gnu99 -Os -Wall -Wextra -Werror -Wno-attributes -ffreestanding -nostdinc
  -freg-struct-return -mno-mmx -mno-sse -mno-sse2 -mno-sse3 -mno-3dnow -msoft-float
  -fno-dwarf2-cfi-asm -mno-stack-arg-probe -fno-asynchronous-unwind-tables -fno-unwind-tables
  -fno-ident -fno-PIE -fno-pie -fno-stack-protector
)

# build_module PLATFORM CPU MACHINE EMULATION FLAG...: FILES' modules of PLATFORM and ours, in $work/PLATFORM.
build_module() {
  local platform=$1 cpu=$2 machine=$3 emulation=$4
  shift 4
  local dir=$work/$platform tree=$work/$platform-tree

  mkdir -p "$dir" "$tree/include/grub"
  cp "$files/usr/lib/grub/$platform/"*.{img,lst,mod} "$dir/"
  # All the configuration a module needs: which machine it is for.
  : > "$tree/config.h"
  ln -s "$source/include/grub/$cpu" "$tree/include/grub/cpu"
  ln -s "$source/include/grub/$machine" "$tree/include/grub/machine"

  gcc -c "${module_flags[@]}" "$@" -DHAVE_CONFIG_H -DGRUB_FILE='"gptprio.c"' \
    -isystem "$(gcc -print-file-name=include)" \
    -I"$tree" -I"$tree/include" -I"$source/include" \
    -o "$tree/gptprio.o" "$here/gptprio.c"
  ld -m "$emulation" -r -d -N -o "$dir/gptprio.mod" "$tree/gptprio.o"

  # A module names itself and what it needs in two sections.
  printf 'gptprio\0' > "$tree/modname"
  printf 'extcmd\0disk\0' > "$tree/moddeps"
  objcopy --add-section .modname="$tree/modname" --add-section .moddeps="$tree/moddeps" "$dir/gptprio.mod"
  strip --strip-unneeded -K grub_mod_init -K grub_mod_fini -R .comment -R .note -R .note.GNU-stack \
    -R .note.gnu.property -R .eh_frame -R .rel.eh_frame -R .rela.eh_frame "$dir/gptprio.mod"
  echo 'gptprio: extcmd disk' >> "$dir/moddep.lst"
}

# make_image PLATFORM EARLY_CONFIG OUTPUT MODULE...
make_image() {
  local platform=$1 config=$2 output=$3
  shift 3
  "$files/usr/bin/grub-mkimage" --directory "$work/$platform" --format "$platform" --prefix /grub \
    --config "$here/$config" --output "$output" "$@"
}

build_module x86_64-efi x86_64 x86_64/efi elf_x86_64 \
  -m64 -mcmodel=large -mno-red-zone -DGRUB_MACHINE_EFI=1 -DGRUB_MACHINE=X86_64_EFI
make_image x86_64-efi early-efi.cfg "$out/bootx64.efi" "${modules[@]}" "${efi_modules[@]}"

build_module i386-pc i386 i386/pc elf_i386 \
  -m32 -march=i386 -mrtd -mregparm=3 -falign-functions=1 -falign-loops=1 -falign-jumps=1 \
  -DGRUB_MACHINE_PCBIOS=1 -DGRUB_MACHINE=I386_PC
mkdir -p "$out/i386-pc"
make_image i386-pc early-bios.cfg "$out/i386-pc/core.img" "${modules[@]}" "${bios_modules[@]}"
install -m 0644 "$work/i386-pc/boot.img" "$out/i386-pc/boot.img"
