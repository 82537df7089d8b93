//! What networkd reads: `.netdev` files, which make devices, and `.network` files, which configure them
//! (systemd.netdev(5), systemd.network(5) of systemd 252).

use crate::ini::{Ini, yes};
use crate::{
    Addressing, ArpValidate, Bond, Config, DeviceId, Family, InterfaceName, Link, Monitor, Route, Vlan,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// The files of a configuration, by their names, in the order of its devices.
pub(crate) fn files(config: &Config) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for device in config.devices() {
        let id = device.id();
        let stem = id.file_stem();
        match &device.link {
            Link::Named(_) | Link::Hardware(_) => {}
            Link::Bond(name, bond) => files.push((format!("10-{stem}.netdev"), bond_device(name, bond))),
            Link::Vlan(name, vlan) => files.push((format!("10-{stem}.netdev"), vlan_device(name, vlan))),
        }
        let mut ini = Ini::default();
        configured(&mut ini, &id, &device.link, &device.addressing, &vlans_on(config, &id));
        files.push((format!("10-{stem}.network"), ini.finish()));
        if let Link::Bond(name, bond) = &device.link {
            for (number, worker) in bond.workers.iter().enumerate() {
                files.push((format!("10-{worker}.network"), worker_network(worker, name, number == 0)));
            }
        }
    }
    files.extend(
        carriers(config)
            .into_iter()
            .map(|device| (format!("10-{device}.network"), carrier_network(config, device))),
    );
    files
}

fn vlans(config: &Config) -> impl Iterator<Item = (&InterfaceName, &Vlan)> {
    config.devices().iter().filter_map(|device| match &device.link {
        Link::Vlan(name, vlan) => Some((name, vlan)),
        _ => None,
    })
}

/// The VLANs that are a part of a device.
fn vlans_on<'a>(config: &'a Config, id: &DeviceId) -> Vec<&'a InterfaceName> {
    let on = |vlan: &Vlan| matches!(id, DeviceId::Name(name) if *name == vlan.device);
    vlans(config).filter(|(_, vlan)| on(vlan)).map(|(name, _)| name).collect()
}

/// Devices that VLANs are a part of and that are not configured themselves.
fn carriers(config: &Config) -> BTreeSet<&InterfaceName> {
    let configured: BTreeSet<DeviceId> = config.devices().iter().map(crate::Device::id).collect();
    let is_configured = |name: &InterfaceName| configured.contains(&DeviceId::Name(name.clone()));
    vlans(config).map(|(_, vlan)| &vlan.device).filter(|name| !is_configured(name)).collect()
}

fn bond_device(name: &InterfaceName, bond: &Bond) -> String {
    let mut ini = Ini::default();
    ini.section("NetDev").line("Name", name).line("Kind", "bond");
    ini.section("Bond").line("Mode", "active-backup").line_if("MinLinks", bond.min_links);
    match &bond.monitor {
        Monitor::Mii(mii) => ini
            .line("MIIMonitorSec", milliseconds(mii.frequency))
            .line_if("UpDelaySec", mii.up_delay.map(milliseconds))
            .line_if("DownDelaySec", mii.down_delay.map(milliseconds)),
        Monitor::Arp(arp) => ini
            .line("ARPIntervalSec", milliseconds(arp.interval))
            .line_if("ARPValidate", arp.validate.map(validate))
            .line("ARPIPTargets", join(&arp.targets)),
    };
    ini.finish()
}

/// A time with its unit: networkd takes a bare number for seconds.
fn milliseconds(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

fn validate(validate: ArpValidate) -> &'static str {
    match validate {
        ArpValidate::None => "none",
        ArpValidate::Active => "active",
        ArpValidate::Backup => "backup",
        ArpValidate::All => "all",
    }
}

fn join<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn vlan_device(name: &InterfaceName, vlan: &Vlan) -> String {
    let mut ini = Ini::default();
    ini.section("NetDev").line("Name", name).line("Kind", "vlan");
    ini.section("VLAN").line("Id", vlan.id);
    ini.finish()
}

