//! The dm-verity hash tree of a root file system: built by the image builder, compared and checked by the updater,
//! mapped by the first program of a boot.
//!
//! The picture to hold in mind: the data are cut into blocks, each block has a digest; the digests, 128 a block,
//! are cut into blocks that have digests again, until one block is left. Its digest is the [`RootHash`], which says
//! all. A [`Tree`] holds every level; [`Tree::write_to`] puts them into a *hash image*, a [`Superblock`] first and
//! then the levels from the top, as `veritysetup` does. [`Mapping`] is the text by which the kernel is told of both.
//!
//! It knows one form: version 1 of the format, SHA-256, blocks of 4096 bytes, the salt before the data (Linux,
//! `Documentation/admin-guide/device-mapper/verity.rst`; for the superblock, cryptsetup's "dm-verity on-disk
//! specification"). It knows no error correction, and does not set up the mapping. What it reads is only trusted
//! against a root hash. A tree is kept in memory, 1/127 of the data; of the data, no more than a mebibyte is.
//! Run its tests with `cargo test -p verity`.

mod compare;
mod digest;
mod geometry;
mod mapping;
mod superblock;
mod tree;
mod verified;
mod verify;

pub use compare::CompareError;
pub use digest::{Digest, HexError, RootHash, Salt};
pub use mapping::{Access, Mapping, MappingError, SECTOR, Target};
pub use superblock::{Superblock, SuperblockError};
pub use tree::{BuildError, ReadError, Tree};
pub use verified::Verified;
pub use verify::{BadBlock, DataError, Mismatch};

/// Bytes in a block, of data and of hashes.
pub const BLOCK: usize = 4096;
