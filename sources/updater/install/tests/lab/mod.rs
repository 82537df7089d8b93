//! Releases, servers and partitions in memory.

#![allow(dead_code, reason = "not every test needs all of it")]

use install::{Check, Fetch, FetchError, Full, Image, Target};
use lz4_flex::frame::FrameEncoder;
use partitions::Disk;
use seekable::{Options, SeekTable};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Mutex;
use verity::{BLOCK, Salt, Tree, Verified};

/// An image of blocks, each with a content of its own number; 0 is a block of zeros. Half of a block compresses.
pub(crate) fn image(blocks: &[u64]) -> Vec<u8> {
    blocks.iter().flat_map(|number| block(*number)).collect()
}

fn block(number: u64) -> Vec<u8> {
    let mut state = number;
    let mut word = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()
    };
    let words = if number == 0 { 0 } else { BLOCK / 16 };
    let mut bytes: Vec<u8> = (0..words).flat_map(|_| word()).collect();
    bytes.resize(BLOCK, 0);
    bytes
}

/// An image as it is published.
pub(crate) struct Release {
    pub(crate) image: Vec<u8>,
    pub(crate) tree: Verified,
    pub(crate) table: SeekTable,
    pub(crate) seekable: Vec<u8>,
    pub(crate) lz4: Vec<u8>,
}

impl Release {
    pub(crate) fn new(blocks: &[u64], salt: &str, frame_blocks: u32) -> Self {
        Self::of_image(image(blocks), salt, frame_blocks)
    }

    pub(crate) fn of_image(image: Vec<u8>, salt: &str, frame_blocks: u32) -> Self {
        let tree = tree(&image, salt).verified().unwrap();
        let mut seekable = Vec::new();
        let options = Options { frame_blocks, level: 1, threads: NonZeroUsize::MIN };
        let table = seekable::compress(&*image, &mut seekable, &options).unwrap();
        let lz4 = lz4(&image);
        Self { image, tree, table, seekable, lz4 }
    }

    pub(crate) fn full(&self) -> Full {
        full(&self.lz4)
    }

    /// What the installer is told of it.
    pub(crate) fn described(&self) -> Image<'_> {
        Image { name: "root", check: Check::Tree(&self.tree), frames: Some(&self.table), full: self.full() }
    }

    /// The same where the full image is never cheaper, as for images that are larger than those of tests.
    pub(crate) fn by_frames(&self) -> Image<'_> {
        Image { full: Full { len: u64::MAX, ..self.full() }, ..self.described() }
    }

    pub(crate) fn server(&self) -> Server {
        Server::new(self.seekable.clone(), self.lz4.clone())
    }
}

pub(crate) fn tree(image: &[u8], salt: &str) -> Tree {
    Tree::build(image, Salt::new(salt.as_bytes()).unwrap()).unwrap()
}

pub(crate) fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn full(bytes: &[u8]) -> Full {
    Full { len: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
}

type Spoil = Box<dyn Fn(Range<u64>, Vec<u8>) -> Vec<u8> + Sync>;

/// Answers from memory, and remembers what it was asked.
pub(crate) struct Server {
    pub(crate) seekable: Vec<u8>,
    pub(crate) lz4: Vec<u8>,
    pub(crate) has_ranges: bool,
    /// What becomes of an answer to a range.
    pub(crate) spoil: Option<Spoil>,
    pub(crate) asked: Mutex<Asked>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) ranges: Vec<Range<u64>>,
    pub(crate) full: usize,
}

impl Server {
    pub(crate) fn new(seekable: Vec<u8>, lz4: Vec<u8>) -> Self {
        Self { seekable, lz4, has_ranges: true, spoil: None, asked: Mutex::default() }
    }

    pub(crate) fn spoiling(self, spoil: impl Fn(Range<u64>, Vec<u8>) -> Vec<u8> + Sync + 'static) -> Self {
        Self { spoil: Some(Box::new(spoil)), ..self }
    }

    pub(crate) fn asked(&self) -> Asked {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.ranges.sort_by_key(|range| range.start);
        asked
    }

    /// Bytes of all ranges asked for.
    pub(crate) fn range_len(&self) -> u64 {
        self.asked().ranges.iter().map(|range| range.end - range.start).sum()
    }
}

impl Fetch for Server {
    fn range(&self, range: Range<u64>) -> Result<Box<dyn Read + Send + '_>, FetchError> {
        self.asked.lock().unwrap().ranges.push(range.clone());
        if !self.has_ranges {
            return Err(FetchError::NoRanges);
        }
        let at = |offset: u64| usize::try_from(offset).unwrap();
        let answer = self.seekable[at(range.start)..at(range.end)].to_vec();
        let answer = self.spoil.as_ref().map_or(answer.clone(), |spoil| spoil(range, answer));
        Ok(Box::new(io::Cursor::new(answer)))
    }

    fn full(&self) -> Result<Box<dyn Read + Send + '_>, FetchError> {
        self.asked.lock().unwrap().full += 1;
        Ok(Box::new(&*self.lz4))
    }
}

/// A partition in memory that can stop working.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) bytes: Vec<u8>,
    pub(crate) writes_left: usize,
    pub(crate) writes: usize,
    pub(crate) is_synced: bool,
    /// A byte that the medium flips.
    pub(crate) rot: Option<usize>,
}

impl Memory {
    /// Room for so many blocks, filled with rubbish.
    pub(crate) fn of_blocks(blocks: usize) -> Self {
        Self::with(vec![0xa5; blocks * BLOCK])
    }

    pub(crate) fn with(bytes: Vec<u8>) -> Self {
        Self { bytes, writes_left: usize::MAX, writes: 0, is_synced: true, rot: None }
    }
}

fn place(offset: u64, len: usize) -> Range<usize> {
    let start = usize::try_from(offset).unwrap();
    start..start + len
}

impl Disk for Memory {
    fn len_bytes(&mut self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.copy_from_slice(&self.bytes[place(offset, buffer.len())]);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writes_left =
            self.writes_left.checked_sub(1).ok_or_else(|| io::Error::other("power is gone"))?;
        self.writes += 1;
        self.is_synced = false;
        self.bytes[place(offset, bytes.len())].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.is_synced = true;
        Ok(())
    }
}

impl Target for Memory {
    fn read_back(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        assert!(self.is_synced, "what is not flushed cannot be read back");
        assert_eq!((offset % 4096, buffer.len() % 4096, buffer.as_ptr().align_offset(4096)), (0, 0, 0));
        self.read_at(offset, buffer)?;
        if let Some(at) = self.rot.and_then(|at| at.checked_sub(usize::try_from(offset).unwrap()))
            && let Some(byte) = buffer.get_mut(at)
        {
            *byte ^= 1;
        }
        Ok(())
    }
}
