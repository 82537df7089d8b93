//! The name of the host.

use super::{HostnameSnafu, KernelSnafu, NetdogError, WriteSnafu, names_in};
use host::program::chain;
use host::{Command, Host};
use snafu::{ResultExt, ensure};
use std::net::IpAddr;
use std::sync::mpsc;
use std::time::Duration;

/// Programs that may know the name of the host.
const DETECTORS: &str = "/usr/libexec/hostname-detectors";
/// How long one of them may take. Boot waits for it.
const DETECTOR_LIMIT: Duration = Duration::from_secs(10);
/// How long the resolver may take to name an address. Boot waits for it.
const RESOLVE_LIMIT: Duration = Duration::from_secs(3);
/// Where the kernel is told its name.
const KERNEL_HOSTNAME: &str = "/proc/sys/kernel/hostname";
/// Longest name that the kernel takes (`__NEW_UTS_LEN` of `linux/utsname.h`).
const KERNEL_MAX: usize = 64;

/// The name of the host with an address: that of the first detector that knows one, else what the resolver says,
/// else one made of the address.
pub(super) fn of(host: &Host, address: IpAddr) -> String {
    detected(host, address).unwrap_or_else(|| by_address(address, name_of))
}

/// Asks the detectors of the image, those with the highest names first.
fn detected(host: &Host, address: IpAddr) -> Option<String> {
    let names = names_in(host, DETECTORS).unwrap_or_else(|e| {
        tracing::warn!(why = chain(&e), "no detector of the host's name was asked");
        Vec::new()
    });
    names.iter().rev().find_map(|name| {
        let mut command =
            Command::new([format!("{DETECTORS}/{name}"), "--ip-address".to_owned(), address.to_string()]);
        command.timeout = DETECTOR_LIMIT;
        let why = match host.run(&command) {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                // No host has an empty name; whoever says nothing does not know.
                if !text.is_empty() {
                    return Some(text);
                }
                "it said nothing".to_owned()
            }
            Ok(output) => output.status.to_string(),
            Err(e) => chain(&e),
        };
        tracing::debug!(detector = name, why, "a detector does not know the host's name");
        None
    })
}

/// What the resolver says, else the address with dashes for colons.
fn by_address(address: IpAddr, name_of: impl FnOnce(IpAddr) -> Option<String>) -> String {
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

/// Tells the kernel the name of the host.
pub(super) fn set(host: &Host, name: &str) -> Result<(), NetdogError> {
    if name.is_empty() {
        tracing::warn!("no hostname is set; the kernel keeps the one it has");
        return Ok(());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    ensure!(name.bytes().all(plain), HostnameSnafu { name });
    let short = shortened(name);
    if short != name {
        tracing::warn!(name, short, "the hostname is longer than the kernel takes and is cut at a dot");
    }
    if host.is_machine() {
        // Not a file that could be replaced, but a value in the kernel.
        std::fs::write(KERNEL_HOSTNAME, short).context(KernelSnafu { path: KERNEL_HOSTNAME })
    } else {
        host.replace(KERNEL_HOSTNAME, short.as_bytes(), 0o644).context(WriteSnafu).map(drop)
    }
}

/// As much of a name as the kernel takes, cut at a dot where that can be.
fn shortened(name: &str) -> &str {
    if name.len() <= KERNEL_MAX {
        return name;
    }
    // A dot right behind the last byte that fits is a place to cut, too.
    let end = name[..=KERNEL_MAX].rfind('.').filter(|end| *end > 0).unwrap_or(KERNEL_MAX);
    &name[..end]
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
            let found = by_address(address.parse().unwrap(), |_| name.map(str::to_owned));
            assert_eq!(found, expected, "{address} {name:?}");
        }
    }

    #[test]
    fn detectors_are_asked_from_the_highest_name_down() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        let address = "2001:db8::5".parse().unwrap();
        assert_eq!(detected(&host, address), None, "there is no folder");
        let detector = |name: &str, script: &str| {
            let text = format!("#!/bin/sh\n{script}\n");
            host.replace(format!("{DETECTORS}/{name}"), text.as_bytes(), 0o755).unwrap();
        };
        detector("10-low", "echo ' low-'\"$2\" ' '");
        detector("20-fails", "echo wrong; exit 1");
        detector("30-empty", "echo");
        host.replace(format!("{DETECTORS}/40-no-program"), b"x", 0o644).unwrap();
        assert_eq!(detected(&host, address).as_deref(), Some("low-2001:db8::5"));
        detector("50-high", "echo Name.of.the.Host");
        assert_eq!(detected(&host, address).as_deref(), Some("Name.of.the.Host"));
        assert_eq!(of(&host, address), "Name.of.the.Host");
    }

    #[test]
    fn the_kernel_is_told_what_it_can_keep() {
        let label = "a".repeat(63);
        for (name, expected) in [
            ("node-1.example".to_owned(), "node-1.example".to_owned()),
            (format!("{label}.b"), label.clone()),
            (format!("x.{}.b", "a".repeat(61)), format!("x.{}", "a".repeat(61))),
            (format!("x.{}.b", "a".repeat(62)), format!("x.{}", "a".repeat(62))),
            ("a".repeat(70), "a".repeat(64)),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let host = Host::new(dir.path());
            set(&host, &name).unwrap();
            assert_eq!(host.read(KERNEL_HOSTNAME).unwrap().unwrap(), expected.as_bytes(), "{name}");
        }
    }

    #[test]
    fn what_is_no_name_leaves_the_kernel_alone() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        set(&host, "").unwrap();
        for name in ["a b", "a\n", "h\u{f6}st", "a/b"] {
            assert!(matches!(set(&host, name), Err(NetdogError::Hostname { .. })), "{name:?}");
        }
        assert_eq!(host.read(KERNEL_HOSTNAME).unwrap(), None);
    }
}
