//! Finding the disk that the host was started from, and its partitions.
//!
//! The kernel of the image tells nobody the identifiers of partitions, and there is no udev here, so the tables are
//! read from the disks. The numbers in them lead to the kernel's devices.

use partitions::{Guid, Locator, LocatorError, Table};
use snafu::{OptionExt, ResultExt, Snafu};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Why a partition has no device.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("list the disks in {}", path.display()))]
    List { path: PathBuf, source: std::io::Error },

    #[snafu(display("look for a partition on the disk {disk}"))]
    Locate { disk: String, source: LocatorError },

    #[snafu(display("the kernel shows no device for partition {number} of the disk {disk}"))]
    NoDevice { disk: String, number: u32 },

    #[snafu(display("the disk {disk} has no partition of the type {kind}"))]
    NoKind { disk: String, kind: Guid },
}

/// Where the kernel lists disks.
pub const SYS_BLOCK: &str = "/sys/block";
const DEV: &str = "/dev";

/// Beginnings of the names of block devices that no host is started from: some of them take long to answer.
const NO_BOOT_DISKS: [&str; 8] = ["dm-", "fd", "loop", "md", "nbd", "ram", "sr", "zram"];

/// A disk with a partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootDisk {
    /// The kernel's name for it: `vda`.
    pub name: String,
    /// Its partitions.
    pub table: Table,
}

/// What a look at all disks shows.
#[derive(Debug, Default)]
pub struct Sighting {
    /// The disks that have the partition, in the order of their names.
    pub matching: Vec<BootDisk>,
    /// The names of all disks there are.
    pub disks: Vec<String>,
}

/// Looks for the disks with the partition that `anchor` starts from.
///
/// A disk that cannot be read or has no table is passed over: it is not the one, or it is not ready yet.
pub fn look(sys_block: &Path, anchor: Locator) -> Result<Sighting, Error> {
    let mut disks = names(sys_block)?;
    disks.retain(|name| !NO_BOOT_DISKS.iter().any(|start| name.starts_with(start)));
    disks.sort();
    let matching = disks.iter().filter_map(|name| read(name, anchor)).collect();
    Ok(Sighting { matching, disks })
}

fn read(name: &str, anchor: Locator) -> Option<BootDisk> {
    let mut file = File::open(Path::new(DEV).join(name)).ok()?;
    let table = partitions::read(&mut file).ok()?.table;
    table.with_id(anchor.id)?;
    Some(BootDisk { name: name.to_owned(), table })
}

impl BootDisk {
    /// The device of the partition that `locator` names.
    pub fn device(&self, sys_block: &Path, locator: Locator) -> Result<PathBuf, Error> {
        let (number, _) = self.table.locate(locator).context(LocateSnafu { disk: &self.name })?;
        self.device_of_number(sys_block, number)
    }

    /// The device of the first partition of a type.
    pub fn device_of_kind(&self, sys_block: &Path, kind: Guid) -> Result<PathBuf, Error> {
        let found = self.table.of_kind(kind).next();
        let (number, _) = found.with_context(|| NoKindSnafu { disk: &self.name, kind })?;
        self.device_of_number(sys_block, number)
    }

    /// The kernel says the number of a partition in a file; names cannot be put together, because some kinds of disk
    /// have a letter before the number.
    fn device_of_number(&self, sys_block: &Path, number: u32) -> Result<PathBuf, Error> {
        let disk = sys_block.join(&self.name);
        names(&disk)?
            .into_iter()
            .find(|name| {
                fs::read_to_string(disk.join(name).join("partition"))
                    .is_ok_and(|text| text.trim().parse() == Ok(number))
            })
            .map(|name| Path::new(DEV).join(name))
            .context(NoDeviceSnafu { disk: &self.name, number })
    }
}

fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let list = || ListSnafu { path: folder };
    fs::read_dir(folder)
        .with_context(|_| list())?
        .map(|entry| Ok(entry.with_context(|_| list())?.file_name().to_string_lossy().into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use partitions::{Attributes, Partition, SectorSize, kind};

    fn disk() -> BootDisk {
        let mut table = Table::new(Guid::NIL, SectorSize::B512, 64 * 2048).unwrap();
        for (start_mib, kind) in [(1, kind::BOOT), (2, kind::ROOT), (3, kind::PRIVATE)] {
            let id = Guid::custom([u8::try_from(start_mib).unwrap(); 16]);
            table
                .add(&Partition { kind, id, label: "", start_mib, size_mib: 1, attributes: Attributes::NONE })
                .unwrap();
        }
        BootDisk { name: "nvme0n1".to_owned(), table }
    }

    /// A folder like `/sys/block` with the disk and the partitions given.
    fn sys_block(numbers: &[u32]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("nvme0n1/queue")).unwrap();
        for number in numbers {
            let partition = folder.path().join(format!("nvme0n1/nvme0n1p{number}"));
            fs::create_dir(&partition).unwrap();
            fs::write(partition.join("partition"), format!("{number}\n")).unwrap();
        }
        folder
    }

    fn locator(offset: i32) -> Locator {
        Locator { id: Guid::custom([1; 16]), offset }
    }

    #[test]
    fn numbers_lead_to_devices() {
        let sys = sys_block(&[1, 2, 3]);
        for (offset, device) in [(0, "/dev/nvme0n1p1"), (1, "/dev/nvme0n1p2"), (2, "/dev/nvme0n1p3")] {
            assert_eq!(disk().device(sys.path(), locator(offset)).unwrap(), Path::new(device));
        }
        assert_eq!(disk().device_of_kind(sys.path(), kind::PRIVATE).unwrap(), Path::new("/dev/nvme0n1p3"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let sys = sys_block(&[1, 2]);
        let error = disk().device(sys.path(), locator(2)).expect_err("the kernel does not show it");
        assert_eq!(error.to_string(), "the kernel shows no device for partition 3 of the disk nvme0n1");
        let error = disk().device(sys.path(), locator(3)).expect_err("not in the table");
        assert!(matches!(error, Error::Locate { .. }), "{error}");
        let error = disk().device_of_kind(sys.path(), kind::DATA).expect_err("not in the table");
        assert!(matches!(error, Error::NoKind { kind: kind::DATA, .. }), "{error}");
    }

    #[test]
    fn devices_that_are_no_boot_disks_are_passed_over() {
        let sys = tempfile::tempdir().unwrap();
        for name in ["vdz9", "sr0", "loop0", "dm-0", "ram1"] {
            fs::create_dir(sys.path().join(name)).unwrap();
        }
        let sighting = look(sys.path(), locator(0)).unwrap();
        assert_eq!(sighting.disks, ["vdz9"]);
        assert_eq!(sighting.matching, []);
    }
}
