//! The table of frames.

use crate::{BLOCK, MAX_FRAME_BLOCKS};
use snafu::{OptionExt, Snafu, ensure};
use std::ops::Range;

/// Bytes in the longest table that is worth reading: frames of one block of the largest root partition, 1840 MiB,
/// have a table of 3.6 MiB.
pub const MAX_TABLE_LEN: usize = 8 * 1024 * 1024;

/// The frame that holds the table is one that decompressors skip (RFC 8878, section 3.1.2).
const SKIPPABLE_MAGIC: u32 = 0x184d_2a5e;
const TABLE_MAGIC: u32 = 0x8f92_eab1;
const HEADER_LEN: usize = 8;
const FOOTER_LEN: usize = 9;
/// An entry has the compressed and the decompressed length.
const ENTRY_LEN: usize = 8;
const CHECKSUM_LEN: usize = 4;
const CHECKSUM_FLAG: u8 = 0x80;
const RESERVED_FLAGS: u8 = 0x7c;

/// Where each frame of an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeekTable {
    frame_blocks: u32,
    data_blocks: u64,
    /// Where each frame ends in the compressed file.
    ends: Vec<u64>,
}

/// Bytes that are no table, or one of a form that is not read here.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum TableError {
    #[snafu(display("a seek table has at least 17 bytes and at most 8 MiB; this has {len}"))]
    Length { len: usize },
    #[snafu(display("the seek table's {field} is {value:#x}; it must be {expected:#x}"))]
    Field { field: &'static str, value: u32, expected: u32 },
    #[snafu(display("the seek table has reserved flags set: {descriptor:#04x}"))]
    ReservedFlags { descriptor: u8 },
    #[snafu(display("the seek table lists no frames"))]
    NoFrames,
    #[snafu(display("frame {frame} has {len} bytes of data; all but the last must have {expected}"))]
    Uneven { frame: usize, len: u32, expected: u32 },
    #[snafu(display("frame {frame} has {len} bytes of data; it must be 1 to 256 blocks of 4096"))]
    FrameLength { frame: usize, len: u32 },
    #[snafu(display("frame {frame} has {len} compressed bytes for {data_len} bytes of data"))]
    Compressed { frame: usize, len: u32, data_len: u32 },
}

impl SeekTable {
    /// Reads a table alone, as it is published beside the image.
    pub fn parse(bytes: &[u8]) -> Result<Self, TableError> {
        let len = bytes.len();
        ensure!((HEADER_LEN + FOOTER_LEN..=MAX_TABLE_LEN).contains(&len), LengthSnafu { len });
        let (bytes_before, footer) = bytes.split_at(len - FOOTER_LEN);
        let (descriptor, value) = (footer[4], u32_at(footer, 5));
        ensure!(value == TABLE_MAGIC, FieldSnafu { field: "last word", value, expected: TABLE_MAGIC });
        ensure!(descriptor & RESERVED_FLAGS == 0, ReservedFlagsSnafu { descriptor });
        let entry_len = if descriptor & CHECKSUM_FLAG == 0 { ENTRY_LEN } else { ENTRY_LEN + CHECKSUM_LEN };
        let entries = &bytes_before[HEADER_LEN..];
        let count = u32_of(entries.len() / entry_len);
        for (field, value, expected) in [
            ("first word", u32_at(bytes, 0), SKIPPABLE_MAGIC),
            ("length", u32_at(bytes, 4), u32_of(len - HEADER_LEN)),
            ("number of frames", u32_at(footer, 0), count),
            ("odd rest", u32_of(entries.len() % entry_len), 0),
        ] {
            ensure!(value == expected, FieldSnafu { field, value, expected });
        }
        let lengths = entries.chunks_exact(entry_len).map(|entry| (u32_at(entry, 0), u32_at(entry, 4)));
        Self::of_frames(lengths)
    }

    /// The table of frames with these compressed and decompressed lengths in bytes.
    pub(crate) fn of_frames(lengths: impl ExactSizeIterator<Item = (u32, u32)>) -> Result<Self, TableError> {
        let count = lengths.len();
        let mut ends = Vec::with_capacity(count);
        let (mut first_len, mut data_len, mut end) = (None, 0, 0);
        for (frame, (compressed, len)) in lengths.enumerate() {
            let is_whole = blocks_in(len).is_some_and(|blocks| (1..=MAX_FRAME_BLOCKS).contains(&blocks));
            ensure!(is_whole, FrameLengthSnafu { frame, len });
            let expected = *first_len.get_or_insert(len);
            let is_even = len == expected || len < expected && frame + 1 == count;
            ensure!(is_even, UnevenSnafu { frame, len, expected });
            let is_bounded = compressed > 0 && compressed as usize <= compress_bound(len);
            ensure!(is_bounded, CompressedSnafu { frame, len: compressed, data_len: len });
            end += u64::from(compressed);
            data_len += u64::from(len);
            ends.push(end);
        }
        let frame_blocks = first_len.and_then(blocks_in).context(NoFramesSnafu)?;
        Ok(Self { frame_blocks, data_blocks: data_len / BLOCK as u64, ends })
    }

