//! What is wrong with a configuration, and where.

use crate::{AddressError, Family, NameError};
use snafu::Snafu;
use std::fmt;
use user_data::Position;

/// A rule that a configuration broke; its text says what would be right.
#[derive(Clone, Debug, PartialEq, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum Rule {
    #[snafu(display("is not TOML: {message}"))]
    Syntax { message: String },
    #[snafu(display("is not text in UTF-8"))]
    Text,
    #[snafu(display("is missing; begin the file with version = 3"))]
    NoVersion,
    #[snafu(display("must be 1, 2 or 3, not {found}"))]
    Version { found: String },
    #[snafu(display("is not known{}", nearest(near.as_ref(), known)))]
    Unknown { near: Option<String>, known: Vec<&'static str> },
    #[snafu(display("is known from version {since} of this file on; write version = {since}, or remove it"))]
    Later { since: u8 },
    #[snafu(display("must be {expected}, not {found}"))]
    Type { expected: &'static str, found: String },
    #[snafu(display("is missing; it must be {expected}"))]
    Missing { expected: &'static str },
    #[snafu(transparent)]
    Name { source: NameError },
    #[snafu(display(
        "is a {kind}, which has a name of its own; only plain interfaces go by their MAC address"
    ))]
    KindByMac { kind: &'static str },
    #[snafu(display("is the same MAC address as {other}; configure an interface once"))]
    SameMac { other: String },
    #[snafu(transparent)]
    Address { source: AddressError },
    #[snafu(display("'{text}' is not an IP address, such as \"192.0.2.1\""))]
    IpAddress { text: String },
    #[snafu(display("'{text}' is not an IPv4 address, such as \"192.0.2.1\"; ARP is of IPv4 alone"))]
    ArpTarget { text: String },
    #[snafu(display("'{text}' is an address of {found}; this list is of {expected}"))]
    ListFamily { text: String, found: Family, expected: Family },
    #[snafu(display("gets no address; write dhcp4 = true or dhcp6 = true{}", if *fixed { ", or static addresses" } else { "" }))]
    NoAddressing { fixed: bool },
    #[snafu(display("cannot stand beside DHCP, which brings routes of its own; remove one of them"))]
    RoutesWithDhcp,
    #[snafu(display("needs static addresses to send from; write static4 or static6"))]
    RoutesWithoutStatic,
    #[snafu(display("is of {found}, but the rest of the route is of {expected}"))]
    RouteFamily { found: Family, expected: Family },
    #[snafu(display(
        "'default' may be of IPv4 or IPv6 here; write via or from, or \"0.0.0.0/0\" or \"::/0\""
    ))]
    DefaultFamily,
    #[snafu(display("cannot be primary too: {other} is; one device at most gives the host its address"))]
    Primaries { other: String },
    #[snafu(display("has no interfaces; a bond needs at least one"))]
    NoWorkers,
    #[snafu(display("{worker} cannot be a part of a bond and configured by itself; remove its table"))]
    WorkerConfigured { worker: String },
    #[snafu(display("{worker} is already a part of {bond}; an interface is a part of one bond, once"))]
    WorkerTwice { worker: String, bond: String },
    #[snafu(display("{device} is a part of the bond {bond}; put the VLAN on {bond}"))]
    VlanOnWorker { device: String, bond: String },
    #[snafu(display("leads back to the VLAN itself; name the interface or bond that it is a part of"))]
    VlanLoop,
    #[snafu(display("is {id} on {device}, as that of {other} is; one device has a VLAN once"))]
    VlanTwice { id: u16, device: String, other: String },
    #[snafu(display("is {min_links}, but the bond has {workers} {}; it would never work", if *workers == 1 { "interface" } else { "interfaces" }))]
    MinLinks { min_links: u32, workers: usize },
    #[snafu(display("names both ways to watch a bond; write either the miimon or the arpmon keys"))]
    TwoMonitors,
    #[snafu(display(
        "does not say how; write miimon-frequency-ms, or arpmon-interval-ms and arpmon-targets"
    ))]
    NoMonitor,
    #[snafu(display("must be more than 0 ms, or the bond would never notice that an interface fails"))]
    ZeroTime,
    #[snafu(display(
        "is {delay_ms} ms, less than the {frequency_ms} ms of miimon-frequency-ms; make it at least as long"
    ))]
    DelayBelowFrequency { delay_ms: u128, frequency_ms: u128 },
    #[snafu(display("has {count} addresses; name 1 to 16"))]
    ArpTargets { count: usize },
    #[snafu(display(
        "is named {count} times; one interface at most can be named on the kernel command line"
    ))]
    CommandLineTwice { count: usize },
    #[snafu(display("is '{text}'; write NAME:dhcp4, NAME:dhcp6 or both, such as eth0:dhcp4,dhcp6?"))]
    CommandLineForm { text: String },
    #[snafu(display("has the option '{option}'; it must be dhcp4, dhcp6, dhcp4? or dhcp6?"))]
    CommandLineOption { option: String },
    #[snafu(display("has the option {option} twice; name it once"))]
    CommandLineOptionTwice { option: &'static str },
    #[snafu(display("'{text}' is no domain to search, such as \"example.com\""))]
    Domain { text: String },
}

fn nearest(near: Option<&String>, known: &[&'static str]) -> String {
    match near {
        Some(near) => format!("; did you mean '{near}'?"),
        None => format!("; known here: {}", known.join(", ")),
    }
}

/// One thing that is wrong. It prints as one line, `FILE:LINE:COLUMN: KEY WHAT`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The place in it, if one is to blame.
    pub position: Option<Position>,
    /// The key, from the top of the file; empty for the file as a whole.
    pub key: String,
    /// What is wrong there.
    pub rule: Rule,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(position) = self.position {
            write!(f, "{position}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}", self.key)?;
        }
        // One fault is one line, whatever was quoted.
        write!(f, " {}", self.rule.to_string().trim().replace('\n', ", "))
    }
}

/// All that is wrong with a file, in the order of its lines. It prints as one line for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// One fault of a file as a whole.
    pub fn of(file: &str, rule: Rule) -> Self {
        Self::at_key(file, "", rule)
    }

    pub(crate) fn at_key(file: &str, key: &str, rule: Rule) -> Self {
        Self(vec![Fault { file: file.to_owned(), position: None, key: key.to_owned(), rule }])
    }

    pub(crate) fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.position);
        Self(faults)
    }

    /// The faults.
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            let line_end = if number == 0 { "" } else { "\n" };
            write!(f, "{line_end}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
