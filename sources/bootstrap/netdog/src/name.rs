//! How devices are named.

use snafu::{Snafu, ensure};
use std::fmt;
use std::str::FromStr;

/// Longest name of an interface (`IFNAMSIZ` of `linux/if.h`, less its closing zero).
const NAME_MAX: usize = 15;
/// What networkd reads as a pattern, a quote or an escape where it expects names, or the kernel refuses.
const SPECIAL: &str = "*?[]!\"'\\:%";

/// A name that no device can have.
#[derive(Clone, Debug, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum NameError {
    #[snafu(display("'{name}' has {length} characters; the name of an interface has 1 to 15"))]
    Length { name: String, length: usize },
    #[snafu(display(
        "'{name}' holds '{character}'; the name of an interface is written in letters, digits, '-' and '_', \
         without dots, slashes and blanks"
    ))]
    Character { name: String, character: char },
    #[snafu(display(
        "'{name}' cannot be the name of an interface; the system gives it a meaning of its own"
    ))]
    Reserved { name: String },
    #[snafu(display(
        "'{text}' is no MAC address; write six pairs of hexadecimal digits with ':' or '-' between them, such as \
         \"0a:1b:2c:3d:4e:5f\""
    ))]
    Mac { text: String },
}

/// The name of a network interface, such as `eth0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let length = name.chars().count();
        ensure!((1..=NAME_MAX).contains(&length), LengthSnafu { name, length });
        let strange = |c: &char| !c.is_ascii_graphic() || matches!(c, '.' | '/') || SPECIAL.contains(*c);
        if let Some(character) = name.chars().find(strange) {
            return CharacterSnafu { name, character }.fail();
        }
        // systemd takes a number for an index; the kernel has `all` and `default` among its interfaces' settings.
        let reserved = matches!(name, "all" | "default") || name.bytes().all(|byte| byte.is_ascii_digit());
        ensure!(!reserved, ReservedSnafu { name });
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The address that the hardware of an interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

impl FromStr for MacAddress {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut octets = [0; 6];
        let mut pairs = text.split(separator);
        for octet in &mut octets {
            let pair =
                pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()));
            let parsed = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
            let Some(parsed) = parsed else { return MacSnafu { text }.fail() };
            *octet = parsed;
        }
        ensure!(pairs.next().is_none(), MacSnafu { text });
        Ok(Self(octets))
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.0.map(|octet| format!("{octet:02x}"));
        f.write_str(&pairs.join(":"))
    }
}

/// What a device is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceId {
    /// By its name.
    Name(InterfaceName),
    /// By the address of its hardware.
    Mac(MacAddress),
}

impl DeviceId {
    /// How files about the device are named: MAC addresses without colons.
    pub fn file_stem(&self) -> String {
        match self {
            Self::Name(name) => name.to_string(),
            Self::Mac(address) => address.to_string().replace(':', ""),
        }
    }
}

impl FromStr for DeviceId {
    type Err = NameError;

    /// No interface has a name with a colon or one as long as a MAC address, so the two cannot be mistaken.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let like_mac = text.contains(':') || text.len() > NAME_MAX && text.matches('-').count() == 5;
        if like_mac { text.parse().map(Self::Mac) } else { text.parse().map(Self::Name) }
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Mac(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_interfaces_are_checked() {
        for name in ["a", "eth0", "enp0s31f6", "br-lan_1", "abcdefghijklmno", "wan+", "x@y"] {
            assert_eq!(name.parse::<InterfaceName>().unwrap().as_str(), name);
        }
        for name in [
            "",
            "abcdefghijklmnop",
            "eth0.42",
            ".",
            "a/b",
            "a b",
            "a\tb",
            "a\u{a0}b",
            "\u{e9}th0",
            "e*",
            "e?",
            "[e]",
            "!e",
            "e\\",
            "\"e\"",
            "e:1",
            "e%d",
            "42",
            "all",
            "default",
        ] {
            let error = name.parse::<InterfaceName>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{name}'")), "{name:?}: {error}");
        }
    }

    #[test]
    fn mac_addresses_are_read_in_both_spellings_and_written_in_one() {
        for text in ["0a:1B:2c:3d:4e:5f", "0A-1b-2C-3d-4e-5f"] {
            let id: DeviceId = text.parse().unwrap();
            assert!(matches!(id, DeviceId::Mac(_)), "{text}");
            assert_eq!(
                (id.to_string().as_str(), id.file_stem().as_str()),
                ("0a:1b:2c:3d:4e:5f", "0a1b2c3d4e5f")
            );
        }
        for text in [
            "",
            "0a:1b:2c:3d:4e",
            "0a:1b:2c:3d:4e:5f:60",
            "0a:1b:2c:3d:4e:5g",
            "0a:1b:2c-3d:4e:5f",
            "0a1b2c3d4e5f",
            "a:1b:2c:3d:4e:5f",
            "+a:1b:2c:3d:4e:5f",
        ] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_device_is_named_by_either() {
        assert!(matches!("a-b-c-d-e-f".parse(), Ok(DeviceId::Name(_))));
        assert!(matches!("0a-1b-2c-3d-4e-5x".parse::<DeviceId>(), Err(NameError::Mac { .. })));
        assert!(matches!("eth0:1".parse::<DeviceId>(), Err(NameError::Mac { .. })));
    }
}
