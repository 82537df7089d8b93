//! What can go wrong with a repository, and of which kind it is.

use crate::FetchError;
use host::FileError;
use jiff::Timestamp;
use snafu::Snafu;
use std::io::ErrorKind;
use std::path::PathBuf;

/// A repository that could not be used.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("read {text:?} as the address of a repository"))]
    Address { text: String, source: url::ParseError },
    #[snafu(display("read the root of trust {}", path.display()))]
    ReadRoot { path: PathBuf, source: std::io::Error },
    #[snafu(display("the root of trust {} is not a root of a repository", path.display()))]
    ParseRoot { path: PathBuf, source: serde_json::Error },
    #[snafu(display("prepare the trust store {}", path.display()))]
    OpenTrust { path: PathBuf, source: std::io::Error },
    #[snafu(display("write the trust store"))]
    WriteTrust { source: FileError },
    #[snafu(display("prepare to check a repository"))]
    Prepare { source: std::io::Error },

    #[snafu(display("fetch the {role} of the repository"))]
    Fetch { role: String, source: FetchError },
    #[snafu(display("the {role} of the repository is longer than {limit} bytes"))]
    TooLong { role: String, limit: u64 },
    #[snafu(display("read the {role} of the repository"))]
    Malformed { role: String, source: serde_json::Error },
    #[snafu(display("the {role} of the repository is not signed as it has to be"))]
    Signature { role: String, source: Box<tough::schema::Error> },
    #[snafu(display(
        "the repository goes back: its {role} is version {offered}, and version {seen} was seen before"
    ))]
    RolledBack { role: String, offered: u64, seen: u64 },
    #[snafu(display("the repository goes back: it no longer names {role}, which it did before"))]
    RoleGone { role: String },
    #[snafu(display(
        "the repository is mixed: its {role} is not the one that the rest speaks of ({detail})"
    ))]
    Mixed { role: String, detail: String },
    #[snafu(display("the repository has more than {limit} roots after that of the image"))]
    EndlessRoots { limit: u64 },
    #[snafu(display("the {role} of the repository expired on {expires}, and the clock says {now}"))]
    Expired { role: String, expires: Timestamp, now: Timestamp },
    #[snafu(display(
        "the repository is frozen: its {role} is still version {version}, which was seen before and expired on {expires}; \
         the clock says {now}"
    ))]
    Frozen { role: String, version: u64, expires: Timestamp, now: Timestamp },
    #[snafu(display(
        "the clock looks wrong: it says {now}, and this image was built on {built}; by it the {role} of the repository \
         expired on {expires}"
    ))]
    ClockAhead { role: String, expires: Timestamp, now: Timestamp, built: Timestamp },
    #[snafu(display("the clock looks wrong: it says {now}, before this image was built, on {built}"))]
    ClockBehind { now: Timestamp, built: Timestamp },
    #[snafu(display(
        "the clock went back: it says {now}, an earlier run was at {known}, and then the metadata had expired ({expires})"
    ))]
    ClockBack { now: Timestamp, known: Timestamp, expires: Timestamp },
    #[snafu(display("check the repository"))]
    Check { source: Box<tough::error::Error> },

    #[snafu(display("the repository has no target {name}"))]
    NoTarget { name: String },
    #[snafu(display("{name} is no name of a target that can be fetched"))]
    TargetName { name: String },
    #[snafu(display("fetch {name}"))]
    FetchTarget { name: String, source: FetchError },
    #[snafu(display("{name} has {length} bytes, and {limit} are read at most"))]
    TargetTooLong { name: String, length: u64, limit: u64 },
    #[snafu(display("{name} has {got} bytes, and the repository says {expected}"))]
    Length { name: String, got: u64, expected: u64 },
    #[snafu(display("{name} is damaged: its SHA-256 is {got}, and the repository says {expected}"))]
    Digest { name: String, got: String, expected: String },
    #[snafu(display("write what was fetched of {name}"))]
    Sink { name: String, source: std::io::Error },
    #[snafu(display("read what the repository offers"))]
    Manifest { source: update_metadata::ManifestError },

    #[snafu(display("write the copy of the repository: {}", path.display()))]
    WriteCache { path: PathBuf, source: std::io::Error },
}

/// Kinds of failure that are handled differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server was not reached, or did not answer as servers do. It may go better later.
    Network,
    /// What the server gave is not to be trusted.
    Trust,
    /// The clock of this host cannot be right.
    Clock,
    /// There is no space left to write to.
    NoSpace,
    /// Something is wrong on this host: configuration, files.
    Host,
}

impl Error {
    /// Which kind of failure this is.
    pub fn kind(&self) -> Kind {
        if is_out_of_space(self) {
            return Kind::NoSpace;
        }
        match self {
            Self::Fetch { source, .. } | Self::FetchTarget { source, .. } => match source {
                FetchError::TooLong { .. } => Kind::Trust,
                FetchError::Scheme { .. }
                | FetchError::Certificates { .. }
                | FetchError::NoCertificates { .. }
                | FetchError::ReadFile { .. } => Kind::Host,
                _ => Kind::Network,
            },
            Self::TooLong { .. }
            | Self::Malformed { .. }
            | Self::Signature { .. }
            | Self::RolledBack { .. }
            | Self::RoleGone { .. }
            | Self::Mixed { .. }
            | Self::EndlessRoots { .. }
            | Self::Expired { .. }
            | Self::Frozen { .. }
            | Self::Check { .. }
            | Self::NoTarget { .. }
            | Self::TargetName { .. }
            | Self::TargetTooLong { .. }
            | Self::Length { .. }
            | Self::Digest { .. }
            | Self::Manifest { .. } => Kind::Trust,
            Self::ClockAhead { .. } | Self::ClockBehind { .. } | Self::ClockBack { .. } => Kind::Clock,
            Self::Address { .. }
            | Self::ReadRoot { .. }
            | Self::ParseRoot { .. }
            | Self::OpenTrust { .. }
            | Self::WriteTrust { .. }
            | Self::Prepare { .. }
            | Self::Sink { .. }
            | Self::WriteCache { .. } => Kind::Host,
        }
    }
}

/// Whether a full file system is behind an error.
pub fn is_out_of_space(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let io = error.downcast_ref::<std::io::Error>();
        io.is_some_and(|e| matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    })
}
