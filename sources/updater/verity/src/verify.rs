//! Data and tree against the root hash.

use crate::digest::{DIGEST_LEN, Hasher};
use crate::geometry::FANOUT;
use crate::tree::READ_LEN;
use crate::{BLOCK, Tree};
use snafu::{ResultExt, Snafu, ensure};
use std::io::{self, Read};
use std::ops::Range;

/// A block that the root hash does not vouch for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadBlock {
    /// A block of data.
    Data {
        /// Which one.
        block: u64,
    },
    /// A block of the tree. What is below it cannot be judged.
    Tree {
        /// Its level; 0 has the digests of data.
        level: usize,
        /// Which one of its level.
        block: u64,
        /// The blocks of data below it.
        covers: Range<u64>,
    },
}

/// A block of data that was not shown to be good.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum Mismatch {
    #[snafu(display("there is no block {block}: the hash tree covers {data_blocks}"))]
    NoSuchBlock { block: u64, data_blocks: u64 },
    #[snafu(display(
        "block {block} of level {level} of the hash tree is not what the root hash vouches for"
    ))]
    BadTree { level: usize, block: u64 },
    #[snafu(display("data block {block} is not what the root hash vouches for"))]
    BadData { block: u64 },
}

/// Data that could not be compared with their tree.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum DataError {
    #[snafu(display("read the data from block {block} on to verify them"))]
    ReadToVerify { block: u64, source: io::Error },
    #[snafu(display("the data end in block {block}; the hash tree covers {data_blocks} blocks"))]
    Short { block: u64, data_blocks: u64 },
}

impl Tree {
    /// Verifies one block of data, and the blocks of the tree between it and the root hash.
    pub fn verify_block(&self, block: u64, data: &[u8; BLOCK]) -> Result<(), Mismatch> {
        let data_blocks = self.data_blocks;
        ensure!(block < data_blocks, NoSuchBlockSnafu { block, data_blocks });
        let hasher = self.salt.hasher();
        for level in (0..self.levels.len()).rev() {
            let above = (0..=level).fold(block, |index, _| index / FANOUT);
            let is_good = self.vouches_for_level(&hasher, level, above);
            ensure!(is_good, BadTreeSnafu { level, block: above });
        }
        ensure!(self.digest_above(0, block) == hasher.digest(data), BadDataSnafu { block });
        Ok(())
    }

    /// Verifies the whole tree and as much of the data as it covers; what follows is not read. The blocks come from
    /// the top down, those of the data last.
    pub fn bad_blocks(&self, data: impl Read) -> Result<Vec<BadBlock>, DataError> {
        let hasher = self.salt.hasher();
        let (mut bad, is_trusted) = self.bad_tree_blocks(&hasher);
        self.for_each_block(data, |block, bytes| {
            let is_bad = || self.digest_above(0, block) != hasher.digest(bytes);
            if is_trusted[index(block / FANOUT)] && is_bad() {
                bad.push(BadBlock::Data { block });
            }
        })?;
        Ok(bad)
    }

    /// The bad blocks of the tree, and which blocks of the lowest level can be trusted.
    pub(crate) fn bad_tree_blocks(&self, hasher: &Hasher) -> (Vec<BadBlock>, Vec<bool>) {
        let mut bad = Vec::new();
        let mut is_trusted = vec![true];
        for level in (0..self.levels.len()).rev() {
            let judge = |block: u64| {
                let can_be_judged = level + 1 == self.levels.len() || is_trusted[index(block / FANOUT)];
                let is_good = can_be_judged && self.vouches_for_level(hasher, level, block);
                if can_be_judged && !is_good {
                    bad.push(BadBlock::Tree { level, block, covers: self.covers(level, block) });
                }
                is_good
            };
            is_trusted = (0..(self.levels[level].len() / BLOCK) as u64).map(judge).collect();
        }
        (bad, is_trusted)
    }

    /// The blocks of data below a block of the tree.
    fn covers(&self, level: usize, block: u64) -> Range<u64> {
        let below = |block: u64| (0..=level).fold(block, |index, _| index.saturating_mul(FANOUT));
        below(block)..below(block + 1).min(self.data_blocks)
    }

    /// Whether a block of the tree is what the level above it says.
    fn vouches_for_level(&self, hasher: &Hasher, level: usize, block: u64) -> bool {
        let (blocks, _) = self.levels[level].as_chunks::<BLOCK>();
        self.digest_above(level + 1, block) == hasher.digest(&blocks[index(block)])
    }

    /// The digest that a level has for a block of the one below it, or of the data.
    fn digest_above(&self, level: usize, block: u64) -> &[u8] {
        match self.levels.get(level) {
            Some(digests) => &digests[index(block) * DIGEST_LEN..][..DIGEST_LEN],
            None => &self.root.0,
        }
    }

    fn for_each_block(
        &self,
        mut data: impl Read,
        mut visit: impl FnMut(u64, &[u8; BLOCK]),
    ) -> Result<(), DataError> {
        let data_blocks = self.data_blocks;
        let mut buffer = Vec::with_capacity(READ_LEN);
        let mut block = 0;
        while block < data_blocks {
            let left = (data_blocks - block).saturating_mul(BLOCK as u64);
            let wanted = left.min(READ_LEN as u64);
            buffer.clear();
            let read = data.by_ref().take(wanted).read_to_end(&mut buffer);
            let len = read.context(ReadToVerifySnafu { block })?;
            let (blocks, _) = buffer.as_chunks::<BLOCK>();
            for bytes in blocks {
                visit(block, bytes);
                block += 1;
            }
            ensure!(len as u64 == wanted, ShortSnafu { block, data_blocks });
        }
        Ok(())
    }
}

fn index(block: u64) -> usize {
    usize::try_from(block).expect("a tree in memory has no more blocks than memory has bytes")
}
