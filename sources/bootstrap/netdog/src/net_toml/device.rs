//! One device: what it is.

use super::addressing::addressing;
use super::{Placed, Version};
use crate::fault::Rule;
use crate::reader::{Field, Fields, Reader};
use crate::{
    ArpMonitor, ArpValidate, Bond, Device, DeviceId, InterfaceName, Link, MiiMonitor, Monitor, Vlan,
};
use std::time::Duration;

/// Largest number of a VLAN that can be used (IEEE 802.1Q; `linux/if_vlan.h`).
const VLAN_ID_MAX: u64 = 4094;
/// Most hosts that a bond can ask (`BOND_MAX_ARP_TARGETS` of `net/bonding.h`).
const ARP_TARGETS_MAX: usize = 16;
/// The keys of each version of a device's table; every version knows those of the earlier ones.
const KEYS: [(&str, Version); 13] = [
    ("primary", Version::One),
    ("dhcp4", Version::One),
    ("dhcp6", Version::One),
    ("static4", Version::Two),
    ("static6", Version::Two),
    ("route", Version::Two),
    ("kind", Version::Three),
    ("mode", Version::Three),
    ("interfaces", Version::Three),
    ("min-links", Version::Three),
    ("monitoring", Version::Three),
    ("device", Version::Three),
    ("id", Version::Three),
];
const BOND_KEYS: [&str; 4] = ["mode", "interfaces", "min-links", "monitoring"];
const VLAN_KEYS: [&str; 2] = ["device", "id"];
const COMMON_KEYS: [&str; 7] = ["kind", "primary", "dhcp4", "dhcp6", "static4", "static6", "route"];

/// What the table of a device says it is.
enum Kind {
    Plain,
    Bond,
    Vlan,
}

/// Where a device says what other devices may clash with.
#[derive(Default)]
struct Places {
    workers: Vec<usize>,
    vlan_device: usize,
    min_links: usize,
}

/// Reads the table of a device. What is wrong is blamed; a device that cannot be told from others is none.
pub(super) fn device(field: &Field<'_>, version: Version, reader: &mut Reader<'_>) -> Option<Placed> {
    let id = id(field, version, reader);
    let mut fields = field.table("the table of a device", reader)?;
    let kind = if version >= Version::Three { kind(&mut fields, reader)? } else { Kind::Plain };
    let primary = fields.take("primary");
    let primary = primary.filter(|field| field.boolean(reader) == Some(true)).map(|field| field.at);
    let mut places = Places::default();
    let link = match kind {
        Kind::Plain => id.map(|id| match id {
            DeviceId::Name(name) => Link::Named(name),
            DeviceId::Mac(address) => Link::Hardware(address),
        }),
        Kind::Bond => {
            let name = own_name(id, "bond", field, reader);
            bond(&mut fields, &mut places, reader).and_then(|bond| Some(Link::Bond(name?, bond)))
        }
        Kind::Vlan => {
            let name = own_name(id, "VLAN", field, reader);
            vlan(&mut fields, &mut places, reader).and_then(|vlan| Some(Link::Vlan(name?, vlan)))
        }
    };
    let addressing = addressing(&mut fields, version, reader);
    refuse_rest(fields, version, &kind, reader);
    let Places { workers, vlan_device, min_links } = places;
    let device = Device { link: link?, addressing };
    Some(Placed { device, key: field.key.clone(), at: field.at, primary, workers, vlan_device, min_links })
}

fn id(field: &Field<'_>, version: Version, reader: &mut Reader<'_>) -> Option<DeviceId> {
    let id = if version >= Version::Three {
        field.name.parse::<DeviceId>()
    } else {
        field.name.parse::<InterfaceName>().map(DeviceId::Name)
    };
    id.map_err(|e| reader.blame(field.at, &field.key, e)).ok()
}

