//! Partitions, read and written.

use partitions::Disk;
use rustix::fs::{Advice, OFlags, fadvise};
use snafu::{ResultExt, Snafu};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A partition of the running set.
pub trait Active {
    /// Fills `buffer` from `offset` on.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// A partition that is installed to. [`Disk::sync`] must not return before everything is on the medium.
pub trait Target: Disk {
    /// Fills `buffer` from `offset` on with what the medium has, not what is cached of it. Both are multiples of
    /// 4096, and so is the buffer's address.
    fn read_back(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl Active for File {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl Active for &[u8] {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let bytes = self.get(start..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A block device, or a file that stands for one.
#[derive(Debug)]
pub struct Partition {
    file: File,
    /// None where the file system has no direct reads.
    direct: Option<File>,
}

/// A partition that cannot be installed to.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum OpenError {
    #[snafu(display("open {} for writing", path.display()))]
    OpenPartition { path: PathBuf, source: io::Error },
    #[snafu(display("open {} for reading it back", path.display()))]
    OpenDirect { path: PathBuf, source: io::Error },
}

impl Partition {
    /// Opens a partition that exists. A block device that is mounted or mapped, as those of the running set are, is
    /// refused by the kernel.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let is_device = std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_block_device());
        let exclusive = if is_device { OFlags::EXCL } else { OFlags::empty() };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).custom_flags(flags(exclusive)).open(path);
        let file = file.context(OpenPartitionSnafu { path })?;
        let direct = match OpenOptions::new().read(true).custom_flags(flags(OFlags::DIRECT)).open(path) {
            Ok(direct) => Some(direct),
            Err(e) if e.kind() == io::ErrorKind::InvalidInput && !is_device => None,
            Err(e) => return Err(e).context(OpenDirectSnafu { path }),
        };
        Ok(Self { file, direct })
    }
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

impl Disk for Partition {
    fn len_bytes(&mut self) -> io::Result<u64> {
        self.file.len_bytes()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Target for Partition {
    fn read_back(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if let Some(direct) = &self.direct {
            return direct.read_exact_at(buffer, offset);
        }
        fadvise(&self.file, offset, std::num::NonZeroU64::new(buffer.len() as u64), Advice::DontNeed)?;
        self.file.read_exact_at(buffer, offset)
    }
}
