//! What the network says of this host.

use clap::Subcommand;
use host::Host;
use host::program::chain;
use std::net::IpAddr;
use std::sync::mpsc;
use std::time::Duration;
use sundog::Outcome;

/// Where the primary address of the host is kept, once an interface has one.
const CURRENT_IP: &str = "/var/lib/netdog/current_ip";
/// How long the resolver may take to name an address. Boot waits for it.
const RESOLVE_LIMIT: Duration = Duration::from_secs(3);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: NetdogVerb,
}

#[derive(Subcommand)]
enum NetdogVerb {
    /// Print the name that the resolver has for the host's address, or one made of the address
    GenerateHostname,
    /// Print the host's address
    NodeIp,
}

pub(crate) fn generate(args: &Args, host: &Host) -> Outcome {
    let address = match current_ip(host) {
        Ok(Some(address)) => address,
        Ok(None) => {
            return Outcome::Declined(format!("this host has no address yet: {CURRENT_IP} does not exist"));
        }
        Err(why) => return Outcome::failed(why),
    };
    match args.verb {
        NetdogVerb::NodeIp => Outcome::Made(address.to_string().into()),
        NetdogVerb::GenerateHostname => Outcome::Made(hostname(address, name_of).into()),
    }
}

fn current_ip(host: &Host) -> Result<Option<IpAddr>, String> {
    let Some(content) = host.read(CURRENT_IP).map_err(|e| chain(&e))? else { return Ok(None) };
    let text = String::from_utf8_lossy(&content);
    text.trim().parse().map(Some).map_err(|_| format!("{CURRENT_IP} holds no address, but '{}'", text.trim()))
}

/// The name of an address: what the resolver says, else the address with dashes for colons.
fn hostname(address: IpAddr, name_of: impl FnOnce(IpAddr) -> Option<String>) -> String {
    let fallback = address.to_string().replace(':', "-");
    // A resolver that knows no name may repeat the address.
    let named = name_of(address).filter(|name| name.parse::<IpAddr>().is_err());
    let name = named.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    name.filter(|name| !name.is_empty()).unwrap_or(fallback)
}

fn name_of(address: IpAddr) -> Option<String> {
    let (tell, told) = mpsc::channel();
    // A resolver that hangs keeps its thread; the program does not wait for it.
    std::thread::spawn(move || drop(tell.send(dns_lookup::lookup_addr(&address).ok())));
    told.recv_timeout(RESOLVE_LIMIT).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hostname_is_the_name_or_made_of_the_address() {
        for (address, name, expected) in [
            ("192.0.2.1", None, "192.0.2.1"),
            ("2001:db8::1", None, "2001-db8--1"),
            ("2001:db8::1", Some("2001:db8::1"), "2001-db8--1"),
            ("192.0.2.1", Some("Node-1.example."), "node-1.example"),
            ("192.0.2.1", Some(""), "192.0.2.1"),
        ] {
            let found = hostname(address.parse().unwrap(), |_| name.map(str::to_owned));
            assert_eq!(found, expected, "{address} {name:?}");
        }
    }

    #[test]
    fn a_host_without_an_address_declines() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        let args = || Args { verb: NetdogVerb::NodeIp };
        assert!(matches!(generate(&args(), &host), Outcome::Declined(_)));
        host.replace(CURRENT_IP, b"192.0.2.7\n", 0o644).unwrap();
        assert!(matches!(generate(&args(), &host), Outcome::Made(v) if v == "192.0.2.7"));
        host.replace(CURRENT_IP, b"none", 0o644).unwrap();
        assert!(matches!(generate(&args(), &host), Outcome::Failed(_)));
    }
}
