//! Which files have to be there, and which must not.

use crate::{Addressing, Config, DeviceId, DnsSettings, Family, networkd};
use std::collections::BTreeSet;
use std::fmt;

/// Where networkd reads what this crate plans.
pub const NETWORKD_FOLDER: &str = "/etc/systemd/network";
/// What resolved is told.
pub const RESOLVED_DROP_IN: &str = "/etc/systemd/resolved.conf.d/10-resolv.conf";
/// The name of the interface whose address is that of the host.
pub const PRIMARY_INTERFACE: &str = "/var/lib/netdog/primary_interface";
/// The MAC address of that interface, if it is known by that.
pub const PRIMARY_MAC_ADDRESS: &str = "/var/lib/netdog/primary_mac_address";
/// The address of the host.
pub const CURRENT_IP: &str = "/var/lib/netdog/current_ip";

/// The devices that the host waits for before it is online; where there is none, nobody has to wait for the network.
/// networkd's own program waits for what never comes where no device is required.
pub const ONLINE_REQUIRED: &str = "/run/netdog/online-required";

/// How the names of all files begin that are planned here.
const PREFIX: &str = "10-";
/// Files outside the folder of networkd that a configuration leaves.
pub const STATE: [&str; 4] = [PRIMARY_INTERFACE, PRIMARY_MAC_ADDRESS, CURRENT_IP, ONLINE_REQUIRED];

/// The drop-in of a device's `.network` file, in the folder named after it.
const DNS_DROP_IN: &str = "10-dns.conf";

/// A file and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path.
    pub path: String,
    /// Its content.
    pub content: String,
}

