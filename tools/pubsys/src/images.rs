//! The images of a build: found, measured, and made into what a host fetches in parts.
//!
//! What is made of an image is kept in a cache, named by the image's digest: an image that did not change is not
//! compressed again.

use crate::digest::{self, Hashing, Measure};
use data_encoding::HEXLOWER;
use lz4_flex::frame::FrameDecoder;
use seekable::{CompressError, Options};
use semver::Version;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use update_metadata::{Digest, HashImage, ImageDetails, Images, PartitionImage};
use verity::{BLOCK, BuildError, Salt, Superblock, SuperblockError, Tree};

use crate::existing::Product;

/// Changes when the same image would make other files.
const CACHE_FORM: u32 = 2;
/// Most bytes an uncompressed image has: larger than any partition, small enough for a disk.
const MAX_IMAGE: u64 = 16 << 30;

/// Images that were not made ready.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ImageError {
    #[snafu(display("read {}", path.display()))]
    ReadMetadata { path: PathBuf, source: io::Error },
    #[snafu(display("understand {}", path.display()))]
    ParseMetadata { path: PathBuf, source: serde_json::Error },
    #[snafu(display("{} is a build of {found}, not of {wanted}", folder.display()))]
    OtherProduct { folder: PathBuf, found: String, wanted: String },
    #[snafu(display("there is no {}; build the image first (./make build), or name its folder with --images", path.display()))]
    NoImage { path: PathBuf },
    #[snafu(display("unpack {}", path.display()))]
    Unpack { path: PathBuf, source: io::Error },
    #[snafu(display("{} unpacks to more than {MAX_IMAGE} bytes", path.display()))]
    TooLong { path: PathBuf },
    #[snafu(display("read the hash tree {}", path.display()))]
    Superblock { path: PathBuf, source: SuperblockError },
    #[snafu(display("{} is too short for a hash tree", path.display()))]
    ShortTree { path: PathBuf },
    #[snafu(display("build the hash tree of {}", path.display()))]
    BuildTree { path: PathBuf, source: BuildError },
    #[snafu(display("{} is not the hash tree of {}", tree.display(), image.display()))]
    OtherTree { tree: PathBuf, image: PathBuf },
    #[snafu(display("compress {} into frames", path.display()))]
    Compress { path: PathBuf, source: CompressError },
    #[snafu(display("write {}", path.display()))]
    WriteCache { path: PathBuf, source: io::Error },
    #[snafu(display("read {}", path.display()))]
    ReadCache { path: PathBuf, source: io::Error },
}

/// What a build says of itself: `artifact-metadata.json`, of which this is a part.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Build {
    /// What file names begin with.
    pub name: String,
    /// Its variant.
    pub variant: String,
    /// Its architecture.
    pub arch: String,
    /// Its version.
    #[serde(deserialize_with = "version")]
    pub version: Version,
    /// What tells builds of a version apart.
    pub build_id: String,
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|e| D::Error::custom(format!("'{text}' is not a version ({e})")))
}

impl Build {
    /// Reads what the build in a folder says of itself.
    pub fn load(folder: &Path) -> Result<Self, ImageError> {
        let path = folder.join("artifact-metadata.json");
        let text = match std::fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return NoImageSnafu { path }.fail(),
            read => read.context(ReadMetadataSnafu { path: &path })?,
        };
        serde_json::from_slice(&text).context(ParseMetadataSnafu { path })
    }

    /// What it is a build of.
    pub fn product(&self) -> Product {
        Product { variant: self.variant.clone(), arch: self.arch.clone() }
    }

    /// That it is a build of this product.
    pub fn check(&self, folder: &Path, product: &Product) -> Result<(), ImageError> {
        let (found, wanted) = (self.product().to_string(), product.to_string());
        ensure!(found == wanted, OtherProductSnafu { folder, found, wanted });
        Ok(())
    }

    /// What the names of its images begin with.
    pub fn prefix(&self) -> String {
        let Self { name, variant, arch, version, build_id } = self;
        format!("{name}-{variant}-{arch}-{version}-{build_id}")
    }

    /// What the folder of its repository is called.
    pub fn name_version(&self) -> String {
        format!("{}-{}-{}", self.name, self.version, self.build_id)
    }

    /// Names of the targets with its images.
    pub fn images(&self) -> Images {
        let [boot, root, hash] = ["boot.ext4.lz4", "root.ext4.lz4", "root.verity.lz4"]
            .map(|part| format!("{}-{part}", self.prefix()));
        Images { boot, root, hash }
    }
}

/// A file that becomes a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFile {
    /// The name of the target.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// Images made ready to be published.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What the manifest says of them.
    pub details: ImageDetails,
    /// All their targets.
    pub targets: Vec<TargetFile>,
}

