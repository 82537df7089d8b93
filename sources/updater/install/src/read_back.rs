//! The last look before a set may be marked.

use crate::aligned::Aligned;
use crate::blocks::offset;
use crate::error::{DiffersSnafu, ReadBackSnafu};
use crate::index::chunks;
use crate::progress::{Meter, Phase};
use crate::{BLOCK, CHUNK, Error, Target};
use sha2::{Digest, Sha256};
use snafu::{ResultExt, ensure};
use verity::Verified;

/// What the medium must have.
pub(crate) enum Expected<'a> {
    Tree(&'a Verified),
    Sum([u8; 32]),
}

/// Reads blocks past the page cache and compares them.
pub(crate) fn read_back(
    target: &mut dyn Target,
    blocks: u64,
    expected: &Expected<'_>,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    let image = meter.image;
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
    let mut buffer = Aligned::zeroed(CHUNK);
    let mut sum = Sha256::new();
    for (start, count) in chunks(blocks) {
        let data = &mut buffer.as_mut()[..count as usize * BLOCK];
        target.read_back(offset(start), data).context(ReadBackSnafu { image, offset: offset(start) })?;
        match expected {
            Expected::Tree(tree) => {
                for (block, data) in (start..).zip(data.as_chunks().0) {
                    ensure!(tree.is_good(block.into(), data), DiffersSnafu { image, offset: offset(block) });
                }
            }
            Expected::Sum(_) => sum.update(&data),
        }
        meter.tell(Phase::ReadBack, offset(start + count), offset(blocks));
    }
    if let Expected::Sum(expected) = expected {
        ensure!(sum.finalize()[..] == *expected, DiffersSnafu { image, offset: 0_u64 });
    }
    Ok(())
}
