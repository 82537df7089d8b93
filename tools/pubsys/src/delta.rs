//! How much a host fetches that goes from one published version to another: planned as the host plans it, from hash
//! trees and seek tables alone.

use crate::existing::{Existing, ExistingError};
use install::{BlockSet, Full, Index, decide, plan, read_tree};
use seekable::{SeekTable, TableError};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use update_metadata::{ChainError, ImageDetails, PartitionImage, Update, UpdateId, chain};
use verity::{Mismatch, ReadError, RootHash, Tree, Verified};

/// What was not computed of a delta.
#[derive(Debug, Snafu)]
pub(crate) enum DeltaError {
    #[snafu(transparent)]
    Existing { source: ExistingError },
    #[snafu(display("the repository has no {id}; both versions must be published in it"))]
    NoUpdate { id: Box<UpdateId> },
    #[snafu(display(
        "{id} was published without details of its images, by which a delta is planned; name the bytes with \
         --delta-bytes"
    ))]
    NoDetails { id: Box<UpdateId> },
    #[snafu(display(
        "the hash trees of the {image} images have different salts and do not compare; name the bytes with \
         --delta-bytes"
    ))]
    Salts { image: &'static str },
    #[snafu(display("read the hash tree {name}"))]
    PackedTree { name: String, source: Box<install::Error> },
    #[snafu(display("read the hash tree {name}"))]
    PlainTree { name: String, source: ReadError },
    #[snafu(display("check the hash tree {name}"))]
    WrongTree { name: String, source: Mismatch },
    #[snafu(display("understand the seek table {name}"))]
    Table { name: String, source: TableError },
    #[snafu(display("find the migrations that the host fetches"))]
    Migrations { source: Box<ChainError> },
}

/// Bytes that a host fetches: what it lacks of both images, by what they are measured and found, and migrations. What
/// it fetches with every look for updates, signed metadata and the manifest, is not counted.
pub(crate) async fn delta_len(
    existing: &Existing,
    from: &UpdateId,
    to: &UpdateId,
) -> Result<u64, DeltaError> {
    let repository = Published { existing };
    let (old, new) = (repository.update(from)?, repository.update(to)?);
    let (old_details, new_details) = (details(old)?, details(new)?);

    let root = [repository.root_tree(old, old_details).await?, repository.root_tree(new, new_details).await?];
    let boot = [repository.boot_tree(old, old_details).await?, repository.boot_tree(new, new_details).await?];
    let mut len = repository.image_len("root", &new.images.root, &new_details.root, &root).await?;
    len += repository.image_len("boot", &new.images.boot, &new_details.boot, &boot).await?;

    let migrations = chain(&existing.manifest.migrations, &from.version, &to.version);
    let migrations = migrations.map_err(Box::new).context(MigrationsSnafu)?.migrations;
    let whole = [&new.images.hash, &new_details.root.seek_table, &new_details.boot.seek_table];
    for name in whole.into_iter().chain(&new_details.boot.tree).chain(&migrations) {
        len += repository.target(name)?.len;
    }
    Ok(len)
}

fn details(update: &Update) -> Result<&ImageDetails, DeltaError> {
    update.image_details.as_ref().with_context(|| NoDetailsSnafu { id: update.id() })
}

/// A repository to be read from.
struct Published<'a> {
    existing: &'a Existing,
}

impl<'a> Published<'a> {
    fn update(&self, id: &UpdateId) -> Result<&'a Update, DeltaError> {
        self.existing.manifest.update(id).with_context(|| NoUpdateSnafu { id: id.clone() })
    }

    fn target(&self, name: &str) -> Result<Full, DeltaError> {
        let listed = self.existing.target(name);
        let listed = listed
            .with_context(|| crate::existing::NoTargetSnafu { url: self.existing.url.clone(), name })?;
        let sha256 = listed.hashes.sha256.as_ref().try_into().expect("loading checked that it has 32 bytes");
        Ok(Full { len: listed.length, sha256 })
    }

    async fn root_tree(&self, update: &Update, details: &ImageDetails) -> Result<Verified, DeltaError> {
        let name = &update.images.hash;
        let packed = self.existing.read_target(name).await?;
        let read = read_tree(packed.as_slice(), self.target(name)?, Some(RootHash(details.root.root_hash.0)));
        Ok(read.map_err(Box::new).context(PackedTreeSnafu { name })?.1)
    }

    async fn boot_tree(&self, update: &Update, details: &ImageDetails) -> Result<Verified, DeltaError> {
        let name = details.boot.tree.as_ref().with_context(|| NoDetailsSnafu { id: update.id() })?;
        let image = self.existing.read_target(name).await?;
        let read = Tree::read(image.as_slice(), RootHash(details.boot.root_hash.0));
        read.context(PlainTreeSnafu { name })?.1.verified().context(WrongTreeSnafu { name })
    }

    /// Bytes of frames, or of the full image if the host takes that. What the host runs is all it has.
    async fn image_len(
        &self,
        image: &'static str,
        full: &str,
        of: &PartitionImage,
        [old, new]: &[Verified; 2],
    ) -> Result<u64, DeltaError> {
        ensure!(old.salt() == new.salt(), SaltsSnafu { image });
        let name = &of.seek_table;
        let table = SeekTable::parse(&self.existing.read_target(name).await?).context(TableSnafu { name })?;
        let full_len = self.target(full)?.len;
        let plan = plan(new, &BlockSet::default(), &Index::of_tree(old));
        Ok(decide(plan, new, Some(&table), full_len).fetched_len(full_len))
    }
}