/// Makes the images of a build ready. What is made of them is in `cache`.
pub fn prepare(
    build: &Build,
    folder: &Path,
    cache: &Path,
    options: &Options,
) -> Result<Prepared, ImageError> {
    let names = build.images();
    let [boot, root, hash] = [&names.boot, &names.root, &names.hash].map(|name| folder.join(name));
    for path in [&boot, &root, &hash] {
        ensure!(path.is_file(), NoImageSnafu { path });
    }
    let (hash_image, hash_facts) = unpack_hash(&hash)?;
    let salt = superblock(&hash_image, &hash)?.salt;
    let root_made = Made::of(&root, &salt, cache, options)?;
    let boot_made = Made::of(&boot, &salt, cache, options)?;
    ensure!(root_made.is_tree(&hash_image)?, OtherTreeSnafu { tree: hash, image: root });

    let prefix = build.prefix();
    let name = |part: &str| format!("{prefix}-{part}");
    let image = |made: &Made, part: &str, tree| PartitionImage {
        size: made.facts.size,
        sha256: made.facts.sha256,
        root_hash: made.facts.root_hash,
        salt: update_metadata::Salt::new(salt.bytes()).expect("both allow 256 bytes"),
        seekable: name(&format!("{part}.ext4.zst")),
        seek_table: name(&format!("{part}.ext4.seek")),
        tree,
        extra: serde_json::Map::new(),
    };
    let boot_tree = name("boot.verity");
    let details = ImageDetails {
        boot: image(&boot_made, "boot", Some(boot_tree.clone())),
        root: image(&root_made, "root", None),
        hash: hash_facts,
    };
    let made = |made: &Made, image: &PartitionImage| {
        [(&image.seekable, FRAMES), (&image.seek_table, TABLE)]
            .map(|(name, file)| (name.clone(), made.file(file)))
    };
    let targets = [(names.boot, boot), (names.root, root), (names.hash, hash)]
        .into_iter()
        .chain(made(&boot_made, &details.boot))
        .chain([(boot_tree, boot_made.file(TREE))])
        .chain(made(&root_made, &details.root));
    let targets = targets.map(|(name, path)| TargetFile { name, path }).collect();
    Ok(Prepared { details, targets })
}

const FRAMES: &str = "image.zst";
const TABLE: &str = "image.seek";
const TREE: &str = "image.verity";
const FACTS: &str = "facts.json";

/// What an image is once it is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
    pub(crate) root_hash: Digest,
}

/// What a folder of the cache says of itself.
#[derive(Serialize, Deserialize)]
struct Record {
    facts: Facts,
    frames: Measure,
    table: Measure,
    tree: Measure,
}

impl Record {
    fn of(facts: Facts, folder: &Path) -> io::Result<Self> {
        let measure = |name| digest::of_file(&folder.join(name));
        Ok(Self { facts, frames: measure(FRAMES)?, table: measure(TABLE)?, tree: measure(TREE)? })
    }

    /// The record of a folder, if its files are as they were made.
    fn load(folder: &Path) -> Option<Self> {
        let record: Self = serde_json::from_slice(&std::fs::read(folder.join(FACTS)).ok()?).ok()?;
        let found = Self::of(record.facts, folder).ok()?;
        let same = |record: &Self| [record.frames, record.table, record.tree];
        (same(&record) == same(&found)).then_some(record)
    }
}

/// What was made of an image, in a folder of the cache.
struct Made {
    folder: PathBuf,
    facts: Facts,
}

impl Made {
    fn of(image: &Path, salt: &Salt, cache: &Path, options: &Options) -> Result<Self, ImageError> {
        let packed = digest::of_file(image).context(UnpackSnafu { path: image })?.sha256;
        let Options { frame_blocks, level, .. } = options;
        let salt_text = HEXLOWER.encode(salt.bytes());
        let key = format!("{CACHE_FORM} {packed} {salt_text} {frame_blocks} {level}");
        let folder = cache.join(digest::of_bytes(key.as_bytes()).to_string());
        // A cache that is not as it was written is not worth an error: it is made again.
        if let Some(Record { facts, .. }) = Record::load(&folder) {
            return Ok(Self { folder, facts });
        }
        std::fs::create_dir_all(cache).context(WriteCacheSnafu { path: cache })?;
        let making = tempfile::Builder::new().prefix(".making-").tempdir_in(cache);
        let making = making.context(WriteCacheSnafu { path: cache })?;
        let facts = make(image, salt, making.path(), options)?;
        sync(making.path())?;
        let context = || WriteCacheSnafu { path: &folder };
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|_| context())?;
        }
        std::fs::rename(making.keep(), &folder).with_context(|_| context())?;
        Ok(Self { folder, facts })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether a hash image has the tree that was made here. Their superblocks may differ in the identifier.
    fn is_tree(&self, hash_image: &[u8]) -> Result<bool, ImageError> {
        let path = self.file(TREE);
        let ours = std::fs::read(&path).context(ReadCacheSnafu { path })?;
        let is_filled_up =
            hash_image.len() >= ours.len() && hash_image[ours.len()..].iter().all(|byte| *byte == 0);
        Ok(is_filled_up && hash_image[BLOCK..ours.len()] == ours[BLOCK..])
    }
}

