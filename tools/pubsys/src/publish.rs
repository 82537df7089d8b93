//! Writing a repository: staged in a folder beside, then put in place by a few steps of which the last one counts.
//!
//! ```text
//! OUTPUT/targets/<sha256>.<name>      shared by all products; never changed, only added to
//! OUTPUT/VARIANT/ARCH/N.root.json     the whole chain
//!                    N.targets.json, N.snapshot.json, timestamp.json
//! OUTPUT/../latest -> OUTPUT          if OUTPUT is where all that is published goes
//! ```

use crate::digest::{Hashing, Measure};
use crate::existing::{Existing, ExistingError, Location, MANIFEST, Product};
use crate::keys::{LocalKey, sources};
use crate::root::{MAX_ROOT, RootError, RootFiles, RootVersion, whole_seconds};
use crate::steps::{Step, StepError, execute};
use crate::transport::Fetcher;
use jiff::Timestamp;
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::{BTreeSet, HashMap};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tough::editor::RepositoryEditor;
use tough::schema::{Hashes, Target};
use tough::{ExpirationEnforcement, IntoVec, Transport};
use update_metadata::{Expirations, Manifest};
use url::Url;

/// The link to what was published last, beside it.
const LATEST: &str = "latest";

/// A repository that was not written. Nothing of it is visible then.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum PublishError {
    #[snafu(display("open {}", path.display()))]
    OpenLock { path: PathBuf, source: io::Error },
    #[snafu(display("somebody else publishes below {} just now", path.display()))]
    Busy { path: PathBuf },
    #[snafu(display("write below {}", path.display()))]
    Stage { path: PathBuf, source: io::Error },
    #[snafu(display("read the new target {}", path.display()))]
    ReadTarget { path: PathBuf, source: io::Error },
    #[snafu(display(
        "the target {name} is published with another content; a target never changes, so give the new one a new name"
    ))]
    TargetChanged { name: String },
    #[snafu(display(
        "{} has metadata of {product} already, and is not the repository this one is based on; name another folder \
         with --outdir", folder.display()
    ))]
    MetadataExists { folder: PathBuf, product: Product },
    #[snafu(display("{} cannot be the folder of a repository: it has no parent", folder.display()))]
    NoParent { folder: PathBuf },
    #[snafu(display("'{LATEST}' names the link to the newest folder; name another folder with --outdir"))]
    Reserved,
    #[snafu(display("take over the existing repository"))]
    TakeOver { source: Box<tough::error::Error> },
    #[snafu(display("describe the new repository"))]
    Edit { source: Box<tough::error::Error> },
    #[snafu(display("sign the metadata with the configured keys"))]
    Sign { source: Box<tough::error::Error> },
    #[snafu(display("write the metadata"))]
    WriteMetadata { source: Box<tough::error::Error> },
    #[snafu(display("fetch {url}, an old version of the root role"))]
    FetchRoot { url: Box<Url>, source: Box<tough::TransportError> },
    #[snafu(display("the root role {url} has {len} bytes; one has at most {MAX_ROOT}"))]
    LongRoot { url: Box<Url>, len: usize },
    #[snafu(transparent)]
    Root { source: RootError },
    #[snafu(display("load what was just written, as a host would"))]
    Check { source: ExistingError },
    #[snafu(display("what was just written lists other updates than were meant"))]
    OtherManifest,
    #[snafu(display("the metadata would expire at {expires}, which is not after now ({now})"))]
    BornExpired { expires: Timestamp, now: Timestamp },
    #[snafu(display(
        "version {version} of the root role expired at {expires}, and hosts believe nothing that its keys sign; make \
         the next version with 'pubsys root rotate'"
    ))]
    RootExpired { version: NonZeroU64, expires: Timestamp },
    #[snafu(display("version numbers of the metadata are used up"))]
    NoVersion,
    #[snafu(transparent)]
    Step { source: StepError },
}

/// What a target's content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// That of a file.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// A target to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTarget {
    /// Its name.
    pub name: String,
    /// Its content.
    pub content: Content,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Whose metadata.
    pub product: Product,
    /// The root role.
    pub roots: RootFiles,
    /// Its versions.
    pub chain: Vec<RootVersion>,
    /// Who signs.
    pub keys: Vec<LocalKey>,
    /// The repository this one is based on, if it has this product.
    pub existing: Option<Existing>,
    /// Where that is, whether or not it has this product.
    pub base: Option<Location>,
    /// What it is to offer.
    pub manifest: Manifest,
    /// Targets that are new, besides the manifest.
    pub targets: Vec<NewTarget>,
    /// When its metadata expire.
    pub expirations: Expirations,
    /// The time.
    pub now: Timestamp,
    /// Its folder.
    pub output: PathBuf,
    /// The folder in which a link leads to what was published last. Where `output` is elsewhere there is no link.
    pub repos: PathBuf,
}

