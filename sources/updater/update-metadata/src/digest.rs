//! Digests and salts, which documents have as hexadecimal digits.

use crate::text::by_text;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use snafu::{OptionExt, Snafu, ensure};
use std::fmt;
use std::str::FromStr;

/// Most bytes the salt of a hash tree has: what a dm-verity superblock has room for.
const MAX_SALT: usize = 256;

/// A SHA-256 digest: of an image, or the topmost of a hash tree. 64 hexadecimal digits in a document.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

/// The bytes a hash tree puts before each block. Pairs of hexadecimal digits in a document; may be empty.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Salt(Vec<u8>);

/// A text that is not what hexadecimal digits were expected for.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum HexError {
    #[snafu(display("'{text}' is not in pairs of hexadecimal digits"))]
    Digits { text: String },
    #[snafu(display("a SHA-256 digest has 64 hexadecimal digits; '{text}' has not"))]
    DigestLen { text: String },
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
}

impl FromStr for Digest {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let bytes = decode(text)?.try_into().ok();
        bytes.map(Self).context(DigestLenSnafu { text })
    }
}

impl FromStr for Salt {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        Self::new(&decode(text)?)
    }
}

fn decode(text: &str) -> Result<Vec<u8>, HexError> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().context(DigitsSnafu { text })
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(formatter)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(formatter)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Salt({self})")
    }
}

by_text!(Digest, Salt);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_prints_back() {
        let text = "00ff".repeat(16);
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<Digest>().unwrap().to_string(), text);
        for text in ["", "0a", &"5c".repeat(256)] {
            assert_eq!(text.parse::<Salt>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64), &"+1".repeat(32)] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
        for text in ["0", "zz", "0x", &"00".repeat(257), "é0"] {
            assert!(text.parse::<Salt>().is_err(), "{text}");
        }
    }
}
