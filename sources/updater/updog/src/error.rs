//! What can go wrong, and the exit status it ends in.

use crate::{ConfigError, MachineError, StagedError};
use host::OrderError;
use repository::Kind;
use semver::Version;
use signpost::{ApplyError, FindError, LockError, SetName, StateError};
use snafu::Snafu;
use std::path::PathBuf;
use std::process::ExitCode;

/// An update that was not found, installed, activated or reverted.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(transparent)]
    Configure { source: ConfigError },
    #[snafu(transparent)]
    Identify { source: MachineError },
    #[snafu(transparent)]
    Repository {
        #[snafu(source(from(repository::Error, Box::new)))]
        source: Box<repository::Error>,
    },
    #[snafu(transparent)]
    Locked { source: LockError },
    #[snafu(transparent)]
    Stage { source: StagedError },
    #[snafu(display("find the sets of partitions"))]
    Sets {
        #[snafu(source(from(FindError, Box::new)))]
        source: Box<FindError>,
    },
    #[snafu(display("find out how the host boots"))]
    State {
        #[snafu(source(from(StateError, Box::new)))]
        source: Box<StateError>,
    },
    #[snafu(transparent)]
    Bits {
        #[snafu(source(from(ApplyError, Box::new)))]
        source: Box<ApplyError>,
    },

    #[snafu(display(
        "the repository no longer offers what was chosen: its manifest is {found}, and {chosen} was chosen from. Check again"
    ))]
    Changed { chosen: String, found: String },
    #[snafu(display("the repository offers no {version} for {variant} on {arch}"))]
    NotOffered { version: Version, variant: String, arch: String },
    #[snafu(display("{version} was withdrawn: {reason}"))]
    Withdrawn { version: Version, reason: String },
    #[snafu(transparent)]
    Chain {
        #[snafu(source(from(update_metadata::ChainError, Box::new)))]
        source: Box<update_metadata::ChainError>,
    },
    #[snafu(display("the repository is not whole: it offers {version} and has no target {name}"))]
    Incomplete { version: Version, name: String },
    #[snafu(display("the disk has one set of partitions, so there is none to install to"))]
    OneSet,
    #[snafu(display("the {image} image has {size} bytes, and its partition has room for {room}"))]
    TooLarge { image: &'static str, size: u64, room: u64 },
    #[snafu(display(
        "{} has {free} bytes free, and the update takes {needed} there: {cache} for its copy of the repository, {store} \
         for the migrated settings, the rest in reserve", path.display()
    ))]
    NoSpace { path: PathBuf, free: u64, needed: u64, cache: u64, store: u64 },
    #[snafu(display("ask for the free space of {}", path.display()))]
    Space { path: PathBuf, source: std::io::Error },
    #[snafu(display("open the copy of the repository as the next boot will"))]
    DryLoad { source: Box<Error> },
    #[snafu(display("decide how the next boot migrates the settings"))]
    DryRun { source: Box<migrator::Error> },
    #[snafu(display("read the seek table of the {image} image"))]
    SeekTable { image: &'static str, source: seekable::TableError },
    #[snafu(display("open the partition of the {image} image"))]
    OpenPartition { image: &'static str, source: install::OpenError },
    #[snafu(display("read the hash tree of the {image} image"))]
    Tree { image: &'static str, source: verity::ReadError },
    #[snafu(display("check the hash tree of the {image} image"))]
    VerifyTree { image: &'static str, source: verity::Mismatch },
    #[snafu(display("install the {image} image; set {set} stays without the right to boot"))]
    Install { image: &'static str, set: SetName, source: Box<install::Error> },

    #[snafu(display("no update is staged; `updog update-image` stages one"))]
    NothingStaged,
    #[snafu(display(
        "{version} is not completely written to set {set}; `updog update-image` goes on with it"
    ))]
    NotComplete { version: Version, set: String },
    #[snafu(display("what is staged is in set {staged}, which runs; there is nothing to activate"))]
    StagedRuns { staged: String },
    #[snafu(display("restart the host"))]
    Restart { source: OrderError },
    #[snafu(display("print the result"))]
    Print { source: std::io::Error },
}

/// Exit statuses. 0 and 1 are as documented, as far as scripts rely on them (update, section 3.3): 0 when done, also
/// when `update` finds nothing to do; 1 when `check-update` finds no update. The others tell kinds of failure apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or, but for `check-update`, nothing had to be done.
    Done = 0,
    /// `check-update`: there is no update.
    NoUpdate = 1,
    /// Asked wrongly, or the configuration cannot be used.
    Usage = 2,
    /// The repository was not reached; it may go better later.
    Network = 3,
    /// What the repository gave is not to be trusted, or not whole.
    Trust = 4,
    /// No space, on a file system or a partition.
    NoSpace = 5,
    /// Another program has the lock.
    Busy = 6,
    /// Refused: it would harm the host, or there is nothing to activate or revert.
    Refused = 7,
    /// The clock of the host cannot be right.
    Clock = 8,
    /// Anything else, such as a disk that cannot be written.
    Failed = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Error {
    /// The exit status it ends in.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Configure { .. } => Exit::Usage,
            Self::Repository { source } => match source.kind() {
                Kind::Network => Exit::Network,
                Kind::Trust => Exit::Trust,
                Kind::NoSpace => Exit::NoSpace,
                Kind::Clock => Exit::Clock,
                Kind::Host => Exit::Failed,
            },
            Self::Locked { source: LockError::Busy { .. } } => Exit::Busy,
            Self::Changed { .. }
            | Self::NotOffered { .. }
            | Self::Withdrawn { .. }
            | Self::OneSet
            | Self::NothingStaged
            | Self::NotComplete { .. }
            | Self::StagedRuns { .. } => Exit::Refused,
            Self::Bits { source } if matches!(**source, ApplyError::Refused { .. }) => Exit::Refused,
            Self::NoSpace { .. } | Self::TooLarge { .. } => Exit::NoSpace,
            Self::Chain { .. }
            | Self::Incomplete { .. }
            | Self::SeekTable { .. }
            | Self::Tree { .. }
            | Self::VerifyTree { .. } => Exit::Trust,
            Self::DryLoad { source } => source.exit(),
            Self::DryRun { source } if matches!(**source, migrator::Error::NoRoom { .. }) => Exit::NoSpace,
            Self::Install { source, .. } => of_install(source),
            _ if repository::is_out_of_space(self) => Exit::NoSpace,
            _ => Exit::Failed,
        }
    }
}

/// What an install ended with: the server, the image, or this host.
fn of_install(error: &install::Error) -> Exit {
    use install::Error as E;
    match error {
        E::FetchRange { .. } | E::ReceiveRange { .. } | E::FetchFull { .. } => Exit::Network,
        _ if is_of_fetching(error) => Exit::Network,
        E::ShortRange { .. }
        | E::LongRange { .. }
        | E::ReceiveFull { .. }
        | E::ReceiveTree { .. }
        | E::ReadFrame { .. }
        | E::BadFrame { .. }
        | E::BadBlock { .. }
        | E::WrongSize { .. }
        | E::TooLong { .. }
        | E::PartialBlock { .. }
        | E::WrongSum { .. }
        | E::ReadTree { .. }
        | E::VerifyTree { .. }
        | E::TrailingTree { .. } => Exit::Trust,
        E::TooLarge { .. } => Exit::NoSpace,
        _ => Exit::Failed,
    }
}

/// Whether a stream ended because its bytes did not come, and not for what they were.
fn is_of_fetching(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        inner.is_some_and(|inner| inner.is::<repository::Error>() || inner.is::<repository::FetchError>())
    })
}
