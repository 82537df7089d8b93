//! The root role: which keys sign what. Created once, rotated into a chain of which every version is kept.
//!
//! `roles/REPO.root.json` is the newest version, the one that images carry; `roles/REPO/N.root.json` are all of them.

use crate::keys::{KeyError, LocalKey, sources};
use aws_lc_rs::rand::SystemRandom;
use host::{FileError, Host};
use jiff::Timestamp;
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use tough::editor::signed::SignedRole;
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::Key;
use tough::schema::{KeyHolder, RoleKeys, RoleType, Root, Signed};

/// The version of the TUF specification that metadata name.
const SPEC_VERSION: &str = "1.0.0";

/// Most bytes a root role has; the limit that clients have too.
pub(crate) const MAX_ROOT: usize = 1 << 20;

/// What was not done with a root role.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum RootError {
    #[snafu(display("read {}", path.display()))]
    ReadRoot { path: PathBuf, source: std::io::Error },
    #[snafu(display("understand the root role {}", path.display()))]
    ParseRoot { path: PathBuf, source: serde_json::Error },
    #[snafu(display("check that the root role {} is signed by its own keys", path.display()))]
    VerifyRoot { path: PathBuf, source: Box<tough::schema::Error> },
    #[snafu(display("{} is version {found} of the root role, not version {wanted}", path.display()))]
    OtherVersion { path: PathBuf, wanted: u64, found: NonZeroU64 },
    #[snafu(display("the keys of {} did not sign the version after it, so no host can follow", path.display()))]
    NotFollowed { path: PathBuf, source: Box<tough::schema::Error> },
    #[snafu(display("store a root role"))]
    StoreRoot { source: FileError },
    #[snafu(display("{} exists: rotate it, or name another repository", path.display()))]
    RootExists { path: PathBuf },
    #[snafu(transparent)]
    Key { source: KeyError },
    #[snafu(display("name a key"))]
    NameKey { source: Box<tough::schema::Error> },
    #[snafu(display(
        "{threshold} {what} keys must sign, but there {} only {keys}; lower the threshold or name more keys",
        if *keys == 1 { "is" } else { "are" }
    ))]
    Threshold { what: &'static str, threshold: NonZeroU64, keys: usize },
    #[snafu(display("sign version {version} of the root role"))]
    SignRoot { version: NonZeroU64, source: Box<tough::error::Error> },
    #[snafu(display(
        "version {version} of the root role is not signed by enough keys of version {by}; name the keys of that \
         version with --old-root-key"
    ))]
    TooFewSignatures { version: NonZeroU64, by: NonZeroU64, source: Box<tough::schema::Error> },
    #[snafu(display("there is no version of the root role after {version}"))]
    LastVersion { version: NonZeroU64 },
    #[snafu(display(
        "{} differs from {}, which should be the same version; one of them was changed by hand", path.display(),
        newest.display()
    ))]
    Differ { path: PathBuf, newest: PathBuf },
}

/// The keys of a root role to be, and how many of them must sign.
#[derive(Clone, Debug)]
pub struct Keys {
    /// They sign the root role.
    pub root: Vec<LocalKey>,
    /// How many of them.
    pub root_threshold: NonZeroU64,
    /// They sign snapshot, targets and timestamp.
    pub signing: Vec<LocalKey>,
    /// How many of them.
    pub signing_threshold: NonZeroU64,
}

/// Where the root role of a repository is kept.
#[derive(Clone, Debug)]
pub struct RootFiles {
    /// The newest version.
    pub newest: PathBuf,
}

/// A version of the root role, as its file has it.
#[derive(Clone, Debug)]
pub struct RootVersion {
    /// The file's content.
    pub bytes: Vec<u8>,
    /// The same, read, and found to be signed by its own keys.
    pub role: Signed<Root>,
}

impl RootVersion {
    /// Reads a file and checks it against its own keys.
    pub fn load(path: &Path) -> Result<Self, RootError> {
        let bytes = std::fs::read(path).context(ReadRootSnafu { path })?;
        Self::parse(bytes, path)
    }

    /// Understands the content of a file and checks it against its own keys. `path` is for errors.
    pub fn parse(bytes: Vec<u8>, path: &Path) -> Result<Self, RootError> {
        let role: Signed<Root> = serde_json::from_slice(&bytes).context(ParseRootSnafu { path })?;
        role.signed.verify_role(&role).map_err(Box::new).context(VerifyRootSnafu { path })?;
        Ok(Self { bytes, role })
    }

    /// Whether this key is one of those that sign the next version.
    pub fn has_root_key(&self, key: &Key) -> Result<bool, RootError> {
        let name = key.key_id().map_err(Box::new).context(NameKeySnafu)?;
        let keys = self.role.signed.roles.get(&RoleType::Root);
        Ok(keys.is_some_and(|keys| keys.keyids.contains(&name)))
    }

    /// That this is the version before `next`, and that its keys signed that.
    pub fn check_before(&self, next: &Self, path: &Path) -> Result<(), RootError> {
        let (wanted, found) = (next.number().get() - 1, self.number());
        ensure!(found.get() == wanted, OtherVersionSnafu { path, wanted, found });
        let signed = self.role.signed.verify_role(&next.role).map_err(Box::new);
        signed.context(NotFollowedSnafu { path })
    }

    /// The version's number.
    pub fn number(&self) -> NonZeroU64 {
        self.role.signed.version
    }
}

impl RootFiles {
    /// Where version `number` is kept.
    pub fn path(&self, number: NonZeroU64) -> PathBuf {
        let name = self.newest.file_name().unwrap_or_default().to_string_lossy();
        let repo = name.strip_suffix(".root.json").or_else(|| name.strip_suffix(".json")).unwrap_or("root");
        self.newest.with_file_name(repo).join(format!("{number}.root.json"))
    }

