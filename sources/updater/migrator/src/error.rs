//! What can go wrong with a migration.

use crate::SourceError;
use datastore::StoreError;
use host::{CommandError, FileError};
use migrations::{Direction, Fault, RunError};
use semver::Version;
use snafu::Snafu;
use std::path::PathBuf;

/// A migration that did not happen.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("read the link {}", path.display()))]
    ReadLink { path: PathBuf, source: std::io::Error },
    #[snafu(display("{} leads to '{target}'; a link of the datastore leads to a name in its own folder", path.display()))]
    LeadsOut { path: PathBuf, target: String },
    #[snafu(display("{} leads in a circle", path.display()))]
    Circle { path: PathBuf },
    #[snafu(display("{} is a folder; it must be a link to the store", path.display()))]
    NotALink { path: PathBuf },
    #[snafu(display(
        "{} leads to '{name}', which names no version; a store is named like 'v1.2.3_0123456789abcdef'",
        path.display()
    ))]
    NotAStore { path: PathBuf, name: String },
    #[snafu(display("list {}", path.display()))]
    List { path: PathBuf, source: std::io::Error },
    #[snafu(display("ask how much room there is in {}", path.display()))]
    AskRoom { path: PathBuf, source: std::io::Error },
    #[snafu(display(
        "migrating the datastore needs {needed} KiB in {}, and only {free} KiB are free; the datastore is left as it is",
        path.display()
    ))]
    NoRoom { path: PathBuf, needed: u64, free: u64 },
    #[snafu(display("find the migrations from {from} to {to}"))]
    Find { from: Version, to: Version, source: SourceError },
    #[snafu(display("read {name}"))]
    ReadMigration { name: String, source: SourceError },
    #[snafu(display("decompress {name}"))]
    Decompress { name: String, source: std::io::Error },
    #[snafu(display("{name} has more than {limit} bytes decompressed"))]
    TooLong { name: String, limit: u64 },
    #[snafu(display("{name} is neither a document (JSON) nor a program (ELF)"))]
    NeitherKind { name: String },
    #[snafu(display("read the document {name}"))]
    ReadDocument { name: String, source: Fault },
    #[snafu(display("make {}", path.display()))]
    Make { path: PathBuf, source: std::io::Error },
    #[snafu(display("copy the datastore"))]
    CopyStore { source: StoreError },
    #[snafu(display("open the copy of the datastore"))]
    OpenCopy { source: StoreError },
    #[snafu(display("write the migrated settings"))]
    WriteCopy { source: StoreError },
    #[snafu(display("run {name} {direction}"))]
    RunRows { name: String, direction: Direction, source: RunError },
    #[snafu(display("run {name} {direction}"))]
    RunProgram { name: String, direction: Direction, source: ProgramError },
    #[snafu(display("sync {}", path.display()))]
    Sync { path: PathBuf, source: std::io::Error },
    #[snafu(display("rename {} to {}", path.display(), target.display()))]
    Rename { path: PathBuf, target: PathBuf, source: std::io::Error },
    #[snafu(display("link {} to {target}", path.display()))]
    Link { path: PathBuf, target: String, source: std::io::Error },
    #[snafu(display("remove {}", path.display()))]
    Remove { path: PathBuf, source: std::io::Error },
    #[snafu(display("read the version of the image"))]
    ReadVersion { source: FileError },
    #[snafu(display("{path} has no VERSION_ID that is a version like 1.2.3"))]
    NoVersion { path: &'static str },
}

/// A program that did not migrate.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum ProgramError {
    #[snafu(display("put the program into memory"))]
    Load { source: std::io::Error },
    #[snafu(display("write {}", path.display()))]
    Export { path: PathBuf, source: std::io::Error },
    #[snafu(display("start it"))]
    Start { source: CommandError },
    #[snafu(display("it ended with {status}: {stderr}"))]
    Failed { status: std::process::ExitStatus, stderr: String },
    #[snafu(display("read {}", path.display()))]
    Import { path: PathBuf, source: std::io::Error },
    #[snafu(display("it left no settings in {}", path.display()))]
    NoStore { path: PathBuf },
    #[snafu(display("it left more than {limit} files or {bytes} bytes of settings"))]
    TooMuch { limit: usize, bytes: u64 },
    #[snafu(display("it left a value that cannot be read in {path}: {why}"))]
    BadValue { path: String, why: String },
}
