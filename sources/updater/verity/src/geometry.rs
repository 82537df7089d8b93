//! How many levels a tree has, and how long each is.

use crate::BLOCK;
use crate::digest::DIGEST_LEN;

/// Digests in a block.
pub(crate) const FANOUT: u64 = (BLOCK / DIGEST_LEN) as u64;

/// The number of blocks of each level, from the one that holds the digests of data up to the one that is a single
/// block. One block of data has no level: its digest is the root hash.
pub(crate) fn levels(data_blocks: u64) -> Vec<u64> {
    let above = |blocks: &u64| (*blocks > 1).then(|| blocks.div_ceil(FANOUT));
    std::iter::successors(Some(data_blocks), above).skip(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_end_in_one_block() {
        let cases: [(u64, &[u64]); 10] = [
            (0, &[]),
            (1, &[]),
            (2, &[1]),
            (127, &[1]),
            (128, &[1]),
            (129, &[2, 1]),
            (16384, &[128, 1]),
            (16385, &[129, 2, 1]),
            (u64::from(u32::MAX), &[1 << 25, 1 << 18, 1 << 11, 16, 1]),
            (u64::MAX, &[1 << 57, 1 << 50, 1 << 43, 1 << 36, 1 << 29, 1 << 22, 1 << 15, 256, 2, 1]),
        ];
        for (blocks, expected) in cases {
            assert_eq!(levels(blocks), expected, "{blocks}");
        }
    }
}
