//! Writes a disk to a file that is as sparse as the disk is empty.

use crate::layout::{DiskPlan, PartitionPlace, Role};
use crate::sparse::data_ranges;
use partitions::{BOOT_CODE_LEN, Disk, ExecuteError, Partition, Plan, SectorSize, Table, TableError};
use snafu::{ResultExt, Snafu};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The unit in which zeros are left out. No smaller than a block of the file systems that keep the file.
const CHUNK: usize = 64 * 1024;

/// The unit in which the disks count. Firmware and hypervisors that count in 4096 present images of 512.
pub(crate) const SECTOR_SIZE: SectorSize = SectorSize::B512;

/// Why a disk was not written.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("plan the partition table"))]
    Plan { source: TableError },
    #[snafu(display("make the file {}", path.display()))]
    MakeFile { path: PathBuf, source: io::Error },
    #[snafu(display("write the partition table to {}", path.display()))]
    WriteTable { path: PathBuf, source: ExecuteError },
    #[snafu(display("write the partition {name} to {}", path.display()))]
    WritePartition { name: &'static str, path: PathBuf, source: io::Error },
}

/// What a partition holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// What is in a file.
    File(PathBuf),
    /// What is in memory.
    Bytes(Vec<u8>),
}

/// The partition table of a plan.
pub(crate) fn table(plan: &DiskPlan) -> Result<Table, TableError> {
    let sectors = plan.size_mib * partitions::MIB / SECTOR_SIZE.bytes();
    let mut table = Table::new(plan.id, SECTOR_SIZE, sectors)?;
    for place in &plan.partitions {
        let &PartitionPlace { role, label, start_mib, size_mib, id, attributes, .. } = place;
        table.add(&Partition { kind: role.kind(), id, label, start_mib, size_mib, attributes })?;
    }
    Ok(table)
}

/// Writes a disk with these contents; all other partitions stay empty.
pub(crate) fn write(
    plan: &DiskPlan,
    boot_code: &[u8; BOOT_CODE_LEN],
    contents: &[(Role, Content)],
    path: &Path,
) -> Result<(), Error> {
    let table = table(plan).context(PlanSnafu)?;
    let disk = File::create_new(path).context(MakeFileSnafu { path })?;
    disk.set_len(plan.size_mib * partitions::MIB).context(MakeFileSnafu { path })?;
    for (role, content) in contents {
        let Some(place) = plan.partition(*role) else { continue };
        let start = place.start_bytes();
        let written = match content {
            Content::File(from) => File::open(from).and_then(|from| copy(&from, &disk, start)),
            Content::Bytes(bytes) => disk.write_all_at(bytes, start),
        };
        written.context(WritePartitionSnafu { name: role.name(), path })?;
    }
    Plan::create(&table, boot_code).execute(&mut ImageFile(disk)).context(WriteTableSnafu { path })
}

/// A disk that a power cut does not matter to: it is built again. Waiting until all of it has reached the disk of the
/// build machine would take longer than building it.
struct ImageFile(File);

impl Disk for ImageFile {
    fn len_bytes(&mut self) -> io::Result<u64> {
        self.0.len_bytes()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        Disk::read_at(&mut self.0, offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        Disk::write_at(&mut self.0, offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Copies what is not zero.
fn copy(from: &File, to: &File, at: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    for Range { start, end } in data_ranges(from)? {
        let mut offset = start;
        while offset < end {
            let len = buffer.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
            let chunk = &mut buffer[..len];
            from.read_exact_at(chunk, offset)?;
            if chunk.iter().any(|byte| *byte != 0) {
                to.write_all_at(chunk, at + offset)?;
            }
            offset += len as u64;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_copy_is_equal_and_leaves_zeros_out() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| File::create_new(dir.path().join(name)).unwrap();
        drop((open("from"), open("to")));
        let [from, to] = ["from", "to"]
            .map(|name| File::options().read(true).write(true).open(dir.path().join(name)).unwrap());
        let len = 8 * partitions::MIB;
        from.set_len(len).unwrap();
        to.set_len(len + 5).unwrap();
        from.write_all_at(&vec![1; 70_000], 100_000).unwrap();
        // Zeros that take room in the source.
        from.write_all_at(&vec![0; 1_000_000], 2_000_000).unwrap();
        from.write_all_at(&[2], len - 1).unwrap();

        copy(&from, &to, 5).unwrap();
        let read = |file: &File, at| {
            let mut bytes = vec![0; usize::try_from(len).unwrap()];
            file.read_exact_at(&mut bytes, at).unwrap();
            bytes
        };
        assert_eq!(read(&from, 0), read(&to, 5));
        assert!(to.metadata().unwrap().blocks() * 512 < 1_000_000, "the copy is not sparse");
    }
}
