//! Where migrations come from.

use crate::Error;
use crate::plan::{Planned, Request, plan};
use host::Host;
use repository::Repository;
use semver::Version;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use update_metadata::chain;

/// Why a source cannot give what it was asked for.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// A source of migrations whose every byte was checked.
pub trait Source {
    /// The names of the migrations between two versions, in the order they run: from a higher version to a lower one
    /// in the reverse order.
    fn chain(&self, from: &Version, to: &Version) -> Result<Vec<String>, SourceError>;

    /// The content of a migration as it is published, of at most `limit` bytes.
    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, SourceError>;
}

/// The copy of the repository that was kept when an update was staged, by paths of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The root of trust of the image.
    pub root: PathBuf,
    /// The folder of the metadata.
    pub metadata: PathBuf,
    /// The folder of the targets.
    pub targets: PathBuf,
}

impl Cache {
    /// The copy in a folder, with the image's root of trust.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            root: PathBuf::from("/usr/share/updog/root.json"),
            metadata: folder.join("metadata"),
            targets: folder.join("targets"),
        }
    }

    /// Opens it: signatures and digests are checked, expiry is not, since a boot waits for no clock.
    pub fn open(&self, host: &Host) -> Result<OpenCache, SourceError> {
        let root = host.path(&self.root);
        let [metadata, targets] = [&self.metadata, &self.targets].map(|path| host.path(path));
        let folder = metadata.parent().unwrap_or(Path::new("/"));
        if metadata == folder.join("metadata") && targets == folder.join("targets") {
            let repository = Repository::load_cached(&root, folder)?;
            return Ok(OpenCache { repository, _links: None });
        }
        // The documented flags name two folders, wherever they are.
        let builder = tempfile::Builder::new();
        let links = builder.tempdir_in(host.path("/run")).or_else(|_| builder.tempdir())?;
        symlink(metadata, links.path().join("metadata"))?;
        symlink(targets, links.path().join("targets"))?;
        Ok(OpenCache { repository: Repository::load_cached(&root, links.path())?, _links: Some(links) })
    }
}

/// A copy of a repository whose metadata was checked.
pub struct OpenCache {
    repository: Repository,
    /// Targets are read later, through links in here.
    _links: Option<TempDir>,
}

impl Source for OpenCache {
    fn chain(&self, from: &Version, to: &Version) -> Result<Vec<String>, SourceError> {
        let manifest = self.repository.manifest()?;
        Ok(chain(&manifest.migrations, from, to)?.migrations)
    }

    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        Ok(self.repository.read_target(name, limit)?)
    }
}

/// Decides as the next boot will, with its code, and changes nothing. To be asked before an update is activated: whether
/// its copy of the repository has a way to its version, all migrations on it can be read, and there is room.
pub fn dry_run(host: &Host, request: &Request, cache: &Cache) -> Result<Planned, Error> {
    plan(host, request, || cache.open(host))
}
