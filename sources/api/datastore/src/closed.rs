//! A store that nobody has open: copying it, for the migrator.

use crate::StoreError;
use crate::error::{CopySnafu, InUseSnafu, LockSnafu};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use snafu::ResultExt;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What SQLite may have beside the file when the power was cut: its log, or the journal of the making of the store.
/// Beside a copy of the file under the same name they count as they did there.
const BESIDE: [&str; 2] = ["-wal", "-journal"];

/// A store that nobody has open, and that no other process can open while this lives. It is never written to.
///
/// The lock is one of the process and its file: it ends as soon as this process opens and closes the file again.
#[derive(Debug)]
pub struct Closed {
    path: PathBuf,
    file: File,
}

impl Closed {
    /// Takes the store at `path`; `None` where there is no file yet.
    pub fn take(path: &Path) -> Result<Option<Self>, StoreError> {
        // A lock against all others takes a file that could be written.
        let file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).context(LockSnafu { path }),
        };
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), file })),
            Err(Errno::AGAIN | Errno::ACCESS) => InUseSnafu { path }.fail(),
            Err(e) => Err(io::Error::from(e)).context(LockSnafu { path }),
        }
    }

    /// Copies it, with what its log holds. The copy is on the disk when it has been synced, opened and closed.
    pub fn copy_to(&mut self, target: &Path) -> Result<(), StoreError> {
        let path = self.path.clone();
        self.file.rewind().and_then(|()| copy(&mut self.file, target)).context(CopySnafu { path, target })?;
        for suffix in BESIDE {
            let (path, target) = (beside(&self.path, suffix), beside(target, suffix));
            match File::open(&path) {
                Ok(mut from) => copy(&mut from, &target).context(CopySnafu { path, target })?,
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(e).context(CopySnafu { path, target }),
            }
        }
        Ok(())
    }

    /// Bytes of the store at `path` with its log, without opening it; 0 where there is none.
    pub fn size(path: &Path) -> io::Result<u64> {
        let size = |path: PathBuf| match std::fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(0),
            Err(e) => Err(e),
        };
        let files = [""].into_iter().chain(BESIDE);
        files.map(|suffix| size(beside(path, suffix))).sum()
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn copy(from: &mut File, target: &Path) -> io::Result<()> {
    let mut to = File::options().write(true).create_new(true).mode(0o600).open(target)?;
    io::copy(from, &mut to)?;
    to.sync_all()
}
