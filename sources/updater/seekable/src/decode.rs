//! Frames into blocks.

use snafu::{ResultExt, Snafu, ensure};
use std::io;
use zstd::bulk::Decompressor;

/// Decompresses frames, one at a time; what it needs for that is kept for the next.
pub struct Decoder(Decompressor<'static>);

/// A frame that was not decompressed.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum DecodeError {
    #[snafu(display("prepare to decompress frames"))]
    Prepare { source: io::Error },
    #[snafu(display("decompress a frame of {len} bytes into {room} bytes"))]
    Decompress { len: usize, room: usize, source: io::Error },
    #[snafu(display("a frame decompressed to {found} bytes instead of {expected}"))]
    WrongLength { found: usize, expected: usize },
}

impl Decoder {
    /// A decoder; it takes a fixed 160 KiB, whatever frames claim to need.
    pub fn new() -> Result<Self, DecodeError> {
        Decompressor::new().context(PrepareSnafu).map(Self)
    }

    /// Decompresses a frame that must fill `data` and no more. Nothing vouches for the data.
    pub fn decode(&mut self, frame: &[u8], data: &mut [u8]) -> Result<(), DecodeError> {
        let (len, expected) = (frame.len(), data.len());
        let decoded = self.0.decompress_to_buffer(frame, data);
        let found = decoded.context(DecompressSnafu { len, room: expected })?;
        ensure!(found == expected, WrongLengthSnafu { found, expected });
        Ok(())
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}
