//! What is not what the root hash vouches for is found, and named by the block it is in.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod pattern;

use pattern::pattern;
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::LazyLock;
use verity::{BLOCK, BadBlock, Mismatch, Salt, Tree};

/// Levels of three, two and one blocks, the last of each with room to spare.
const BLOCKS: usize = 2 * 128 + 5;

struct Image {
    data: Vec<u8>,
    tree: Tree,
    hashes: Vec<u8>,
}

static IMAGE: LazyLock<Image> = LazyLock::new(|| {
    let data = pattern(BLOCKS);
    let tree = Tree::build(&*data, Salt::new(b"salt").unwrap()).unwrap();
    let mut hashes = Vec::new();
    tree.write_to(&mut hashes, [1; 16]).unwrap();
    Image { data, tree, hashes }
});

fn read(hashes: &[u8]) -> Tree {
    Tree::read(hashes, IMAGE.tree.root_hash()).unwrap().1
}

fn block(data: &[u8], number: usize) -> &[u8; BLOCK] {
    data[number * BLOCK..][..BLOCK].try_into().unwrap()
}

/// The first block of the hash image that belongs to each level; the superblock is block 0.
const FIRST_OF_LEVEL: [(usize, usize, usize); 2] = [(1, 1, 1), (0, 2, 3)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_byte_of_the_data_is_found(at: Index, flip in 1..=255u8) {
        let mut data = IMAGE.data.clone();
        let at = at.index(data.len());
        data[at] ^= flip;
        let number = at / BLOCK;
        let bad = BadBlock::Data { block: number as u64 };
        prop_assert_eq!(IMAGE.tree.bad_blocks(&*data).unwrap(), [bad]);
        let mismatch = Mismatch::BadData { block: number as u64 };
        prop_assert_eq!(IMAGE.tree.verify_block(number as u64, block(&data, number)), Err(mismatch));
    }

    #[test]
    fn a_flipped_byte_of_the_tree_is_found(at: Index, flip in 1..=255u8, asked in 0..BLOCKS) {
        let mut hashes = IMAGE.hashes.clone();
        let at = BLOCK + at.index(hashes.len() - BLOCK);
        hashes[at] ^= flip;
        let in_image = at / BLOCK;
        let (level, first, _) =
            FIRST_OF_LEVEL.into_iter().find(|(_, first, len)| (*first..first + len).contains(&in_image)).unwrap();
        let number = in_image - first;
        let span = if level == 1 { 128 * 128 } else { 128 };
        let covers = number * span..((number + 1) * span).min(BLOCKS);

        let tree = read(&hashes);
        let covered = covers.start as u64..covers.end as u64;
        let bad = BadBlock::Tree { level, block: number as u64, covers: covered };
        prop_assert_eq!(tree.bad_blocks(&*IMAGE.data).unwrap(), [bad]);
        let verified = tree.verify_block(asked as u64, block(&IMAGE.data, asked));
        let mismatch = Mismatch::BadTree { level, block: number as u64 };
        prop_assert_eq!(verified, if covers.contains(&asked) { Err(mismatch) } else { Ok(()) });
    }

    #[test]
    fn a_hash_image_of_noise_never_panics(
        flips in proptest::collection::vec((0..100usize, any::<u8>()), 0..4),
        len in 0..6 * BLOCK,
        blocks in 0..600u64,
    ) {
        let mut hashes = IMAGE.hashes.clone();
        hashes[72..80].copy_from_slice(&blocks.to_le_bytes());
        for (at, value) in flips {
            hashes[at] = value;
        }
        hashes.truncate(len);
        if let Ok((_, tree)) = Tree::read(&*hashes, IMAGE.tree.root_hash()) {
            let _ = tree.bad_blocks(&*IMAGE.data);
            let _ = tree.verify_block(blocks, block(&IMAGE.data, 0));
            let _ = tree.changed_since(&IMAGE.tree);
            prop_assert_eq!(tree.leaves().count() as u64, tree.data_blocks());
        }
    }
}

#[test]
fn every_block_verifies_against_the_tree() {
    let tree = read(&IMAGE.hashes);
    for number in 0..BLOCKS {
        assert_eq!(tree.verify_block(number as u64, block(&IMAGE.data, number)), Ok(()), "{number}");
    }
    let past = Mismatch::NoSuchBlock { block: BLOCKS as u64, data_blocks: BLOCKS as u64 };
    assert_eq!(tree.verify_block(BLOCKS as u64, block(&IMAGE.data, 0)), Err(past));
    // The last block holds 5 digests; the zeros after them vouch for nothing.
    assert!(tree.verify_block(BLOCKS as u64 + 1, &[0; BLOCK]).is_err());
}

