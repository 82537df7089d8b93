//! What changed between two trees.

use crate::{Salt, Tree};
use snafu::{Snafu, ensure};
use std::ops::Range;

/// Trees whose digests say nothing about each other.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[snafu(display(
    "compare hash trees of different salts, {new} and {old}; hash the old data with the new salt"
))]
pub struct CompareError {
    new: Salt,
    old: Salt,
}

impl Tree {
    /// The blocks of data that are not what the older tree has in the same place, in order.
    pub fn changed_since(&self, old: &Self) -> Result<Vec<Range<u64>>, CompareError> {
        ensure!(self.salt == old.salt, CompareSnafu { new: self.salt.clone(), old: old.salt.clone() });
        let mut changed: Vec<Range<u64>> = Vec::new();
        let mut before = old.leaves();
        for (block, digest) in (0..).zip(self.leaves()) {
            if before.next() == Some(digest) {
                continue;
            }
            match changed.last_mut() {
                Some(range) if range.end == block => range.end += 1,
                _ => changed.push(block..block + 1),
            }
        }
        Ok(changed)
    }
}
