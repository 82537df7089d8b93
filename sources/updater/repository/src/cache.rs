//! A copy of a repository on the disk of this host, for the next boot.

use crate::body::Transfer;
use crate::error::{Error, NoTargetSnafu, WriteCacheSnafu};
use crate::load::version_of;
use crate::trust::{root_name, successor};
use crate::{MANIFEST, Repository};
use snafu::{OptionExt, ResultExt};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use tough::schema::{Root, Signed};
use tracing::{debug, warn};

/// The folder of the metadata in a copy.
pub(crate) const METADATA: &str = "metadata";
/// The folder of the targets in a copy.
pub(crate) const TARGETS: &str = "targets";
/// The link to the copy that counts.
const CURRENT: &str = "current";
/// The longest root that is read, `tough`'s own limit.
const LONGEST_ROOT: u64 = 1 << 20;

/// A copy that is complete and on the disk, and does not count yet. Dropped as it is, it is removed.
#[derive(Debug)]
pub struct Cached {
    folder: PathBuf,
    copy: tempfile::TempDir,
}

impl Repository {
    /// Writes a copy with the manifest and some targets as a new folder `<label>-<random>` in `folder`, synced, from
    /// what was checked at load: metadata is not fetched a second time. Copies that do not count are removed first.
    pub fn cache(&self, folder: &Path, label: &str, targets: &[String]) -> Result<Cached, Error> {
        std::fs::create_dir_all(folder).context(WriteCacheSnafu { path: folder })?;
        remove_others(folder)?;
        let prefix = format!("{label}-");
        let copy = tempfile::Builder::new().prefix(&prefix).tempdir_in(folder);
        let copy = copy.context(WriteCacheSnafu { path: folder })?;
        self.write_metadata(&copy.path().join(METADATA))?;
        self.write_targets(&copy.path().join(TARGETS), targets)?;
        sync_folder(copy.path())?;
        sync_folder(folder)?;
        Ok(Cached { folder: folder.to_owned(), copy })
    }

    /// Bytes that such a copy takes, without what a file system adds.
    pub fn cache_size(&self, targets: &[String]) -> u64 {
        let metadata: usize = self.metadata.values().chain(self.roots.values()).map(Vec::len).sum();
        let targets =
            targets.iter().map(String::as_str).chain([MANIFEST]).filter_map(|name| self.target(name));
        metadata as u64 + targets.map(|target| target.length).sum::<u64>()
    }

    fn write_metadata(&self, folder: &Path) -> Result<(), Error> {
        std::fs::create_dir(folder).context(WriteCacheSnafu { path: folder })?;
        for (name, bytes) in &self.metadata {
            write(&folder.join(name), |file| file.write_all(bytes))?;
        }
        for (version, bytes) in &self.roots {
            write(&folder.join(root_name(*version)), |file| file.write_all(bytes))?;
        }
        for (version, bytes) in self.older_roots() {
            write(&folder.join(root_name(version)), |file| file.write_all(&bytes))?;
        }
        sync_folder(folder)
    }

    fn write_targets(&self, folder: &Path, targets: &[String]) -> Result<(), Error> {
        std::fs::create_dir(folder).context(WriteCacheSnafu { path: folder })?;
        let file = |name: &str| -> Result<PathBuf, Error> {
            let target = self.target(name).context(NoTargetSnafu { name })?;
            // A name that could not be fetched could lead out of the folder.
            self.target_url(name, &target)?;
            Ok(folder.join(self.target_file(name, &target).replace('/', "%2F")))
        };
        let manifest = self.manifest_bytes()?;
        write(&file(MANIFEST)?, |file| file.write_all(manifest))?;
        for name in targets {
            let path = file(name)?;
            let mut sink = File::create_new(&path).context(WriteCacheSnafu { path: &path })?;
            self.copy_target(name, &mut sink)?;
            sink.sync_all().context(WriteCacheSnafu { path: &path })?;
        }
        sync_folder(folder)
    }

    /// Roots from before that of the image, newest first: the release that a downgrade leads to starts from one. They
    /// are taken as far as the repository still has them, each only if the next is signed by it.
    fn older_roots(&self) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        let Some((first, bytes)) = self.roots.first_key_value() else { return found };
        let Ok(mut next) = serde_json::from_slice::<Signed<Root>>(bytes) else { return found };
        for version in (1..*first).rev() {
            let bytes = match self.fetch_root(version) {
                Ok(bytes) => bytes,
                Err(error) => {
                    debug!(version, cause = %host::program::chain(&error), "no older roots");
                    break;
                }
            };
            let older = serde_json::from_slice::<Signed<Root>>(&bytes).ok();
            let Some(older) = older.filter(|older| {
                let next = serde_json::to_vec(&next).unwrap_or_default();
                version_of(older) == version
                    && older.signed.verify_role(older).is_ok()
                    && successor(older, &next).is_some()
            }) else {
                warn!(version, "the repository has a root that the next is not signed by; it is left out");
                break;
            };
            next = older;
            found.push((version, bytes));
        }
        found
    }

    fn fetch_root(&self, version: u64) -> Result<Vec<u8>, crate::FetchError> {
        let url = self.metadata_url.join(&root_name(version)).expect("a plain file name joins");
        let mut transfer = Transfer::whole(self.fetcher.clone(), url, LONGEST_ROOT);
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; crate::body::PIECE]);
        loop {
            match transfer.read(&mut buffer)? {
                0 => return Ok(bytes),
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

impl Cached {
    /// Where the copy is.
    pub fn path(&self) -> &Path {
        self.copy.path()
    }

    /// Makes this the copy that counts, in one step that a power cut cannot halve: `current` leads to it.
    pub fn make_current(self) -> Result<PathBuf, Error> {
        let Self { folder, copy } = self;
        let path = copy.keep();
        let name = path.file_name().expect("it has the name it was made with");
        let link = folder.join(format!(".{CURRENT}-{}", std::process::id()));
        // Left by a run that was cut short and whose number this process has again.
        drop(std::fs::remove_file(&link));
        std::os::unix::fs::symlink(name, &link).context(WriteCacheSnafu { path: &link })?;
        std::fs::rename(&link, folder.join(CURRENT))
            .context(WriteCacheSnafu { path: folder.join(CURRENT) })?;
        sync_folder(&folder)?;
        remove_others(&folder)?;
        Ok(path)
    }
}

/// Removes what `current` does not lead to.
fn remove_others(folder: &Path) -> Result<(), Error> {
    let current = std::fs::read_link(folder.join(CURRENT)).ok();
    for entry in std::fs::read_dir(folder).context(WriteCacheSnafu { path: folder })? {
        let entry = entry.context(WriteCacheSnafu { path: folder })?;
        let name = entry.file_name();
        if name == CURRENT || current.as_deref() == Some(Path::new(&name)) {
            continue;
        }
        let path = entry.path();
        let is_folder = entry.file_type().context(WriteCacheSnafu { path: &path })?.is_dir();
        let removed = if is_folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.context(WriteCacheSnafu { path: &path })?;
    }
    Ok(())
}

fn write(path: &Path, fill: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<(), Error> {
    File::create_new(path)
        .and_then(|mut file| fill(&mut file).and_then(|()| file.sync_all()))
        .context(WriteCacheSnafu { path })
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|folder| folder.sync_all()).context(WriteCacheSnafu { path })
}