/// The name of a device that is made, rather than found.
fn own_name(
    id: Option<DeviceId>,
    kind: &'static str,
    field: &Field<'_>,
    reader: &mut Reader<'_>,
) -> Option<InterfaceName> {
    match id? {
        DeviceId::Name(name) => Some(name),
        DeviceId::Mac(_) => {
            reader.blame(field.at, &field.key, Rule::KindByMac { kind });
            None
        }
    }
}

fn kind(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Option<Kind> {
    let Some(field) = fields.take("kind") else { return Some(Kind::Plain) };
    match field.value().as_str() {
        Some("bond") => Some(Kind::Bond),
        Some("vlan") => Some(Kind::Vlan),
        _ => {
            field.wrong_type("\"bond\" or \"vlan\"; a plain interface has no kind", reader);
            None
        }
    }
}

fn refuse_rest(fields: Fields<'_>, version: Version, kind: &Kind, reader: &mut Reader<'_>) {
    let own: &[&str] = match kind {
        Kind::Plain => &[],
        Kind::Bond => &BOND_KEYS,
        Kind::Vlan => &VLAN_KEYS,
    };
    let in_version = |key: &&&str| KEYS.iter().all(|(known, since)| known != *key || *since <= version);
    let known: Vec<&str> = COMMON_KEYS.iter().filter(in_version).chain(own).copied().collect();
    let later: Vec<(&str, u8)> =
        KEYS.iter().filter(|(_, since)| *since > version).map(|(key, since)| (*key, *since as u8)).collect();
    fields.refuse_rest(&known, &later, reader);
}

fn bond(fields: &mut Fields<'_>, places: &mut Places, reader: &mut Reader<'_>) -> Option<Bond> {
    let mode = "\"active-backup\", the one mode that is known";
    if let Some(field) = fields.need("mode", mode, reader)
        && field.value().as_str() != Some("active-backup")
    {
        field.wrong_type(mode, reader);
    }
    let expected = "a list of the names of interfaces";
    let workers: Option<Vec<InterfaceName>> = fields.need("interfaces", expected, reader).map(|field| {
        let count = field.value().as_array().map(|array| array.len());
        if count == Some(0) {
            field.blame(reader, Rule::NoWorkers);
        }
        let list = field.list(expected, reader, |name| Ok(name.parse()?));
        let (names, at) = list.into_iter().unzip();
        places.workers = at;
        names
    });
    let min_links = fields.take("min-links").and_then(|field| {
        places.min_links = field.value_at();
        field.number(u32::MAX.into(), "a number of interfaces", reader)
    });
    let monitor = fields.need("monitoring", "a table that says how the bond is watched", reader);
    let monitor = monitor.and_then(|field| field.table("a table", reader));
    let monitor = monitor.and_then(|fields| monitor_of(fields, reader));
    Some(Bond { workers: workers?, min_links, monitor: monitor? })
}

fn monitor_of(mut fields: Fields<'_>, reader: &mut Reader<'_>) -> Option<Monitor> {
    let mii = ["miimon-frequency-ms", "miimon-updelay-ms", "miimon-downdelay-ms"].map(|key| fields.take(key));
    let arp = ["arpmon-interval-ms", "arpmon-validate", "arpmon-targets"].map(|key| fields.take(key));
    let is_there = |fields: &[Option<Field<'_>>]| fields.iter().any(Option::is_some);
    let (at, key) = (fields.at, fields.key.clone());
    let known = [
        "miimon-frequency-ms",
        "miimon-updelay-ms",
        "miimon-downdelay-ms",
        "arpmon-interval-ms",
        "arpmon-validate",
        "arpmon-targets",
    ];
    fields.refuse_rest(&known, &[], reader);
    match (is_there(&mii), is_there(&arp)) {
        (true, false) => mii_monitor(mii, at, &key, reader).map(Monitor::Mii),
        (false, true) => arp_monitor(arp, at, &key, reader).map(Monitor::Arp),
        (both, _) => {
            reader.blame(at, &key, if both { Rule::TwoMonitors } else { Rule::NoMonitor });
            None
        }
    }
}

fn mii_monitor(
    [frequency, up, down]: [Option<Field<'_>>; 3],
    at: usize,
    key: &str,
    reader: &mut Reader<'_>,
) -> Option<MiiMonitor> {
    let Some(frequency) = frequency else {
        let key = format!("{key}.miimon-frequency-ms");
        reader.blame(at, &key, Rule::Missing { expected: "a number of milliseconds" });
        return None;
    };
    let frequency = time_between(&frequency, reader)?;
    let mut delay = |field: Option<Field<'_>>| {
        let field = field?;
        let delay = milliseconds(&field, reader)?;
        if delay < frequency {
            let (delay_ms, frequency_ms) = (delay.as_millis(), frequency.as_millis());
            field.blame(reader, Rule::DelayBelowFrequency { delay_ms, frequency_ms });
        }
        Some(delay)
    };
    let (up_delay, down_delay) = (delay(up), delay(down));
    Some(MiiMonitor { frequency, up_delay, down_delay })
}

fn arp_monitor(
    [interval, validate, targets]: [Option<Field<'_>>; 3],
    at: usize,
    key: &str,
    reader: &mut Reader<'_>,
) -> Option<ArpMonitor> {
    let mut missing = |name: &str, expected: &'static str| {
        reader.blame(at, &format!("{key}.{name}"), Rule::Missing { expected });
    };
    if interval.is_none() {
        missing("arpmon-interval-ms", "a number of milliseconds");
    }
    if targets.is_none() {
        missing("arpmon-targets", "a list of 1 to 16 IPv4 addresses");
    }
    let interval = interval.and_then(|field| time_between(&field, reader));
    let validate = validate.and_then(|field| arp_validate(&field, reader));
    let targets = targets.map(|field| {
        if let Some(count) = field.value().as_array().map(|array| array.len())
            && !(1..=ARP_TARGETS_MAX).contains(&count)
        {
            field.blame(reader, Rule::ArpTargets { count });
        }
        let target = |text: &str| text.parse().map_err(|_| Rule::ArpTarget { text: text.to_owned() });
        field.list("a list of IPv4 addresses", reader, target).into_iter().map(|(target, _)| target).collect()
    });
    Some(ArpMonitor { interval: interval?, validate, targets: targets? })
}

fn arp_validate(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<ArpValidate> {
    match field.value().as_str() {
        Some("none") => Some(ArpValidate::None),
        Some("active") => Some(ArpValidate::Active),
        Some("backup") => Some(ArpValidate::Backup),
        Some("all") => Some(ArpValidate::All),
        _ => {
            field.wrong_type("\"none\", \"active\", \"backup\" or \"all\"", reader);
            None
        }
    }
}

fn milliseconds(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Duration> {
    // The kernel keeps these times as signed 32-bit numbers of milliseconds.
    field
        .number(i32::MAX.cast_unsigned().into(), "a number of milliseconds", reader)
        .map(Duration::from_millis)
}

fn time_between(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Duration> {
    let time = milliseconds(field, reader)?;
    if time.is_zero() {
        field.blame(reader, Rule::ZeroTime);
    }
    Some(time)
}

fn vlan(fields: &mut Fields<'_>, places: &mut Places, reader: &mut Reader<'_>) -> Option<Vlan> {
    let device =
        fields.need("device", "the name of the interface or bond that the VLAN is a part of", reader);
    let device = device.and_then(|field| {
        places.vlan_device = field.value_at();
        field.parsed::<InterfaceName>(reader)
    });
    let expected = "a number from 0 to 4094";
    let id = fields.need("id", expected, reader);
    let id = id.and_then(|field| field.number(VLAN_ID_MAX, expected, reader));
    Some(Vlan { device: device?, id: id? })
}