/// A repository that is written and signed, but not in its place yet. Dropped, it is gone.
#[derive(Debug)]
pub struct Staged {
    /// What puts it in its place, in this order.
    pub steps: Vec<Step>,
    _lock: File,
    _staging: TempDir,
}

impl Staged {
    /// Puts it in its place.
    pub fn commit(self) -> Result<(), PublishError> {
        Ok(execute(&self.steps)?)
    }
}

/// Writes and signs a repository beside its place, and loads it as a host would.
pub async fn stage(publication: &Publication) -> Result<Staged, PublishError> {
    let Publication { output, product, now, expirations, .. } = publication;
    for expires in [expirations.snapshot, expirations.targets, expirations.timestamp] {
        ensure!(expires > *now, BornExpiredSnafu { expires, now: *now });
    }
    if let Some(root) = publication.chain.last().map(|newest| &newest.role.signed) {
        let (version, expires) = (root.version, root.expires);
        ensure!(expires > *now, RootExpiredSnafu { version, expires });
    }
    let parent = output.parent().filter(|_| output.file_name().is_some());
    let parent = parent.context(NoParentSnafu { folder: output })?;
    ensure!(!output.ends_with(LATEST), ReservedSnafu);
    std::fs::create_dir_all(parent).context(StageSnafu { path: parent })?;
    let lock = lock(parent)?;
    let base = publication.base.as_ref().and_then(Location::folder);
    let base = base.and_then(|folder| folder.canonicalize().ok());
    let is_in_place = base.is_some() && output.canonicalize().ok() == base;
    let place = output.join(product.folder());
    ensure!(is_in_place || !place.exists(), MetadataExistsSnafu { folder: output, product: product.clone() });

    let staging = tempfile::Builder::new().prefix(".new-").tempdir_in(parent);
    let staging = staging.context(StageSnafu { path: parent })?;
    let (targets, metadata) = (staging.path().join("targets"), staging.path().join(product.folder()));
    for folder in [&targets, &metadata] {
        std::fs::create_dir_all(folder).context(StageSnafu { path: folder })?;
    }
    write_metadata(publication, &targets, &metadata).await?;
    write_roots(publication, &metadata).await?;
    check(publication, staging.path()).await?;
    if let Some(base) = &base {
        take_over(publication, base, staging.path(), is_in_place)?;
    }
    let mut steps = steps(staging.path(), output, product).context(StageSnafu { path: staging.path() })?;
    let repos = publication.repos.canonicalize().ok();
    if repos.is_some() && parent.canonicalize().ok() == repos {
        let name = output.file_name().expect("checked before");
        steps.push(Step::Link { link: parent.join(LATEST), to: name.into() });
    }
    Ok(Staged { steps, _lock: lock, _staging: staging })
}

fn lock(parent: &Path) -> Result<File, PublishError> {
    let path = parent.join(".lock");
    let lock =
        File::options().create(true).append(true).open(&path).context(OpenLockSnafu { path: &path })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => BusySnafu { path: parent }.fail(),
        Err(TryLockError::Error(source)) => Err(source).context(OpenLockSnafu { path }),
    }
}

/// Writes the new targets and the signed metadata.
async fn write_metadata(
    publication: &Publication,
    targets: &Path,
    metadata: &Path,
) -> Result<(), PublishError> {
    let Publication { existing, expirations, roots, .. } = publication;
    let edit = |source: tough::error::Error| PublishError::Edit { source: Box::new(source) };
    let root = &roots.newest;
    let mut editor = match existing {
        None => RepositoryEditor::new(root).await.map_err(edit)?,
        Some(existing) => RepositoryEditor::from_repo(root, existing.repository.clone())
            .await
            .map_err(Box::new)
            .context(TakeOverSnafu)?,
    };
    for new in &publication.targets {
        let measure = stage_target(&new.name, &new.content, targets)?;
        let listed = existing.as_ref().and_then(|existing| existing.target(&new.name));
        let same = listed.is_none_or(|listed| listed.hashes.sha256.as_ref() == measure.sha256.0);
        ensure!(same, TargetChangedSnafu { name: &new.name });
        editor.add_target(new.name.as_str(), target(measure)).map_err(edit)?;
    }
    let manifest = Content::Bytes(publication.manifest.to_json().into_bytes());
    let measure = stage_target(MANIFEST, &manifest, targets)?;
    editor.add_target(MANIFEST, target(measure)).map_err(edit)?;

    let version = version(publication)?;
    editor.targets_version(version).map_err(edit)?;
    editor.targets_expires(whole_seconds(expirations.targets)).map_err(edit)?;
    editor.snapshot_version(version).snapshot_expires(whole_seconds(expirations.snapshot));
    editor.timestamp_version(version).timestamp_expires(whole_seconds(expirations.timestamp));
    let signed = editor.sign(&sources(&publication.keys)).await.map_err(Box::new).context(SignSnafu)?;
    signed.write(metadata).await.map_err(Box::new).context(WriteMetadataSnafu)
}

