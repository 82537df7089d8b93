//! Globally unique identifiers.

use snafu::Snafu;
use std::fmt;
use std::str::FromStr;

/// A GUID. On the disk its first three groups are little-endian (UEFI specification 2.10, appendix A).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

/// A text that is no GUID.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[snafu(display("'{text}' is no GUID; write it as 5b94e8df-28b8-485c-9d19-362263b5944c"))]
pub struct GuidError {
    text: String,
}

impl Guid {
    /// The GUID of nothing: the type of an unused entry.
    pub const NIL: Self = Self([0; 16]);

    /// A GUID of a program's own making: version 8 of RFC 9562 with these bits, such as the start of a hash.
    pub const fn custom(bits: [u8; 16]) -> Self {
        let mut bytes = bits;
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// From the bytes in the order of the text.
    pub const fn from_text_order(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes in the order of the text.
    pub const fn text_order(self) -> [u8; 16] {
        self.0
    }

    /// From the bytes as they are on the disk.
    pub const fn from_disk(bytes: [u8; 16]) -> Self {
        Self(swap(bytes))
    }

    /// The bytes as they are on the disk.
    pub const fn to_disk(self) -> [u8; 16] {
        swap(self.0)
    }

    /// From a constant's text; a wrong one does not compile.
    pub(crate) const fn constant(text: &str) -> Self {
        match parse(text.as_bytes()) {
            Some(guid) => guid,
            None => panic!("the constant is no GUID"),
        }
    }
}

const fn swap(b: [u8; 16]) -> [u8; 16] {
    [b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]]
}

const fn parse(text: &[u8]) -> Option<Guid> {
    if text.len() != 36 {
        return None;
    }
    let mut bytes = [0; 16];
    let (mut at, mut filled) = (0, 0);
    while at < text.len() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if text[at] != b'-' {
                return None;
            }
            at += 1;
            continue;
        }
        let (Some(high), Some(low)) = (digit(text[at]), digit(text[at + 1])) else {
            return None;
        };
        bytes[filled] = high << 4 | low;
        filled += 1;
        at += 2;
    }
    Some(Guid(bytes))
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

impl FromStr for Guid {
    type Err = GuidError;

    fn from_str(text: &str) -> Result<Self, GuidError> {
        parse(text.as_bytes()).ok_or_else(|| GuidError { text: text.to_owned() })
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_disk_has_the_first_three_groups_reversed() {
        // The EFI system partition's type as every disk that has one holds it.
        let guid: Guid = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b".parse().unwrap();
        let disk =
            [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
        assert_eq!(guid.to_disk(), disk);
        assert_eq!(Guid::from_disk(disk), guid);
    }

    #[test]
    fn malformed_text_is_refused() {
        for (text, why) in [
            ("", "empty"),
            ("c12a7328-f81f-11d2-ba4b-00a0c93ec93", "short"),
            ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b0", "long"),
            ("c12a7328f81f-11d2-ba4b-00a0c93ec93b-", "a dash out of place"),
            ("c12a732g-f81f-11d2-ba4b-00a0c93ec93b", "not a digit"),
            ("{12a7328-f81f-11d2-ba4b-00a0c93ec93}", "braces"),
            ("ä12a7328-f81f-11d2-ba4b-00a0c93ec93", "not ASCII"),
        ] {
            assert!(text.parse::<Guid>().is_err(), "{why}: {text}");
        }
    }

    #[test]
    fn a_custom_guid_carries_version_and_variant() {
        assert_eq!(Guid::custom([0xff; 16]).to_string(), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(Guid::custom([0; 16]).to_string(), "00000000-0000-8000-8000-000000000000");
    }

    proptest! {
        #[test]
        fn text_and_disk_lead_back(bytes: [u8; 16]) {
            let guid = Guid::from_disk(bytes);
            prop_assert_eq!(guid.to_disk(), bytes);
            prop_assert_eq!(guid.to_string().parse::<Guid>().unwrap(), guid);
            prop_assert_eq!(guid.to_string().to_uppercase().parse::<Guid>().unwrap(), guid);
            prop_assert_eq!(Guid::from_text_order(guid.text_order()), guid);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}|[-0-9a-fé]{36}") {
            if let Ok(guid) = text.parse::<Guid>() {
                prop_assert_eq!(guid.to_string(), text.to_lowercase());
            }
        }
    }
}
