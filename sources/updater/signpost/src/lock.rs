//! The lock for whatever changes sets or the partition table.

use host::Host;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open};
use rustix::io::Errno;
use snafu::{ResultExt, Snafu, ensure};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The file that is locked. Its content means nothing, and nobody removes it.
pub const LOCK: &str = "/run/lock/thar-be-updates.lock";

/// The right to change sets and the partition table. One program has it at a time; it ends with the last descriptor
/// of the program and of those that inherited it, however they end.
#[derive(Debug)]
pub struct Lock(OwnedFd);

/// A lock that is not to be had.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum LockError {
    #[snafu(display("create the folder of the lock {}", path.display()))]
    Folder { path: PathBuf, source: io::Error },
    #[snafu(display("open the lock {}", path.display()))]
    Open { path: PathBuf, source: Errno },
    #[snafu(display("an update is being made: another program has locked {}", path.display()))]
    Busy { path: PathBuf },
    #[snafu(display("lock {}", path.display()))]
    Take { path: PathBuf, source: Errno },
    #[snafu(display("keep the inherited lock"))]
    Keep { source: io::Error },
    #[snafu(display("look at the inherited lock"))]
    Look { source: Errno },
    #[snafu(display("the inherited descriptor is not the lock {}", path.display()))]
    NotTheLock { path: PathBuf },
}

impl Lock {
    /// Takes the lock, or says at once that somebody else has it.
    pub fn acquire(host: &Host) -> Result<Self, LockError> {
        let path = host.path(LOCK);
        let folder = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder).context(FolderSnafu { path: folder })?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = open(&path, flags, Mode::from_raw_mode(0o600)).context(OpenSnafu { path: &path })?;
        take(file, path)
    }

    /// The lock of the program that started this one and gave it the descriptor, for instance as standard input:
    /// `Command::stdin(lock.as_fd().try_clone_to_owned()?)` there, `Lock::from_inherited_fd(host, std::io::stdin())`
    /// here. There is no moment at which nobody has it.
    pub fn from_inherited_fd(host: &Host, fd: impl AsFd) -> Result<Self, LockError> {
        let path = host.path(LOCK);
        let fd = fd.as_fd().try_clone_to_owned().context(KeepSnafu)?;
        let given = fstat(&fd).context(LookSnafu)?;
        let meant = rustix::fs::stat(&path).context(OpenSnafu { path: &path })?;
        ensure!((given.st_dev, given.st_ino) == (meant.st_dev, meant.st_ino), NotTheLockSnafu { path });
        // A descriptor that shares the lock takes it again for nothing; any other does not get it.
        take(fd, path)
    }
}

fn take(file: OwnedFd, path: PathBuf) -> Result<Lock, LockError> {
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(Errno::WOULDBLOCK) => BusySnafu { path }.fail(),
        Err(source) => Err(LockError::Take { path, source }),
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn one_at_a_time_and_free_after() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        let lock = Lock::acquire(&host).unwrap();
        let error = Lock::acquire(&host).unwrap_err();
        assert!(matches!(error, LockError::Busy { .. }), "{error}");
        drop(lock);
        Lock::acquire(&host).unwrap();
    }

    #[test]
    fn a_child_keeps_the_lock_it_inherits() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        let lock = Lock::acquire(&host).unwrap();
        let inherited = Lock::from_inherited_fd(&host, &lock).unwrap();
        let stdin = Stdio::from(lock.as_fd().try_clone_to_owned().unwrap());
        // It tells that it runs, then waits until it is told to end.
        let mut child = Command::new("sleep").arg("60").stdin(stdin).spawn().unwrap();
        drop((lock, inherited));
        assert!(matches!(Lock::acquire(&host), Err(LockError::Busy { .. })));
        child.kill().unwrap();
        child.wait().unwrap();
        Lock::acquire(&host).unwrap();
    }

    #[test]
    fn another_file_is_not_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        drop(Lock::acquire(&host).unwrap());
        let other = tempfile::tempfile().unwrap();
        let error = Lock::from_inherited_fd(&host, &other).unwrap_err();
        assert!(matches!(error, LockError::NotTheLock { .. }), "{error}");
        // The right file, locked by somebody else.
        let _lock = Lock::acquire(&host).unwrap();
        let own = std::fs::File::open(host.path(LOCK)).unwrap();
        assert!(matches!(Lock::from_inherited_fd(&host, &own), Err(LockError::Busy { .. })));
    }
}
