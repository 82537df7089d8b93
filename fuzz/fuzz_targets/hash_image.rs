//! A hash image never panics its reader, whatever its superblock claims; what is accepted prints back to itself, and
//! it is verified only if its root hash is that of its topmost block.
#![no_main]

use libfuzzer_sys::fuzz_target;
use verity::{BLOCK, Superblock, Tree};

fuzz_target!(|image: &[u8]| {
    if let Some(block) = image.first_chunk::<BLOCK>()
        && let Ok(superblock) = Superblock::parse(block)
    {
        assert_eq!(Superblock::parse(&superblock.to_block()), Ok(superblock));
    }
    let Ok((superblock, tree)) = Tree::read_trusted(image) else { return };
    let mut printed = Vec::new();
    tree.write_to(&mut printed, superblock.uuid).expect("writing to a Vec does not fail");
    assert!(printed[BLOCK..] == image[BLOCK..printed.len()], "the tree is printed differently");
    assert_eq!(printed.len() as u64, tree.image_len());
    let (again, same) = Tree::read(&*printed, tree.root_hash()).expect("what is printed can be read");
    assert!(again == superblock && same == tree);
    assert_eq!(tree.leaves().count() as u64, tree.data_blocks());

    let good = tree.clone().verified();
    let mut data = [0; BLOCK];
    data.copy_from_slice(&printed[..BLOCK]);
    for block in [0, 1, tree.data_blocks() - 1, tree.data_blocks(), u64::MAX] {
        let by_path = tree.verify_block(block, &data).is_ok();
        assert!(
            good.as_ref().is_err() || good.as_ref().is_ok_and(|good| good.is_good(block, &data)) == by_path
        );
    }
});
