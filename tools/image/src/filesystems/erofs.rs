//! The root file system.

use super::{Error, MakeFileSnafu, MakeSnafu};
use crate::RootCompression;
use crate::toolbox::Toolbox;
use partitions::Guid;
use snafu::ResultExt;
use std::fs::OpenOptions;
use std::path::Path;

/// The block of the file system and of its hash tree.
const BLOCK: u64 = 4096;

/// What is said about a file system besides its files.
pub(crate) struct Erofs {
    pub(crate) id: Guid,
    pub(crate) epoch: u32,
    pub(crate) compression: RootCompression,
}

impl Erofs {
    /// Makes the file `to` with what is in the folder `from`, all of it root's.
    pub(crate) fn make(&self, toolbox: &Toolbox, from: &Path, to: &Path) -> Result<(), Error> {
        let epoch = format!("-T{}", self.epoch);
        let id = format!("-U{}", self.id);
        // Without extended attributes: those of the build machine must not leak, and the tree has none of its own.
        // The labels of a policy come with `--file-contexts`, which needs this to be `-x2`.
        // The ends of files are not put among the inodes: these are then few blocks in one place, and when a file
        // grows, an update fetches those few, not one of each folder. The image is 1 % longer, compressed no longer.
        let layout = "-Enoinline_data";
        let mut argv = vec!["mkfs.erofs", "--quiet", "--all-root", "-x-1", layout, &epoch, &id];
        if self.compression == RootCompression::Lz4hc {
            argv.extend(["-zlz4hc,12", "-C65536"]);
        }
        let mut argv: Vec<_> = argv.into_iter().map(Path::new).collect();
        argv.extend([to, from]);
        toolbox.run(&argv).context(MakeSnafu { name: "root" })?;

        let pad = || {
            let file = OpenOptions::new().write(true).open(to)?;
            file.set_len(file.metadata()?.len().next_multiple_of(BLOCK))
        };
        pad().context(MakeFileSnafu { path: to })
    }
}