    /// The table as it is at the end of the compressed file, and published beside it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let len = HEADER_LEN + self.ends.len() * ENTRY_LEN + FOOTER_LEN;
        let mut bytes = Vec::with_capacity(len);
        let mut push = |value: u32| bytes.extend_from_slice(&value.to_le_bytes());
        push(SKIPPABLE_MAGIC);
        push(u32_of(len - HEADER_LEN));
        for frame in 0..self.frames() {
            let (compressed, blocks) = (self.compressed_range(frame), self.blocks(frame));
            push(u32_of_u64(compressed.end - compressed.start));
            push(u32_of_u64((blocks.end - blocks.start) * BLOCK as u64));
        }
        push(self.frames());
        bytes.push(0);
        bytes.extend_from_slice(&TABLE_MAGIC.to_le_bytes());
        bytes
    }

    /// How many frames there are; at least one.
    pub fn frames(&self) -> u32 {
        u32_of(self.ends.len())
    }

    /// Blocks in each frame but the last, which may have fewer.
    pub fn frame_blocks(&self) -> u32 {
        self.frame_blocks
    }

    /// Blocks in the image.
    pub fn data_blocks(&self) -> u64 {
        self.data_blocks
    }

    /// Bytes of all frames; the table follows them.
    pub fn compressed_len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The frame that holds a block, none if the image has no such block.
    pub fn frame_of_block(&self, block: u64) -> Option<u32> {
        let frame = block / u64::from(self.frame_blocks);
        (block < self.data_blocks).then(|| u32_of_u64(frame))
    }

    /// The blocks of a frame; no blocks if there is no such frame.
    pub fn blocks(&self, frame: u32) -> Range<u64> {
        let at = |frame: u64| (frame * u64::from(self.frame_blocks)).min(self.data_blocks);
        at(frame.into())..at(u64::from(frame) + 1)
    }

    /// Where the frame's bytes are in the compressed file; no bytes, at the end, if there is no such frame.
    pub fn compressed_range(&self, frame: u32) -> Range<u64> {
        self.end_before(frame)..self.end_before(frame.saturating_add(1))
    }

    /// Where the bytes of successive frames are.
    pub fn compressed_range_of(&self, frames: Range<u32>) -> Range<u64> {
        self.end_before(frames.start)..self.end_before(frames.end.max(frames.start))
    }

    fn end_before(&self, frame: u32) -> u64 {
        let end = (frame as usize).checked_sub(1).map(|last| self.ends.get(last).copied());
        end.map_or(0, |end| end.unwrap_or_else(|| self.compressed_len()))
    }
}

/// The most bytes that data of this length are compressed to.
fn compress_bound(data_len: u32) -> usize {
    zstd::zstd_safe::compress_bound(data_len as usize)
}

fn blocks_in(len: u32) -> Option<u32> {
    let block = u32_of(BLOCK);
    len.is_multiple_of(block).then_some(len / block)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes are four bytes"))
}

fn u32_of(len: usize) -> u32 {
    len.try_into().expect("a table has at most 8 MiB")
}