    /// Whether there is a root role.
    pub fn exist(&self) -> bool {
        self.newest.exists()
    }

    /// The versions that are kept, without a gap, the newest last. Of a root role that came from elsewhere, only the
    /// versions that were had here.
    pub fn chain(&self) -> Result<Vec<RootVersion>, RootError> {
        let newest = RootVersion::load(&self.newest)?;
        let path = self.path(newest.number());
        if path.exists() {
            let kept = RootVersion::load(&path)?;
            ensure!(kept.bytes == newest.bytes, DifferSnafu { path, newest: &self.newest });
        }
        let mut chain = vec![newest];
        while let Some(number) = NonZeroU64::new(chain[chain.len() - 1].number().get() - 1) {
            let path = self.path(number);
            if !path.exists() {
                break;
            }
            chain.push(RootVersion::load(&path)?);
        }
        chain.reverse();
        Ok(chain)
    }

    /// Keeps a new version, which thereby is the newest.
    pub fn store(&self, bytes: &[u8], number: NonZeroU64) -> Result<(), RootError> {
        let host = Host::new("/");
        // The newest last: until it is replaced, the old version is the one that counts.
        host.replace(self.path(number), bytes, 0o644).context(StoreRootSnafu)?;
        host.replace(&self.newest, bytes, 0o644).context(StoreRootSnafu)?;
        Ok(())
    }

    /// Makes version 1.
    pub async fn create(&self, keys: &Keys, expires: Timestamp) -> Result<(), RootError> {
        ensure!(!self.exist(), RootExistsSnafu { path: &self.newest });
        let role = role(NonZeroU64::MIN, expires, keys).await?;
        let bytes = sign(role, &keys.root, None).await?;
        self.store(&bytes, NonZeroU64::MIN)
    }

    /// Makes the next version, of these keys; keys of the version before sign too.
    pub async fn rotate(
        &self,
        keys: &Keys,
        old_keys: &[LocalKey],
        expires: Timestamp,
    ) -> Result<NonZeroU64, RootError> {
        let before = RootVersion::load(&self.newest)?;
        // So that the chain begins where it was taken over.
        self.store(&before.bytes, before.number())?;
        let version = before.number();
        let number = version.checked_add(1).context(LastVersionSnafu { version })?;
        let role = role(number, expires, keys).await?;
        let signers = [&keys.root[..], old_keys].concat();
        let bytes = sign(role, &signers, Some(&before.role.signed)).await?;
        self.store(&bytes, number)?;
        Ok(number)
    }
}

async fn role(version: NonZeroU64, expires: Timestamp, keys: &Keys) -> Result<Root, RootError> {
    let mut all = HashMap::new();
    let root = named(&keys.root, &mut all).await?;
    let signing = named(&keys.signing, &mut all).await?;
    let role_keys = |what, keyids: &[Decoded<Hex>], threshold: NonZeroU64| {
        let keys = keyids.len();
        ensure!(threshold.get() <= keys as u64, ThresholdSnafu { what, threshold, keys });
        Ok::<_, RootError>(RoleKeys { keyids: keyids.to_vec(), threshold, _extra: HashMap::new() })
    };
    let root = role_keys("root", &root, keys.root_threshold)?;
    let signing = role_keys("signing", &signing, keys.signing_threshold)?;
    let others = [RoleType::Snapshot, RoleType::Targets, RoleType::Timestamp];
    let mut roles: HashMap<_, _> = others.into_iter().map(|role| (role, signing.clone())).collect();
    roles.insert(RoleType::Root, root);
    Ok(Root {
        spec_version: SPEC_VERSION.to_owned(),
        consistent_snapshot: true,
        version,
        expires: whole_seconds(expires),
        keys: all,
        roles,
        _extra: HashMap::new(),
    })
}

/// Adds the public halves of keys to `all`; their names, each once.
async fn named(
    keys: &[LocalKey],
    all: &mut HashMap<Decoded<Hex>, Key>,
) -> Result<Vec<Decoded<Hex>>, RootError> {
    let mut names = Vec::new();
    for key in keys {
        let public = key.public().await?;
        let name = public.key_id().map_err(Box::new).context(NameKeySnafu)?;
        if !names.contains(&name) {
            names.push(name.clone());
        }
        all.insert(name, public);
    }
    Ok(names)
}

async fn sign(role: Root, keys: &[LocalKey], before: Option<&Root>) -> Result<Vec<u8>, RootError> {
    let (version, rng, keys) = (role.version, SystemRandom::new(), sources(keys));
    let context = || SignRootSnafu { version };
    let holder = KeyHolder::Root(role.clone());
    let mut signed = SignedRole::new(role.clone(), &holder, &keys, &rng)
        .await
        .map_err(Box::new)
        .with_context(|_| context())?;
    if let Some(before) = before {
        let holder = KeyHolder::Root(before.clone());
        if let Ok(by_old) = SignedRole::new(role.clone(), &holder, &keys, &rng).await {
            let signatures = by_old.signed().signatures.clone();
            signed = signed.add_old_signatures(signatures).map_err(Box::new).with_context(|_| context())?;
        }
    }
    for by in [Some(&role), before].into_iter().flatten() {
        let context = TooFewSignaturesSnafu { version, by: by.version };
        by.verify_role(signed.signed()).map_err(Box::new).context(context)?;
    }
    Ok(signed.buffer().clone())
}

/// A time without a part of a second: metadata name whole seconds, other implementations read nothing finer.
pub(crate) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).expect("the second of a time is a time")
}
