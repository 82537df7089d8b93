//! The first program of the boot.
//!
//! The kernel starts it from a small file system in memory. It loads the drivers of the disk, has the kernel check
//! the root file system against the hash on the command line (dm-verity), mounts it read-only, fills `/etc` from the
//! image, puts the machine's identifier there, and becomes systemd.
//!
//! ```text
//! /proc/cmdline ─▶ CommandLine ─▶ Plan ─▶ modules, disks, device mapper, mounts ─▶ exec systemd
//!                  pure           pure    touch the machine
//! ```
//!
//! Nothing it does can be asked for a second time, so every failure ends the same way: one line on the console that
//! says what and where, then a restart. Each restart costs a set of partitions that has not proved itself one of its
//! tries, so a bad update goes away by itself.
//!
//! It has no shell, no udev and no rescue prompt, does not choose the set of partitions (GRUB does), and writes to no
//! disk but once: the machine's identifier, at the first boot.
//!
//! It needs Linux 5.1 or later with device mapper, and `dm-mod.create=` on the command line in the form of a kernel that
//! sets up the device itself, so that one boot menu serves both.
//!
//! Run its tests with `cargo test -p initramfs`. What it does to a machine is tested by booting one.

pub mod boot;
pub mod command_line;
pub mod console;
pub mod device_mapper;
pub mod disks;
pub mod factory;
pub mod machine_id;
pub mod modules;
pub mod plan;
