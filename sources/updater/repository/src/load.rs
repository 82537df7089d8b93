//! Loading a repository: metadata checked once, and kept as it was checked.

use crate::error::{
    AddressSnafu, ClockAheadSnafu, ClockBackSnafu, ClockBehindSnafu, Error, ExpiredSnafu, FrozenSnafu,
    ManifestSnafu, ParseRootSnafu, PrepareSnafu, ReadRootSnafu,
};
use crate::fetch::Fetcher;
use crate::target::Target;
use crate::transport::{Metadata, Seen};
use crate::trust::{Chain, Trust, root_name};
use crate::{MANIFEST, Source};
use jiff::{SignedDuration, Timestamp, ToSpan};
use snafu::{ResultExt, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tough::error::Error as ToughError;
use tough::schema::{Role, RoleType, Root, Signed};
use tough::{ExpirationEnforcement, RepositoryLoader};
use tracing::warn;
use update_metadata::Manifest;
use url::Url;

/// The longest manifest that is read: thousands of updates.
const LONGEST_MANIFEST: u64 = 16 << 20;

/// Years after its build by which an image is surely replaced; a clock further on is rather wrong.
const LIFE_OF_AN_IMAGE: i64 = 10;

/// A repository whose metadata was checked. It can be used from several threads at once.
#[derive(Debug)]
pub struct Repository {
    pub(crate) fetcher: Fetcher,
    pub(crate) metadata_url: Url,
    pub(crate) targets_url: Url,
    /// Whether the names of files begin with digest or version.
    pub(crate) consistent: bool,
    /// Metadata by file name, as it was checked, without roots.
    pub(crate) metadata: BTreeMap<String, Vec<u8>>,
    /// Roots by version, from that of the image to the last.
    pub(crate) roots: BTreeMap<u64, Vec<u8>>,
    pub(crate) targets: BTreeMap<String, Target>,
    set_aside: Vec<PathBuf>,
    manifest: OnceLock<Vec<u8>>,
}

/// By how much the time of the last load may be behind: metadata live for days.
const KNOWN_TIME_STEP: SignedDuration = SignedDuration::from_hours(1);

impl Repository {
    /// Fetches and checks the metadata of a repository. Expired metadata are refused, and so is whatever is older than
    /// what an earlier load with the same trust store saw.
    pub fn load(source: &Source) -> Result<Self, Error> {
        let now = Timestamp::now();
        if let Some(built) = source.built {
            ensure!(now >= built, ClockBehindSnafu { now, built });
        }
        let mut trust = Trust::open(&source.trust)?;
        let (image, bytes) = read_root(&source.root_json)?;
        let mut chain = trust.chain(image, bytes)?;
        let known = trust.known_time()?;
        let scratch = scratch()?;
        trust.lay_out(scratch.path())?;
        let before = versions(scratch.path());

        let context = Context { now, built: source.built, before, root: root_dates(&chain) };
        let fetcher = Fetcher::new(source);
        let urls = (address(&source.metadata_url)?, address(&source.targets_url)?);
        let (checked, seen) = check(&chain, &fetcher, &urls, scratch.path(), ExpirationEnforcement::Safe)?;
        add_roots(&mut chain, scratch.path(), &seen);
        trust.keep(scratch.path(), &chain.roots)?;
        let checked = match checked {
            Ok(checked) => checked,
            Err(error) => return Err(explain(*error, seen, &context)),
        };
        let expires = earliest_expiry(&checked);
        if let Some(known) = known.filter(|known| *known > now) {
            warn!(%now, %known, "the clock went back; expiry is judged by the later time");
            ensure!(expires > known, ClockBackSnafu { now, known, expires });
        }
        // Not at every load, which would write to the disk for nothing.
        if known.is_none_or(|known| now > known + KNOWN_TIME_STEP) {
            trust.keep_time(now)?;
        }
        Ok(Self::new(fetcher, urls, &checked, seen, chain.roots, trust.set_aside))
    }

    /// Opens a copy that [`Repository::cache`] wrote, checked from the image's root as always, but whatever the clock
    /// says: what is in it was in date when the update was staged, and a boot does not wait for a clock.
    pub fn load_cached(root_json: &Path, folder: &Path) -> Result<Self, Error> {
        let (image, bytes) = read_root(root_json)?;
        let mut chain = Chain { roots: BTreeMap::from([(image.signed.version.get(), bytes)]), last: image };
        let folder = folder.canonicalize().context(PrepareSnafu)?;
        let urls = (
            folder_address(&folder.join(crate::cache::METADATA)),
            folder_address(&folder.join(crate::cache::TARGETS)),
        );
        let fetcher = Fetcher::new(&Source::new(root_json, "", "", ""));
        let scratch = scratch()?;
        let (checked, seen) = check(&chain, &fetcher, &urls, scratch.path(), ExpirationEnforcement::Unsafe)?;
        let context =
            Context { now: Timestamp::now(), built: None, before: BTreeMap::new(), root: root_dates(&chain) };
        add_roots(&mut chain, scratch.path(), &seen);
        match checked {
            Ok(checked) => Ok(Self::new(fetcher, urls, &checked, seen, chain.roots, Vec::new())),
            Err(error) => Err(explain(*error, seen, &context)),
        }
    }

    fn new(
        fetcher: Fetcher,
        (metadata_url, targets_url): (Url, Url),
        checked: &tough::Repository,
        seen: Seen,
        roots: BTreeMap<u64, Vec<u8>>,
        set_aside: Vec<PathBuf>,
    ) -> Self {
        let metadata = seen.files.into_iter().filter(|(name, _)| !name.ends_with("root.json")).collect();
        let targets = checked.all_targets().filter_map(|(name, target)| {
            let sha256 = target.hashes.sha256.as_ref().try_into().ok()?;
            Some((name.resolved().to_owned(), Target { length: target.length, sha256 }))
        });
        Self {
            fetcher,
            metadata_url,
            targets_url,
            consistent: checked.root().signed.consistent_snapshot,
            metadata,
            roots,
            targets: targets.collect(),
            set_aside,
            manifest: OnceLock::new(),
        }
    }

    /// What the repository offers. It is fetched once.
    pub fn manifest(&self) -> Result<Manifest, Error> {
        let bytes = self.manifest_bytes()?;
        Manifest::parse(bytes).context(ManifestSnafu)
    }

    /// The manifest as it is in the repository.
    pub fn manifest_bytes(&self) -> Result<&[u8], Error> {
        if let Some(bytes) = self.manifest.get() {
            return Ok(bytes);
        }
        let bytes = self.read_target(MANIFEST, LONGEST_MANIFEST)?;
        Ok(self.manifest.get_or_init(|| bytes))
    }

    /// Sends a query parameter with all requests from now on, where any are sent (update, section 1.8).
    pub fn say(&self, key: &str, value: &str) {
        self.fetcher.say(key, value);
    }

    /// Files of the trust store that were found damaged and set aside by this load.
    pub fn set_aside(&self) -> &[PathBuf] {
        &self.set_aside
    }
}

/// A folder for one load. `/run` is there from the first moment of a boot; where it is not ours, as in a test, there
/// is the temporary folder.
fn scratch() -> Result<tempfile::TempDir, Error> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("updog-");
    builder.tempdir_in("/run").or_else(|_| builder.tempdir()).context(PrepareSnafu)
}

