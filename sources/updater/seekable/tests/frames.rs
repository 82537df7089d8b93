//! What is compressed reads back: whole by any decompressor, and frame by frame.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use proptest::prelude::*;
use seekable::{BLOCK, Decoder, Options, SeekTable, compress};
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};

fn options(frame_blocks: u32, threads: usize) -> Options {
    Options { frame_blocks, level: 3, threads: NonZeroUsize::new(threads).unwrap() }
}

fn compressed(image: &[u8], options: &Options) -> (Vec<u8>, SeekTable) {
    let mut file = Vec::new();
    let table = compress(image, &mut file, options).unwrap();
    (file, table)
}

/// Blocks that compress, but not to nothing.
fn image(blocks: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut word = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 60).to_le_bytes()
    };
    (0..blocks * BLOCK / 8).flat_map(|_| word()).collect()
}

fn decoded(file: &[u8], table: &SeekTable, frame: u32) -> Vec<u8> {
    let range = table.compressed_range(frame);
    let blocks = table.blocks(frame);
    let mut data = vec![0; usize::try_from(blocks.end - blocks.start).unwrap() * BLOCK];
    let bytes = &file[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
    Decoder::new().unwrap().decode(bytes, &mut data).unwrap();
    data
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_frame_reads_back(blocks in 1..80_usize, frame_blocks in 1..=33_u32, seed: u64, threads in 1..4_usize) {
        let image = image(blocks, seed);
        let (file, table) = compressed(&image, &options(frame_blocks, threads));
        let rest = usize::try_from(table.compressed_len()).unwrap();
        prop_assert_eq!(&SeekTable::parse(&file[rest..]).unwrap(), &table);
        let read: Vec<u8> = (0..table.frames()).flat_map(|frame| decoded(&file, &table, frame)).collect();
        prop_assert!(read == image);
        prop_assert!(zstd::decode_all(&*file).unwrap() == image);
        prop_assert!(compressed(&image, &options(frame_blocks, 1)).0 == file, "threads change the bytes");
    }
}

/// Skipped where there is no such program; the property above reads by the same library.
#[test]
fn the_plain_program_reads_it() {
    let image = image(300, 7);
    let (file, _) = compressed(&image, &options(16, 2));
    let folder = std::env::temp_dir().join(format!("seekable-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("image.zst");
    std::fs::write(&path, file).unwrap();
    let output = Command::new("zstd").arg("-dc").arg(&path).stderr(Stdio::inherit()).output();
    std::fs::remove_dir_all(&folder).unwrap();
    match output {
        Ok(output) => assert!(output.status.success() && output.stdout == image),
        Err(e) => eprintln!("skipped: {e}"),
    }
}

#[test]
fn images_that_cannot_be_cut_are_refused() {
    for (image, frame_blocks, text) in [
        (&[0; 4097][..], 1, "the image has 4097 bytes; fill it up to a multiple of 4096"),
        (&[], 1, "make the seek table"),
        (&[0; 4096], 0, "frames have 1 to 256 blocks; 0 were asked for"),
        (&[0; 4096], 257, "frames have 1 to 256 blocks; 257 were asked for"),
    ] {
        let error = compress(image, Vec::new(), &options(frame_blocks, 1)).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_frame_of_another_length_is_refused() {
    let (file, table) = compressed(&image(4, 1), &options(4, 1));
    let frame = &file[..usize::try_from(table.compressed_len()).unwrap()];
    let decode =
        |frame: &[u8], blocks: usize| Decoder::new().unwrap().decode(frame, &mut vec![0; blocks * BLOCK]);
    decode(frame, 4).unwrap();
    for (name, frame, blocks) in [
        ("longer than the room", frame, 3),
        ("shorter than the room", frame, 5),
        ("truncated", &frame[..frame.len() - 1], 4),
        ("padded", &[frame, &[0]].concat(), 4),
        ("twice", &[frame, frame].concat(), 4),
        ("empty", &[], 4),
    ] {
        assert!(decode(frame, blocks).is_err(), "{name}");
    }
}
