//! The EFI system partition.

use super::{Error, ListSnafu, MakeFileSnafu, MakeSnafu, NameSnafu};
use crate::toolbox::Toolbox;
use crate::tree::paths_below;
use snafu::{OptionExt, ResultExt};
use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

const NAME: &str = "EFI";

/// What is said about a file system besides its files.
pub(crate) struct Fat {
    pub(crate) id: u32,
    /// In capitals, at most 11.
    pub(crate) label: &'static str,
    pub(crate) epoch: u32,
    /// The length of its partition.
    pub(crate) size_bytes: u64,
}

impl Fat {
    /// Makes the file `to` with what is in the folder `from`, whose files get the time of the image.
    pub(crate) fn make(&self, toolbox: &Toolbox, from: &Path, to: &Path) -> Result<(), Error> {
        let file = File::create_new(to).context(MakeFileSnafu { path: to })?;
        file.set_len(self.size_bytes).context(MakeFileSnafu { path: to })?;
        let id = format!("{:08x}", self.id);
        // The id after `--invariant`, which sets one too.
        let argv = ["mkfs.fat", "--invariant", "-F", "12", "-S", "512", "-i", &id, "-n", self.label];
        let mut argv: Vec<_> = argv.into_iter().map(Path::new).collect();
        argv.push(to);
        toolbox.run(&argv).context(MakeSnafu { name: NAME })?;

        // One by one in the order of their names: with `mcopy -s` they come in the order of the build machine.
        for path in paths_below(from).context(ListSnafu { name: NAME })? {
            let source = from.join(&path);
            let target = path.to_str().filter(|text| !text.contains('"'));
            let target = format!("::/{}", target.context(NameSnafu { name: NAME, path: &path })?);
            let image = [Path::new("-i"), to];
            let argv = if source.is_dir() {
                [&[Path::new("mmd")], &image[..], &[Path::new(&target)]].concat()
            } else {
                self.set_times(&source).context(MakeFileSnafu { path: &source })?;
                [&[Path::new("mcopy"), Path::new("-m")], &image[..], &[&source, Path::new(&target)]].concat()
            };
            toolbox.run(&argv).context(MakeSnafu { name: NAME })?;
        }
        Ok(())
    }

    /// The times that `mcopy -m` takes over.
    fn set_times(&self, path: &Path) -> std::io::Result<()> {
        let time = UNIX_EPOCH + Duration::from_secs(self.epoch.into());
        File::open(path)?.set_times(FileTimes::new().set_accessed(time).set_modified(time))
    }
}
