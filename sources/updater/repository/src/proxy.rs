//! The proxy for `https`, and the hosts that are reached without it.

use snafu::{ResultExt, Snafu};
use std::net::IpAddr;
use url::{Host, Url};

/// A proxy for `https`, as `settings.network` has it (update, section 1.9). Plain `http` goes direct, as documented.
#[derive(Clone, Debug)]
pub struct Proxy {
    pub(crate) proxy: ureq::Proxy,
    exceptions: Vec<Exception>,
}

/// A proxy that cannot be used.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ProxyError {
    #[snafu(display("read {text:?} as the address of a proxy, which would be http://host:port"))]
    Address { text: String, source: Box<ureq::Error> },
}

/// What is reached without the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    /// Everything: `*`.
    All,
    /// A domain and what is below it.
    Domain(String),
    /// Addresses whose first bits are those: `10.0.0.0/8`, or one address.
    Network(IpAddr, u32),
}

impl Proxy {
    /// A proxy by its address, and the hosts reached without it: domains (with all below them), addresses, networks as
    /// `10.0.0.0/8`, or `*`.
    pub fn new(https_proxy: &str, no_proxy: &[String]) -> Result<Self, ProxyError> {
        let proxy =
            ureq::Proxy::new(https_proxy).map_err(Box::new).context(AddressSnafu { text: https_proxy })?;
        let exceptions = no_proxy.iter().filter_map(|text| Exception::parse(text)).collect();
        Ok(Self { proxy, exceptions })
    }

    /// Whether this address is reached through the proxy.
    pub fn is_for(&self, url: &Url) -> bool {
        url.scheme() == "https"
            && !url.host().is_some_and(|host| self.exceptions.iter().any(|e| e.covers(&host)))
    }
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self::All);
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, bits)| (a, bits.parse().ok()));
        if let Ok(address) = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Some(Self::Network(address, bits.unwrap_or(128)));
        }
        let domain = text.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        (!domain.is_empty()).then_some(Self::Domain(domain))
    }

    fn covers(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Domain(domain), Host::Domain(host)) => {
                let host = host.to_ascii_lowercase();
                host == *domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
            }
            (Self::Network(network, bits), Host::Ipv4(host)) => {
                in_network(*network, *bits, IpAddr::V4(*host))
            }
            (Self::Network(network, bits), Host::Ipv6(host)) => {
                in_network(*network, *bits, IpAddr::V6(*host))
            }
            _ => false,
        }
    }
}

fn in_network(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    let same = match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => return false,
    };
    same >= bits.min(if address.is_ipv4() { 32 } else { 128 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_hosts_are_reached_without_the_proxy() {
        for (no_proxy, url, through) in [
            ("", "https://updates.example/x", true),
            ("", "http://updates.example/x", false),
            ("*", "https://updates.example/", false),
            ("example", "https://updates.example/", false),
            (".example", "https://updates.example/", false),
            ("*.example", "https://updates.example/", false),
            ("Updates.Example", "https://updates.EXAMPLE:8443/", false),
            ("dates.example", "https://updates.example/", true),
            ("10.0.0.0/8", "https://10.1.2.3/", false),
            ("10.0.0.0/8", "https://11.1.2.3/", true),
            ("10.1.2.3", "https://10.1.2.3/", false),
            ("10.1.2.3", "https://10.1.2.4/", true),
            ("fd00::/8", "https://[fd12::1]/", false),
            ("fd00::/8", "https://[fe80::1]/", true),
            ("::1", "https://[::1]/", false),
            ("0.0.0.0/0", "https://10.1.2.3/", false),
        ] {
            let proxy = Proxy::new("http://proxy.example:3128", &[no_proxy.to_owned()]).unwrap();
            assert_eq!(proxy.is_for(&Url::parse(url).unwrap()), through, "{no_proxy:?} {url}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for text in ["", "http://", "ftp://x", "http://a b"] {
            assert!(Proxy::new(text, &[]).is_err(), "{text:?}");
        }
    }
}
