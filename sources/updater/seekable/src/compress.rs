//! An image into frames.

use crate::{BLOCK, MAX_FRAME_BLOCKS, SeekTable, TableError};
use snafu::{ResultExt, Snafu, ensure};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::thread;
use zstd::bulk::Compressor;

/// How an image is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Blocks in a frame: 1 to [`MAX_FRAME_BLOCKS`]. Fewer let a reader leave out more, but compress less.
    pub frame_blocks: u32,
    /// Level of compression, 1 to 22.
    pub level: i32,
    /// How many threads compress. The result is the same for any number.
    pub threads: NonZeroUsize,
}

/// An image that was not compressed.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum CompressError {
    #[snafu(display("frames have 1 to 256 blocks; {frame_blocks} were asked for"))]
    FrameBlocks { frame_blocks: u32 },
    #[snafu(display("read the image from byte {offset} on"))]
    ReadImage { offset: u64, source: io::Error },
    #[snafu(display("the image has {len} bytes; fill it up to a multiple of 4096"))]
    PartialBlock { len: u64 },
    #[snafu(display("compress a frame at level {level}"))]
    CompressFrame { level: i32, source: io::Error },
    #[snafu(display("write the compressed image"))]
    WriteFrame { source: io::Error },
    #[snafu(display("make the seek table"))]
    MakeTable { source: TableError },
}

/// Frames a thread compresses before what is ready is written: with the longest frames, 16 MiB a thread.
const FRAMES_PER_THREAD: usize = 16;

impl Default for Options {
    /// What releases are published with, chosen by what a root file system of 263 MiB comes to on two cores with
    /// other work to do (`examples/measure.rs`): mebibytes, and seconds it takes.
    ///
    /// | frame   | level 9   | level 12   | level 15   | level 19    |
    /// |---------|-----------|------------|------------|-------------|
    /// | 64 KiB  | 101.7, 9  | 101.3, 25  | 97.3, 42   | 96.0, 134   |
    /// | 128 KiB | 99.8, 8   | 99.3, 30   | 94.4, 63   | 93.4, 179   |
    /// | 256 KiB | 97.7, 9   | 97.1, 46   | 92.4, 92   | 91.4, 166   |
    ///
    /// Short frames cost 3 % when everything changes, and save more when little does: with one program of 6 MiB
    /// rebuilt, 3.7 MiB are fetched in frames of 64 KiB and 4.9 MiB in frames of 128 KiB.
    fn default() -> Self {
        Self {
            frame_blocks: 16,
            level: 15,
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// Writes everything that `image` yields in frames to `out`, the table after them; returns the table.
pub fn compress(
    mut image: impl Read,
    mut out: impl Write,
    options: &Options,
) -> Result<SeekTable, CompressError> {
    let Options { frame_blocks, level, threads } = *options;
    ensure!((1..=MAX_FRAME_BLOCKS).contains(&frame_blocks), FrameBlocksSnafu { frame_blocks });
    let frame_len = frame_blocks as usize * BLOCK;
    let batch_len = frame_len * FRAMES_PER_THREAD * threads.get();
    let mut batch = Vec::with_capacity(batch_len);
    let (mut lengths, mut offset) = (Vec::new(), 0);
    loop {
        batch.clear();
        let read = image.by_ref().take(batch_len as u64).read_to_end(&mut batch);
        let filled = read.context(ReadImageSnafu { offset })?;
        offset += filled as u64;
        ensure!(filled.is_multiple_of(BLOCK), PartialBlockSnafu { len: offset });
        for (frame, data) in frames(&batch, frame_len, level, threads)?.iter().zip(batch.chunks(frame_len)) {
            out.write_all(frame).context(WriteFrameSnafu)?;
            lengths.push((len_u32(frame), len_u32(data)));
        }
        if filled < batch_len {
            break;
        }
    }
    let table = SeekTable::of_frames(lengths.into_iter()).context(MakeTableSnafu)?;
    out.write_all(&table.to_bytes()).and_then(|()| out.flush()).context(WriteFrameSnafu)?;
    Ok(table)
}

/// Compresses each `frame_len` bytes on their own, in order.
fn frames(
    data: &[u8],
    frame_len: usize,
    level: i32,
    threads: NonZeroUsize,
) -> Result<Vec<Vec<u8>>, CompressError> {
    let compress_share = |share: &[u8]| {
        let mut compressor = Compressor::new(level)?;
        share.chunks(frame_len).map(|data| compressor.compress(data)).collect::<io::Result<Vec<_>>>()
    };
    let share_len = data.len().div_ceil(frame_len).div_ceil(threads.get()).max(1) * frame_len;
    let shares = thread::scope(|scope| {
        let spawned: Vec<_> =
            data.chunks(share_len).map(|share| scope.spawn(move || compress_share(share))).collect();
        let joined = spawned.into_iter().map(|thread| thread.join().expect("compressing does not panic"));
        joined.collect::<io::Result<Vec<_>>>()
    });
    Ok(shares.context(CompressFrameSnafu { level })?.into_iter().flatten().collect())
}

fn len_u32(bytes: &[u8]) -> u32 {
    bytes.len().try_into().expect("a frame has at most little more than 1 MiB")
}