pub(crate) fn read_root(path: &Path) -> Result<(Signed<Root>, Vec<u8>), Error> {
    let bytes = std::fs::read(path).context(ReadRootSnafu { path })?;
    let root = serde_json::from_slice(&bytes).context(ParseRootSnafu { path })?;
    Ok((root, bytes))
}

/// A base address, which ends with a slash so that names are joined below it.
fn address(text: &str) -> Result<Url, Error> {
    let text = if text.ends_with('/') { text.to_owned() } else { format!("{text}/") };
    Url::parse(&text).context(AddressSnafu { text })
}

fn folder_address(path: &Path) -> Url {
    Url::from_directory_path(path).expect("the folder was made absolute")
}

type Checked = Result<tough::Repository, Box<ToughError>>;

/// Has `tough` fetch and check the metadata.
fn check(
    chain: &Chain,
    fetcher: &Fetcher,
    (metadata_url, targets_url): &(Url, Url),
    scratch: &Path,
    expiry: ExpirationEnforcement,
) -> Result<(Checked, Seen), Error> {
    let transport = Metadata::new(fetcher.clone());
    let root = chain.roots.values().next_back().expect("the chain has the image's root");
    let loader = RepositoryLoader::new(root, metadata_url.clone(), targets_url.clone())
        .transport(transport.clone())
        .datastore(scratch)
        .expiration_enforcement(expiry);
    let runtime = tokio::runtime::Builder::new_current_thread().build().context(PrepareSnafu)?;
    let checked = runtime.block_on(loader.load()).map_err(Box::new);
    Ok((checked, transport.take()))
}

