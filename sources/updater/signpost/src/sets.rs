//! The sets of the running host: from the mounted root to the disk and its partitions, and back to the table.

use crate::{BootState, Command, Layout, LayoutError, Lock, Numbers, Refusal, SetName};
use host::{FileError, Host};
use partitions::{ExecuteError, Guid, Plan, ReadError, Reading, Table, TableError};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// The mounts that this program sees (Linux, `Documentation/filesystems/proc.rst`, section 3.5).
const MOUNTS: &str = "/proc/self/mountinfo";

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its block device.
    pub path: PathBuf,
    /// Its number in the table.
    pub number: u32,
    /// Its identifier, what `PARTUUID=` names.
    pub id: Guid,
    /// Its length in bytes.
    pub size: u64,
}

/// The partitions of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetDevices {
    /// Which set it is.
    pub name: SetName,
    /// Kernel and boot menu.
    pub boot: Device,
    /// Root file system.
    pub root: Device,
    /// Hash tree of the root file system.
    pub hash: Device,
}

/// The sets of the disk that the running root is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sets {
    /// The disk.
    pub disk: PathBuf,
    /// The set that runs.
    pub active: SetDevices,
    /// The other; none on a disk with one set.
    pub inactive: Option<SetDevices>,
    /// The partition that outlives updates.
    pub private: Device,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The state that was found.
    pub before: BootState,
    /// The state that is there now.
    pub after: BootState,
    /// What was written; empty where nothing had to be.
    pub plan: Plan,
}

/// A host whose sets cannot be found.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum FindError {
    #[snafu(display("find out what is mounted"))]
    Mounts { source: FileError },
    #[snafu(display("{MOUNTS} names no root file system"))]
    NoRoot,
    #[snafu(display("find what the root file system, device {device}, lies on: read {}", path.display()))]
    Slaves { device: String, path: PathBuf, source: io::Error },
    #[snafu(display("the root file system, device {device}, lies on no partition: {} is empty", path.display()))]
    NoSlave { device: String, path: PathBuf },
    #[snafu(display("find the place of {} among the devices", path.display()))]
    Place { path: PathBuf, source: io::Error },
    #[snafu(display("{} is not a partition of a disk", path.display()))]
    NotAPartition { path: PathBuf },
    #[snafu(display("read what the kernel says in {}", path.display()))]
    Attribute { path: PathBuf, source: io::Error },
    #[snafu(display("{} does not hold a number", path.display()))]
    NotANumber { path: PathBuf },
    #[snafu(display("list the partitions of {}", path.display()))]
    Partitions { path: PathBuf, source: io::Error },
    #[snafu(display("find the sets of partitions of {}", disk.display()))]
    State { disk: PathBuf, source: StateError },
    #[snafu(display("the kernel has no partition {number} on {}", disk.display()))]
    NoDevice { disk: PathBuf, number: u32 },
    #[snafu(display(
        "the kernel has partition {number} of {} at byte {kernel_start} with {kernel_size} bytes, the partition table \
         at {start} with {size}; restart the host", disk.display()
    ))]
    Differs { disk: PathBuf, number: u32, kernel_start: u64, kernel_size: u64, start: u64, size: u64 },
    #[snafu(display("partition {number} of {}, which the root file system lies on, is in no set", disk.display()))]
    NotOfASet { disk: PathBuf, number: u32 },
}

/// A table whose sets cannot be told.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum StateError {
    #[snafu(display("open {}", disk.display()))]
    Open { disk: PathBuf, source: io::Error },
    #[snafu(display("read the partition table of {}", disk.display()))]
    Read { disk: PathBuf, source: ReadError },
    #[snafu(display("look for the sets in the partition table of {}", disk.display()))]
    Layout { disk: PathBuf, source: LayoutError },
    #[snafu(display("the partition table of {} is not the one that was read before", disk.display()))]
    Changed { disk: PathBuf },
}