#[test]
fn a_single_block_is_measured_by_the_root_hash_itself() {
    let data = pattern(1);
    let tree = Tree::build(&*data, Salt::new(&[]).unwrap()).unwrap();
    assert_eq!(tree.verify_block(0, block(&data, 0)), Ok(()));
    let mut bad = data.clone();
    bad[9] ^= 1;
    assert_eq!(tree.verify_block(0, block(&bad, 0)), Err(Mismatch::BadData { block: 0 }));
    assert_eq!(tree.bad_blocks(&*bad).unwrap(), [BadBlock::Data { block: 0 }]);
    assert_eq!(tree.leaves().collect::<Vec<_>>(), [&tree.root_hash().0]);
}

#[test]
fn several_bad_blocks_are_all_named() {
    let mut data = IMAGE.data.clone();
    for number in [0, 127, 128, 200, 260] {
        data[number * BLOCK] ^= 1;
    }
    let mut hashes = IMAGE.hashes.clone();
    // The second of the three lowest blocks: it covers data blocks 128 to 255.
    hashes[3 * BLOCK + 50] ^= 1;
    let data_block = |block| BadBlock::Data { block };
    let expected = [
        BadBlock::Tree { level: 0, block: 1, covers: 128..256 },
        data_block(0),
        data_block(127),
        data_block(260),
    ];
    assert_eq!(read(&hashes).bad_blocks(&*data).unwrap(), expected);
}

#[test]
fn another_root_hash_vouches_for_nothing() {
    let other = Tree::build(&*pattern(1), Salt::new(&[]).unwrap()).unwrap().root_hash();
    let (_, tree) = Tree::read(&*IMAGE.hashes, other).unwrap();
    let all = BadBlock::Tree { level: 1, block: 0, covers: 0..BLOCKS as u64 };
    assert_eq!(tree.bad_blocks(&*IMAGE.data).unwrap(), [all]);
}

#[test]
fn images_that_end_early_are_refused() {
    for len in [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK, IMAGE.hashes.len() - 1] {
        assert!(Tree::read(&IMAGE.hashes[..len], IMAGE.tree.root_hash()).is_err(), "{len} bytes");
    }
    let mut lies = IMAGE.hashes.clone();
    lies[72..80].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(Tree::read(&*lies, IMAGE.tree.root_hash()).is_err());
    for len in [0, BLOCK, BLOCKS * BLOCK - 1] {
        let error = IMAGE.tree.bad_blocks(&IMAGE.data[..len]).unwrap_err().to_string();
        assert!(error.contains(&format!("end in block {}", len / BLOCK)), "{error}");
    }
}

#[test]
#[allow(clippy::single_range_in_vec_init, reason = "it is a list of ranges")]
fn trees_tell_which_blocks_changed() {
    let salt = || Salt::new(b"salt").unwrap();
    for (changed, len, expected) in [
        (&[][..], BLOCKS, &[][..]),
        (&[0], BLOCKS, &[0..1]),
        (&[3, 4, 5, 128, 260], BLOCKS, &[3..6, 128..129, 260..261]),
        (&[], BLOCKS + 2, &[261..263]),
        (&[260], BLOCKS + 2, &[260..263]),
        (&[7], 100, &[7..8]),
    ] {
        let mut data = pattern(len);
        for number in changed {
            data[number * BLOCK + 17] ^= 1;
        }
        let new = Tree::build(&*data, salt()).unwrap();
        assert_eq!(new.changed_since(&IMAGE.tree).unwrap(), expected, "{changed:?} of {len}");
    }
    let other = Tree::build(&*IMAGE.data, Salt::new(b"pepper").unwrap()).unwrap();
    assert!(other.changed_since(&IMAGE.tree).is_err(), "digests of another salt say nothing");
}

#[test]
fn a_tree_is_verified_as_a_whole() {
    let good = read(&IMAGE.hashes).verified().unwrap();
    for number in 0..BLOCKS {
        assert!(good.is_good(number as u64, block(&IMAGE.data, number)), "{number}");
        let other = block(&IMAGE.data, (number + 1) % BLOCKS);
        assert!(!good.is_good(number as u64, other), "{number}");
    }
    assert!(!good.is_good(BLOCKS as u64, block(&IMAGE.data, 0)));
    for (level, first, blocks) in FIRST_OF_LEVEL {
        for number in 0..blocks {
            let mut hashes = IMAGE.hashes.clone();
            hashes[(first + number) * BLOCK + 3] ^= 1;
            let expected = verity::Mismatch::BadTree { level, block: number as u64 };
            assert_eq!(read(&hashes).verified().unwrap_err(), expected);
        }
    }
}

#[test]
fn a_trusted_image_tells_its_root_hash() {
    let (superblock, tree) = Tree::read_trusted(&*IMAGE.hashes).unwrap();
    assert_eq!((superblock.data_blocks, tree.root_hash()), (BLOCKS as u64, IMAGE.tree.root_hash()));
    tree.verified().unwrap();
    let one = Tree::build(&[1; BLOCK][..], Salt::new(b"salt").unwrap()).unwrap();
    let mut hashes = Vec::new();
    one.write_to(&mut hashes, [1; 16]).unwrap();
    Tree::read_trusted(&*hashes).unwrap_err();
}
