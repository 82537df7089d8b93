//! Checking a repository as it is published: every target, and everything the manifest says of the images.

use crate::digest;
use crate::existing::{Existing, ExistingError, Location, Product, RoleExpiry};
use crate::images::{self, Facts, ImageError};
use crate::root::RootVersion;
use jiff::Timestamp;
use seekable::{DecodeError, Decoder, SeekTable, TableError};
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tough::{ExpirationEnforcement, Prefix, TargetName};
use update_metadata::{Digest, PartitionImage, Update, UpdateId};
use verity::{BLOCK, Salt};

/// What is wrong with a repository.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ValidateError {
    #[snafu(transparent)]
    Existing { source: ExistingError },
    #[snafu(display("load it from version {version} of the root role, as a host with that image does"))]
    FromRoot { version: u64, source: ExistingError },
    #[snafu(display("make room for targets"))]
    Room { source: io::Error },
    #[snafu(display("fetch the target {name}"))]
    Fetch { name: String, source: Box<tough::error::Error> },
    #[snafu(display("{id} names the target {name}, which is not in the repository"))]
    Missing { id: Box<UpdateId>, name: String },
    #[snafu(display("the step {edge} names the migration {name}, which is not in the repository"))]
    MissingMigration { edge: String, name: String },
    #[snafu(display("look at the images of {id}"))]
    Look { id: Box<UpdateId>, source: ImageError },
    #[snafu(display("{id}: the manifest says that the {what} of {name} is {said}; it is {found}"))]
    Claim { id: Box<UpdateId>, name: String, what: &'static str, said: String, found: String },
    #[snafu(display("{id}: {name} is not the hash tree of {image}"))]
    OtherTree { id: Box<UpdateId>, name: String, image: String },
    #[snafu(display("read {name}"))]
    ReadFrames { name: String, source: io::Error },
    #[snafu(display("understand the seek table {name}"))]
    Table { name: String, source: TableError },
    #[snafu(display("{name} does not end with the table {table}"))]
    OtherTable { name: String, table: String },
    #[snafu(display("read frame {frame} of {name}"))]
    Frame { name: String, frame: u32, source: DecodeError },
}

/// What was found to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many versions of the root role lead to it.
    pub roots: usize,
    /// How many targets were fetched.
    pub targets: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How many updates it has.
    pub updates: usize,
    /// How many of them say what is in their images, all of it true.
    pub details: usize,
    /// Those whose hosts have no way to the newest one.
    pub cut_off: Vec<UpdateId>,
}

/// Checks a repository of a product: that it loads from every one of the roots, and, where `with_targets`, everything
/// else.
pub async fn validate(
    location: &Location,
    product: &Product,
    roots: &[RootVersion],
    with_targets: bool,
) -> Result<Report, ValidateError> {
    for root in roots {
        let loaded = Existing::load(location, product, &root.bytes, ExpirationEnforcement::Safe).await;
        loaded.context(FromRootSnafu { version: root.number().get() })?;
    }
    let oldest = roots.first().map_or(&[][..], |root| &root.bytes);
    let existing = Existing::load(location, product, oldest, ExpirationEnforcement::Safe).await?;
    names_are_known(&existing)?;
    let updates = existing.manifest.updates.len();
    let cut_off = existing.manifest.cut_off().into_iter().map(|(id, _)| id).collect();
    let mut report = Report { roots: roots.len(), targets: 0, bytes: 0, updates, details: 0, cut_off };
    if !with_targets {
        return Ok(report);
    }
    let folder = tempfile::Builder::new().prefix("pubsys-validate-").tempdir().context(RoomSnafu)?;
    let mut fetched = BTreeSet::new();
    for update in &existing.manifest.updates {
        let names = names_of(update);
        for name in &names {
            report.bytes += fetch(&existing, name, folder.path()).await?;
        }
        if update.image_details.is_some() {
            check_update(update, folder.path())?;
            report.details += 1;
        }
        for name in &names {
            std::fs::remove_file(folder.path().join(name)).context(RoomSnafu)?;
        }
        fetched.extend(names);
    }
    for (name, _) in existing.repository.all_targets() {
        if !fetched.contains(name.raw()) {
            report.bytes += fetch(&existing, name.raw(), folder.path()).await?;
            std::fs::remove_file(folder.path().join(name.resolved())).context(RoomSnafu)?;
        }
    }
    report.targets = existing.repository.all_targets().count();
    Ok(report)
}

/// That every target that the manifest names is one.
fn names_are_known(existing: &Existing) -> Result<(), ValidateError> {
    for update in &existing.manifest.updates {
        for name in names_of(update) {
            ensure!(existing.target(&name).is_some(), MissingSnafu { id: update.id(), name });
        }
    }
    for (edge, names) in &existing.manifest.migrations {
        for name in names {
            let edge = edge.to_string();
            ensure!(existing.target(name).is_some(), MissingMigrationSnafu { edge, name });
        }
    }
    Ok(())
}

fn names_of(update: &Update) -> BTreeSet<String> {
    let images = [&update.images.boot, &update.images.root, &update.images.hash];
    let details = update.image_details.iter().flat_map(|details| {
        let of = |image: &PartitionImage| {
            [Some(image.seekable.clone()), Some(image.seek_table.clone()), image.tree.clone()]
        };
        of(&details.boot).into_iter().chain(of(&details.root)).flatten()
    });
    images.into_iter().cloned().chain(details).collect()
}

