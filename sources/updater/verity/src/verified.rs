//! A tree that need not be doubted any more.

use crate::digest::Hasher;
use crate::{BLOCK, BadBlock, Digest, Mismatch, Tree};
use std::fmt;
use std::ops::Deref;

/// A tree all of which the root hash vouches for. A block of data is then as good as its own digest says: nothing
/// above it has to be hashed again.
#[derive(Clone)]
pub struct Verified {
    tree: Tree,
    hasher: Hasher,
}

impl Tree {
    /// Verifies every block of the tree; of the data, nothing is looked at.
    pub fn verified(self) -> Result<Verified, Mismatch> {
        let hasher = self.salt.hasher();
        match self.bad_tree_blocks(&hasher).0.first() {
            Some(BadBlock::Tree { level, block, .. }) => {
                Err(Mismatch::BadTree { level: *level, block: *block })
            }
            _ => Ok(Verified { tree: self, hasher }),
        }
    }
}

impl Verified {
    /// The digest of a block, under the tree's salt.
    pub fn digest(&self, data: &[u8; BLOCK]) -> Digest {
        self.hasher.digest(data)
    }

    /// The digest that a block of data must have; none if there is no such block.
    pub fn leaf(&self, block: u64) -> Option<&Digest> {
        let stored = self.tree.levels.first().map_or(self.tree.root.0.as_slice(), Vec::as_slice);
        let (digests, _) = stored.as_chunks();
        if block < self.tree.data_blocks { digests.get(usize::try_from(block).ok()?) } else { None }
    }

    /// Whether the block is what it must be.
    pub fn is_good(&self, block: u64, data: &[u8; BLOCK]) -> bool {
        self.leaf(block) == Some(&self.digest(data))
    }
}

impl Deref for Verified {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        &self.tree
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.tree, f)
    }
}