/// A command that was not carried out.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ApplyError {
    #[snafu(display("find out how the host boots"))]
    ReadState { source: StateError },
    #[snafu(transparent)]
    Refused { source: Refusal },
    #[snafu(display("change the partition table of {}", disk.display()))]
    Change { disk: PathBuf, source: TableError },
    #[snafu(display("open {} for writing", disk.display()))]
    OpenForWriting { disk: PathBuf, source: io::Error },
    #[snafu(display("write the partition table of {}", disk.display()))]
    Write { disk: PathBuf, source: ExecuteError },
}

impl Sets {
    /// Finds the sets: the mounted root lies on a partition of one, and the disk of that partition has the others.
    /// Neither the kernel's command line nor the bits are asked what runs.
    pub fn find(host: &Host) -> Result<Self, FindError> {
        let part = part_of_root(host)?;
        let number: u32 = number_in(&part.join("partition"))?
            .try_into()
            .ok()
            .context(NotAPartitionSnafu { path: &part })?;
        let disk_folder = part.parent().context(NotAPartitionSnafu { path: &part })?;
        let disk = device_path(host, disk_folder).context(NotAPartitionSnafu { path: &part })?;
        let (reading, layout) = read(&disk).context(StateSnafu { disk: &disk })?;
        let active = layout.set_with(number).context(NotOfASetSnafu { disk: &disk, number })?;
        let kernel = Kernel { host, disk: &disk, folder: disk_folder, table: &reading.table };
        let set = |name: SetName| layout.set(name).map(|numbers| kernel.set(name, numbers)).transpose();
        Ok(Self {
            active: set(active)?.expect("the running set was found in the layout"),
            inactive: set(active.other())?,
            private: kernel.device(layout.private)?,
            disk,
        })
    }

    /// What the table says now.
    pub fn state(&self) -> Result<BootState, StateError> {
        let (reading, layout) = self.read()?;
        Ok(layout.state(&reading.table, self.active.name))
    }

    /// Carries a command out: on the disk when this returns, and not at all where nothing changes. A copy of the
    /// table that is damaged or behind is mended on the way.
    pub fn apply(&self, _lock: &Lock, command: Command) -> Result<Applied, ApplyError> {
        let applied = self.plan(command)?;
        self.execute(&applied.plan)?;
        Ok(applied)
    }

    /// What a command would do now.
    pub fn plan(&self, command: Command) -> Result<Applied, ApplyError> {
        let (reading, layout) = self.read().context(ReadStateSnafu)?;
        let before = layout.state(&reading.table, self.active.name);
        let after = before.apply(command)?;
        let mut table = reading.table.clone();
        layout.write(&mut table, &after).context(ChangeSnafu { disk: &self.disk })?;
        Ok(Applied { before, after, plan: reading.plan(&table) })
    }

    /// Makes both copies of the table whole and equal, and moves the backup to the end of a disk that has grown.
    pub fn rewrite_table(&self, _lock: &Lock) -> Result<Plan, ApplyError> {
        let (reading, _) = self.read().context(ReadStateSnafu)?;
        let plan = reading.heal();
        self.execute(&plan)?;
        Ok(plan)
    }

    fn execute(&self, plan: &Plan) -> Result<(), ApplyError> {
        if plan.is_empty() {
            return Ok(());
        }
        let disk = &self.disk;
        let opened = OpenOptions::new().read(true).write(true).open(disk);
        let mut file = opened.context(OpenForWritingSnafu { disk })?;
        plan.execute(&mut file).context(WriteSnafu { disk })
    }

    /// The table of the disk, which must still have the sets that were found.
    fn read(&self) -> Result<(Reading, Layout), StateError> {
        let disk = &self.disk;
        let (reading, layout) = read(disk)?;
        let is =
            |device: &Device| reading.table.get(device.number).is_some_and(|entry| entry.id == device.id);
        let same = [Some(&self.active), self.inactive.as_ref()].into_iter().flatten().all(|set| {
            layout.set(set.name).is_some_and(|numbers| numbers.boot == set.boot.number) && is(&set.boot)
        });
        ensure!(same && is(&self.private) && layout.private == self.private.number, ChangedSnafu { disk });
        Ok((reading, layout))
    }
}

