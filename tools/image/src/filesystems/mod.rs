//! The file systems of the partitions, each made in a file of its own by the tools of its kind.

pub(crate) mod erofs;
pub(crate) mod ext4;
pub(crate) mod fat;

use crate::RootCompression;
use crate::toolbox::Toolbox;
use crate::{toolbox, tree};
use erofs::Erofs;
use partitions::Guid;
use snafu::{ResultExt, Snafu};
use std::path::{Path, PathBuf};

/// Makes the file `to` a root file system of what is in the folder `from`, laid out as that of an image, for those who
/// ask what an update would cost. Its id and all times are zero. `scratch` is a folder for what configures the tools.
pub fn make_root(from: &Path, to: &Path, scratch: &Path) -> Result<(), Error> {
    let toolbox = Toolbox::new(scratch, 0).context(MakeSnafu { name: "root" })?;
    let compression = RootCompression::None;
    Erofs { id: Guid::from_disk([0; 16]), epoch: 0, compression }.make(&toolbox, from, to)
}

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
