//! Installs images into the partitions of the set that is not running, block by block.
//!
//! The picture to hold in mind: the hash tree of the new image says what every 4096-byte block must be. A
//! [`Plan`] takes each from where it is cheapest: it is already there (an install that was cut off), it is zero, it is
//! somewhere in the running set (found by its digest), or it is fetched, in frames of the seekable image.
//! [`Decision`] says whether that is done at all or the full image is streamed instead, and why. Whatever a block
//! comes from, it is compared with the tree before it is written; when all is written and flushed, the partition is
//! read back past the page cache and compared again. Only then does [`install`] return without an error, and
//! only after that may the set be marked as one that boots.
//!
//! It neither marks sets nor locks, remembers nothing from one run to the next (whoever calls knows whether the same
//! image was being installed: [`Before`]), and knows no network: what is not on the host comes through [`Fetch`].
//! What follows the image on a partition stays as it is: nothing maps or reads it. The whole takes at most 64 MiB
//! whatever the image's size. Run its tests with `cargo test -p install`.

mod aligned;
mod blocks;
mod checked;
mod device;
mod error;
mod fetch;
mod frames;
mod full;
mod image;
mod index;
mod plan;
mod progress;
mod read_back;
mod run;
mod tree;

pub use blocks::BlockSet;
pub use device::{Active, OpenError, Partition, Target};
pub use error::Error;
pub use fetch::{Fetch, FetchError};
pub use image::{Check, Full, Image, Sum};
pub use index::Index;
pub use plan::{Decision, Plan, Reason, Request, Run, Source, Totals, decide, plan};
pub use progress::{Phase, Progress};
pub use run::{ActiveImage, Before, Job, Prepared, Report, install, prepare};
pub use tree::{install_tree, read_tree};

/// Bytes in a block.
pub const BLOCK: usize = verity::BLOCK;

/// How much is read or written at once, in blocks and in bytes.
const CHUNK_BLOCKS: u32 = 256;
const CHUNK: usize = CHUNK_BLOCKS as usize * BLOCK;

/// How much is written before it is flushed. What is flushed survives a power cut, so that less is to be fetched
/// again, and the rest of the host does not wait for hundreds of dirty mebibytes at the end.
const FLUSH_EVERY: u64 = 64 * 1024 * 1024;