/// Adds the fetched roots that were found right: those up to the one that `tough` left in its folder.
fn add_roots(chain: &mut Chain, scratch: &Path, seen: &Seen) {
    let last = std::fs::read(scratch.join("root.json")).ok();
    let last: Option<Signed<Root>> = last.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(last) = last else { return };
    for version in chain.last.signed.version.get() + 1..=last.signed.version.get() {
        if let Some(bytes) = seen.files.get(&root_name(version)) {
            chain.roots.insert(version, bytes.clone());
        }
    }
    chain.last = last;
}

fn earliest_expiry(checked: &tough::Repository) -> Timestamp {
    checked
        .root()
        .signed
        .expires
        .min(checked.timestamp().signed.expires)
        .min(checked.snapshot().signed.expires)
        .min(checked.targets().signed.expires)
}

/// Versions of the metadata that earlier runs saw, by role.
fn versions(scratch: &Path) -> BTreeMap<String, u64> {
    ["timestamp", "snapshot"]
        .into_iter()
        .filter_map(|role| {
            let bytes = std::fs::read(scratch.join(format!("{role}.json"))).ok()?;
            Some((role.to_owned(), dates(&bytes)?.0))
        })
        .collect()
}

/// Version and expiry of a metadata file, checked or not.
fn dates(bytes: &[u8]) -> Option<(u64, Timestamp)> {
    #[derive(serde::Deserialize)]
    struct Outer {
        signed: Inner,
    }
    #[derive(serde::Deserialize)]
    struct Inner {
        version: u64,
        expires: Timestamp,
    }
    let outer: Outer = serde_json::from_slice(bytes).ok()?;
    Some((outer.signed.version, outer.signed.expires))
}

fn root_dates(chain: &Chain) -> (u64, Timestamp) {
    (version_of(&chain.last), chain.last.signed.expires)
}

/// What is needed to say what an error means.
struct Context {
    now: Timestamp,
    built: Option<Timestamp>,
    before: BTreeMap<String, u64>,
    /// Version and expiry of the last root that was trusted before.
    root: (u64, Timestamp),
}

