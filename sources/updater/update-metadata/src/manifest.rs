//! The document that lists the updates of a repository.

use crate::digest::{Digest, Salt};
use crate::edge::Edge;
use crate::edit::UpdateId;
use crate::text;
use crate::waves::Waves;
use jiff::Timestamp;
use semver::Version;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::fmt;

/// The newest schema this code reads. It only grows with a change that an older reader would get wrong.
pub const SCHEMA: u32 = 1;

/// From each edge of the migration graph to the names of its migrations, in the order of a step forward.
pub type Migrations = BTreeMap<Edge, Vec<String>>;

/// What a repository offers: the target `manifest.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Manifest {
    /// Ours. A manifest without it is of the documented shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<u32>,
    /// In the order of the document. No two have the same variant, architecture and version.
    pub updates: Vec<Update>,
    /// The migration graph of all variants.
    pub migrations: Migrations,
    /// Fields this code does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A version for a variant and an architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// As the host's `VARIANT_ID`.
    pub variant: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// Its version.
    #[serde(with = "text")]
    pub version: Version,
    /// The highest version the publisher stands behind; a host above it steps down.
    #[serde(with = "text")]
    pub max_version: Version,
    /// When which hosts may take it.
    #[serde(default)]
    pub waves: Waves,
    /// Targets of the documented layout.
    pub images: Images,
    /// Ours: what is in the images, and where their parts are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_details: Option<ImageDetails>,
    /// Ours: a URL for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_notes: Option<String>,
    /// Ours: why nobody shall run this version any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
    /// Ours: offered to nobody until the publisher goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Ours: since when it is paused, so that going on can move what was left of the waves.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::option")]
    pub paused_at: Option<Timestamp>,
    /// Fields this code does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Names of targets: LZ4 frames of whole partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    /// The partition with the kernel.
    pub boot: String,
    /// The root file system.
    pub root: String,
    /// The hash tree of the root file system.
    pub hash: String,
}

/// What is in the images of an update once they are decompressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDetails {
    /// The partition with the kernel.
    pub boot: PartitionImage,
    /// The root file system.
    pub root: PartitionImage,
    /// The hash tree of the root file system.
    pub hash: HashImage,
}

/// An image that can be fetched in parts, each block checked against a hash tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionImage {
    /// Bytes of the uncompressed image.
    pub size: u64,
    /// Of the uncompressed image.
    pub sha256: Digest,
    /// The topmost digest of its dm-verity tree.
    pub root_hash: Digest,
    /// Of that tree.
    pub salt: Salt,
    /// The target with its frames.
    pub seekable: String,
    /// The target with the table of these frames.
    pub seek_table: String,
    /// The target with the tree; of the boot image alone, the root's tree is [`Images::hash`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// Fields this code does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The image of a hash tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashImage {
    /// Bytes of the uncompressed image.
    pub size: u64,
    /// Of the uncompressed image.
    pub sha256: Digest,
    /// Fields this code does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A document that is no manifest.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ManifestError {
    #[snafu(display("read the manifest of updates"))]
    ReadManifest { source: serde_json::Error },
    #[snafu(display("the manifest of updates has schema {schema}; this program knows none above {SCHEMA}"))]
    Newer { schema: u32 },
    #[snafu(display("the manifest of updates has {id} twice: updates[{first}] and updates[{second}]"))]
    Twice { id: UpdateId, first: usize, second: usize },
}

/// What serde reads; a [`Manifest`] once it is checked as a whole.
#[derive(Deserialize)]
struct Unchecked {
    #[serde(default)]
    schema: Option<u32>,
    #[serde(deserialize_with = "numbered")]
    updates: Vec<Update>,
    #[serde(default, deserialize_with = "migrations")]
    migrations: Migrations,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl Manifest {
    /// Reads a document; how long it may be is for the caller to say.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        serde_json::from_slice::<Unchecked>(text).context(ReadManifestSnafu)?.try_into()
    }

    /// The document, for people too, with a line end at its end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("all keys are texts");
        text.push('\n');
        text
    }

    /// The update of that variant, architecture and version.
    pub fn update(&self, id: &UpdateId) -> Option<&Update> {
        self.updates.iter().find(|update| id.is_of(update))
    }
}

impl Update {
    /// Whether the publisher offers it to hosts whose turn it is.
    pub fn is_offered(&self) -> bool {
        self.withdrawn.is_none() && !self.paused && self.version <= self.max_version
    }

    /// What tells it from the others of its repository.
    pub fn id(&self) -> UpdateId {
        UpdateId { variant: self.variant.clone(), arch: self.arch.clone(), version: self.version.clone() }
    }
}

impl TryFrom<Unchecked> for Manifest {
    type Error = ManifestError;

    fn try_from(unchecked: Unchecked) -> Result<Self, ManifestError> {
        let Unchecked { schema, updates, migrations, extra } = unchecked;
        if let Some(schema) = schema {
            ensure!(schema <= SCHEMA, NewerSnafu { schema });
        }
        let mut seen = BTreeMap::new();
        for (second, update) in updates.iter().enumerate() {
            if let Some(first) = seen.insert((&update.variant, &update.arch, &update.version), second) {
                return TwiceSnafu { id: update.id(), first, second }.fail();
            }
        }
        Ok(Self { schema, updates, migrations, extra })
    }
}

/// Reads the updates; an error says which of them has it.
fn numbered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Update>, D::Error> {
    struct Numbered;

    impl<'de> Visitor<'de> for Numbered {
        type Value = Vec<Update>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of updates")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut updates = Vec::new();
            loop {
                match access.next_element() {
                    Ok(Some(update)) => updates.push(update),
                    Ok(None) => return Ok(updates),
                    Err(error) => {
                        return Err(A::Error::custom(format!("updates[{}]: {error}", updates.len())));
                    }
                }
            }
        }
    }
    deserializer.deserialize_seq(Numbered)
}

/// Reads the `migrations` of a manifest or of `Release.toml`.
pub(crate) fn migrations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Migrations, D::Error> {
    text::unique_map(deserializer, "migrations: edge", str::parse::<Edge>)
}
