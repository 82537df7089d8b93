//! What an interface has become: the answer of `networkctl status --json`, and what follows for the kernel.

use serde::Deserialize;
use snafu::{ResultExt, Snafu};
use std::net::IpAddr;

/// Address families (`linux/socket.h`).
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// An answer that is not understood.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum StatusError {
    #[snafu(display("understand what networkctl says"))]
    Json { source: serde_json::Error },
    #[snafu(display("{interface} has an address of family {family} and {octets} octets, which is none"))]
    Octets { interface: String, family: u8, octets: usize },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    name: String,
    #[serde(default)]
    addresses: Vec<Address>,
}

/// An address; the fields that do not matter here are not named.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Address {
    family: u8,
    #[serde(rename = "Address")]
    octets: Vec<u8>,
    #[serde(default)]
    flags_string: Option<String>,
}

/// The address that others know the host by: the first of IPv4 that leads beyond the link, else the first of IPv6,
/// else one of IPv4 on the link alone. A link-local address of IPv6, which every interface has, is none, and neither
/// is one that the kernel found another host to have.
pub fn address_of(json: &[u8]) -> Result<Option<IpAddr>, StatusError> {
    let Status { name, addresses } = serde_json::from_slice(json).context(JsonSnafu)?;
    let mut found = Vec::new();
    for Address { family, octets, flags_string } in addresses {
        let parsed = match family {
            AF_INET => <[u8; 4]>::try_from(octets.as_slice()).map(IpAddr::from),
            AF_INET6 => <[u8; 16]>::try_from(octets.as_slice()).map(IpAddr::from),
            _ => continue,
        };
        let Ok(parsed) = parsed else {
            return OctetsSnafu { interface: name, family, octets: octets.len() }.fail();
        };
        let flags = flags_string.unwrap_or_default();
        if !flags.split(',').any(|flag| flag == "dadfailed") {
            found.push(parsed);
        }
    }
    // Of several that rank the same, the first.
    Ok(found
        .into_iter()
        .filter_map(|address| Some((rank(address)?, address)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, address)| address))
}

fn rank(address: IpAddr) -> Option<u8> {
    match address {
        IpAddr::V4(address) if address.is_link_local() => Some(2),
        IpAddr::V4(_) => Some(0),
        IpAddr::V6(address) if address.is_unicast_link_local() => None,
        IpAddr::V6(_) => Some(1),
    }
}

/// What the kernel is told of the primary interface, as a file of sysctl.d(5). Packets of containers may come in
/// where answers would not go out, so sources are checked loosely (`rp_filter` 2); routers are listened to by
/// networkd, not by the kernel.
pub fn kernel_settings(interface: &str) -> String {
    // With slashes between the parts, a dot in the name is a dot.
    format!("-net/ipv4/conf/{interface}/rp_filter = 2\n-net/ipv6/conf/{interface}/accept_ra = 0\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of systemd 252.38 to `networkctl status --json=short`, taken in network namespaces with a pair of
    /// virtual Ethernet interfaces, another networkd as the DHCP server and router at its other end.
    const STATIC_BOTH: &str = include_str!("../tests/networkctl/static-both.json");
    const DHCP_AND_RA: &str = include_str!("../tests/networkctl/dhcp-and-ra.json");
    const LINK_LOCAL_ONLY: &str = include_str!("../tests/networkctl/link-local-only.json");
    const NO_NETWORKD: &str = include_str!("../tests/networkctl/no-networkd.json");

    #[test]
    fn the_address_of_the_host_is_found_in_what_networkctl_says() {
        for (name, json, expected) in [
            ("both", STATIC_BOTH, Some("192.0.2.10")),
            ("leased", DHCP_AND_RA, Some("192.0.2.240")),
            ("link-local", LINK_LOCAL_ONLY, None),
            ("no networkd", NO_NETWORKD, None),
        ] {
            let found = address_of(json.as_bytes()).unwrap();
            assert_eq!(found.map(|address| address.to_string()).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn addresses_rank_by_how_far_they_lead() {
        let link4 = (2, "169, 254, 0, 5", "");
        let (global4, other4) = ((2, "192, 0, 2, 1", "permanent"), (2, "192, 0, 2, 2", "permanent"));
        let link6 = (10, "254, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1", "permanent");
        let global6 = (10, "32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1", "permanent");
        let failed = (2, "192, 0, 2, 9", "permanent,dadfailed");
        for (addresses, expected) in [
            (&[][..], None),
            (&[link6], None),
            (&[failed], None),
            (&[link6, link4], Some("169.254.0.5")),
            (&[link4, link6, global6], Some("2001:db8::1")),
            (&[global6, failed, global4, other4], Some("192.0.2.1")),
            (&[(16, "1", ""), other4, global4], Some("192.0.2.2")),
        ] {
            let address = |(family, octets, flags): &(u8, &str, &str)| {
                format!(r#"{{"Family": {family}, "Address": [{octets}], "FlagsString": "{flags}"}}"#)
            };
            let list: Vec<String> = addresses.iter().map(address).collect();
            let json = format!(r#"{{"Name": "x", "Addresses": [{}]}}"#, list.join(","));
            let found = address_of(json.as_bytes()).unwrap();
            assert_eq!(found.map(|address| address.to_string()).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for json in ["", "[]", "{}", r#"{"Name": "x", "Addresses": [{"Family": 2}]}"#] {
            assert!(matches!(address_of(json.as_bytes()), Err(StatusError::Json { .. })), "{json}");
        }
        let short = r#"{"Name": "x", "Addresses": [{"Family": 2, "Address": [1, 2, 3]}]}"#;
        assert!(matches!(address_of(short.as_bytes()), Err(StatusError::Octets { octets: 3, .. })));
    }

    #[test]
    fn a_dot_in_a_name_is_no_separator() {
        assert!(kernel_settings("eth0.1").starts_with("-net/ipv4/conf/eth0.1/rp_filter = 2\n"));
    }
}