/// The time in seconds, or one more than what is published: clocks go wrong, versions must not.
fn version(publication: &Publication) -> Result<NonZeroU64, PublishError> {
    let now = u64::try_from(publication.now.as_second()).unwrap_or(1);
    let published = publication.existing.iter().flat_map(Existing::expiries).skip(1).map(|role| role.version);
    let next = published.max().map_or(Some(1), |version| version.checked_add(1));
    NonZeroU64::new(next.context(NoVersionSnafu)?.max(now)).context(NoVersionSnafu)
}

fn target(measure: Measure) -> Target {
    let hashes = Hashes { sha256: measure.sha256.0.to_vec().into(), _extra: HashMap::new() };
    Target { length: measure.len, hashes, custom: HashMap::new(), _extra: HashMap::new() }
}

/// Writes a target under the name by which clients ask for it.
fn stage_target(name: &str, content: &Content, targets: &Path) -> Result<Measure, PublishError> {
    let arriving = targets.join(".arriving");
    let staging = || StageSnafu { path: &arriving };
    let mut file = Hashing::new(File::create(&arriving).with_context(|_| staging())?);
    match content {
        Content::Bytes(bytes) => file.write_all(bytes).with_context(|_| staging())?,
        Content::File(path) => {
            let mut from = File::open(path).context(ReadTargetSnafu { path })?;
            let mut buffer = vec![0; 1 << 20];
            loop {
                let len = from.read(&mut buffer).context(ReadTargetSnafu { path })?;
                if len == 0 {
                    break;
                }
                file.write_all(&buffer[..len]).with_context(|_| staging())?;
            }
        }
    }
    let measure = file.finish();
    let path = targets.join(format!("{}.{name}", measure.sha256));
    std::fs::rename(&arriving, &path).context(StageSnafu { path })?;
    Ok(measure)
}

/// Writes every version of the root role: those that are kept here, and older ones that the existing repository has.
async fn write_roots(publication: &Publication, metadata: &Path) -> Result<(), PublishError> {
    let write = |number: u64, bytes: &[u8]| {
        let path = metadata.join(format!("{number}.root.json"));
        std::fs::write(&path, bytes).context(StageSnafu { path })
    };
    for version in &publication.chain {
        write(version.number().get(), &version.bytes)?;
    }
    let (Some(existing), Some(first)) = (&publication.existing, publication.chain.first()) else {
        return Ok(());
    };
    let mut next = first.clone();
    for number in (1..first.number().get()).rev() {
        let url =
            existing.url.join(&format!("{number}.root.json")).expect("a relative path joins to a folder");
        match Fetcher::default().fetch(url.clone()).await {
            Ok(stream) => {
                let bytes = stream.into_vec().await.map_err(Box::new);
                let bytes = bytes.context(FetchRootSnafu { url: url.clone() })?;
                let (len, path) = (bytes.len(), Path::new(url.as_str()));
                ensure!(len <= MAX_ROOT, LongRootSnafu { url: url.clone(), len });
                let version = RootVersion::parse(bytes, path)?;
                version.check_before(&next, path)?;
                write(number, &version.bytes)?;
                next = version;
            }
            Err(e) if e.kind() == tough::TransportErrorKind::FileNotFound => {
                tracing::warn!(
                    version = number,
                    "the published repository lacks a version of the root role; hosts with an older image cannot follow"
                );
                break;
            }
            Err(e) => return Err(Box::new(e)).context(FetchRootSnafu { url }),
        }
    }
    Ok(())
}

/// Loads what was written, from the oldest root role there is. That it has not expired is checked before, by the time
/// that was given.
async fn check(publication: &Publication, staging: &Path) -> Result<(), PublishError> {
    let location = Location::in_folder(staging).context(CheckSnafu)?;
    let oldest = publication.chain.first().map_or(&[][..], |version| &version.bytes);
    let loaded = Existing::load(&location, &publication.product, oldest, ExpirationEnforcement::Unsafe).await;
    let loaded = loaded.context(CheckSnafu)?;
    ensure!(loaded.manifest == publication.manifest, OtherManifestSnafu);
    Ok(())
}

