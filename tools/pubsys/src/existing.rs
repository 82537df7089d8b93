//! A repository that is there already: where it is, and what it says.

use crate::root::RootVersion;
use crate::transport::Fetcher;
use jiff::Timestamp;
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::path::{Path, PathBuf};
use tough::schema::{RoleType, Root, Signed, Target};
use tough::{
    ExpirationEnforcement, IntoVec, Repository, RepositoryLoader, TargetName, Transport, TransportErrorKind,
};
use update_metadata::{Manifest, ManifestError};
use url::Url;

/// The target that lists the updates.
pub const MANIFEST: &str = "manifest.json";
/// Most bytes a manifest has: a thousand updates have one.
const MAX_MANIFEST: u64 = 16 << 20;

/// A repository that was not read.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum ExistingError {
    #[snafu(display("'{text}' is neither a folder nor an address (file, http, https)"))]
    Address { text: String },
    #[snafu(display("look for a repository at {url}"))]
    Look { url: Box<Url>, source: Box<tough::TransportError> },
    #[snafu(display("load the repository at {url}"))]
    Load { url: Box<Url>, source: Box<tough::error::Error> },
    #[snafu(display("there is no repository at {url}"))]
    NoRepository { url: Box<Url> },
    #[snafu(display("the repository at {url} has no {name}"))]
    NoTarget { url: Box<Url>, name: String },
    #[snafu(display("read {name} of the repository at {url}"))]
    ReadTarget { url: Box<Url>, name: String, source: Box<tough::error::Error> },
    #[snafu(display(
        "'{name}' of the repository at {url} has {len} bytes; a manifest has at most {MAX_MANIFEST}"
    ))]
    LongManifest { url: Box<Url>, name: String, len: u64 },
    #[snafu(display("understand the manifest of the repository at {url}"))]
    Understand { url: Box<Url>, source: ManifestError },
    #[snafu(display(
        "the repository at {url} has version {theirs} of the root role, which is not the one known here (the newest \
         is {ours}); take over the newer one, or see whose repository that is"
    ))]
    ForeignRoot { url: Box<Url>, theirs: u64, ours: u64 },
}

/// What a metadata folder is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Product {
    /// The variant.
    pub variant: String,
    /// The architecture.
    pub arch: String,
}

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.variant, self.arch)
    }
}

impl Product {
    /// Its metadata folder below the one of all.
    pub fn folder(&self) -> PathBuf {
        Path::new(&self.variant).join(&self.arch)
    }
}

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The folder of all metadata, ending in a slash.
    pub metadata: Url,
    /// The folder of all targets, ending in a slash.
    pub targets: Url,
}

impl Location {
    /// A repository at two addresses.
    pub fn new(metadata: &Url, targets: &Url) -> Self {
        Self { metadata: as_folder(metadata), targets: as_folder(targets) }
    }

    /// A repository in a folder, as it is written here.
    pub fn in_folder(folder: &Path) -> Result<Self, ExistingError> {
        let text = folder.display().to_string();
        let absolute = std::path::absolute(folder).ok();
        let url = absolute.and_then(|path| Url::from_directory_path(path).ok());
        Ok(Self::below(&url.context(AddressSnafu { text })?))
    }

    fn below(url: &Url) -> Self {
        let url = as_folder(url);
        let targets = url.join("targets/").expect("a relative path joins to a folder");
        Self { metadata: url, targets }
    }

    /// Reads an address or the path of a folder, with metadata and targets below it.
    pub fn parse(text: &str) -> Result<Self, ExistingError> {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "file" | "http" | "https") => Ok(Self::below(&url)),
            Ok(_) => AddressSnafu { text }.fail(),
            Err(_) => Self::in_folder(Path::new(text)),
        }
    }

    /// The folder, if it is one of this machine as it is written here: then what is in it can be linked.
    pub fn folder(&self) -> Option<PathBuf> {
        (*self == Self::below(&self.metadata)).then(|| self.metadata.to_file_path().ok()).flatten()
    }

    /// The folder of metadata of a product.
    pub fn metadata_of(&self, product: &Product) -> Url {
        let path = format!("{}/{}/", product.variant, product.arch);
        self.metadata.join(&path).expect("a relative path joins to a folder")
    }
}

fn as_folder(url: &Url) -> Url {
    let mut url = url.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// A repository of a product, its signatures checked.
#[derive(Clone, Debug)]
pub struct Existing {
    /// Where its metadata are.
    pub url: Url,
    /// What was loaded.
    pub repository: Repository,
    /// What it offers.
    pub manifest: Manifest,
}

/// When a role ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleExpiry {
    /// The role.
    pub role: RoleType,
    /// Its version.
    pub version: u64,
    /// When it expires.
    pub expires: Timestamp,
}

