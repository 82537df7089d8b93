//! What can go wrong.

use host::{CommandError, FileError, OrderError};
use signpost::attempt::RecordError;
use signpost::{FindError, LockError, StateError};
use snafu::Snafu;
use std::path::PathBuf;
use update_status::Refusal;
use updog::{MachineError, StagedError};

/// A step that was refused or could not be taken.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(transparent)]
    Refused { source: Refusal },
    #[snafu(display("take the lock of updates"))]
    Lock { source: LockError },
    #[snafu(display("read the status of updates"))]
    ReadStatus { source: FileError },
    #[snafu(display("write the status of updates"))]
    WriteStatus { source: FileError },
    #[snafu(display("read the configuration of updates"))]
    ReadConfig { source: FileError },
    #[snafu(display("understand {}", path.display()))]
    BadConfig { path: PathBuf, source: toml::de::Error },
    #[snafu(transparent)]
    Identify { source: MachineError },
    #[snafu(transparent)]
    Staged { source: StagedError },
    #[snafu(display("find the sets of partitions"))]
    FindSets { source: FindError },
    #[snafu(display("find out which set of partitions boots next"))]
    BootState { source: StateError },
    #[snafu(display("find out what the boots before this one came to"))]
    ReadAttempt { source: RecordError },
    #[snafu(display("start the program that does the work"))]
    StartWorker { source: CommandError },
    #[snafu(display("keep the lock for the program that does the work"))]
    KeepLock { source: std::io::Error },
    #[snafu(display("wait for signals"))]
    Signals { source: std::io::Error },
    #[snafu(display("find out in which boot this is"))]
    ReadBootId { source: FileError },
    #[snafu(display("reboot"))]
    Reboot { source: OrderError },
}

impl Error {
    /// The exit status that tells it: the documented ones for refusals, 1 for all else.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Refused { source } => source.exit_status(),
            _ => host::program::EXIT_FAILURE,
        }
    }
}

/// What a lock that is not to be had means.
pub(crate) fn locked(source: LockError) -> Error {
    match source {
        LockError::Busy { .. } => Refusal::Locked.into(),
        source => Error::Lock { source },
    }
}