/// Links what the base has and the new repository keeps: all targets, metadata of other products, and the metadata
/// before these, so that a host that is just reading them is not cut off.
fn take_over(
    publication: &Publication,
    base: &Path,
    staging: &Path,
    is_in_place: bool,
) -> Result<(), PublishError> {
    let product = &publication.product;
    if let Some(existing) = &publication.existing {
        let [_, snapshot, targets, _] = existing.expiries();
        for name in
            [format!("{}.snapshot.json", snapshot.version), format!("{}.targets.json", targets.version)]
        {
            let [from, to] = [base, staging].map(|folder| folder.join(product.folder()).join(&name));
            link(&from, &to)?;
        }
    }
    if is_in_place {
        return Ok(());
    }
    link_all(&base.join("targets"), &staging.join("targets"))?;
    for other in products(base).context(StageSnafu { path: base })? {
        let place = other.folder();
        if other != *product && !publication.output.join(&place).exists() {
            link_all(&base.join(&place), &staging.join(&place))?;
        }
    }
    Ok(())
}

fn link_all(from: &Path, to: &Path) -> Result<(), PublishError> {
    if !from.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(to).context(StageSnafu { path: to })?;
    for name in names(from).context(StageSnafu { path: from })? {
        if from.join(&name).is_file() && !to.join(&name).exists() {
            link(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

/// The same file in another place, or a copy where that cannot be.
fn link(from: &Path, to: &Path) -> Result<(), PublishError> {
    // What links are made of: the file itself, not a link to it.
    let from = from.canonicalize().context(StageSnafu { path: from })?;
    std::fs::hard_link(&from, to)
        .or_else(|_| std::fs::copy(&from, to).map(drop))
        .context(StageSnafu { path: to })
}

/// The products of which a folder has metadata.
pub fn products(folder: &Path) -> io::Result<BTreeSet<Product>> {
    let mut products = BTreeSet::new();
    for variant in names(folder)? {
        for arch in names(&folder.join(&variant)).unwrap_or_default() {
            if folder.join(&variant).join(&arch).join("timestamp.json").is_file() {
                products.insert(Product { variant: variant.clone(), arch });
            }
        }
    }
    Ok(products)
}

/// Names of what is in a folder, without what is hidden.
fn names(folder: &Path) -> io::Result<BTreeSet<String>> {
    let names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.filter(|name| name.as_ref().is_ok_and(|name: &String| !name.starts_with('.'))).collect()
}

/// What puts a staged repository in its place: targets before metadata, the product's own metadata last.
fn steps(staging: &Path, output: &Path, product: &Product) -> io::Result<Vec<Step>> {
    let mut steps = Vec::new();
    let target = |name: &String| Path::new("targets").join(name);
    let targets: Vec<PathBuf> = names(&staging.join("targets"))?.iter().map(target).collect();
    let metadata: Vec<PathBuf> = products(staging)?.iter().map(Product::folder).collect();
    steps.extend(targets.iter().map(|path| Step::Sync(staging.join(path))));
    for folder in &metadata {
        let files = names(&staging.join(folder))?;
        steps.extend(files.iter().map(|name| Step::Sync(staging.join(folder).join(name))));
        steps.push(Step::Sync(staging.join(folder)));
    }
    steps.push(Step::Sync(staging.join("targets")));
    if output.exists() {
        steps.push(Step::Folder(output.join("targets")));
        let place = |path: &PathBuf| Step::Place { from: staging.join(path), to: output.join(path) };
        steps.extend(targets.iter().map(place));
        steps.push(Step::Sync(output.join("targets")));
        let own = product.folder();
        for path in metadata.iter().filter(|path| **path != own).chain([&own]) {
            let to = output.join(path);
            let variant = to.parent().expect("metadata are two folders down").to_owned();
            steps.push(Step::Folder(variant.clone()));
            steps.push(Step::Swap { new: staging.join(path), place: to });
            steps.push(Step::Sync(variant));
        }
    } else {
        steps.push(Step::Sync(staging.to_owned()));
        steps.push(Step::Open(staging.to_owned()));
        steps.push(Step::Swap { new: staging.to_owned(), place: output.to_owned() });
    }
    let parent = output.parent().expect("checked before");
    steps.push(Step::Sync(parent.to_owned()));
    Ok(steps)
}
