//! The file `net.toml`, in its versions 1 to 3.
//!
//! A document is read device by device, in the order of the text; then the rules between devices are checked. All
//! faults of a file are told at once.

mod addressing;
mod device;
mod together;

use crate::fault::{Faults, Rule};
use crate::reader::{Fields, Reader};
use crate::{Config, Device};

/// A version of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    /// Interfaces with DHCP.
    One = 1,
    /// Static addresses and routes.
    Two,
    /// Bonds, VLANs, and interfaces by their MAC address.
    Three,
}

/// A device, and where what other devices may clash with is written.
struct Placed {
    device: Device,
    /// The key of its table, as it is written.
    key: String,
    /// Where its table begins.
    at: usize,
    /// Where it is said to be primary.
    primary: Option<usize>,
    /// Where the interfaces of a bond are named, one by one.
    workers: Vec<usize>,
    /// Where the device of a VLAN is named.
    vlan_device: usize,
    /// Where `min-links` of a bond is given.
    min_links: usize,
}

/// Parses a file. `name` is what faults call it.
pub fn parse(name: &str, text: &str) -> Result<Config, Faults> {
    let mut reader = Reader::new(name, text);
    let document = reader.parse()?;
    let mut fields = Fields::new("", 0, document.get_ref());
    let Some(version) = version(&mut fields, &mut reader) else {
        return reader.finish(Config::default());
    };
    let devices: Vec<Placed> = fields
        .into_rest()
        .into_iter()
        .filter_map(|field| device::device(&field, version, &mut reader))
        .collect();
    together::check(&devices, &mut reader);
    let primary = devices.iter().position(|placed| placed.primary.is_some());
    reader.finish(Config::new(devices.into_iter().map(|placed| placed.device).collect(), primary))
}

/// Parses the bytes of a file.
pub fn parse_bytes(name: &str, content: &[u8]) -> Result<Config, Faults> {
    let text = std::str::from_utf8(content).map_err(|_| Faults::of(name, Rule::Text))?;
    parse(name, text)
}

fn version(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<Version> {
    let Some(field) = fields.take("version") else {
        reader.blame(0, "version", Rule::NoVersion);
        return None;
    };
    match field.value().as_integer().map(toml::de::DeInteger::as_str) {
        Some("1") => Some(Version::One),
        Some("2") => Some(Version::Two),
        Some("3") => Some(Version::Three),
        _ => {
            field.wrong_version(reader);
            None
        }
    }
}

#[cfg(test)]
mod tests;
