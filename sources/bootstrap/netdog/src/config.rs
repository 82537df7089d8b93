//! A network configuration, whatever it was written in.

use crate::{Cidr, DeviceId, Family, InterfaceName, MacAddress};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The devices of a host and how they get their addresses. That it exists means that its rules are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    devices: Vec<Device>,
    primary: usize,
}

impl Config {
    /// Devices in their order; `primary` is the one whose address is that of the host, and without it the first is.
    pub(crate) fn new(devices: Vec<Device>, primary: Option<usize>) -> Self {
        Self { devices, primary: primary.unwrap_or_default() }
    }

    /// The devices, in the order in which they are written.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The device whose address is that of the host.
    pub fn primary(&self) -> Option<&Device> {
        self.devices.get(self.primary)
    }
}

/// A device that gets addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// What it is.
    pub link: Link,
    /// How it gets its addresses.
    pub addressing: Addressing,
}

impl Device {
    /// What the device is known by.
    pub fn id(&self) -> DeviceId {
        match &self.link {
            Link::Named(name) | Link::Bond(name, _) | Link::Vlan(name, _) => DeviceId::Name(name.clone()),
            Link::Hardware(address) => DeviceId::Mac(*address),
        }
    }
}

/// What a device is.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// An interface, known by its name.
    Named(InterfaceName),
    /// An interface, known by the address of its hardware.
    Hardware(MacAddress),
    /// Several interfaces that are used as one.
    Bond(InterfaceName, Bond),
    /// A part of another device's traffic, known by a number.
    Vlan(InterfaceName, Vlan),
}

/// Interfaces of which one is in use, and the others stand by: the mode `active-backup`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bond {
    /// The interfaces; the first is used while it works.
    pub workers: Vec<InterfaceName>,
    /// How many of them must work for the bond to work.
    pub min_links: Option<u32>,
    /// How it is found out whether an interface works.
    pub monitor: Monitor,
}

/// How a bond finds out whether an interface works.
#[derive(Clone, Debug, PartialEq)]
pub enum Monitor {
    /// By what the interface says of its carrier.
    Mii(MiiMonitor),
    /// By asking other hosts for answers.
    Arp(ArpMonitor),
}

/// Watching the carrier.
#[derive(Clone, Debug, PartialEq)]
pub struct MiiMonitor {
    /// Time between two looks.
    pub frequency: Duration,
    /// How long an interface must work to be taken into use.
    pub up_delay: Option<Duration>,
    /// How long an interface must not work to be given up.
    pub down_delay: Option<Duration>,
}

/// Watching answers to ARP requests.
#[derive(Clone, Debug, PartialEq)]
pub struct ArpMonitor {
    /// Time between two requests.
    pub interval: Duration,
    /// Which interfaces' answers are checked.
    pub validate: Option<ArpValidate>,
    /// Who is asked.
    pub targets: Vec<Ipv4Addr>,
}

/// Which interfaces' answers to ARP requests are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpValidate {
    /// No interface's.
    None,
    /// That of the one in use.
    Active,
    /// Those of the ones that stand by.
    Backup,
    /// Every interface's.
    All,
}

/// A part of a device's traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Vlan {
    /// The device.
    pub device: InterfaceName,
    /// The number of the part.
    pub id: u16,
}

/// How a device gets its addresses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Addressing {
    /// From a DHCP server, IPv4.
    pub dhcp4: Option<Dhcp>,
    /// From a DHCP server, IPv6.
    pub dhcp6: Option<Dhcp>,
    /// IPv4 addresses that it always has.
    pub static4: Vec<Cidr>,
    /// IPv6 addresses that it always has.
    pub static6: Vec<Cidr>,
    /// Where its neighbours lead.
    pub routes: Vec<Route>,
    /// Whether it listens to routers at once, asks for IPv6 addresses without waiting for one, and takes an address
    /// without asking whether another host has it: what interfaces of the kernel command line do, so that a host
    /// in a cloud has its address soon.
    pub eager: bool,
}

impl Addressing {
    /// Whether the device must have an address of a family before the host is online.
    pub fn requires(&self, family: Family) -> bool {
        let (dhcp, fixed) = match family {
            Family::V4 => (&self.dhcp4, &self.static4),
            Family::V6 => (&self.dhcp6, &self.static6),
        };
        !fixed.is_empty() || dhcp.as_ref().is_some_and(|dhcp| !dhcp.optional)
    }
}

/// What is expected of a DHCP server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dhcp {
    /// Whether the host is online without its answer.
    pub optional: bool,
    /// How the routes from its answer rank among others; lower is better.
    pub route_metric: Option<u32>,
}

/// Where a device leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network.
    pub to: Cidr,
    /// The address that packets are sent from.
    pub from: Option<IpAddr>,
    /// The router.
    pub via: Option<IpAddr>,
    /// How it ranks among others; lower is better.
    pub metric: Option<u32>,
}
