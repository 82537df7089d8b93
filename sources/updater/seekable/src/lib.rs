//! Images in compressed frames that can be read one by one: written when a release is published, read by the
//! installer, which fetches only the frames it lacks.
//!
//! The picture to hold in mind: the image is cut every [`Options::frame_blocks`] blocks, each piece is compressed on
//! its own, and after the last piece comes a table of their lengths, hidden in a frame that decompressors skip: the
//! *seekable format* of Zstandard (facebook/zstd, `contrib/seekable_format/zstd_seekable_compression_format.md`,
//! version 0.1.0). So `zstd -d` reads the whole file, and whoever has the [`SeekTable`] reads any part of it.
//!
//! Not everything of the format is read: frames must be of one length, whole blocks, and at most
//! [`MAX_FRAME_BLOCKS`] of them, so that a block's frame is known without a search and one frame fits a small
//! buffer. Checksums in a table are allowed and ignored: a block is trusted for its hash tree, never for its frame.
//! Nothing here knows hash trees or where bytes come from. The same image and [`Options`] make the same bytes,
//! whatever the number of threads. Run its tests with `cargo test -p seekable`.

mod compress;
mod decode;
mod table;

pub use compress::{CompressError, Options, compress};
pub use decode::{DecodeError, Decoder};
pub use table::{MAX_TABLE_LEN, SeekTable, TableError};

/// Bytes in a block.
pub const BLOCK: usize = 4096;

/// Blocks in the longest frame: 1 MiB, what a reader must have room for.
pub const MAX_FRAME_BLOCKS: u32 = 256;
