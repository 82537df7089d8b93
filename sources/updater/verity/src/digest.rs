//! Digests, and the salt that goes into them.

use crate::BLOCK;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest as _, Sha256};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::fmt;
use std::str::FromStr;

/// Bytes in a digest.
pub(crate) const DIGEST_LEN: usize = 32;

/// What a superblock has room for.
const MAX_SALT: usize = 256;

/// The digest of a block, the salt before it.
pub type Digest = [u8; DIGEST_LEN];

/// The digest of the topmost block: the one value from which everything else is trusted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootHash(pub Digest);

/// Bytes hashed before each block. Trees can only be compared if they share it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Salt(Vec<u8>);

/// A text that is not what hexadecimal digits were expected for.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum HexError {
    #[snafu(display("'{text}' is not in pairs of hexadecimal digits"))]
    Digits { text: String },
    #[snafu(display("a root hash has 32 bytes; '{text}' has {len}"))]
    RootHashLen { text: String, len: usize },
    #[snafu(display("read the salt '{text}'"))]
    SaltText { text: String, source: Box<HexError> },
    #[snafu(display("a salt has at most 256 bytes; this has {len}"))]
    SaltLen { len: usize },
}

impl Salt {
    /// A salt of at most 256 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, HexError> {
        ensure!(bytes.len() <= MAX_SALT, SaltLenSnafu { len: bytes.len() });
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn hasher(&self) -> Hasher {
        Hasher(Sha256::new_with_prefix(&self.0))
    }
}

/// Digests blocks; the salt is hashed but once.
#[derive(Clone)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn digest(&self, block: &[u8]) -> Digest {
        debug_assert_eq!(block.len(), BLOCK);
        self.0.clone().chain_update(block).finalize().into()
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl FromStr for RootHash {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let bytes = decode(text)?;
        let len = bytes.len();
        bytes.try_into().map(Self).map_err(|_| HexError::RootHashLen { text: text.to_owned(), len })
    }
}

/// Like the kernel and `veritysetup`: `-` is no salt.
impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("-") } else { HEXLOWER.encode_display(&self.0).fmt(f) }
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Salt {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        if text == "-" {
            return Self::new(&[]);
        }
        ensure!(!text.is_empty(), DigitsSnafu { text });
        let bytes = decode(text).map_err(Box::new).context(SaltTextSnafu { text })?;
        Self::new(&bytes)
    }
}

fn decode(text: &str) -> Result<Vec<u8>, HexError> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().context(DigitsSnafu { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_hashes_are_refused() {
        for (text, why) in [
            (String::new(), "empty"),
            ("0".repeat(63), "odd"),
            ("0".repeat(62), "short"),
            ("0".repeat(66), "long"),
            (format!("{}g0", "0".repeat(62)), "no digit"),
            (format!("+{}", "0".repeat(63)), "a sign"),
        ] {
            assert!(text.parse::<RootHash>().is_err(), "{why}");
        }
        for (text, good) in
            [("-", true), ("00", true), ("", false), ("0", false), ("--", false), ("zz", false)]
        {
            assert_eq!(text.parse::<Salt>().is_ok(), good, "{text}");
        }
        assert!("00".repeat(256).parse::<Salt>().is_ok());
        assert!("00".repeat(257).parse::<Salt>().is_err());
    }

    proptest! {
        #[test]
        fn text_leads_back(root: [u8; 32], salt in proptest::collection::vec(any::<u8>(), 0..=256)) {
            let (root, salt) = (RootHash(root), Salt::new(&salt).unwrap());
            prop_assert_eq!(root.to_string().parse::<RootHash>().unwrap(), root);
            prop_assert_eq!(root.to_string().to_uppercase().parse::<RootHash>().unwrap(), root);
            prop_assert_eq!(salt.to_string().parse::<Salt>().unwrap(), salt);
        }
    }
}