/// Brings what was made to the disk: a folder that has its name after a power cut has its content too.
fn sync(folder: &Path) -> Result<(), ImageError> {
    for path in [FRAMES, TABLE, TREE, FACTS].map(|name| folder.join(name)).iter().chain([&folder.to_owned()])
    {
        File::open(path).and_then(|file| file.sync_all()).context(WriteCacheSnafu { path })?;
    }
    Ok(())
}

/// Makes everything of an image that its folder of the cache has.
fn make(image: &Path, salt: &Salt, folder: &Path, options: &Options) -> Result<Facts, ImageError> {
    let write = |name: &str| {
        let path = folder.join(name);
        let file = File::create(&path).context(WriteCacheSnafu { path: &path });
        file.map(|file| (BufWriter::new(file), path))
    };
    let mut plain = unpack(image, folder)?;
    let (facts, tree) = measure(&mut plain, salt, image)?;
    let uuid = facts.sha256.0[..16].try_into().expect("a digest has more than 16 bytes");
    let (mut file, path) = write(TREE)?;
    tree.write_to(&mut file, uuid).and_then(|()| file.flush()).context(WriteCacheSnafu { path })?;
    plain.rewind().context(UnpackSnafu { path: image })?;
    let (file, _) = write(FRAMES)?;
    let table = seekable::compress(&plain, file, options).context(CompressSnafu { path: image })?;
    let (mut file, path) = write(TABLE)?;
    file.write_all(&table.to_bytes()).and_then(|()| file.flush()).context(WriteCacheSnafu { path })?;
    let record = Record::of(facts, folder).context(ReadCacheSnafu { path: folder })?;
    let (mut file, path) = write(FACTS)?;
    let written = serde_json::to_writer(&mut file, &record).map_err(io::Error::from);
    written.and_then(|()| file.flush()).context(WriteCacheSnafu { path })?;
    Ok(facts)
}

/// The unpacked image as a file without a name.
pub(crate) fn unpack(image: &Path, folder: &Path) -> Result<File, ImageError> {
    let mut plain = tempfile::tempfile_in(folder).context(WriteCacheSnafu { path: folder })?;
    let packed = File::open(image).context(UnpackSnafu { path: image })?;
    let mut unpacked = FrameDecoder::new(BufReader::new(packed)).take(MAX_IMAGE + 1);
    let len = io::copy(&mut unpacked, &mut plain).context(UnpackSnafu { path: image })?;
    ensure!(len <= MAX_IMAGE, TooLongSnafu { path: image });
    plain.rewind().context(UnpackSnafu { path: image })?;
    Ok(plain)
}

/// Size, digest and hash tree of an unpacked image; `path` is for errors.
pub(crate) fn measure(plain: impl Read, salt: &Salt, path: &Path) -> Result<(Facts, Tree), ImageError> {
    let mut hashing = Hashing::new(plain);
    let tree = Tree::build(&mut hashing, salt.clone()).context(BuildTreeSnafu { path })?;
    let digest::Measure { len, sha256 } = hashing.finish();
    Ok((Facts { size: len, sha256, root_hash: Digest(tree.root_hash().0) }, tree))
}

/// The unpacked image of a hash tree, whole: it has a hundredth of the bytes of what it covers.
pub(crate) fn unpack_hash(path: &Path) -> Result<(Vec<u8>, HashImage), ImageError> {
    let mut image = Vec::new();
    let packed = File::open(path).context(UnpackSnafu { path })?;
    let mut unpacked = FrameDecoder::new(BufReader::new(packed)).take(MAX_IMAGE / 64);
    unpacked.read_to_end(&mut image).context(UnpackSnafu { path })?;
    let facts = HashImage {
        size: image.len() as u64,
        sha256: digest::of_bytes(&image),
        extra: serde_json::Map::new(),
    };
    Ok((image, facts))
}

pub(crate) fn superblock(hash_image: &[u8], path: &Path) -> Result<Superblock, ImageError> {
    let block = hash_image.first_chunk::<BLOCK>().context(ShortTreeSnafu { path })?;
    Superblock::parse(block).context(SuperblockSnafu { path })
}