fn configured(ini: &mut Ini, id: &DeviceId, link: &Link, addressing: &Addressing, vlans: &[&InterfaceName]) {
    matched(ini, id);
    online(ini, addressing);
    ini.section("Network").line("DHCP", dhcp_families(addressing));
    if addressing.dhcp4.is_some() || addressing.dhcp6.is_some() {
        // A server that is away for a while must not take the address, and with it the workload, away.
        ini.line("KeepConfiguration", "dhcp");
    }
    if addressing.eager {
        ini.line("IPv6AcceptRA", "yes").line("IPv6DuplicateAddressDetection", 0);
    }
    if let Link::Bond(_, bond) = link {
        ini.line("ConfigureWithoutCarrier", "yes").line("BindCarrier", join(&bond.workers));
    }
    ini.lines("Address", addressing.static4.iter().chain(&addressing.static6));
    ini.lines("VLAN", vlans);
    if let Some(dhcp) = &addressing.dhcp4 {
        ini.section("DHCPv4").line("UseMTU", "yes").line_if("RouteMetric", dhcp.route_metric);
    }
    if addressing.eager && addressing.dhcp6.is_some() {
        ini.section("DHCPv6").line("WithoutRA", "solicit");
    }
    for Route { to, from, via, metric } in &addressing.routes {
        ini.section("Route")
            .line("Destination", to)
            .line_if("Gateway", *via)
            .line_if("PreferredSource", *from)
            .line_if("Metric", *metric);
    }
}

fn matched(ini: &mut Ini, id: &DeviceId) {
    match id {
        DeviceId::Name(name) => ini.section("Match").line("Name", name),
        // Of the hardware: a VLAN has the address of its device too.
        DeviceId::Mac(address) => ini.section("Match").line("PermanentMACAddress", address),
    };
}

/// What the host waits for before it is online.
fn online(ini: &mut Ini, addressing: &Addressing) {
    let family = match (addressing.requires(Family::V4), addressing.requires(Family::V6)) {
        (true, true) => "both",
        (true, false) => "ipv4",
        (false, true) => "ipv6",
        (false, false) => {
            ini.section("Link").line("RequiredForOnline", "no");
            return;
        }
    };
    // The address that every interface gives itself would pass for an answer of a DHCPv6 server.
    let dhcp6_required = addressing.dhcp6.as_ref().is_some_and(|dhcp| !dhcp.optional);
    let state = if dhcp6_required { "routable" } else { "yes" };
    ini.section("Link").line("RequiredForOnline", state).line("RequiredFamilyForOnline", family);
}

fn dhcp_families(addressing: &Addressing) -> &'static str {
    match (&addressing.dhcp4, &addressing.dhcp6) {
        (Some(_), Some(_)) => "yes",
        (Some(_), None) => "ipv4",
        (None, Some(_)) => "ipv6",
        (None, None) => "no",
    }
}

/// An interface that only works for its bond. The host waits for the bond, not for all of its workers.
fn worker_network(worker: &InterfaceName, bond: &InterfaceName, first: bool) -> String {
    let mut ini = Ini::default();
    ini.section("Match").line("Name", worker);
    ini.section("Link").line("RequiredForOnline", "no");
    ini.section("Network").line("LinkLocalAddressing", "no").line("Bond", bond);
    if first {
        ini.line("PrimarySlave", yes(true));
    }
    ini.finish()
}

/// A device that only carries VLANs, and has no address of its own to wait for.
fn carrier_network(config: &Config, device: &InterfaceName) -> String {
    let id = DeviceId::Name(device.clone());
    let mut ini = Ini::default();
    matched(&mut ini, &id);
    ini.section("Link").line("RequiredForOnline", "no");
    ini.section("Network")
        .line("DHCP", "no")
        .line("LinkLocalAddressing", "no")
        .line("IPv6AcceptRA", "no")
        .lines("VLAN", vlans_on(config, &id));
    ini.finish()
}
