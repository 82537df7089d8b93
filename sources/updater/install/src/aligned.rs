//! Memory that a disk writes to directly.

use crate::BLOCK;

/// A buffer that starts at a multiple of 4096, as reading past the page cache demands (open(2), `O_DIRECT`).
pub(crate) struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub(crate) fn zeroed(len: usize) -> Self {
        let bytes = vec![0; len + BLOCK];
        let start = bytes.as_ptr().align_offset(BLOCK);
        assert!(start <= BLOCK, "bytes can be aligned to anything");
        Self { bytes, start, len }
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_at_a_block() {
        for len in [1, 511, BLOCK, 10 * BLOCK] {
            let mut buffer = Aligned::zeroed(len);
            let bytes = buffer.as_mut();
            assert_eq!((bytes.len(), bytes.as_ptr().align_offset(BLOCK)), (len, 0));
        }
    }
}
