//! Who answers questions for names: `/etc/netdog.toml`, and the drop-ins of networkd and resolved that follow.

use crate::fault::{Faults, Rule};
use crate::ini::{Ini, yes};
use crate::reader::{Fields, Reader};
use std::net::IpAddr;

/// What an operator says of DNS. Each list replaces what DHCP says; without it DHCP's answer stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsSettings {
    name_servers: Option<Vec<IpAddr>>,
    search_list: Option<Vec<String>>,
}

impl DnsSettings {
    /// Parses `/etc/netdog.toml`. `name` is what faults call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Faults> {
        let mut reader = Reader::new(name, text);
        let document = reader.parse()?;
        let mut fields = Fields::new("", 0, document.get_ref());
        let name_servers = fields.take("name-servers").map(|field| {
            let address = |text: &str| text.parse().map_err(|_| Rule::IpAddress { text: text.to_owned() });
            let list = field.list("a list of IP addresses", &mut reader, address);
            list.into_iter().map(|(address, _)| address).collect()
        });
        let search_list = fields.take("search-list").map(|field| {
            let list = field.list("a list of domains", &mut reader, domain);
            list.into_iter().map(|(domain, _)| domain).collect()
        });
        fields.refuse_rest(&["name-servers", "search-list"], &[], &mut reader);
        reader.finish(Self { name_servers, search_list })
    }

    /// What resolved is told of the whole host; `None` where nothing is set. The servers are shuffled by `seed`, so
    /// that not every host asks the first one.
    pub(crate) fn resolved(&self, seed: u64) -> Option<String> {
        let servers = self.name_servers.as_ref().map(|servers| join(&shuffled(servers, seed)));
        let domains = self.search_list.as_ref().map(|domains| domains.join(" "));
        let mut ini = Ini::default();
        ini.section("Resolve")
            .line_if("DNS", servers.filter(|servers| !servers.is_empty()))
            .line_if("Domains", domains.filter(|domains| !domains.is_empty()));
        Some(ini.finish()).filter(|text| !text.is_empty())
    }

    /// What networkd is told of a device. Only the primary's DHCP and routers have a say, in what is not set.
    pub(crate) fn of_device(&self, is_primary: bool) -> String {
        let mut ini = Ini::default();
        if !is_primary {
            ini.section("Network").line("DNSDefaultRoute", "no");
        }
        for section in ["DHCPv4", "DHCPv6", "IPv6AcceptRA"] {
            ini.section(section)
                .line("UseDNS", yes(is_primary && self.name_servers.is_none()))
                .line("UseDomains", yes(is_primary && self.search_list.is_none()));
        }
        ini.finish()
    }
}

fn domain(text: &str) -> Result<String, Rule> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !text.is_empty() && text.len() <= 253 && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(Rule::Domain { text: text.to_owned() })
    }
}

fn join(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")
}

/// The same order for the same seed (Fisher and Yates, over the numbers of `SplitMix64`).
fn shuffled(addresses: &[IpAddr], seed: u64) -> Vec<IpAddr> {
    let mut addresses = addresses.to_vec();
    let mut state = seed;
    for last in (1..addresses.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^= number >> 31;
        let count = u64::try_from(last + 1).expect("a list in memory has fewer than 2^64 members");
        let other = usize::try_from(number % count).expect("the rest is less than the length of the list");
        addresses.swap(last, other);
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_list_replaces_what_dhcp_says_by_itself() {
        for (text, dns, domains, resolved) in [
            ("", "yes", "yes", None),
            ("name-servers = ['192.0.2.53']\n", "no", "yes", Some("[Resolve]\nDNS=192.0.2.53\n")),
            ("search-list = ['a.example', 'b']\n", "yes", "no", Some("[Resolve]\nDomains=a.example b\n")),
            (
                "name-servers = ['2001:db8::53']\nsearch-list = ['a']\n",
                "no",
                "no",
                Some("[Resolve]\nDNS=2001:db8::53\nDomains=a\n"),
            ),
            ("name-servers = []\nsearch-list = []\n", "no", "no", None),
        ] {
            let settings = DnsSettings::parse("f", text).unwrap();
            assert_eq!(settings.resolved(1).as_deref(), resolved, "{text}");
            let of = |section| format!("[{section}]\nUseDNS={dns}\nUseDomains={domains}\n");
            let expected = ["DHCPv4", "DHCPv6", "IPv6AcceptRA"].map(of).join("\n");
            assert_eq!(settings.of_device(true), expected, "{text}");
            let other = settings.of_device(false);
            assert!(other.starts_with("[Network]\nDNSDefaultRoute=no\n"), "{other}");
            assert!(!other.contains("yes"), "{other}");
        }
    }

    #[test]
    fn what_is_wrong_is_blamed_by_its_place() {
        for (text, expected) in [
            ("name-servers = ['x']", "f:1:17: name-servers 'x' is not an IP address"),
            (
                "name-servers = '192.0.2.1'",
                "f:1:16: name-servers must be a list of IP addresses, not '192.0.2.1'",
            ),
            (
                "name-servers = [1]",
                "f:1:17: name-servers must be a list of IP addresses, not a list with '1'",
            ),
            ("\nsearch-list = ['a b']", "f:2:16: search-list 'a b' is no domain"),
            ("search-list = [\"a\\nDNS=x\"]", "f:1:16: search-list 'a, DNS=x' is no domain"),
            ("name-server = []", "f:1:1: name-server is not known; did you mean 'name-servers'?"),
            ("name-servers = [", "f:1:17: is not TOML: "),
        ] {
            let faults = DnsSettings::parse("f", text).unwrap_err().to_string();
            assert!(faults.starts_with(expected), "{text}: {faults}");
        }
    }

    #[test]
    fn servers_are_shuffled_by_the_seed() {
        let servers: Vec<IpAddr> = (1..=5).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        let orders: BTreeSet<Vec<IpAddr>> = (0..200).map(|seed| shuffled(&servers, seed)).collect();
        assert!(orders.len() > 50, "{}", orders.len());
        let firsts: BTreeSet<IpAddr> = orders.iter().map(|order| order[0]).collect();
        assert_eq!(firsts.len(), 5, "every server is the first of some host");
        for mut order in orders {
            order.sort();
            assert_eq!(order, servers);
        }
        assert_eq!(shuffled(&servers, 7), shuffled(&servers, 7));
        assert!(shuffled(&[], 7).is_empty());
    }
}