/// Fetches a target, whose digest is thereby checked; its length.
async fn fetch(existing: &Existing, name: &str, folder: &Path) -> Result<u64, ValidateError> {
    let context = || FetchSnafu { name };
    let target = TargetName::new(name).map_err(Box::new).with_context(|_| context())?;
    let saved = existing.repository.save_target(&target, folder, Prefix::None).await;
    saved.map_err(Box::new).with_context(|_| context())?;
    Ok(existing.target(name).map_or(0, |target| target.length))
}

/// That everything an update says of its images is true.
fn check_update(update: &Update, folder: &Path) -> Result<(), ValidateError> {
    let Some(details) = &update.image_details else { return Ok(()) };
    let id = update.id();
    let hash_path = folder.join(&update.images.hash);
    let (hash_image, hash) = images::unpack_hash(&hash_path).context(LookSnafu { id: id.clone() })?;
    let name = &update.images.hash;
    claim(&id, name, "size", &details.hash.size, &hash.size)?;
    claim(&id, name, "SHA-256", &details.hash.sha256, &hash.sha256)?;
    check_image(&id, &update.images.root, &details.root, &Tree { name, image: hash_image }, folder)?;
    let (boot, image) = (&details.boot, &update.images.boot);
    match &boot.tree {
        Some(name) => {
            let tree = std::fs::read(folder.join(name)).context(ReadFramesSnafu { name })?;
            check_image(&id, image, boot, &Tree { name, image: tree }, folder)
        }
        None => MissingSnafu { id, name: "the hash tree of the boot image" }.fail(),
    }
}

/// A hash image, and the target that has it.
struct Tree<'a> {
    name: &'a str,
    image: Vec<u8>,
}

fn check_image(
    id: &UpdateId,
    name: &str,
    said: &PartitionImage,
    tree: &Tree<'_>,
    folder: &Path,
) -> Result<(), ValidateError> {
    let path: PathBuf = folder.join(name);
    let salt = Salt::new(said.salt.bytes()).expect("both allow 256 bytes");
    let look = || LookSnafu { id: id.clone() };
    let superblock = images::superblock(&tree.image, Path::new(tree.name)).with_context(|_| look())?;
    claim(id, tree.name, "salt", &salt, &superblock.salt)?;
    let plain = images::unpack(&path, folder).with_context(|_| look())?;
    let (facts, built) = images::measure(plain, &salt, &path).with_context(|_| look())?;
    check_facts(id, name, said, facts)?;
    let mut image = Vec::new();
    built.write_to(&mut image, superblock.uuid).context(ReadFramesSnafu { name: tree.name })?;
    let rest = tree.image.get(image.len()..).unwrap_or_default();
    let same = tree.image.starts_with(&image) && rest.iter().all(|byte| *byte == 0);
    ensure!(same, OtherTreeSnafu { id: id.clone(), name: tree.name, image: name });
    let (size, sha256) = read_frames(folder, &said.seekable, &said.seek_table)?;
    check_facts(id, &said.seekable, said, Facts { size, sha256, root_hash: facts.root_hash })
}

fn check_facts(id: &UpdateId, name: &str, said: &PartitionImage, found: Facts) -> Result<(), ValidateError> {
    claim(id, name, "size", &said.size, &found.size)?;
    claim(id, name, "SHA-256", &said.sha256, &found.sha256)?;
    claim(id, name, "root hash", &said.root_hash, &found.root_hash)
}

fn claim<T: ToString + PartialEq>(
    id: &UpdateId,
    name: &str,
    what: &'static str,
    said: &T,
    found: &T,
) -> Result<(), ValidateError> {
    let context = ClaimSnafu { id: id.clone(), name, what, said: said.to_string(), found: found.to_string() };
    if said == found { Ok(()) } else { context.fail() }
}

/// Reads every frame by the table beside it, as a host reads some; length and digest of what is in them.
fn read_frames(folder: &Path, name: &str, table_name: &str) -> Result<(u64, Digest), ValidateError> {
    let context = || ReadFramesSnafu { name };
    let bytes = std::fs::read(folder.join(table_name)).context(ReadFramesSnafu { name: table_name })?;
    let table = SeekTable::parse(&bytes).context(TableSnafu { name: table_name })?;
    let mut file = BufReader::new(File::open(folder.join(name)).with_context(|_| context())?);
    let mut decoder = Decoder::new().context(FrameSnafu { name, frame: 0_u32 })?;
    let mut image = digest::Hashing::new(io::sink());
    for frame in 0..table.frames() {
        let (range, blocks) = (table.compressed_range(frame), table.blocks(frame));
        let len =
            |range: std::ops::Range<u64>| usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let (mut packed, mut data) = (vec![0; len(range)], vec![0; len(blocks) * BLOCK]);
        file.read_exact(&mut packed).with_context(|_| context())?;
        decoder.decode(&packed, &mut data).context(FrameSnafu { name, frame })?;
        io::Write::write_all(&mut image, &data).with_context(|_| context())?;
    }
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(table.compressed_len())).with_context(|_| context())?;
    file.read_to_end(&mut end).with_context(|_| context())?;
    ensure!(end == bytes, OtherTableSnafu { name, table: table_name });
    let digest::Measure { len, sha256 } = image.finish();
    Ok((len, sha256))
}

/// Those of the roles that expire before a time.
pub fn expiring(expiries: &[RoleExpiry], before: Timestamp) -> Vec<RoleExpiry> {
    expiries.iter().filter(|role| role.expires <= before).copied().collect()
}
