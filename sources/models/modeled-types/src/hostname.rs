//! Hosts and their addresses.

use crate::text::{require, text_type};
use crate::{Kind, Refusal, Scalar, check, describe};
use core::net::IpAddr;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Longest host name, without a trailing dot (RFC 1035, section 2.3.4).
const HOSTNAME_BYTES: usize = 253;
/// Longest part of a host name between dots (RFC 1035, section 2.3.4).
const LABEL_BYTES: usize = 63;

text_type! {
    /// A host name in lower case (RFC 1123, section 2.1), as `hostname(7)` allows it: a part may end with a
    /// hyphen but not begin with one.
    ValidLinuxHostname,
    rule: "must be a host name: 1 to 253 lower-case letters, digits, dots and hyphens; each part between dots \
           has 1 to 63 characters and does not begin with a hyphen",
    schema: json!({
        "type": "string",
        "maxLength": HOSTNAME_BYTES,
        "pattern": "^[0-9a-z][0-9a-z-]{0,62}(\\.[0-9a-z][0-9a-z-]{0,62})*$",
    }),
    check: |text| {
        let part = |part: &str| {
            (1..=LABEL_BYTES).contains(&part.len())
                && !part.starts_with('-')
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        require(text.len() <= HOSTNAME_BYTES && text.split('.').all(part), ValidLinuxHostname::RULE)
    }
}

text_type! {
    /// An IPv4 (dotted decimal) or IPv6 (RFC 4291, section 2.2) address without prefix length or zone. The text
    /// is kept as given.
    IpAddress,
    rule: "must be an IPv4 or IPv6 address",
    schema: json!({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
    check: |text| require(text.parse::<IpAddr>().is_ok(), IpAddress::RULE)
}

impl IpAddress {
    /// The address.
    pub fn addr(&self) -> IpAddr {
        self.as_str().parse().expect("checked when it was made")
    }
}

/// One address and the names it has (`hosts(5)`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostsEntry(pub IpAddress, pub Vec<ValidLinuxHostname>);

/// Additional lines of the hosts file (`hosts(5)`), in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct EtcHostsEntries(Vec<HostsEntry>);

impl EtcHostsEntries {
    /// The entries in the order given; an address may occur more than once.
    pub fn entries(&self) -> &[HostsEntry] {
        &self.0
    }
}

impl TryFrom<Value> for EtcHostsEntries {
    type Error = Refusal;

    fn try_from(value: Value) -> Result<Self, Refusal> {
        let Value::Array(entries) = value else { return Err(Refusal::new(Self::RULE)) };
        entries
            .iter()
            .enumerate()
            .map(|(n, entry)| hosts_entry(n + 1, entry))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn hosts_entry(number: usize, entry: &Value) -> Result<HostsEntry, Refusal> {
    let Some([address, Value::Array(names)]) = entry.as_array().map(Vec::as_slice) else {
        let given = describe(entry);
        return Err(Refusal::new(format!("must be {HOSTS_FORM}; entry {number} has another form ({given})")));
    };
    let within =
        |what: &str, e: Refusal| Refusal::new(format!("must be {HOSTS_FORM}; {what} of entry {number} {e}"));
    let address = check::<IpAddress>(address).map_err(|e| within("the address", e))?;
    let names = names
        .iter()
        .map(|name| check::<ValidLinuxHostname>(name).map_err(|e| within("a name", e)))
        .collect::<Result<_, _>>()?;
    Ok(HostsEntry(address, names))
}

const HOSTS_FORM: &str = "a list of pairs such as [\"10.0.0.1\", [\"db\", \"db.local\"]]";

impl Scalar for EtcHostsEntries {
    const NAME: &'static str = "EtcHostsEntries";
    const RULE: &'static str = "must be a list of pairs such as [\"10.0.0.1\", [\"db\", \"db.local\"]]";
    const KIND: Kind = Kind::List;

    fn json_schema() -> Value {
        json!({"type": "array", "items": {
            "type": "array",
            "prefixItems": [
                IpAddress::json_schema(),
                {"type": "array", "items": ValidLinuxHostname::json_schema()},
            ],
            "items": false,
            "minItems": 2,
        }})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{json_rows, rows};

    #[test]
    fn hostnames() {
        let (part, long_part) = ("a".repeat(63), "a".repeat(64));
        let longest = format!("{part}.{part}.{part}.{}", "a".repeat(61));
        let too_long = format!("{longest}a");
        rows::<ValidLinuxHostname>(
            &["n1", "a-.b", "ip-10-0-0-1.ec2.internal", &part, &longest],
            &["", "A", "-a", "a.-b", "a.", ".a", "a..b", "a_b", "ä", &long_part, &too_long],
        );
    }

    #[test]
    fn addresses_keep_their_spelling() {
        rows::<IpAddress>(
            &["10.0.0.10", "::1", "FD00::0:1", "::ffff:10.0.0.1"],
            &["", "10.0.0", "10.0.0.256", "10.0.0.0/8", "fe80::1%eth0", "[::1]", "localhost", "010.0.0.1"],
        );
    }

    #[test]
    fn hosts_entries() {
        json_rows::<EtcHostsEntries>(
            &[json!([]), json!([["10.0.0.1", ["a", "b.c"]], ["::1", ["a"]], ["10.0.0.1", []]])],
            &[
                json!(null),
                json!("10.0.0.1 a"),
                json!([["10.0.0.0/8", ["a"]]]),
                json!([["a", ["10.0.0.1"]]]),
                json!([["10.0.0.1", ["A"]]]),
                json!([["10.0.0.1", "a"]]),
                json!([["10.0.0.1"]]),
                json!([["10.0.0.1", ["a"], 5]]),
            ],
        );
    }
}
