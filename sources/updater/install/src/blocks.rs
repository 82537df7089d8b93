//! Sets of blocks.

use crate::BLOCK;
use std::ops::Range;

/// Some of the blocks of an image, a bit each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockSet {
    words: Vec<u64>,
    count: u64,
}

impl BlockSet {
    /// Adds a block.
    pub fn insert(&mut self, block: u32) {
        let (word, bit) = place(block);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.count += u64::from(self.words[word] & bit == 0);
        self.words[word] |= bit;
    }

    /// Whether a block is in it.
    pub fn contains(&self, block: u32) -> bool {
        let (word, bit) = place(block);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// How many blocks there are.
    pub fn count(&self) -> u64 {
        self.count
    }
}

fn place(block: u32) -> (usize, u64) {
    (block as usize / 64, 1 << (block % 64))
}

/// Where a block starts.
pub(crate) fn offset(block: u32) -> u64 {
    u64::from(block) * BLOCK as u64
}

/// Successive blocks for which the answer is yes.
pub(crate) fn runs(blocks: Range<u32>, is_in: impl Fn(u32) -> bool) -> impl Iterator<Item = Range<u32>> {
    let end = blocks.end;
    let mut next = blocks.start;
    std::iter::from_fn(move || {
        let start = (next..end).find(|block| is_in(*block))?;
        let stop = (start..end).find(|block| !is_in(*block)).unwrap_or(end);
        next = stop;
        Some(start..stop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_is_a_set(blocks: BTreeSet<u16>, end in 0..70_000_u32) {
            let mut set = BlockSet::default();
            for block in blocks.iter().chain(&blocks) {
                set.insert((*block).into());
            }
            prop_assert_eq!(set.count(), blocks.len() as u64);
            let found: Vec<u32> = runs(0..end, |block| set.contains(block)).flatten().collect();
            let expected: Vec<u32> = blocks.into_iter().map(u32::from).filter(|block| *block < end).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
