//! The file systems of the boot, PRIVATE and data partitions.

use super::{DebugfsSnafu, Error, ListSnafu, MakeFileSnafu, MakeSnafu, NameSnafu, WriteCommandsSnafu};
use crate::toolbox::Toolbox;
use crate::tree::paths_below;
use partitions::Guid;
use snafu::{OptionExt, ResultExt, ensure};
use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// What is said about a file system besides its files.
pub(crate) struct Ext4 {
    /// The name that errors have.
    pub(crate) name: &'static str,
    /// The label, at most 16 bytes.
    pub(crate) label: &'static str,
    pub(crate) id: Guid,
    pub(crate) epoch: u32,
    /// The length of its partition.
    pub(crate) size_bytes: u64,
    pub(crate) journal: bool,
    /// Whether what describes it bears checksums. Where it is written all the time and a power cut must not cost it,
    /// it better has none: the superblock is two sectors of 512 bytes with one checksum, and only the first of them
    /// changes, so that half of a write does no harm but to the checksum, for which nobody would mount it any more.
    pub(crate) checksums: bool,
    /// One inode for so many bytes; more inodes for small files.
    pub(crate) bytes_per_inode: u32,
    /// Whether it ends where its files do.
    pub(crate) shrink: bool,
}

impl Ext4 {
    /// Makes the file `to` with what is in the folder `from`, all of it root's.
    pub(crate) fn make(&self, toolbox: &Toolbox, from: Option<&Path>, to: &Path) -> Result<(), Error> {
        let name = self.name;
        let file = File::create_new(to).context(MakeFileSnafu { path: to })?;
        file.set_len(self.size_bytes).context(MakeFileSnafu { path: to })?;

        let id = self.id.to_string();
        let journal = if self.journal { "has_journal" } else { "^has_journal" };
        let checksums = if self.checksums { "metadata_csum" } else { "^metadata_csum" };
        let features = format!("{journal},{checksums}");
        // The file is new, so what is not written is zero, and the kernel need not zero it on the first mount.
        let extended = format!("hash_seed={id},root_owner=0:0,assume_storage_prezeroed=1,nodiscard");
        let inodes = self.bytes_per_inode.to_string();
        let argv =
            ["mke2fs", "-q", "-F", "-t", "ext4", "-O", &features, "-b", "4096", "-I", "256", "-i", &inodes];
        let argv = [&argv[..], &["-m", "0", "-L", self.label, "-U", &id, "-E", &extended]].concat();
        let mut argv: Vec<_> = argv.into_iter().map(Path::new).collect();
        if let Some(from) = from {
            argv.extend([Path::new("-d"), from]);
        }
        argv.push(to);
        toolbox.run(&argv).context(MakeSnafu { name })?;

        self.even_out(toolbox, from, to)?;
        if self.shrink {
            let argv = [Path::new("resize2fs"), Path::new("-f"), Path::new("-M"), to];
            toolbox.run(&argv).context(MakeSnafu { name })?;
        }
        Ok(())
    }

    /// Sets the owner and all times of every file. `mke2fs` takes them from the folder, where a program can set
    /// neither the time of the last change nor, without being root, the owner.
    fn even_out(&self, toolbox: &Toolbox, from: Option<&Path>, to: &Path) -> Result<(), Error> {
        let name = self.name;
        let below = from.map_or(Ok(Vec::new()), paths_below).context(ListSnafu { name })?;
        let mut paths = vec![PathBuf::from("/"), PathBuf::from("/lost+found")];
        paths.extend(below.into_iter().map(|path| Path::new("/").join(path)));

        let mut commands = String::new();
        for path in paths {
            let text = path.to_str().filter(|text| !text.contains(['"', '\n']));
            let text = text.context(NameSnafu { name, path: &path })?;
            for field in ["uid", "gid"] {
                let _ = writeln!(commands, "set_inode_field \"{text}\" {field} 0");
            }
            for field in ["atime", "ctime", "mtime", "crtime"] {
                let _ = writeln!(commands, "set_inode_field \"{text}\" {field} @{}", self.epoch);
            }
        }
        let script = to.with_extension("debugfs");
        fs::write(&script, commands).context(WriteCommandsSnafu { path: &script })?;
        let argv = [Path::new("debugfs"), Path::new("-w"), Path::new("-f"), &script, to];
        let output = toolbox.run(&argv).context(MakeSnafu { name })?;
        // It ends well even if a command failed; then it says so, below a line with its version.
        let said: Vec<&str> = output.stderr.lines().filter(|line| !line.starts_with("debugfs ")).collect();
        ensure!(said.is_empty(), DebugfsSnafu { name, said: said.join("; ") });
        Ok(())
    }
}
