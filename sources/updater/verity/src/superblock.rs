//! The first block of a hash image.

use crate::{BLOCK, HexError, Salt};
use snafu::{ResultExt, Snafu, ensure};

const SIGNATURE: &[u8; 8] = b"verity\0\0";
const ALGORITHM: &[u8; 32] = b"sha256\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// Version of the superblock, and of the format (1: the salt goes first), both.
const VERSION: u32 = 1;

/// Where the fields are (cryptsetup, "dm-verity on-disk specification").
mod at {
    use std::ops::Range;

    pub(super) const SIGNATURE: Range<usize> = 0..8;
    pub(super) const VERSION: Range<usize> = 8..12;
    pub(super) const HASH_TYPE: Range<usize> = 12..16;
    pub(super) const UUID: Range<usize> = 16..32;
    pub(super) const ALGORITHM: Range<usize> = 32..64;
    pub(super) const DATA_BLOCK_SIZE: Range<usize> = 64..68;
    pub(super) const HASH_BLOCK_SIZE: Range<usize> = 68..72;
    pub(super) const DATA_BLOCKS: Range<usize> = 72..80;
    pub(super) const SALT_LEN: Range<usize> = 80..82;
    pub(super) const SALT: usize = 88;
}

/// What a hash image says of itself. Nothing vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// An identifier, its bytes in the order of the text.
    pub uuid: [u8; 16],
    /// How many blocks of data the tree covers.
    pub data_blocks: u64,
    /// What is hashed before each block.
    pub salt: Salt,
}

/// A block that is no superblock, or one of a form that is not read here.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum SuperblockError {
    #[snafu(display("the hash image does not start with a verity superblock"))]
    NoSignature,
    #[snafu(display("the verity superblock's {field} is {value}; only {expected} is understood"))]
    Form { field: &'static str, value: u32, expected: u32 },
    #[snafu(display("the verity superblock's hash algorithm is not sha256"))]
    Algorithm,
    #[snafu(display("read the salt of the verity superblock"))]
    BadSalt { source: HexError },
    #[snafu(display("the verity superblock covers no data"))]
    NoData,
}

impl Superblock {
    /// Reads a superblock.
    pub fn parse(block: &[u8; BLOCK]) -> Result<Self, SuperblockError> {
        let u32_at = |range| u32::from_le_bytes(array(block, range));
        ensure!(block[at::SIGNATURE] == *SIGNATURE, NoSignatureSnafu);
        for (field, range, expected) in [
            ("version", at::VERSION, VERSION),
            ("hash type", at::HASH_TYPE, VERSION),
            ("data block size", at::DATA_BLOCK_SIZE, BLOCK_U32),
            ("hash block size", at::HASH_BLOCK_SIZE, BLOCK_U32),
        ] {
            let value = u32_at(range);
            ensure!(value == expected, FormSnafu { field, value, expected });
        }
        ensure!(block[at::ALGORITHM] == *ALGORITHM, AlgorithmSnafu);
        let data_blocks = u64::from_le_bytes(array(block, at::DATA_BLOCKS));
        ensure!(data_blocks > 0, NoDataSnafu);
        let salt_len = u16::from_le_bytes(array(block, at::SALT_LEN));
        let salt = Salt::new(&block[at::SALT..at::SALT + usize::from(salt_len).min(BLOCK - at::SALT)]);
        Ok(Self { uuid: array(block, at::UUID), data_blocks, salt: salt.context(BadSaltSnafu)? })
    }

    /// The block it is written as.
    pub fn to_block(&self) -> [u8; BLOCK] {
        let salt = self.salt.bytes();
        let salt_len = u16::try_from(salt.len()).expect("a salt has at most 256 bytes");
        let mut block = [0; BLOCK];
        block[at::SIGNATURE].copy_from_slice(SIGNATURE);
        block[at::VERSION].copy_from_slice(&VERSION.to_le_bytes());
        block[at::HASH_TYPE].copy_from_slice(&VERSION.to_le_bytes());
        block[at::UUID].copy_from_slice(&self.uuid);
        block[at::ALGORITHM].copy_from_slice(ALGORITHM);
        block[at::DATA_BLOCK_SIZE].copy_from_slice(&BLOCK_U32.to_le_bytes());
        block[at::HASH_BLOCK_SIZE].copy_from_slice(&BLOCK_U32.to_le_bytes());
        block[at::DATA_BLOCKS].copy_from_slice(&self.data_blocks.to_le_bytes());
        block[at::SALT_LEN].copy_from_slice(&salt_len.to_le_bytes());
        block[at::SALT..at::SALT + salt.len()].copy_from_slice(salt);
        block
    }
}

const BLOCK_U32: u32 = 4096;

fn array<const N: usize>(block: &[u8; BLOCK], range: std::ops::Range<usize>) -> [u8; N] {
    block[range].try_into().expect("the range has the length of the array")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_forms_are_refused() {
        let salt = Salt::new(b"salt").unwrap();
        let good = Superblock { uuid: [7; 16], data_blocks: 3, salt }.to_block();
        for (place, value, why) in [
            (0, 0, "no signature"),
            (8, 2, "another version"),
            (12, 0, "the format of Chrome OS"),
            (35, 0, "another algorithm"),
            (38, b'x', "an algorithm with more to its name"),
            (65, 0x20, "larger data blocks"),
            (69, 0x20, "larger hash blocks"),
            (72, 0, "no data"),
            (81, 2, "a salt beyond its room"),
        ] {
            let mut block = good;
            assert_ne!(block[place], value);
            block[place] = value;
            assert!(Superblock::parse(&block).is_err(), "{why}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            uuid: [u8; 16],
            data_blocks in 1..=u64::MAX,
            salt in proptest::collection::vec(any::<u8>(), 0..=256),
        ) {
            let superblock = Superblock { uuid, data_blocks, salt: Salt::new(&salt).unwrap() };
            prop_assert_eq!(Superblock::parse(&superblock.to_block()).unwrap(), superblock);
        }

        #[test]
        fn damage_never_panics(damage in proptest::collection::vec((0..512usize, any::<u8>()), 0..8)) {
            let mut block = Superblock { uuid: [1; 16], data_blocks: 9, salt: Salt::new(&[1]).unwrap() }.to_block();
            for (place, value) in damage {
                block[place] = value;
            }
            if let Ok(superblock) = Superblock::parse(&block) {
                prop_assert_eq!(Superblock::parse(&superblock.to_block()).unwrap(), superblock);
            }
        }
    }
}
