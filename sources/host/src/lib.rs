//! The machine behind one door.
//!
//! A program sees files, child processes and units only through a [`Host`], which stands for the machine or for
//! a directory that plays one. In a directory, commands that would act on the machine's services are written to
//! [`COMMAND_LOG`] instead of being run.
//!
//! The crate also holds the frame that every program shares: [`program::run`].

mod command;
mod file;
mod identity;
pub mod program;

pub use command::{COMMAND_LOG, Command, CommandError, OrderError, Output};
pub use file::{FileError, Replaced};
pub use identity::{OS_RELEASE, OsRelease, UptimeError};

use std::path::{Path, PathBuf};

/// The machine, or a directory that plays one.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// The host whose root directory is `root`; `/` is the machine itself.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether this is the machine itself, where units really run.
    pub fn is_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a path of the host really is.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}
