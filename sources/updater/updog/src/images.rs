//! The images of an update, onto the partitions of a set.

use crate::Error;
use crate::error::{
    IncompleteSnafu, InstallSnafu, OpenPartitionSnafu, SeekTableSnafu, TooLargeSnafu, TreeSnafu,
    VerifyTreeSnafu,
};
use crate::update::{Progress, Step};
use install::{
    Active, ActiveImage, Before, Check, Fetch, FetchError, Full, Image, Job, Partition, Report, Sum,
};
use repository::{RangeError, Repository, Target};
use seekable::SeekTable;
use signpost::{Device, SetDevices, SetName};
use snafu::{OptionExt, ResultExt, ensure};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::Range;
use tracing::{info, warn};
use update_metadata::{PartitionImage, Update};
use verity::{RootHash, Superblock, Tree, Verified};

/// The longest hash tree of a boot image that is read: that of a partition of a gibibyte.
const LONGEST_BOOT_TREE: u64 = 16 << 20;

/// What an update is made of, as the signed metadata have it. Nothing of it has been fetched.
pub(crate) struct Images<'a> {
    repository: &'a Repository,
    update: &'a Update,
    root: Target,
    boot: Target,
    hash: Target,
}

/// What was read before anything is written: it is enough to say that the rest can be checked.
pub(crate) struct Trees {
    root: (Superblock, Verified),
    root_table: Option<SeekTable>,
    boot: Option<Verified>,
    boot_table: Option<SeekTable>,
}

impl<'a> Images<'a> {
    /// Looks up every target; a repository that lacks one is not whole.
    pub(crate) fn of(repository: &'a Repository, update: &'a Update) -> Result<Self, Error> {
        let find = |name: &str| {
            repository.target(name).context(IncompleteSnafu { version: update.version.clone(), name })
        };
        for name in names(update) {
            find(name)?;
        }
        let images = &update.images;
        Ok(Self {
            repository,
            update,
            root: find(&images.root)?,
            boot: find(&images.boot)?,
            hash: find(&images.hash)?,
        })
    }

    /// The digest of each target by its name: what the set holds when all is written.
    pub(crate) fn digests(&self) -> BTreeMap<String, String> {
        let images = &self.update.images;
        [(&images.root, &self.root), (&images.boot, &self.boot), (&images.hash, &self.hash)]
            .map(|(name, target)| (name.clone(), update_metadata::Digest(target.sha256).to_string()))
            .into()
    }

    /// Whether each image fits its partition, as far as the manifest says how large they are.
    pub(crate) fn fit(&self, set: &SetDevices) -> Result<(), Error> {
        let Some(details) = &self.update.image_details else { return Ok(()) };
        for (image, size, room) in [
            ("root", details.root.size, set.root.size),
            ("boot", details.boot.size, set.boot.size),
            ("hash", details.hash.size, set.hash.size),
        ] {
            ensure!(size <= room, TooLargeSnafu { image, size, room });
        }
        Ok(())
    }

