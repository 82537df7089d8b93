//! Which blocks the running set has.

use crate::blocks::offset;
use crate::progress::{Meter, Phase};
use crate::{Active, BLOCK, CHUNK, CHUNK_BLOCKS};
use verity::{Digest, Tree, Verified};

/// Blocks by their digest. Of a digest only the first 8 bytes are kept, so that the index of the largest partition,
/// 1840 MiB, takes 7.2 MiB; what is copied is compared with the new tree anyway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// Sorted.
    entries: Vec<(u64, u32)>,
}

impl Index {
    /// The index of blocks with these digests.
    pub fn of_digests<'a>(digests: impl Iterator<Item = &'a Digest>) -> Self {
        Self::of(digests.zip(0..).map(|(digest, block)| (key(digest), block)).collect())
    }

    /// The index of what a tree covers, which must have the salt of the one to be found. The tree need not be
    /// verified.
    pub fn of_tree(tree: &Tree) -> Self {
        Self::of_digests(tree.leaves())
    }

    /// Hashes a partition with the salt of a new tree. What cannot be read cannot be copied, and is left out.
    pub(crate) fn of_data(active: &mut dyn Active, len: u64, tree: &Verified, meter: &mut Meter<'_>) -> Self {
        let mut entries = Vec::new();
        let mut buffer = vec![0; CHUNK];
        let blocks = u32::try_from(len / BLOCK as u64).unwrap_or(u32::MAX);
        for (start, count) in chunks(blocks) {
            let data = &mut buffer[..count as usize * BLOCK];
            match active.read_at(offset(start), data) {
                Ok(()) => {
                    let digests = data.as_chunks().0.iter().map(|block| key(&tree.digest(block)));
                    entries.extend(digests.zip(start..));
                }
                Err(e) => {
                    tracing::warn!(offset = offset(start), error = %e, "unreadable block of the running set");
                }
            }
            meter.tell(Phase::Index, offset(start + count), offset(blocks));
        }
        Self::of(entries)
    }

    fn of(mut entries: Vec<(u64, u32)>) -> Self {
        entries.sort_unstable();
        Self { entries }
    }

    /// Where a block with this digest is: at `wanted` or `also_wanted` if it can be, so that blocks that follow one
    /// another are read together; otherwise wherever it is first.
    pub fn find(&self, digest: &Digest, wanted: u32, also_wanted: u32) -> Option<u32> {
        let key = key(digest);
        let first = self.entries.partition_point(|entry| *entry < (key, 0));
        let found = self.entries.get(first).filter(|entry| entry.0 == key)?.1;
        let is_at = |place: u32| self.entries.binary_search(&(key, place)).is_ok();
        Some([wanted, also_wanted].into_iter().find(|place| is_at(*place)).unwrap_or(found))
    }
}

fn key(digest: &Digest) -> u64 {
    u64::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes"))
}

/// Blocks in pieces that are read at once: first block and number of blocks.
pub(crate) fn chunks(blocks: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..blocks).step_by(CHUNK_BLOCKS as usize).map(move |start| (start, CHUNK_BLOCKS.min(blocks - start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_follow_are_preferred() {
        let digest = |byte: u8| [byte; 32];
        let digests = [3, 1, 1, 2, 1].map(digest);
        let index = Index::of_digests(digests.iter());
        for (byte, wanted, also_wanted, found) in [
            (1, 4, 2, Some(4)),
            (1, 3, 2, Some(2)),
            (1, 3, 0, Some(1)),
            (3, 3, 1, Some(0)),
            (0, 0, 0, None),
            (4, 0, 0, None),
        ] {
            assert_eq!(
                index.find(&digest(byte), wanted, also_wanted),
                found,
                "{byte} {wanted} {also_wanted}"
            );
        }
    }
}