/// What has to be done to files. It prints for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Files that must be there.
    pub writes: Vec<File>,
    /// Files that must not be there any more.
    pub removals: Vec<String>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for path in &self.removals {
            writeln!(f, "remove {path}")?;
        }
        for File { path, content } in &self.writes {
            writeln!(f, "write {path}")?;
            for line in content.lines() {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

/// Plans what follows from a configuration, or from having none. `existing` are the files that there are below
/// [`NETWORKD_FOLDER`] and of [`STATE`]; those of an earlier configuration go away.
pub fn plan_links(config: &Config, dns: &DnsSettings, existing: &[String]) -> Plan {
    let primary = config.primary().map(crate::Device::id);
    let networks = networkd::files(config);
    let drop_ins: Vec<File> =
        networks.iter().filter_map(|(name, _)| device_drop_in(name, primary.as_ref(), dns)).collect();
    let mut writes: Vec<File> = networks
        .into_iter()
        .map(|(name, content)| File { path: format!("{NETWORKD_FOLDER}/{name}"), content })
        .collect();
    writes.extend(drop_ins);
    let is_required =
        |addressing: &Addressing| addressing.requires(Family::V4) || addressing.requires(Family::V6);
    let required: Vec<String> = config
        .devices()
        .iter()
        .filter(|device| is_required(&device.addressing))
        .map(|device| format!("{}\n", device.id()))
        .collect();
    if !required.is_empty() {
        writes.push(File { path: ONLINE_REQUIRED.to_owned(), content: required.concat() });
    }
    writes.extend(primary.map(|id| {
        let path = match id {
            DeviceId::Name(_) => PRIMARY_INTERFACE,
            DeviceId::Mac(_) => PRIMARY_MAC_ADDRESS,
        };
        File { path: path.to_owned(), content: format!("{id}\n") }
    }));
    let wanted: BTreeSet<&str> = writes.iter().map(|file| file.path.as_str()).collect();
    let removals = existing.iter().filter(|path| is_ours(path) && !wanted.contains(path.as_str()));
    let removals = removals.cloned().collect();
    Plan { writes, removals }
}

/// Whether a file can be there because of an earlier configuration. The address of an earlier boot is: until an
/// interface has one, the host has none.
fn is_ours(path: &str) -> bool {
    if STATE.contains(&path) {
        return true;
    }
    let name = path.strip_prefix(NETWORKD_FOLDER).and_then(|rest| rest.strip_prefix('/'));
    let ends = |name: &str, end: &str| name.len() > PREFIX.len() + end.len() && name.ends_with(end);
    name.and_then(|name| name.strip_prefix(PREFIX).map(|_| name)).is_some_and(|name| {
        match name.split_once('/') {
            None => ends(name, ".network") || ends(name, ".netdev"),
            Some((folder, file)) => ends(folder, ".network.d") && file == DNS_DROP_IN,
        }
    })
}

/// Plans what follows from the settings of DNS, on a host whose `.network` files have these names. `seed` shuffles
/// the servers; a host should keep it.
pub fn plan_dns(dns: &DnsSettings, networks: &[String], primary: Option<&DeviceId>, seed: u64) -> Plan {
    let mut plan = Plan {
        writes: networks.iter().filter_map(|name| device_drop_in(name, primary, dns)).collect(),
        removals: Vec::new(),
    };
    match dns.resolved(seed) {
        Some(content) => plan.writes.push(File { path: RESOLVED_DROP_IN.to_owned(), content }),
        None => plan.removals.push(RESOLVED_DROP_IN.to_owned()),
    }
    plan
}

/// The drop-in of one of our `.network` files; `None` for any other.
fn device_drop_in(name: &str, primary: Option<&DeviceId>, dns: &DnsSettings) -> Option<File> {
    let stem = name.strip_prefix(PREFIX)?.strip_suffix(".network")?;
    let is_primary = primary.is_some_and(|id| id.file_stem() == stem);
    let path = format!("{NETWORKD_FOLDER}/{name}.d/{DNS_DROP_IN}");
    Some(File { path, content: dns.of_device(is_primary) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net_toml::parse;

    fn paths(plan: &Plan) -> Vec<&str> {
        plan.writes.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn what_an_earlier_configuration_left_goes_away() {
        let config = parse("f", "version = 1\n[eth1]\ndhcp4 = true\n").unwrap();
        let stale = [
            "/etc/systemd/network/10-eth0.network",
            "/etc/systemd/network/10-eth0.network.d/10-dns.conf",
            "/etc/systemd/network/10-bond0.netdev",
            PRIMARY_MAC_ADDRESS,
            CURRENT_IP,
        ];
        let kept = [
            "/etc/systemd/network/10-eth1.network",
            "/etc/systemd/network/10-eth1.network.d/10-dns.conf",
            "/etc/systemd/network/10-eth1.network.d/20-mine.conf",
            "/etc/systemd/network/20-eth0.network",
            "/etc/systemd/network/10-eth0.link",
            "/etc/systemd/network/10-.network",
            PRIMARY_INTERFACE,
            "/var/lib/netdog/net.toml",
        ];
        let existing: Vec<String> = stale.iter().chain(&kept).map(|path| (*path).to_owned()).collect();
        let plan = plan_links(&config, &DnsSettings::default(), &existing);
        assert_eq!(plan.removals, stale);
        assert_eq!(
            paths(&plan),
            [
                "/etc/systemd/network/10-eth1.network",
                "/etc/systemd/network/10-eth1.network.d/10-dns.conf",
                ONLINE_REQUIRED,
                PRIMARY_INTERFACE
            ]
        );
        let none = plan_links(&Config::default(), &DnsSettings::default(), &existing);
        assert_eq!(paths(&none), [""; 0]);
        assert_eq!(none.removals.len(), stale.len() + 3);
    }

    #[test]
    fn the_primary_is_the_named_one_or_the_first() {
        let mac = "version = 3\n['0A-1b-2c-3d-4e-5f']\ndhcp4 = true\n[a]\ndhcp4 = true\n";
        for (text, path, content) in [
            ("version = 1\n[z]\ndhcp4 = true\n[a]\ndhcp4 = true\n", PRIMARY_INTERFACE, "z\n"),
            ("version = 1\n[z]\ndhcp4 = true\n[a]\ndhcp4 = true\nprimary = true\n", PRIMARY_INTERFACE, "a\n"),
            (
                "version = 1\n[z]\nprimary = false\ndhcp4 = true\n[a]\ndhcp4 = true\n",
                PRIMARY_INTERFACE,
                "z\n",
            ),
            (mac, PRIMARY_MAC_ADDRESS, "0a:1b:2c:3d:4e:5f\n"),
        ] {
            let config = parse("f", text).unwrap();
            let plan = plan_links(&config, &DnsSettings::default(), &[]);
            let last = plan.writes.last().unwrap();
            assert_eq!((last.path.as_str(), last.content.as_str()), (path, content), "{text}");
        }
    }

    #[test]
    fn a_primary_known_by_its_mac_address_keeps_the_dns_of_dhcp() {
        let config =
            parse("f", "version = 3\n['0a:1b:2c:3d:4e:5f']\ndhcp4 = true\n[a]\ndhcp4 = true\n").unwrap();
        let id = config.primary().unwrap().id();
        let names =
            ["10-0a1b2c3d4e5f.network".to_owned(), "10-a.network".to_owned(), "20-b.network".to_owned()];
        let plan = plan_dns(&DnsSettings::default(), &names, Some(&id), 1);
        assert_eq!(plan.writes.len(), 2);
        assert!(plan.writes[0].content.contains("UseDNS=yes"));
        assert!(plan.writes[1].content.contains("UseDNS=no"));
        assert_eq!(plan.removals, [RESOLVED_DROP_IN]);
        // What is planned before there are settings is what is planned with none: nothing has to be reloaded.
        let links = plan_links(&config, &DnsSettings::default(), &[]);
        assert!(plan.writes.iter().all(|file| links.writes.contains(file)));
    }

    #[test]
    fn the_host_waits_for_what_is_not_optional() {
        let (required, optional) = ("dhcp4 = true", "dhcp4 = { enabled = true, optional = true }");
        for (a, b, expected) in [
            (required, required, Some("a\nb\n")),
            (optional, required, Some("b\n")),
            (optional, optional, None),
        ] {
            let config = parse("f", &format!("version = 1\n[a]\n{a}\n[b]\n{b}\n")).unwrap();
            let plan = plan_links(&config, &DnsSettings::default(), &[ONLINE_REQUIRED.to_owned()]);
            let file = plan.writes.iter().find(|file| file.path == ONLINE_REQUIRED);
            assert_eq!(file.map(|file| file.content.as_str()), expected);
            assert_eq!(plan.removals.is_empty(), expected.is_some(), "an earlier one goes away");
        }
    }

    #[test]
    fn a_plan_prints() {
        let settings = DnsSettings::parse("f", "name-servers = ['192.0.2.1']").unwrap();
        let mut plan = plan_dns(&settings, &[], None, 1);
        plan.removals.push("/x".to_owned());
        assert_eq!(
            plan.to_string(),
            format!("remove /x\nwrite {RESOLVED_DROP_IN}\n    [Resolve]\n    DNS=192.0.2.1\n")
        );
    }
}