impl Existing {
    /// Loads a repository from a root role; `None` if there is none of this product.
    ///
    /// `root` is the version from which the chain is followed, as a host does from the one in its image.
    pub async fn find(
        location: &Location,
        product: &Product,
        root: &[u8],
        expiration: ExpirationEnforcement,
    ) -> Result<Option<Self>, ExistingError> {
        let url = location.metadata_of(product);
        let timestamp = url.join("timestamp.json").expect("a relative path joins to a folder");
        match Fetcher::default().fetch(timestamp).await {
            Ok(_) => {}
            Err(e) if e.kind() == TransportErrorKind::FileNotFound => return Ok(None),
            Err(e) => return Err(Box::new(e)).context(LookSnafu { url }),
        }
        let loader = RepositoryLoader::new(&root, url.clone(), location.targets.clone());
        let loader = loader.transport(Fetcher::default()).expiration_enforcement(expiration);
        let repository = loader.load().await.map_err(Box::new).context(LoadSnafu { url: url.clone() })?;
        let manifest = manifest(&repository, &url).await?;
        Ok(Some(Self { url, repository, manifest }))
    }

    /// The same, where there must be one.
    pub async fn load(
        location: &Location,
        product: &Product,
        root: &[u8],
        expiration: ExpirationEnforcement,
    ) -> Result<Self, ExistingError> {
        let found = Self::find(location, product, root, expiration).await?;
        found.with_context(|| NoRepositorySnafu { url: location.metadata_of(product) })
    }

    /// That the newest root role it has is one of ours.
    pub fn check_root(&self, chain: &[RootVersion]) -> Result<(), ExistingError> {
        let theirs = self.repository.root();
        let ours = chain.last().map_or(0, |newest| newest.number().get());
        let known = chain.iter().any(|version| version.role == *theirs);
        ensure!(known, ForeignRootSnafu { url: self.url.clone(), theirs: theirs.signed.version.get(), ours });
        Ok(())
    }

    /// The newest root role it has.
    pub fn root(&self) -> &Signed<Root> {
        self.repository.root()
    }

    /// What it says of a target.
    pub fn target(&self, name: &str) -> Option<&Target> {
        let name = TargetName::new(name).ok()?;
        self.repository.targets().signed.targets.get(&name)
    }

    /// The content of a target, for small ones.
    pub async fn read_target(&self, name: &str) -> Result<Vec<u8>, ExistingError> {
        read_target(&self.repository, &self.url, name).await
    }

    /// When its roles expire, the root first.
    pub fn expiries(&self) -> [RoleExpiry; 4] {
        let (root, snapshot) = (&self.repository.root().signed, &self.repository.snapshot().signed);
        let (targets, timestamp) = (&self.repository.targets().signed, &self.repository.timestamp().signed);
        [
            (RoleType::Root, root.version, root.expires),
            (RoleType::Snapshot, snapshot.version, snapshot.expires),
            (RoleType::Targets, targets.version, targets.expires),
            (RoleType::Timestamp, timestamp.version, timestamp.expires),
        ]
        .map(|(role, version, expires)| RoleExpiry { role, version: version.get(), expires })
    }
}

async fn manifest(repository: &Repository, url: &Url) -> Result<Manifest, ExistingError> {
    let name = TargetName::new(MANIFEST).expect("a plain name");
    let listed = repository.targets().signed.targets.get(&name);
    let len = listed.context(NoTargetSnafu { url: url.clone(), name: MANIFEST })?.length;
    ensure!(len <= MAX_MANIFEST, LongManifestSnafu { url: url.clone(), name: MANIFEST, len });
    let text = read_target(repository, url, MANIFEST).await?;
    Manifest::parse(&text).context(UnderstandSnafu { url: url.clone() })
}

async fn read_target(repository: &Repository, url: &Url, name: &str) -> Result<Vec<u8>, ExistingError> {
    let context = || ReadTargetSnafu { url: url.clone(), name };
    let target = TargetName::new(name).map_err(Box::new).with_context(|_| context())?;
    let stream = repository.read_target(&target).await.map_err(Box::new).with_context(|_| context())?;
    let stream = stream.context(NoTargetSnafu { url: url.clone(), name })?;
    stream.into_vec().await.map_err(Box::new).with_context(|_| context())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_folders_are_told_apart() {
        for (text, metadata, targets, is_folder) in [
            ("/a/b", "file:///a/b/", "file:///a/b/targets/", true),
            ("file:///a/b/", "file:///a/b/", "file:///a/b/targets/", true),
            ("http://h/x?y=1", "http://h/x/?y=1", "http://h/x/targets/", false),
        ] {
            let location = Location::parse(text).unwrap();
            let found = (location.metadata.as_str(), location.targets.as_str());
            assert_eq!(found, (metadata, targets), "{text}");
            assert_eq!(location.folder().is_some(), is_folder, "{text}");
        }
        assert!(Location::parse("s3://bucket").is_err());
        let apart = Location::new(&"file:///m".parse().unwrap(), &"file:///t".parse().unwrap());
        assert_eq!(apart.folder(), None);
        let product = Product { variant: "demo".into(), arch: "x86_64".into() };
        assert_eq!(apart.metadata_of(&product).as_str(), "file:///m/demo/x86_64/");
    }
}
