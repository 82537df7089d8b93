//! The file systems of the partitions, each made in a file of its own by the tools of its kind.

pub(crate) mod erofs;
pub(crate) mod ext4;
pub(crate) mod fat;

use crate::{toolbox, tree};
use snafu::Snafu;
use std::path::PathBuf;

/// Why there is no file system.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("make the file {}", path.display()))]
    MakeFile { path: PathBuf, source: std::io::Error },
    #[snafu(display("make the {name} file system"))]
    Make { name: &'static str, source: toolbox::Error },
    #[snafu(display("list what goes into the {name} file system"))]
    List { name: &'static str, source: tree::Error },
    #[snafu(display("write the commands for debugfs to {}", path.display()))]
    WriteCommands { path: PathBuf, source: std::io::Error },
    #[snafu(display("debugfs did not set what was asked of the {name} file system, but said: {said}"))]
    Debugfs { name: &'static str, said: String },
    #[snafu(display(
        "{path:?} cannot be part of the {name} file system; a name there has no quotes and line ends"
    ))]
    Name { name: &'static str, path: PathBuf },
}
