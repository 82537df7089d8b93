//! A seek table never panics its reader; what is accepted prints back to itself, and its frames share out the blocks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seekable::{MAX_FRAME_BLOCKS, SeekTable};

fuzz_target!(|bytes: &[u8]| {
    let Ok(table) = SeekTable::parse(bytes) else { return };
    let printed = table.to_bytes();
    assert_eq!(SeekTable::parse(&printed).as_ref(), Ok(&table), "{bytes:?} is printed as another table");
    assert!(printed.len() <= bytes.len());

    let (mut next_block, mut next_byte) = (0, 0);
    for frame in 0..table.frames() {
        let (blocks, range) = (table.blocks(frame), table.compressed_range(frame));
        assert!(
            blocks.start == next_block
                && (1..=u64::from(MAX_FRAME_BLOCKS)).contains(&(blocks.end - blocks.start))
        );
        assert!(range.start == next_byte && range.end > range.start);
        assert_eq!(table.frame_of_block(blocks.start), Some(frame));
        assert_eq!(table.frame_of_block(blocks.end - 1), Some(frame));
        (next_block, next_byte) = (blocks.end, range.end);
    }
    assert_eq!((next_block, next_byte), (table.data_blocks(), table.compressed_len()));
    assert_eq!(table.frame_of_block(next_block), None);
});
