//! Packs a sparse file into one LZ4 frame, without reading its holes.

use crate::sparse::data_ranges;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// What is handed to the packer at once: a block of the frame.
const CHUNK: usize = 4 << 20;

/// Packs all of a file. Every block has its checksum; one over everything would have to look at the holes too.
pub(crate) fn pack(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let len = from.metadata()?.len();
    let info = FrameInfo::new()
        .block_size(BlockSize::Max4MB)
        .block_mode(BlockMode::Independent)
        .block_checksums(true)
        .content_size(Some(len));
    let to = BufWriter::with_capacity(1 << 20, File::create_new(to)?);
    let mut packer = FrameEncoder::with_frame_info(info, to);

    let mut at = 0;
    for range in data_ranges(&from)? {
        copy_exactly(&mut io::repeat(0), &mut packer, range.start - at)?;
        from.seek(SeekFrom::Start(range.start))?;
        copy_exactly(&mut from, &mut packer, range.end - range.start)?;
        at = range.end;
    }
    copy_exactly(&mut io::repeat(0), &mut packer, len - at)?;
    packer.finish()?.flush()
}

fn copy_exactly(from: &mut impl io::Read, to: &mut impl Write, len: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut left = len;
    while left > 0 {
        let chunk = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        from.read_exact(&mut buffer[..chunk])?;
        to.write_all(&buffer[..chunk])?;
        left -= chunk as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lz4_flex::frame::FrameDecoder;
    use std::io::Read;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_packed_file_comes_back_with_its_holes() {
        let dir = tempfile::tempdir().unwrap();
        for (len, data) in [
            (0, &[][..]),
            (30 << 20, &[]),
            (10_000_001, &[0..5, 5_000_000..9_500_000]),
            (20 << 20, &[7..8, (20 << 20) - 1..20 << 20]),
        ] {
            let [from, to] =
                ["from", "to"].map(|name| dir.path().join(format!("{name}-{len}-{}", data.len())));
            let file = File::create_new(&from).unwrap();
            file.set_len(len).unwrap();
            for range in data {
                let bytes: Vec<u8> = range.clone().map(|at: u64| at.to_le_bytes()[0] | 1).collect();
                file.write_all_at(&bytes, range.start).unwrap();
            }
            pack(&from, &to).unwrap();
            let mut unpacked = Vec::new();
            FrameDecoder::new(File::open(&to).unwrap()).read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == std::fs::read(&from).unwrap(), "{len} {data:?}");
        }
    }
}
