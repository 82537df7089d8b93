//! A publisher: a checkout, a repository of its `Infra.toml`, and where keys and roles of that are.

use crate::existing::{Existing, ExistingError, Location, Product};
use crate::infra::{Infra, InfraError, KeyKind, Repo};
use crate::keys::{KeyError, LocalKey};
use crate::publish::products;
use crate::root::{Keys, MAX_ROOT, RootError, RootFiles, RootVersion};
use crate::transport::Fetcher;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest as _, Sha512};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use tough::{ExpirationEnforcement, IntoVec, Transport};
use update_metadata::{Offset, OffsetError};
use url::Url;

/// How long a root role lives if nothing is said (build reference, 14.3).
pub const ROOT_LIFE: &str = "52 weeks";

/// What was not done for a publisher.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum PublisherError {
    #[snafu(transparent)]
    Infra { source: InfraError },
    #[snafu(transparent)]
    Key { source: KeyError },
    #[snafu(transparent)]
    Root { source: RootError },
    #[snafu(transparent)]
    Existing { source: ExistingError },
    #[snafu(display("there is no key {}: {hint}", path.display()))]
    NoKey { path: PathBuf, hint: &'static str },
    #[snafu(display("there is no root role {}: './make root-role' makes one for development", path.display()))]
    NoRoot { path: PathBuf },
    #[snafu(display("fetch the root role {url}"))]
    FetchRoot { url: Box<Url>, source: Box<tough::TransportError> },
    #[snafu(display("the root role {url} has {len} bytes; one has at most {MAX_ROOT}"))]
    LongRoot { url: Box<Url>, len: usize },
    #[snafu(display(
        "the root role {url} is not the one of Infra.toml: its SHA-512 should be {wanted} and is {found}"
    ))]
    OtherRoot { url: Box<Url>, wanted: String, found: String },
    #[snafu(display(
        "the root role {url} is version {theirs}, older than {}, which is version {ours} and was not made from it",
        path.display()
    ))]
    OlderRoot { url: Box<Url>, path: PathBuf, theirs: u64, ours: u64 },
    #[snafu(display("compute when the root role expires"))]
    RootExpiry { source: OffsetError },
    #[snafu(display("move {} to {}", from.display(), to.display()))]
    MoveKey { from: PathBuf, to: PathBuf, source: std::io::Error },
    #[snafu(display("{} has another key than {}, which is kept under that name; move it away", to.display(), from.display()))]
    KeptKey { from: PathBuf, to: PathBuf },
    #[snafu(display(
        "the keys of the repository '{name}' are named in Infra.toml: make the new key (pubsys key create), name it \
         there, and rotate with --old-root-key"
    ))]
    ConfiguredKeys { name: String },
    #[snafu(display(
        "there is no repository at {url}; is that the right address? If this is the first release there, say \
         --from-scratch"
    ))]
    NothingThere { url: Box<Url> },
}

/// A repository of a checkout.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// The checkout.
    pub tree: PathBuf,
    /// The name of the repository.
    pub name: String,
    /// What `Infra.toml` says of it.
    pub repo: Repo,
    /// Its root role.
    pub roots: RootFiles,
    /// The key that is made and used where `Infra.toml` names none.
    pub local_key: PathBuf,
    /// The time.
    pub now: Timestamp,
}

/// How a root role is rotated.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    /// Make a new local key.
    pub fresh_key: bool,
    /// Keys of the version before that are no longer among those of `Infra.toml`.
    pub old_keys: Vec<PathBuf>,
}

impl Publisher {
    /// The repository `name` of the `Infra.toml` at `infra`, in a checkout.
    pub fn open(tree: &Path, infra: &Path, name: &str, now: Timestamp) -> Result<Self, PublisherError> {
        let repo = Infra::load_repo(&tree.join(infra), name)?;
        Ok(Self {
            tree: tree.to_owned(),
            name: name.to_owned(),
            repo,
            roots: RootFiles { newest: tree.join("roles").join(format!("{name}.root.json")) },
            local_key: tree.join("keys").join(format!("{name}.pem")),
            now,
        })
    }

    /// The folder of what is published, one folder in it each time.
    pub fn repos(&self) -> PathBuf {
        self.tree.join("build/repos").join(&self.name)
    }

    /// What is made of images, kept to be made once.
    pub fn cache(&self) -> PathBuf {
        self.tree.join("build/repos/.cache")
    }