/// Reads the table of a disk and finds its sets.
fn read(disk: &Path) -> Result<(Reading, Layout), StateError> {
    let mut file = File::open(disk).context(OpenSnafu { disk })?;
    let reading = partitions::read(&mut file).context(ReadSnafu { disk })?;
    let layout = Layout::of(&reading.table).context(LayoutSnafu { disk })?;
    Ok((reading, layout))
}

/// Where the kernel has the partition that the root file system lies on, among the devices of its `sysfs`. The root
/// is a device-mapper device; its slaves are a root partition and the hash tree of the same set.
fn part_of_root(host: &Host) -> Result<PathBuf, FindError> {
    let mounts = host.read(MOUNTS).context(MountsSnafu)?.unwrap_or_default();
    let device = root_device(&String::from_utf8_lossy(&mounts)).context(NoRootSnafu)?.to_owned();
    let path = host.path(format!("/sys/dev/block/{device}/slaves"));
    let slaves = std::fs::read_dir(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let slaves = slaves.context(SlavesSnafu { device: &device, path: &path })?;
    let slave = slaves.into_iter().map(|entry| entry.path()).min().context(NoSlaveSnafu { device, path })?;
    slave.canonicalize().context(PlaceSnafu { path: slave })
}

/// The device of `/`, as `major:minor`. Of several mounts there the last is the one that is seen.
fn root_device(mountinfo: &str) -> Option<&str> {
    let mut roots = mountinfo.lines().rev().filter_map(|line| {
        let mut fields = line.split(' ').skip(2);
        let device = fields.next()?;
        (fields.nth(1)? == "/").then_some(device)
    });
    roots.next()
}

/// The block device of a folder in `sysfs`, where a `!` stands for the `/` of a name.
fn device_path(host: &Host, folder: &Path) -> Option<PathBuf> {
    let name = folder.file_name()?.to_str()?.replace('!', "/");
    Some(host.path("/dev").join(name))
}

/// What the kernel knows of a disk, beside its table.
struct Kernel<'a> {
    host: &'a Host,
    disk: &'a Path,
    /// The disk among the devices of `sysfs`; each partition is a folder in it.
    folder: &'a Path,
    table: &'a Table,
}

impl Kernel<'_> {
    fn set(&self, name: SetName, numbers: Numbers) -> Result<SetDevices, FindError> {
        Ok(SetDevices {
            name,
            boot: self.device(numbers.boot)?,
            root: self.device(numbers.root)?,
            hash: self.device(numbers.hash)?,
        })
    }

    /// A partition of the table, if the kernel has it at the same place: what is written to it must go there.
    fn device(&self, number: u32) -> Result<Device, FindError> {
        let disk = self.disk;
        let none = NoDeviceSnafu { disk, number };
        let entry = self.table.get(number).context(none)?;
        let folder = self.folder_of(number)?.context(none)?;
        // The kernel counts in 512 bytes on every disk.
        let kernel_start = number_in(&folder.join("start"))?.saturating_mul(512);
        let kernel_size = number_in(&folder.join("size"))?.saturating_mul(512);
        let range = self.table.byte_range(entry);
        let (start, size) = (range.start, range.end - range.start);
        let same = (kernel_start, kernel_size) == (start, size);
        ensure!(same, DiffersSnafu { disk, number, kernel_start, kernel_size, start, size });
        let path = device_path(self.host, &folder).context(none)?;
        Ok(Device { path, number, id: entry.id, size })
    }

    fn folder_of(&self, number: u32) -> Result<Option<PathBuf>, FindError> {
        let path = self.folder;
        let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        for entry in entries.context(PartitionsSnafu { path })? {
            let attribute = entry.path().join("partition");
            if attribute.exists() && number_in(&attribute)? == u64::from(number) {
                return Ok(Some(entry.path()));
            }
        }
        Ok(None)
    }
}

/// The number that an attribute of a device holds.
fn number_in(path: &Path) -> Result<u64, FindError> {
    let text = std::fs::read_to_string(path).context(AttributeSnafu { path })?;
    text.trim_end().parse().ok().context(NotANumberSnafu { path })
}
