//! What can go wrong with the store.

use rusqlite::ErrorCode;
use snafu::Snafu;
use std::path::{Path, PathBuf};

/// A store operation that failed.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum StoreError {
    #[snafu(display("open the datastore {}", path.display()))]
    Open { path: PathBuf, source: rusqlite::Error },
    #[snafu(display("make room for the datastore {}", path.display()))]
    Prepare { path: PathBuf, source: std::io::Error },
    #[snafu(display("the datastore {} is in use by another process", path.display()))]
    InUse { path: PathBuf },
    #[snafu(display("lock the datastore {}", path.display()))]
    Lock { path: PathBuf, source: std::io::Error },
    #[snafu(display("copy {} to {}", path.display(), target.display()))]
    Copy { path: PathBuf, target: PathBuf, source: std::io::Error },
    #[snafu(display("the datastore {} is damaged: {report}", path.display()))]
    Damaged { path: PathBuf, report: String },
    #[snafu(display("set the damaged datastore {} aside", path.display()))]
    SetAside { path: PathBuf, source: std::io::Error },
    #[snafu(display("the datastore {} has format {found}; this version reads up to {known}", path.display()))]
    TooNew { path: PathBuf, found: i64, known: i64 },
    #[snafu(display("read the datastore"))]
    Read { source: rusqlite::Error },
    #[snafu(display("write the datastore"))]
    Write { source: rusqlite::Error },
    #[snafu(display("the commit was prepared on commit {found}, but the newest is {head}"))]
    Stale { found: u64, head: u64 },
    #[snafu(display("there is no commit {id}; the newest is {head}"))]
    NoCommit { id: u64, head: u64 },
    #[snafu(display("the history no longer reaches back to commit {id}; its oldest is {oldest}"))]
    Forgotten { id: u64, oldest: u64 },
    #[snafu(display("commit {id} of the history cannot be read: {why}"))]
    BadCommit { id: u64, why: String },
    #[snafu(display("commit {id} is not on trial"))]
    NoTrial { id: u64 },
}

/// Sorts a failure to open by what its reader can do about it.
pub(crate) fn opening(path: &Path, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse { path: path.into() },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged { path: path.into(), report: source.to_string() }
        }
        _ => StoreError::Open { path: path.into(), source },
    }
}