fn u32_of_u64(len: u64) -> u32 {
    len.try_into().expect("came from 32 bits when the table was read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: u32 = 2 * 4096;

    fn table(lengths: &[(u32, u32)]) -> SeekTable {
        SeekTable::of_frames(lengths.iter().copied()).unwrap()
    }

    #[test]
    fn places_are_the_sums_of_what_is_before() {
        let table = table(&[(10, FRAME), (7, FRAME), (5, 4096)]);
        assert_eq!((table.frames(), table.frame_blocks(), table.data_blocks()), (3, 2, 5));
        for (block, frame) in
            [(0, Some(0)), (1, Some(0)), (2, Some(1)), (4, Some(2)), (5, None), (u64::MAX, None)]
        {
            assert_eq!(table.frame_of_block(block), frame, "{block}");
        }
        for (frame, bytes, blocks) in [
            (0, 0..10, 0..2),
            (1, 10..17, 2..4),
            (2, 17..22, 4..5),
            (3, 22..22, 5..5),
            (u32::MAX, 22..22, 5..5),
        ] {
            assert_eq!((table.compressed_range(frame), table.blocks(frame)), (bytes, blocks), "{frame}");
        }
        assert_eq!(table.compressed_range_of(1..3), 10..22);
        assert_eq!(table.compressed_range_of(1..1), 10..10);
    }

    /// The layout of the document, byte by byte.
    #[test]
    fn a_table_is_written_as_documented() {
        let expected = [
            &[0x5e, 0x2a, 0x4d, 0x18, 25, 0, 0, 0][..],
            &[10, 0, 0, 0, 0, 0x20, 0, 0],
            &[5, 0, 0, 0, 0, 0x10, 0, 0],
            &[2, 0, 0, 0, 0, 0xb1, 0xea, 0x92, 0x8f],
        ];
        assert_eq!(table(&[(10, FRAME), (5, 4096)]).to_bytes(), expected.concat());
    }

    #[test]
    fn checksums_are_passed_over() {
        let bytes = [
            &[0x5e, 0x2a, 0x4d, 0x18, 21, 0, 0, 0][..],
            &[10, 0, 0, 0, 0, 0x20, 0, 0, 1, 2, 3, 4],
            &[1, 0, 0, 0, 0x80, 0xb1, 0xea, 0x92, 0x8f],
        ];
        assert_eq!(SeekTable::parse(&bytes.concat()).unwrap(), table(&[(10, FRAME)]));
    }

    #[test]
    fn what_is_not_a_table_is_refused() {
        let good = table(&[(10, FRAME), (5, 4096)]).to_bytes();
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        let frames = |lengths: &[(u32, u32)]| {
            let mut bytes = [SKIPPABLE_MAGIC, u32_of(lengths.len() * ENTRY_LEN + FOOTER_LEN)]
                .map(u32::to_le_bytes)
                .concat();
            for (compressed, len) in lengths {
                bytes.extend([*compressed, *len].map(u32::to_le_bytes).concat());
            }
            bytes.extend(u32_of(lengths.len()).to_le_bytes());
            bytes.push(0);
            bytes.extend(TABLE_MAGIC.to_le_bytes());
            bytes
        };
        for (bytes, text) in [
            (vec![], "a seek table has at least 17 bytes and at most 8 MiB; this has 0"),
            (
                good[..good.len() - 1].to_vec(),
                "the seek table's last word is 0x92eab100; it must be 0x8f92eab1",
            ),
            ([&good[..], &[0]].concat(), "the seek table's last word is 0x8f92ea; it must be 0x8f92eab1"),
            ([&[0], &good[..]].concat(), "the seek table's first word is 0x4d2a5e00; it must be 0x184d2a5e"),
            (with(4, 24), "the seek table's length is 0x18; it must be 0x19"),
            (with(24, 3), "the seek table's number of frames is 0x3; it must be 0x2"),
            (with(28, 0x80), "the seek table's number of frames is 0x2; it must be 0x1"),
            (with(28, 0x04), "the seek table has reserved flags set: 0x04"),
            (frames(&[]), "the seek table lists no frames"),
            (
                frames(&[(9, FRAME), (9, 4096), (9, FRAME)]),
                "frame 1 has 4096 bytes of data; all but the last must have 8192",
            ),
            (
                frames(&[(9, 4096), (9, FRAME)]),
                "frame 1 has 8192 bytes of data; all but the last must have 4096",
            ),
            (
                frames(&[(9, FRAME), (9, 4095)]),
                "frame 1 has 4095 bytes of data; it must be 1 to 256 blocks of 4096",
            ),
            (frames(&[(9, 0)]), "frame 0 has 0 bytes of data; it must be 1 to 256 blocks of 4096"),
            (
                frames(&[(9, 257 * 4096)]),
                "frame 0 has 1052672 bytes of data; it must be 1 to 256 blocks of 4096",
            ),
            (frames(&[(0, 4096)]), "frame 0 has 0 compressed bytes for 4096 bytes of data"),
            (frames(&[(u32::MAX, 4096)]), "frame 0 has 4294967295 compressed bytes for 4096 bytes of data"),
        ] {
            assert_eq!(SeekTable::parse(&bytes).unwrap_err().to_string(), text);
        }
    }

    fn any_table() -> impl Strategy<Value = SeekTable> {
        let lengths = (1..=MAX_FRAME_BLOCKS, prop::collection::vec(1..=4096_u32, 1..50), any::<u32>());
        lengths.prop_map(|(blocks, compressed, last)| {
            let count = compressed.len();
            let len = |index| if index + 1 == count { 1 + last % blocks } else { blocks };
            let lengths = compressed.iter().enumerate().map(|(index, size)| (*size, len(index) * 4096));
            SeekTable::of_frames(lengths).unwrap()
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_the_same(table in any_table()) {
            prop_assert_eq!(SeekTable::parse(&table.to_bytes()).unwrap(), table);
        }

        #[test]
        fn frames_share_out_the_blocks(table in any_table()) {
            let mut next = (0, 0);
            for frame in 0..table.frames() {
                let (blocks, bytes) = (table.blocks(frame), table.compressed_range(frame));
                prop_assert_eq!((blocks.start, bytes.start), next);
                prop_assert!(blocks.clone().all(|block| table.frame_of_block(block) == Some(frame)));
                next = (blocks.end, bytes.end);
            }
            prop_assert_eq!(next, (table.data_blocks(), table.compressed_len()));
        }

        #[test]
        fn a_damaged_table_never_panics(table in any_table(), at: prop::sample::Index, byte: u8) {
            let mut bytes = table.to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = SeekTable::parse(&bytes) {
                prop_assert_eq!(SeekTable::parse(&read.to_bytes()).unwrap(), read);
            }
        }

        #[test]
        fn noise_never_panics(bytes: Vec<u8>) {
            drop(SeekTable::parse(&bytes));
        }
    }
}
