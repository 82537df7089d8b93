//! Makes disk images from an installed root tree, in user space: no root, no loop device, no mount.
//!
//! The picture to hold in mind: a [`Request`] says what is to be built, [`Plan::new`] decides from it alone where
//! everything goes and which files there will be, and [`build()`] performs that plan with what is in the tree. The
//! tree is taken apart (root, boot, EFI), each part becomes a file system in a file of its own, the root gets its
//! hash tree, whose root hash goes into the boot menu, and all are copied to their places on sparse disks.
//!
//! The same request and the same tree give the same bytes, on any machine at any time, with the same versions of
//! the tools: ids and the salt follow from names, times from the request; nothing is random.
//!
//! It does not install packages, run `depmod` or make an inventory; whoever makes the tree does so before. Labels of
//! a policy and signatures have their place (`filesystems/erofs.rs`, `build.rs`) but are not made yet.
//!
//! `cargo test -p image` tests what is decided; `cargo test -p image -- --ignored` makes real images, for which it
//! needs the packages erofs-utils, e2fsprogs, mtools, dosfstools, qemu-utils, lz4, gdisk and cryptsetup-bin.

mod artifacts;
mod bios;
mod boot_config;
mod boot_menu;
mod build;
mod check;
mod disk;
mod filesystems;
mod ids;
mod layout;
mod lz4;
mod metadata;
mod os_release;
mod ova;
mod request;
mod sparse;
mod toolbox;
mod tree;
mod vmdk;

pub use artifacts::{Artifact, Form, METADATA_FILE, Plan, Source};
pub use build::{EFI_FS_LABEL, Error, PRIVATE_FS_LABEL, build};
pub use check::{Error as CheckError, Report, check};
pub use filesystems::{Error as FileSystemError, make_root};
pub use layout::{DiskPlan, Layout, PartitionPlace, Role, Set};
pub use request::{
    Arch, Error as RequestError, ImageFeatures, ImageFormat, ImageLayout, PartitionPlan, Request,
    RootCompression,
};
