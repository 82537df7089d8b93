//! What is done to files to put a repository in its place: a plan that prints, and can be cut off anywhere.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use snafu::{ResultExt, Snafu};
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bring a file or a folder to the disk.
    Sync(PathBuf),
    /// Make a folder if it is not there.
    Folder(PathBuf),
    /// Let everybody read a folder.
    Open(PathBuf),
    /// Move a file to where it is missing. One that is there has the same content, which its name says.
    Place {
        /// The file.
        from: PathBuf,
        /// Its place.
        to: PathBuf,
    },
    /// Put a folder in its place; what is there goes where the new one was, in the same instant.
    Swap {
        /// The folder.
        new: PathBuf,
        /// Its place.
        place: PathBuf,
    },
    /// Point a symbolic link at something beside it.
    Link {
        /// The link.
        link: PathBuf,
        /// What it shall say.
        to: PathBuf,
    },
}

/// A step that was not done; those after it were not either.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum StepError {
    #[snafu(display("bring {} to the disk", path.display()))]
    Sync { path: PathBuf, source: io::Error },
    #[snafu(display("make the folder {}", path.display()))]
    Folder { path: PathBuf, source: io::Error },
    #[snafu(display("let everybody read {}", path.display()))]
    Open { path: PathBuf, source: io::Error },
    #[snafu(display("move {} to {}", from.display(), to.display()))]
    Place { from: PathBuf, to: PathBuf, source: io::Error },
    #[snafu(display("point {} at {}", link.display(), to.display()))]
    Link { link: PathBuf, to: PathBuf, source: io::Error },
}

/// Does the steps in their order.
pub fn execute(steps: &[Step]) -> Result<(), StepError> {
    steps.iter().try_for_each(Step::execute)
}

impl Step {
    fn execute(&self) -> Result<(), StepError> {
        match self {
            Self::Sync(path) => File::open(path).and_then(|file| file.sync_all()).context(SyncSnafu { path }),
            Self::Folder(path) => std::fs::create_dir_all(path).context(FolderSnafu { path }),
            Self::Open(path) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
                .context(OpenSnafu { path }),
            Self::Place { from, to } => place(from, to).context(PlaceSnafu { from, to }),
            Self::Swap { new, place } => swap(new, place).context(PlaceSnafu { from: new, to: place }),
            Self::Link { link, to } => point(link, to).context(LinkSnafu { link, to }),
        }
    }
}

fn place(from: &Path, to: &Path) -> io::Result<()> {
    let len = |path: &Path| path.symlink_metadata().map(|metadata| metadata.len()).ok();
    // One of another length is the rest of something that went wrong outside of this program.
    if len(to).is_some() && len(to) == len(from) { Ok(()) } else { std::fs::rename(from, to) }
}

fn swap(new: &Path, place: &Path) -> io::Result<()> {
    let flags = if place.symlink_metadata().is_ok() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    Ok(renameat_with(CWD, new, CWD, place, flags)?)
}

fn point(link: &Path, to: &Path) -> io::Result<()> {
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    let fresh = link.with_file_name(format!(".{name}.{}", std::process::id()));
    match std::fs::remove_file(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    std::os::unix::fs::symlink(to, &fresh)?;
    std::fs::rename(&fresh, link)
}
