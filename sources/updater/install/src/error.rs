//! What ends an install.

use crate::FetchError;
use snafu::Snafu;
use std::io;
use std::ops::Range;
use verity::{Mismatch, ReadError};

/// An image that was not installed. Whatever is on the partition by then, the set must not be marked as one that
/// boots.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("ask for the size of the partition for the {image} image"))]
    PartitionSize { image: String, source: io::Error },
    #[snafu(display("the {image} image has {size} bytes; its partition has room for {room}"))]
    TooLarge { image: String, size: u64, room: u64 },
    #[snafu(display("the {image} image has {size} bytes, which is more than can be installed"))]
    TooManyBlocks { image: String, size: u64 },
    #[snafu(display("read what is on the partition for the {image} image, at byte {offset}"))]
    ReadHeld { image: String, offset: u64, source: io::Error },
    #[snafu(display("write the {image} image at byte {offset}"))]
    Write { image: String, offset: u64, source: io::Error },
    #[snafu(display("flush the {image} image to its partition"))]
    Flush { image: String, source: io::Error },
    #[snafu(display("read the {image} image back at byte {offset}"))]
    ReadBack { image: String, offset: u64, source: io::Error },
    #[snafu(display(
        "the {image} image was written, but reads back different at byte {offset}; the disk may be failing"
    ))]
    Differs { image: String, offset: u64 },

    #[snafu(display("fetch bytes {} to {} of the {image} image", range.start, range.end))]
    FetchRange { image: String, range: Range<u64>, source: FetchError },
    #[snafu(display("receive bytes {} to {} of the {image} image", range.start, range.end))]
    ReceiveRange { image: String, range: Range<u64>, source: io::Error },
    #[snafu(display("asked for bytes {} to {} of the {image} image, the server sent fewer", range.start, range.end))]
    ShortRange { image: String, range: Range<u64> },
    #[snafu(display("asked for bytes {} to {} of the {image} image, the server sent more", range.start, range.end))]
    LongRange { image: String, range: Range<u64> },
    #[snafu(display("read frame {frame} of the {image} image"))]
    ReadFrame { image: String, frame: u32, source: seekable::DecodeError },
    #[snafu(display("block {block} of the {image} image, in frame {frame}, is not what its hash tree says"))]
    BadFrame { image: String, frame: u32, block: u32 },

    #[snafu(display("fetch the full {image} image"))]
    FetchFull { image: String, source: FetchError },
    #[snafu(display("receive the full {image} image, after {done} bytes of it"))]
    ReceiveFull { image: String, done: u64, source: io::Error },
    #[snafu(display("block {block} of the full {image} image is not what its hash tree says"))]
    BadBlock { image: String, block: u32 },
    #[snafu(display("the full {image} image has {size} bytes; {expected} were expected"))]
    WrongSize { image: String, size: u64, expected: u64 },
    #[snafu(display("the full {image} image has more than the {expected} bytes that were expected"))]
    TooLong { image: String, expected: u64 },
    #[snafu(display("the full {image} image has {size} bytes, which is no multiple of 4096"))]
    PartialBlock { image: String, size: u64 },
    #[snafu(display("the full {image} image has another digest than the release says"))]
    WrongSum { image: String },

    #[snafu(display("read the hash tree"))]
    ReadTree { source: ReadError },
    #[snafu(display("receive the hash tree"))]
    ReceiveTree { source: io::Error },
    #[snafu(display("verify the hash tree"))]
    VerifyTree { source: Mismatch },
    #[snafu(display("the hash tree has {found} bytes after its end"))]
    TrailingTree { found: u64 },
}