/// Says what an error of `tough` means.
fn explain(error: ToughError, mut seen: Seen, context: &Context) -> Error {
    match error {
        ToughError::ExpiredMetadata { role, .. } => expired(role, &seen, context),
        ToughError::OlderMetadata { role, current_version, new_version, .. } => {
            Error::RolledBack { role: role.to_string(), offered: new_version, seen: current_version }
        }
        ToughError::OlderSnapshotInTimestamp { snapshot_new, snapshot_old, .. } => {
            Error::RolledBack { role: "snapshot".into(), offered: snapshot_new, seen: snapshot_old }
        }
        ToughError::SnapshotRoleRollback { role, old_role_version, new_role_version, .. } => {
            Error::RolledBack { role: role_of(&role), offered: new_role_version, seen: old_role_version }
        }
        ToughError::SnapshotRoleMissing { role, .. } => Error::RoleGone { role: role_of(&role) },
        ToughError::VersionMismatch { role, fetched, expected, .. } => {
            Error::Mixed { role: role.to_string(), detail: format!("version {fetched}, and not {expected}") }
        }
        ToughError::VerifyMetadata { role, source, .. } => {
            Error::Signature { role: role.to_string(), source: Box::new(source) }
        }
        ToughError::VerifyTrustedMetadata { source, .. } => {
            Error::Signature { role: "last trusted root".into(), source: Box::new(source) }
        }
        ToughError::ParseMetadata { role, source, .. } => Error::Malformed { role: role.to_string(), source },
        ToughError::MaxUpdatesExceeded { max_root_updates, .. } => {
            Error::EndlessRoots { limit: max_root_updates }
        }
        ToughError::Transport { ref url, ref source, .. } => {
            let role = role_of(url.path_segments().and_then(|mut path| path.next_back()).unwrap_or_default());
            if let Some(source) = seen.failure.take() {
                return Error::Fetch { role, source };
            }
            let inner =
                std::error::Error::source(source).and_then(|inner| inner.downcast_ref::<ToughError>());
            match inner {
                Some(ToughError::HashMismatch { calculated, expected, .. }) => {
                    Error::Mixed { role, detail: format!("SHA-256 {calculated}, and not {expected}") }
                }
                Some(ToughError::MaxSizeExceeded { max_size, .. }) => {
                    Error::TooLong { role, limit: *max_size }
                }
                _ => Error::Check { source: Box::new(error) },
            }
        }
        error => Error::Check { source: Box::new(error) },
    }
}

fn expired(role: RoleType, seen: &Seen, context: &Context) -> Error {
    let role = role.to_string();
    let suffix = format!("{role}.json");
    // The last root is the one that expired: names sort as text.
    let files = seen.files.iter().filter(|(name, _)| name.ends_with(&suffix));
    let dates = files.filter_map(|(_, bytes)| dates(bytes)).max_by_key(|(version, _)| *version);
    let now = context.now;
    // A root that was not fetched is one that this host had already.
    let (version, expires) = dates.unwrap_or(context.root);
    if let Some(built) = context.built.filter(|built| is_far_after(now, *built)) {
        return ClockAheadSnafu { role, expires, now, built }.build();
    }
    if context.before.get(&role) == Some(&version) {
        return FrozenSnafu { role, version, expires, now }.build();
    }
    ExpiredSnafu { role, expires, now }.build()
}

fn is_far_after(now: Timestamp, built: Timestamp) -> bool {
    let life = (LIFE_OF_AN_IMAGE * 366 * 24).hours();
    built.checked_add(life).is_ok_and(|end| now > end)
}

/// The role whose file this is: `7.snapshot.json` is the snapshot.
fn role_of(file: &str) -> String {
    let name = file.strip_suffix(".json").unwrap_or(file);
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

/// The version of a root.
pub(crate) fn version_of(root: &Signed<Root>) -> u64 {
    root.signed.version().get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_roles() {
        for (file, role) in [
            ("7.snapshot.json", "snapshot"),
            ("timestamp.json", "timestamp"),
            ("12.root.json", "root"),
            ("x", "x"),
        ] {
            assert_eq!(role_of(file), role);
        }
    }

    #[test]
    fn a_clock_long_after_the_build_is_wrong() {
        let built: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (now, far) in
            [("2026-06-01T00:00:00Z", false), ("2035-01-01T00:00:00Z", false), ("2100-01-01T00:00:00Z", true)]
        {
            assert_eq!(is_far_after(now.parse().unwrap(), built), far, "{now}");
        }
    }
}
