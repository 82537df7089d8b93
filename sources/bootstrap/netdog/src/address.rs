//! Addresses and networks.

use snafu::{OptionExt, Snafu, ensure};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A version of the Internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// A text that is no address with a prefix length.
#[derive(Clone, Debug, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum AddressError {
    #[snafu(display(
        "'{text}' is not an address with a prefix length; write it such as \"192.0.2.10/24\" or \
         \"2001:db8::10/64\""
    ))]
    Cidr { text: String },
    #[snafu(display("'{text}' has a prefix length above {max}, the most that {family} has"))]
    Prefix { text: String, family: Family, max: u8 },
}

/// An address and the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Every address of a family.
    pub fn everything(family: Family) -> Self {
        let address = match family {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        Self { address, prefix: 0 }
    }

    /// The family of the address.
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }
}

impl FromStr for Cidr {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (address, prefix) = text.split_once('/').context(CidrSnafu { text })?;
        let address: IpAddr = address.parse().ok().context(CidrSnafu { text })?;
        let digits = (1..=3).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_digit());
        ensure!(digits, CidrSnafu { text });
        let family = Family::of(address);
        let max = if family == Family::V4 { 32 } else { 128 };
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= max);
        Ok(Self { address, prefix: prefix.context(PrefixSnafu { text, family, max })? })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Where a route leads, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Everywhere, in the family that the rest of the route has.
    Default,
    /// To a network.
    Network(Cidr),
}

impl FromStr for Destination {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text == "default" { Ok(Self::Default) } else { text.parse().map(Self::Network) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_a_prefix_that_their_family_has() {
        for (text, printed) in [
            ("192.0.2.10/24", "192.0.2.10/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:0::10/128", "2001:db8::10/128"),
        ] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), printed);
        }
        for text in
            ["", "192.0.2.10", "192.0.2.10/", "192.0.2/24", "192.0.2.10/+8", "192.0.2.10/24/1", "/24", "x/24"]
        {
            assert!(matches!(text.parse::<Cidr>(), Err(AddressError::Cidr { .. })), "{text}");
        }
        for text in ["192.0.2.10/33", "2001:db8::/129", "2001:db8::/999"] {
            assert!(matches!(text.parse::<Cidr>(), Err(AddressError::Prefix { .. })), "{text}");
        }
        assert_eq!("default".parse(), Ok(Destination::Default));
        assert!("Default".parse::<Destination>().is_err());
    }
}
