//! Hash images: received, and written to their partition.

use crate::aligned::Aligned;
use crate::checked::Checked;
use crate::error::{
    DiffersSnafu, FlushSnafu, PartitionSizeSnafu, ReadBackSnafu, ReadTreeSnafu, ReceiveTreeSnafu,
    TooLargeSnafu, TrailingTreeSnafu, VerifyTreeSnafu, WriteSnafu,
};
use crate::progress::{Meter, Phase};
use crate::{BLOCK, CHUNK, Error, Full, Progress, Target};
use lz4_flex::frame::FrameDecoder;
use snafu::{ResultExt, ensure};
use std::io::{self, Read, Write};
use verity::{RootHash, Superblock, Tree, Verified};

const IMAGE: &str = "hash";

/// Receives a hash image as it is published, compressed with LZ4, and verifies all of it: the compressed bytes against
/// their signed digest, and the tree against the root hash. Without a root hash, as in a release whose manifest has
/// none, the signed digest alone vouches for the tree. Takes the memory of the tree.
pub fn read_tree(
    target: impl Read,
    full: Full,
    root: Option<RootHash>,
) -> Result<(Superblock, Verified), Error> {
    let mut image = FrameDecoder::new(Checked::new(target, full));
    let read = match root {
        Some(root) => Tree::read(&mut image, root),
        None => Tree::read_trusted(&mut image),
    };
    let (superblock, tree) = read.context(ReadTreeSnafu)?;
    let found = io::copy(&mut image, &mut io::sink()).context(ReceiveTreeSnafu)?;
    ensure!(found == 0, TrailingTreeSnafu { found });
    io::copy(&mut image.into_inner(), &mut io::sink()).context(ReceiveTreeSnafu)?;
    Ok((superblock, tree.verified().context(VerifyTreeSnafu)?))
}

/// Writes a hash image to its partition, flushes it and reads it back.
pub fn install_tree(
    tree: &Verified,
    superblock: &Superblock,
    target: &mut dyn Target,
    listener: &mut dyn FnMut(&Progress<'_>),
) -> Result<(), Error> {
    let room = target.len_bytes().context(PartitionSizeSnafu { image: IMAGE })?;
    let size = tree.image_len();
    ensure!(size <= room, TooLargeSnafu { image: IMAGE, size, room });
    let blocks = size / BLOCK as u64;
    let mut meter = Meter { image: IMAGE, blocks_done: 0, blocks_total: blocks, listener };
    let mut written = Written { target, offset: 0 };
    tree.write_to(&mut written, superblock.uuid)
        .context(WriteSnafu { image: IMAGE, offset: written.offset })?;
    target.sync().context(FlushSnafu { image: IMAGE })?;
    meter.blocks_done = blocks;
    meter.tell(Phase::Copy, size, size);
    let mut compared = Compared { target, buffer: Aligned::zeroed(CHUNK), offset: 0, differs: None };
    let outcome = tree.write_to(&mut compared, superblock.uuid);
    if let Some(offset) = compared.differs {
        return DiffersSnafu { image: IMAGE, offset }.fail();
    }
    outcome.context(ReadBackSnafu { image: IMAGE, offset: compared.offset })?;
    meter.tell(Phase::ReadBack, size, size);
    Ok(())
}

/// A partition as something that is written from its start.
struct Written<'a> {
    target: &'a mut dyn Target,
    offset: u64,
}

impl Write for Written<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(CHUNK);
        self.target.write_at(self.offset, &bytes[..len])?;
        self.offset += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A partition that must already be what is written to it, which comes in whole blocks.
struct Compared<'a> {
    target: &'a mut dyn Target,
    buffer: Aligned,
    offset: u64,
    differs: Option<u64>,
}

impl Write for Compared<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(CHUNK);
        let found = &mut self.buffer.as_mut()[..len];
        self.target.read_back(self.offset, found)?;
        if let Some(at) = found.iter().zip(bytes).position(|(found, expected)| found != expected) {
            self.differs = Some(self.offset + at as u64);
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.offset += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
