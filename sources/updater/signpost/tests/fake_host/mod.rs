//! A host in a directory with a disk of two sets, one of which runs. Tests of other crates use it too, by its path.

#![allow(dead_code, reason = "not every test needs all of it")]

use host::Host;
use partitions::{Attributes, BOOT_CODE_LEN, Guid, MIB, Partition, Plan, Reading, SectorSize, Table, kind};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where the fake kernel has its disk.
const DISK: &str = "sys/devices/pci0000:00/virtio1/block/vda";
/// The device of the mounted root. A minor number above 255 would be cut off by programs that know 8 bits.
const ROOT_DEVICE: &str = "254:300";

/// What varies between hosts.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes of a sector.
    pub(crate) sector_size: SectorSize,
    /// Set B runs instead of A.
    pub(crate) runs_b: bool,
    /// The disk has set A only.
    pub(crate) one_set: bool,
    /// How many MiB each BOOT and HASH partition has, and each ROOT partition.
    pub(crate) boot_mib: u64,
    pub(crate) root_mib: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { sector_size: SectorSize::B512, runs_b: false, one_set: false, boot_mib: 1, root_mib: 2 }
    }
}

/// A host in a directory that ends with it.
pub(crate) struct FakeHost {
    folder: TempDir,
}

impl FakeHost {
    /// Makes the host; the sets' BOOT partitions have these attributes.
    pub(crate) fn new(shape: Shape, a: Attributes, b: Attributes) -> Self {
        let fake = Self { folder: tempfile::tempdir().unwrap() };
        let mut start_mib = 1;
        let mut partitions: Vec<(Guid, u64, Attributes)> = vec![(kind::EFI_SYSTEM, 1, Attributes::NONE)];
        for boot in if shape.one_set { vec![a] } else { vec![a, b] } {
            partitions.push((kind::BOOT, shape.boot_mib, boot));
            partitions.push((kind::ROOT, shape.root_mib, Attributes::NONE));
            partitions.push((kind::HASH, shape.boot_mib, Attributes::NONE));
        }
        partitions.push((kind::PRIVATE, 1, Attributes::NONE));
        let len = (2 + partitions.iter().map(|(_, size, _)| size).sum::<u64>()) * MIB;
        let sector = shape.sector_size.bytes();
        let mut table = Table::new(id(0), shape.sector_size, len / sector).unwrap();
        fs::create_dir_all(fake.path("dev")).unwrap();
        for (last, (kind, size_mib, attributes)) in (1..).zip(partitions) {
            let partition = Partition { kind, id: id(last), label: "", start_mib, size_mib, attributes };
            let number = table.add(&partition).unwrap();
            fake.kernel_partition(number, start_mib * 2048, size_mib * 2048);
            // A file of its own: what is written to a partition is read from the same path.
            File::create(fake.path(format!("dev/vda{number}"))).unwrap().set_len(size_mib * MIB).unwrap();
            start_mib += size_mib;
        }
        let mut disk = File::create_new(fake.disk()).unwrap();
        disk.set_len(len).unwrap();
        Plan::create(&table, &[0; BOOT_CODE_LEN]).execute(&mut disk).unwrap();
        fake.mount_root(if shape.runs_b { [6, 7] } else { [3, 4] });
        fake
    }

    pub(crate) fn host(&self) -> Host {
        Host::new(self.folder.path())
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The whole disk, which has nothing but the table on it.
    pub(crate) fn disk(&self) -> PathBuf {
        self.path("dev/vda")
    }

    pub(crate) fn open_disk(&self) -> File {
        OpenOptions::new().read(true).write(true).open(self.disk()).unwrap()
    }

    /// The table as it is now.
    pub(crate) fn reading(&self) -> Reading {
        partitions::read(&mut self.open_disk()).unwrap()
    }

    /// What the kernel says of a partition, counted in 512 bytes.
    pub(crate) fn kernel_partition(&self, number: u32, start: u64, size: u64) {
        let folder = self.path(format!("{DISK}/vda{number}"));
        fs::create_dir_all(&folder).unwrap();
        for (name, value) in [("partition", u64::from(number)), ("start", start), ("size", size)] {
            fs::write(folder.join(name), format!("{value}\n")).unwrap();
        }
    }

    /// Mounts a root file system that lies on these partitions.
    fn mount_root(&self, numbers: [u32; 2]) {
        fs::create_dir_all(self.path("proc/self")).unwrap();
        let mounts = format!(
            "1 0 0:2 / / rw - rootfs none rw\n22 1 {ROOT_DEVICE} / / ro,noatime shared:1 - erofs /dev/root ro\n\
             25 22 0:5 / /dev rw,nosuid shared:2 - devtmpfs devtmpfs rw\n"
        );
        fs::write(self.path("proc/self/mountinfo"), mounts).unwrap();
        let slaves = self.path("sys/devices/virtual/block/dm-0/slaves");
        fs::create_dir_all(&slaves).unwrap();
        for number in numbers {
            let part = format!("../../../../../../{DISK}/vda{number}");
            symlink(part, slaves.join(format!("vda{number}"))).unwrap();
        }
        fs::create_dir_all(self.path("sys/dev/block")).unwrap();
        symlink("../../devices/virtual/block/dm-0", self.path("sys/dev/block").join(ROOT_DEVICE)).unwrap();
    }
}

fn id(last: u8) -> Guid {
    let mut bits = [0xf0; 16];
    bits[15] = last;
    Guid::custom(bits)
}
