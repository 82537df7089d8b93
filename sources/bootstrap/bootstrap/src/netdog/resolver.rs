//! Who answers questions for names.

use super::{FaultySnafu, NetdogError, ReadSnafu, act, apply, names_in, primary_device, show};
use ::netdog::{DnsSettings, NETWORKD_FOLDER, RESOLVED_DROP_IN, plan_dns};
use host::{Command, Host};
use snafu::ResultExt;
use std::hash::{BuildHasher, Hasher};

/// What the settings say of DNS, as the template makes it.
const SETTINGS: &str = "/etc/netdog.toml";
/// What tells this host from others, and stays while it runs.
const MACHINE_ID: &str = "/etc/machine-id";

/// What the settings say of DNS; before there are any, nothing.
pub(super) fn settings(host: &Host) -> Result<DnsSettings, NetdogError> {
    let content = host.read(SETTINGS).context(ReadSnafu)?.unwrap_or_default();
    DnsSettings::parse(SETTINGS, &String::from_utf8_lossy(&content))
        .map_err(|faults| FaultySnafu { faults }.build())
}

/// Writes what networkd and resolved are told, and lets those of them that were told something new know.
pub(super) fn write(host: &Host, dry_run: bool) -> Result<(), NetdogError> {
    let networks = names_in(host, NETWORKD_FOLDER)?;
    let plan = plan_dns(&settings(host)?, &networks, primary_device(host)?.as_ref(), seed(host)?);
    if dry_run {
        return show(&plan);
    }
    let changed = apply(&plan, host)?;
    let is_resolved = |path: &String| path == RESOLVED_DROP_IN;
    let told_networkd = changed.iter().any(|path| !is_resolved(path));
    let told_resolved = changed.iter().any(is_resolved);
    let units = [
        told_networkd.then_some("systemd-networkd.service"),
        told_resolved.then_some("systemd-resolved.service"),
    ];
    let units: Vec<&str> = units.into_iter().flatten().collect();
    if !units.is_empty() {
        // Whoever applies settings does not wait for the network.
        let verb = ["systemctl", "--no-block", "try-reload-or-restart"];
        act(host, &Command::new([&verb[..], &units].concat()))?;
    }
    Ok(())
}

/// Shuffles the servers: differently on every host, but always the same on one, so that nothing is told anew when
/// nothing is new.
fn seed(host: &Host) -> Result<u64, NetdogError> {
    let id = host.read(MACHINE_ID).context(ReadSnafu)?.unwrap_or_default();
    let id = u128::from_str_radix(String::from_utf8_lossy(&id).trim(), 16).ok();
    let half = |id: u128, shift: u32| u64::try_from((id >> shift) & u128::from(u64::MAX)).unwrap_or_default();
    let random = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    Ok(id.map_or_else(random, |id| half(id, 64) ^ half(id, 0)))
}