    fn configured(&self, kind: KeyKind) -> Result<Option<Vec<LocalKey>>, PublisherError> {
        let files = self.repo.key_files(&self.name, kind)?;
        let Some(files) = files else { return Ok(None) };
        let keys: Vec<_> = files.iter().map(|path| LocalKey { path: self.tree.join(path) }).collect();
        for LocalKey { path } in &keys {
            let hint = "Infra.toml names it; 'pubsys key create PATH' makes a key";
            ensure!(path.exists(), NoKeySnafu { path, hint });
        }
        Ok(Some(keys))
    }

    fn local(&self) -> Vec<LocalKey> {
        vec![LocalKey { path: self.local_key.clone() }]
    }

    /// The keys that sign snapshot, targets and timestamp.
    pub fn signing_keys(&self) -> Result<Vec<LocalKey>, PublisherError> {
        if let Some(keys) = self.configured(KeyKind::Signing)? {
            return Ok(keys);
        }
        let hint = "'./make root-role' makes one, with a root role, for development";
        ensure!(self.local_key.exists(), NoKeySnafu { path: &self.local_key, hint });
        Ok(self.local())
    }

    /// The keys and thresholds of a root role to be. Without root keys the signing keys sign it too.
    fn keys(&self) -> Result<Keys, PublisherError> {
        let signing = self.signing_keys()?;
        let root = self.configured(KeyKind::Root)?.unwrap_or_else(|| signing.clone());
        let threshold = |configured: Option<NonZeroU64>| configured.unwrap_or(NonZeroU64::MIN);
        Ok(Keys {
            root,
            root_threshold: threshold(self.repo.root_key_threshold),
            signing,
            signing_threshold: threshold(self.repo.pub_key_threshold),
        })
    }

    fn root_expiry(&self, life: Offset) -> Result<Timestamp, PublisherError> {
        life.from(self.now).context(RootExpirySnafu)
    }

    /// Makes the first version of the root role, and the local key where no key is configured.
    pub async fn create_root(&self, life: Offset) -> Result<(), PublisherError> {
        ensure!(!self.roots.exist(), crate::root::RootExistsSnafu { path: &self.roots.newest });
        let expires = self.root_expiry(life)?;
        if self.repo.signing_keys.is_none() && !self.local_key.exists() {
            LocalKey::create(&self.local_key)?;
            tracing::warn!(
                key = %self.local_key.display(),
                "made a key and a root role for development: whoever can read this file can sign updates"
            );
        }
        Ok(self.roots.create(&self.keys()?, expires).await?)
    }

    /// Makes the next version of the root role, of the keys and thresholds that are configured now.
    pub async fn rotate_root(&self, rotation: &Rotation, life: Offset) -> Result<NonZeroU64, PublisherError> {
        let chain = self.chain()?;
        let expires = self.root_expiry(life)?;
        let mut old: Vec<_> =
            rotation.old_keys.iter().map(|path| LocalKey { path: self.tree.join(path) }).collect();
        if !rotation.fresh_key {
            return Ok(self.roots.rotate(&self.keys()?, &old, expires).await?);
        }
        let name = &self.name;
        ensure!(
            self.repo.signing_keys.is_none() && self.repo.root_keys.is_none(),
            ConfiguredKeysSnafu { name }
        );
        let newest = chain.last().expect("a chain has a version");
        let number = newest.number().get();
        let fresh = LocalKey { path: self.local_key.with_extension("next.pem") };
        if fresh.path.exists() && newest.has_root_key(&fresh.public().await?)? {
            tracing::info!(version = number, "finish the rotation that was interrupted");
            self.keep_local_key(number - 1)?;
            self.replace_local_key(&fresh)?;
            return Ok(newest.number());
        }
        let mut keys = self.keys()?;
        self.keep_local_key(number)?;
        if !fresh.path.exists() {
            LocalKey::create(&fresh.path)?;
        }
        old.extend(std::mem::replace(&mut keys.root, vec![fresh.clone()]));
        keys.signing = vec![fresh.clone()];
        let made = self.roots.rotate(&keys, &old, expires).await?;
        self.replace_local_key(&fresh)?;
        Ok(made)
    }

    /// Gives the local key another name, by which it stays when a new one takes its place. What an interrupted
    /// rotation did of that is not done again.
    fn keep_local_key(&self, number: u64) -> Result<(), PublisherError> {
        let (from, to) = (&self.local_key, self.local_key.with_extension(format!("{number}.pem")));
        let is_kept = to.exists() && (!from.exists() || is_same(from, &to));
        if is_kept {
            return Ok(());
        }
        ensure!(!to.exists(), KeptKeySnafu { from, to });
        std::fs::hard_link(from, &to).context(MoveKeySnafu { from, to })
    }

