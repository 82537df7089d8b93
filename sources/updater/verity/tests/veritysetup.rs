//! Trees are those of `veritysetup format --hash=sha256 --salt=SALT --uuid=UUID DATA HASH` (cryptsetup 2.6.1), whose
//! root hashes and images were computed once over [`pattern`]; of an image, its SHA-256 is kept.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod pattern;

use pattern::pattern;
use sha2::{Digest, Sha256};
use verity::{BLOCK, RootHash, Salt, Tree};

/// 6f6e6520-7472-6565-8000-000000000001
const UUID: [u8; 16] = *b"one tree\x80\0\0\0\0\0\0\x01";

const SALT: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[test]
fn a_hash_image_is_that_of_veritysetup_to_the_byte() {
    for (blocks, salt, root, image_sum) in [
        (
            1,
            SALT,
            "5e773912b988cf876d578021112ce2424a6b8808222eff731d6c77e8113a8aa3",
            "644827c808365161ed1d095ddc041934654c4eac7dd1d16e7474edfe18cebe81",
        ),
        (
            2,
            SALT,
            "a32eae0f43720f8c2fd395bf16b6c7646fb4a294e63fb6a25f65ee4f9e5a9d16",
            "1b9233361f6d805a79b79232c8e6d07f9d874ff0e6e7abed070ef0f3d63b314c",
        ),
        (
            127,
            SALT,
            "2a0de7a301af5823317b519c45fb2bbabc3283e6f8f15c4b9267c24d1170b249",
            "000ee0ee93044c69aaf8e1db1a05ab1397688c06cc48b4708b435ad305c52c6f",
        ),
        (
            128,
            SALT,
            "dd90e72a119a30e676fe8c102c89e52fdc709d7ec0f1c121ea387735032e8d1b",
            "73c8923a3864c4afcd8f879028bbaa501044a8250d8cc7681fd1ac549f279e05",
        ),
        (
            129,
            SALT,
            "375f1f53c49ed5940b53d970b47113f6105cd03eed585f4a8c40df72053b23aa",
            "fe4f048a56bac6cd17e0435559f51ed23dc744bd8c5822eadee7a3bff90b352d",
        ),
        (
            16385,
            SALT,
            "3799445c4103464e7ddd8dc424a387a759a2edb3669dcc6eafe42c56d99e15ac",
            "fa4baa0110af87fbb424000ff3444219816f9eaa7e81f5e282e34be021dfb0e7",
        ),
        (
            1,
            "-",
            "43921bddcf1aa43232c748e2747083ac360455c323becbae1a1786afff068253",
            "b412647fd3c65a7f979b89da9d200bec6692e76bed1ce24f37b570d77357c28d",
        ),
        (
            129,
            "-",
            "84ad70498bb3bd5b0c4779f782f0e9ef0893a37d2425faebce1bddff594e56fe",
            "f5469dc4481d12c3e11274f7ce5674ca4fac5750956ae1d8775dafbac1184335",
        ),
        (
            128,
            "a5",
            "28fd26614f349b19ee82a519eb1f5467ea3b2148944eb0d1102bd3054b37b0c1",
            "254f15917f9bcdda667fe713855494ada1ad11fa166faa8d6164e174720b8099",
        ),
    ] {
        let data = pattern(blocks);
        let tree = Tree::build(&*data, salt.parse().unwrap()).unwrap();
        assert_eq!(tree.root_hash(), root.parse::<RootHash>().unwrap(), "{blocks} blocks, salt {salt}");

        let mut image = Vec::new();
        tree.write_to(&mut image, UUID).unwrap();
        assert_eq!(image.len() as u64, tree.image_len());
        let sum = RootHash(Sha256::digest(&image).into());
        assert_eq!(sum.to_string(), image_sum, "{blocks} blocks, salt {salt}");

        // As on a partition, whose rest is something else.
        image.extend([0xee; BLOCK + 1]);
        let (superblock, read) = Tree::read(&*image, tree.root_hash()).unwrap();
        assert_eq!(read, tree);
        assert_eq!((superblock.uuid, superblock.data_blocks), (UUID, blocks as u64));
        let longer = [&data[..], &[0xee; 100]].concat();
        assert_eq!(read.bad_blocks(&*longer).unwrap(), []);
    }
}

#[test]
fn data_of_whole_blocks_are_needed() {
    let build = |len: usize| {
        Tree::build(&*vec![7; len], Salt::new(&[]).unwrap()).map(|_| ()).map_err(|e| e.to_string())
    };
    for (len, why) in
        [(0, "no data"), (1, "end 1 bytes into block 0"), (BLOCK * 300 + 5, "end 5 bytes into block 300")]
    {
        assert!(build(len).unwrap_err().contains(why), "{len} bytes");
    }
    for len in [BLOCK, 256 * BLOCK, 257 * BLOCK] {
        assert_eq!(build(len), Ok(()));
    }
}

#[test]
fn a_reader_that_yields_little_at_a_time_makes_no_difference() {
    struct Trickle<'a>(&'a [u8], usize);
    impl std::io::Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            let len = buffer.len().min(1000 + self.1 * 7);
            self.0.read(&mut buffer[..len])
        }
    }
    let data = pattern(300);
    let salt = Salt::new(b"salt").unwrap();
    let tree = Tree::build(&*data, salt.clone()).unwrap();
    assert_eq!(Tree::build(Trickle(&data, 0), salt).unwrap(), tree);
    assert_eq!(tree.bad_blocks(Trickle(&data, 0)).unwrap(), []);
}
