//! Network configuration: from what an operator writes to what systemd-networkd and systemd-resolved read.
//!
//! ```text
//! net.toml ─────────────┐
//!                       ├─▶ Config ─▶ plan_links ─┐
//! kernel command line ──┘                         ├─▶ Plan: files to write, files to remove
//! /etc/netdog.toml ────────▶ DnsSettings ─▶ plan_dns ─┘
//! ```
//!
//! A [`Config`] that exists is sound: names, addresses and the rules between devices were checked when it was
//! parsed, by [`net_toml::parse`] or [`command_line::parse`], which blame every [`Fault`] by file, line, column and
//! key. What follows from it is a [`Plan`], a value that prints and compares.
//!
//! The crate is pure: it reads no file, starts no program and asks no network; the verbs of `netdog` in the crate
//! `bootstrap` do. It does not configure interfaces either: that is networkd's work. Run its tests with
//! `cargo test -p netdog`; `VISCO_UPDATE_GOLDEN=1` writes the expected files of `tests/golden` anew.

mod address;
pub mod command_line;
mod config;
mod dns;
mod fault;
mod ini;
mod name;
pub mod net_toml;
mod networkd;
mod plan;
mod reader;
mod status;

pub use address::{AddressError, Cidr, Destination, Family};
pub use config::{
    Addressing, ArpMonitor, ArpValidate, Bond, Config, Device, Dhcp, Link, MiiMonitor, Monitor, Route, Vlan,
};
pub use dns::DnsSettings;
pub use fault::{Fault, Faults, Rule};
pub use name::{DeviceId, InterfaceName, MacAddress, NameError};
pub use plan::{
    CURRENT_IP, File, NETWORKD_FOLDER, ONLINE_REQUIRED, PRIMARY_INTERFACE, PRIMARY_MAC_ADDRESS, Plan,
    RESOLVED_DROP_IN, STATE, plan_dns, plan_links,
};
pub use status::{StatusError, address_of, kernel_settings};
