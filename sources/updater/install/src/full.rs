//! The full image, streamed.

use crate::blocks::offset;
use crate::checked::Checked;
use crate::error::{
    BadBlockSnafu, FetchFullSnafu, PartialBlockSnafu, ReceiveFullSnafu, TooLongSnafu, WrongSizeSnafu,
    WrongSumSnafu,
};
use crate::progress::Phase;
use crate::read_back::Expected;
use crate::run::Sink;
use crate::{BLOCK, CHUNK, Check, Error, Fetch, Image};
use lz4_flex::frame::FrameDecoder;
use sha2::{Digest, Sha256};
use snafu::{ResultExt, ensure};
use std::io::{self, Read};

/// Writes the full image. It has been received to its end, and its compressed bytes have the signed digest, when this
/// returns how many blocks it has and what they must read back as.
pub(crate) fn stream<'a>(
    image: &Image<'a>,
    fetch: &dyn Fetch,
    sink: &mut Sink<'_, '_>,
) -> Result<(u32, Expected<'a>), Error> {
    let name = image.name;
    let target = fetch.full().context(FetchFullSnafu { image: name })?;
    let mut data = FrameDecoder::new(Checked::new(target, image.full));
    let mut buffer = Vec::with_capacity(CHUNK);
    let mut sum = Sha256::new();
    let mut blocks = 0;
    sink.start_over();
    loop {
        buffer.clear();
        let filled = data.by_ref().take(CHUNK as u64).read_to_end(&mut buffer);
        let done = data.get_ref().read_so_far();
        let len = filled.context(ReceiveFullSnafu { image: name, done })?;
        let size = offset(blocks) + len as u64;
        let expected = expected_size(image).unwrap_or(sink.room());
        ensure!(size <= expected, TooLongSnafu { image: name, expected });
        ensure!(len.is_multiple_of(BLOCK), PartialBlockSnafu { image: name, size });
        if let Check::Tree(tree) = image.check {
            for (block, data) in (blocks..).zip(buffer.as_chunks().0) {
                ensure!(tree.is_good(block.into(), data), BadBlockSnafu { image: name, block });
            }
        } else {
            sum.update(&buffer);
        }
        sink.write(blocks, &buffer)?;
        sink.meter.tell(Phase::Stream, done, image.full.len);
        blocks = u32::try_from(size / BLOCK as u64).unwrap_or(u32::MAX);
        if len < CHUNK {
            break;
        }
    }
    // The decoder stops at the end of its frame; the target may not.
    let mut rest = data.into_inner();
    let done = rest.read_so_far();
    io::copy(&mut rest, &mut io::sink()).context(ReceiveFullSnafu { image: name, done })?;
    if let Some(expected) = expected_size(image) {
        ensure!(offset(blocks) == expected, WrongSizeSnafu { image: name, size: offset(blocks), expected });
    }
    let expected = match image.check {
        Check::Tree(tree) => Expected::Tree(tree),
        Check::Whole(published) => {
            let sum = sum.finalize().into();
            ensure!(published.is_none_or(|published| published.sha256 == sum), WrongSumSnafu { image: name });
            Expected::Sum(sum)
        }
    };
    Ok((blocks, expected))
}

/// Bytes that the image has, if anything says so.
pub(crate) fn expected_size(image: &Image<'_>) -> Option<u64> {
    match image.check {
        Check::Tree(tree) => Some(tree.data_blocks().saturating_mul(BLOCK as u64)),
        Check::Whole(sum) => sum.map(|sum| sum.size),
    }
}