    /// Fetches what the images are measured by.
    pub(crate) fn trees(&self, set: SetName, progress: &dyn Fn(Progress<'_>)) -> Result<Trees, Error> {
        let details = self.update.image_details.as_ref();
        progress(Progress::begin(Step::Tree, self.hash.length));
        let hash = self.repository.open_target(&self.update.images.hash)?;
        let expected = details.map(|details| RootHash(details.root.root_hash.0));
        let root = install::read_tree(hash, full(self.hash), expected).map_err(Box::new);
        let root = root.context(InstallSnafu { image: "hash", set })?;
        let boot = match details.map(|details| (&details.boot, &details.boot.tree)) {
            Some((boot, Some(tree))) => Some(self.boot_tree(tree, RootHash(boot.root_hash.0))?),
            _ => None,
        };
        Ok(Trees {
            root,
            boot,
            root_table: details.map(|details| self.table("root", &details.root)).transpose()?,
            boot_table: details.map(|details| self.table("boot", &details.boot)).transpose()?,
        })
    }

    fn boot_tree(&self, name: &str, root: RootHash) -> Result<Verified, Error> {
        let bytes = self.repository.read_target(name, LONGEST_BOOT_TREE)?;
        let (_, tree) = Tree::read(bytes.as_slice(), root).context(TreeSnafu { image: "boot" })?;
        tree.verified().context(VerifyTreeSnafu { image: "boot" })
    }

    fn table(&self, image: &'static str, of: &PartitionImage) -> Result<SeekTable, Error> {
        let bytes = self.repository.read_target(&of.seek_table, seekable::MAX_TABLE_LEN as u64)?;
        SeekTable::parse(&bytes).context(SeekTableSnafu { image })
    }

    /// Writes root, boot and hash image. When this returns without an error all three are on the medium, read back.
    pub(crate) fn install(
        &self,
        trees: &Trees,
        running: &SetDevices,
        set: &SetDevices,
        before: Before,
        progress: &dyn Fn(Progress<'_>),
    ) -> Result<[Report; 2], Error> {
        let details = self.update.image_details.as_ref();
        let root = One {
            name: "root",
            step: Step::Root,
            check: Check::Tree(&trees.root.1),
            frames: trees.root_table.as_ref(),
            full: (&self.update.images.root, self.root),
            seekable: details.map(|details| details.root.seekable.as_str()),
            old_tree: tree_of(&running.hash),
        };
        let boot = One {
            name: "boot",
            step: Step::Boot,
            check: match &trees.boot {
                Some(tree) => Check::Tree(tree),
                None => Check::Whole(details.map(|d| Sum { size: d.boot.size, sha256: d.boot.sha256.0 })),
            },
            frames: trees.boot_table.as_ref().filter(|_| trees.boot.is_some()),
            full: (&self.update.images.boot, self.boot),
            seekable: details.map(|details| details.boot.seekable.as_str()),
            old_tree: None,
        };
        let root = self.install_one(root, &running.root, &set.root, set.name, before, progress)?;
        let boot = self.install_one(boot, &running.boot, &set.boot, set.name, before, progress)?;
        let mut target = Partition::open(&set.hash.path).context(OpenPartitionSnafu { image: "hash" })?;
        let mut listener = |p: &install::Progress<'_>| progress(Progress::of(Step::Hash, p));
        install::install_tree(&trees.root.1, &trees.root.0, &mut target, &mut listener)
            .map_err(Box::new)
            .context(InstallSnafu { image: "hash", set: set.name })?;
        Ok([root, boot])
    }

    fn install_one(
        &self,
        one: One<'_>,
        running: &Device,
        to: &Device,
        set: SetName,
        before: Before,
        progress: &dyn Fn(Progress<'_>),
    ) -> Result<Report, Error> {
        let One { name, step, check, frames, full: (target, of), seekable, old_tree } = one;
        let mut old = open_running(running);
        let active = old.as_mut().map(|file| ActiveImage {
            partition: file as &mut dyn Active,
            len: running.size,
            tree: old_tree,
        });
        let image = Image { name, check, frames, full: full(of) };
        let fetch = FromRepository { repository: self.repository, full: target, seekable };
        let mut partition = Partition::open(&to.path).context(OpenPartitionSnafu { image: name })?;
        let mut listener = |p: &install::Progress<'_>| progress(Progress::of(step, p));
        let report = install::install(Job { image, active, before }, &mut partition, &fetch, &mut listener)
            .map_err(Box::new)
            .context(InstallSnafu { image: name, set })?;
        info!(image = name, totals = ?report.totals, fetched_bytes = report.fetched_len, "image installed");
        Ok(report)
    }
}

/// An image, where it comes from and what it is measured by.
struct One<'a> {
    name: &'static str,
    step: Step,
    check: Check<'a>,
    frames: Option<&'a SeekTable>,
    full: (&'a str, Target),
    seekable: Option<&'a str>,
    old_tree: Option<Tree>,
}

/// All targets of an update.
fn names(update: &Update) -> Vec<&str> {
    let images = &update.images;
    let mut names = vec![images.root.as_str(), &images.boot, &images.hash];
    if let Some(details) = &update.image_details {
        for of in [&details.root, &details.boot] {
            names.extend([of.seekable.as_str(), &of.seek_table]);
            names.extend(of.tree.as_deref());
        }
    }
    names
}

fn full(target: Target) -> Full {
    Full { len: target.length, sha256: target.sha256 }
}

/// The running set is only a source of blocks that are checked; without it they are fetched.
fn open_running(device: &Device) -> Option<File> {
    File::open(&device.path)
        .inspect_err(
            |error| warn!(path = %device.path.display(), %error, "nothing is copied from this partition"),
        )
        .ok()
}

/// The hash tree of the running root, which saves hashing it.
fn tree_of(hash: &Device) -> Option<Tree> {
    let file = open_running(hash)?;
    Tree::read_trusted(BufReader::with_capacity(1 << 20, file))
        .inspect_err(|error| warn!(%error, "the running root is hashed, since its hash tree cannot be read"))
        .ok()
        .map(|(_, tree)| tree)
}

/// The targets of one image.
struct FromRepository<'a> {
    repository: &'a Repository,
    full: &'a str,
    seekable: Option<&'a str>,
}

impl Fetch for FromRepository<'_> {
    fn range(&self, range: Range<u64>) -> Result<Box<dyn Read + Send + '_>, FetchError> {
        let name = self.seekable.ok_or(FetchError::NoRanges)?;
        match self.repository.open_range(name, range) {
            Ok(reader) => Ok(Box::new(reader)),
            Err(RangeError::Unsupported { .. }) => Err(FetchError::NoRanges),
            Err(source) => Err(FetchError::Ask { source: source.into() }),
        }
    }

    fn full(&self) -> Result<Box<dyn Read + Send + '_>, FetchError> {
        match self.repository.open_target(self.full) {
            Ok(reader) => Ok(Box::new(reader)),
            Err(source) => Err(FetchError::Ask { source: source.into() }),
        }
    }
}
