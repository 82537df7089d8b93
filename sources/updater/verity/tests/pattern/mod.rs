//! Data that anybody can make again.

use verity::BLOCK;

/// So many blocks of eight-byte words, little-endian: the word's number times `0x9e3779b97f4a7c15`.
pub(crate) fn pattern(blocks: usize) -> Vec<u8> {
    let words = (0..(blocks * BLOCK / 8) as u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).collect()
}
