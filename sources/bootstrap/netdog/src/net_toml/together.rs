//! Rules between devices.

use super::Placed;
use crate::fault::Rule;
use crate::reader::Reader;
use crate::{Bond, InterfaceName, Link, Vlan};
use std::collections::BTreeMap;

pub(super) fn check(devices: &[Placed], reader: &mut Reader<'_>) {
    one_primary(devices, reader);
    each_interface_once(devices, reader);
    workers_are_only_workers(devices, reader);
    vlans_are_on_devices(devices, reader);
}

fn one_primary(devices: &[Placed], reader: &mut Reader<'_>) {
    let mut primaries = devices.iter().filter_map(|placed| Some((placed, placed.primary?)));
    let Some((first, _)) = primaries.next() else { return };
    for (placed, at) in primaries {
        let key = format!("{}.primary", placed.key);
        reader.blame(at, &key, Rule::Primaries { other: first.key.clone() });
    }
}

/// TOML sees to names; a MAC address can be spelled in several ways.
fn each_interface_once(devices: &[Placed], reader: &mut Reader<'_>) {
    let mut seen = BTreeMap::new();
    for placed in devices {
        let Link::Hardware(address) = placed.device.link else { continue };
        if let Some(other) = seen.insert(address, &placed.key) {
            reader.blame(placed.at, &placed.key, Rule::SameMac { other: other.clone() });
        }
    }
}

fn bonds(devices: &[Placed]) -> impl Iterator<Item = (&Placed, &InterfaceName, &Bond)> {
    devices.iter().filter_map(|placed| match &placed.device.link {
        Link::Bond(name, bond) => Some((placed, name, bond)),
        _ => None,
    })
}

fn vlans(devices: &[Placed]) -> impl Iterator<Item = (&Placed, &InterfaceName, &Vlan)> {
    devices.iter().filter_map(|placed| match &placed.device.link {
        Link::Vlan(name, vlan) => Some((placed, name, vlan)),
        _ => None,
    })
}

/// The device that has a name of its own.
fn named<'a>(devices: &'a [Placed], wanted: &InterfaceName) -> Option<&'a Placed> {
    devices.iter().find(|placed| match &placed.device.link {
        Link::Named(name) | Link::Bond(name, _) | Link::Vlan(name, _) => name == wanted,
        Link::Hardware(_) => false,
    })
}

fn workers_are_only_workers(devices: &[Placed], reader: &mut Reader<'_>) {
    let mut bond_of = BTreeMap::new();
    for (placed, name, bond) in bonds(devices) {
        let key = format!("{}.interfaces", placed.key);
        for (worker, at) in bond.workers.iter().zip(&placed.workers) {
            if named(devices, worker).is_some() {
                reader.blame(*at, &key, Rule::WorkerConfigured { worker: worker.to_string() });
            }
            if let Some(bond) = bond_of.insert(worker, name) {
                let (worker, bond) = (worker.to_string(), bond.to_string());
                reader.blame(*at, &key, Rule::WorkerTwice { worker, bond });
            }
        }
        let workers = bond.workers.len();
        if let Some(min_links) = bond.min_links
            && usize::try_from(min_links).is_ok_and(|min_links| min_links > workers)
        {
            let key = format!("{}.min-links", placed.key);
            reader.blame(placed.min_links, &key, Rule::MinLinks { min_links, workers });
        }
    }
    for (placed, _, vlan) in vlans(devices) {
        if let Some(bond) = bond_of.get(&vlan.device) {
            let (device, bond) = (vlan.device.to_string(), bond.to_string());
            let key = format!("{}.device", placed.key);
            reader.blame(placed.vlan_device, &key, Rule::VlanOnWorker { device, bond });
        }
    }
}

fn vlans_are_on_devices(devices: &[Placed], reader: &mut Reader<'_>) {
    let below: BTreeMap<&InterfaceName, &InterfaceName> =
        vlans(devices).map(|(_, name, vlan)| (name, &vlan.device)).collect();
    let mut seen = BTreeMap::new();
    for (placed, name, vlan) in vlans(devices) {
        // As many steps down as there are VLANs end at what is none, unless they go round.
        let leads_to = |target: &InterfaceName| {
            let steps = std::iter::successors(Some(&vlan.device), |device| below.get(*device).copied());
            steps.take(devices.len()).any(|device| device == target)
        };
        if leads_to(name) {
            reader.blame(placed.vlan_device, &format!("{}.device", placed.key), Rule::VlanLoop);
        }
        if let Some(other) = seen.insert((&vlan.device, vlan.id), &placed.key) {
            let rule = Rule::VlanTwice { id: vlan.id, device: vlan.device.to_string(), other: other.clone() };
            reader.blame(placed.vlan_device, &placed.key, rule);
        }
    }
}
