//! Tests of the way from the firmware to systemd: GRUB's choice of a partition set, and the first program of the boot.
//!
//! Each case is a disk of a few mebibytes. A [`Disk`] holds GRUB and two sets, each with a boot menu that says its name;
//! a [`RootDisk`] holds a verified root file system that lacks systemd. A virtual machine starts from it; what it
//! prints and what is on the disk afterwards are compared with what the case expects, written out by hand. GRUB's
//! cases involve no kernel and take a third of a second each on an idle machine, the others four.
//!
//! They use what the packages `grub`, `kernel` and `initramfs` made, unpacked in the folder that `VISCO_BOOT_ROOT`
//! names: `VISCO_BOOT_ROOT=... cargo test -p boot-selector -- --ignored`. Besides they need `qemu-system-x86_64`, `mke2fs`
//! and `debugfs`, and for UEFI OVMF, `mkfs.fat`, `mmd` and `mcopy`.

mod disk;
mod machine;
mod root_disk;
mod tools;

pub use disk::{Copy, Disk, Layout, Set};
pub use machine::{Firmware, Machine, Output};
pub use root_disk::RootDisk;