    fn replace_local_key(&self, fresh: &LocalKey) -> Result<(), PublisherError> {
        let (from, to) = (&fresh.path, &self.local_key);
        let renamed = std::fs::rename(from, to).and_then(|()| {
            let folder = to.parent().unwrap_or(Path::new("."));
            std::fs::File::open(folder)?.sync_all()
        });
        renamed.context(MoveKeySnafu { from, to })
    }

    /// The newest root role: that of `Infra.toml`, or the one that is there, or one made for development.
    pub async fn ensure_root(&self) -> Result<PathBuf, PublisherError> {
        match (&self.repo.root_role_url, &self.repo.root_role_sha512) {
            (Some(url), Some(sha512)) => self.ensure_configured_root(url, sha512).await?,
            _ if self.roots.exist() => drop(self.roots.chain()?),
            _ => self.create_root(ROOT_LIFE.parse().expect("a duration")).await?,
        }
        Ok(self.roots.newest.clone())
    }

    async fn ensure_configured_root(&self, url: &Url, wanted: &str) -> Result<(), PublisherError> {
        let wanted = wanted.to_ascii_lowercase();
        let sha512 = |bytes: &[u8]| HEXLOWER.encode(&Sha512::digest(bytes));
        let chain = if self.roots.exist() { self.roots.chain()? } else { Vec::new() };
        if chain.iter().any(|version| sha512(&version.bytes) == wanted) {
            return Ok(());
        }
        let stream = Fetcher::default().fetch(url.clone()).await.map_err(Box::new);
        let bytes = stream.context(FetchRootSnafu { url: url.clone() })?.into_vec().await.map_err(Box::new);
        let bytes = bytes.context(FetchRootSnafu { url: url.clone() })?;
        let len = bytes.len();
        ensure!(len <= MAX_ROOT, LongRootSnafu { url: url.clone(), len });
        let found = sha512(&bytes);
        ensure!(found == wanted, OtherRootSnafu { url: url.clone(), wanted, found });
        let version = RootVersion::parse(bytes, Path::new(url.as_str()))?;
        if let Some(newest) = chain.last() {
            let (theirs, ours) = (version.number().get(), newest.number().get());
            ensure!(
                theirs > ours,
                OlderRootSnafu { url: url.clone(), path: &self.roots.newest, theirs, ours }
            );
        }
        Ok(self.roots.store(&version.bytes, version.number())?)
    }

    /// The versions of the root role that are kept here, the oldest first.
    pub fn chain(&self) -> Result<Vec<RootVersion>, PublisherError> {
        ensure!(self.roots.exist(), NoRootSnafu { path: &self.roots.newest });
        Ok(self.roots.chain()?)
    }

    /// Where the published repository is: what was asked for, or what `Infra.toml` says, or what was published here
    /// last, if anything was.
    pub fn location(&self, asked: Option<&str>) -> Result<Option<Location>, PublisherError> {
        let latest = self.repos().join("latest");
        Ok(match (asked, &self.repo.metadata_base_url, &self.repo.targets_url) {
            (Some(text), _, _) => Some(Location::parse(text)?),
            (None, Some(metadata), Some(targets)) => Some(Location::new(metadata, targets)),
            _ if latest.exists() => Some(Location::in_folder(&latest)?),
            _ => None,
        })
    }

    /// Loads the published repository of a product; from the oldest root role, so that a version that was not
    /// published yet is not needed.
    pub async fn existing(
        &self,
        location: &Location,
        product: &Product,
        expiration: ExpirationEnforcement,
    ) -> Result<Option<Existing>, PublisherError> {
        let chain = self.chain()?;
        let oldest = chain.first().map_or(&[][..], |version| &version.bytes);
        let existing = Existing::find(location, product, oldest, expiration).await?;
        if let Some(existing) = &existing {
            existing.check_root(&chain)?;
        }
        Ok(existing)
    }

    /// The same, to be built upon. `None` where the folder has other products only, which this one joins. Nothing at
    /// all is an error: a mistaken address would otherwise lose every version that is out.
    pub async fn base(
        &self,
        location: &Location,
        product: &Product,
    ) -> Result<Option<Existing>, PublisherError> {
        let existing = self.existing(location, product, ExpirationEnforcement::Safe).await?;
        let joins =
            || location.folder().is_some_and(|folder| products(&folder).is_ok_and(|found| !found.is_empty()));
        let is_right = existing.is_some() || joins();
        is_right.then_some(existing).with_context(|| NothingThereSnafu { url: location.metadata_of(product) })
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((std::fs::read(one), std::fs::read(other)), (Ok(one), Ok(other)) if one == other)
}
