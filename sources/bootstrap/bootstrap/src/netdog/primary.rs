//! The primary interface: its address, and what containers need of it.

use super::{
    LinkSnafu, NetdogError, NoAddressSnafu, NoInterfaceSnafu, RunSnafu, StatusSnafu, WriteSnafu, act,
    create_state_folder, names_in, primary_device, succeeded,
};
use ::netdog::{CURRENT_IP, DeviceId, MacAddress, ONLINE_REQUIRED, address_of, kernel_settings};
use host::program::chain;
use host::{Command, Host, Replaced};
use snafu::{OptionExt, ResultExt};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the kernel is told of the interface. `/etc` is empty at every boot, so it is told once in each.
const KERNEL_SETTINGS: &str = "/etc/sysctl.d/90-primary_interface.conf";
/// The resolver's file that containers are given, and the one of resolved that it is: the real name servers, since
/// the one that resolved plays on the loopback of the host cannot be reached from a container.
const RESOLV_CONF: &str = "/run/netdog/resolv.conf";
const RESOLVED_FILE: &str = "/run/systemd/resolve/resolv.conf";
/// Interfaces, by their names.
const INTERFACES: &str = "/sys/class/net";
/// How long networkd may take to answer. Boot waits for it.
const STATUS_LIMIT: Duration = Duration::from_secs(10);

/// How long it takes until networkd is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Notes the address of the primary interface. One that does not come within `wait` is an error, unless the host
/// does not need its network to be online.
pub(super) fn write_status(host: &Host, wait: Duration) -> Result<(), NetdogError> {
    // That needs no network, and serves one that comes up later.
    link_resolv_conf(host)?;
    let Some(primary) = primary_device(host)? else {
        tracing::warn!("no primary interface: no network is configured");
        return Ok(());
    };
    let interface = match primary {
        DeviceId::Name(name) => name.to_string(),
        DeviceId::Mac(address) => interface_of(host, address)?,
    };
    tell_kernel(host, &interface)?;
    let address = match ask_until(host, &interface, Instant::now() + wait) {
        Err(error) if !host.path(ONLINE_REQUIRED).exists() => {
            tracing::warn!(interface, why = chain(&error), "no address yet, and none is required");
            return Ok(());
        }
        answer => answer?,
    };
    create_state_folder(host)?;
    host.replace(CURRENT_IP, format!("{address}\n").as_bytes(), 0o644).context(WriteSnafu)?;
    tracing::info!(interface, %address, "the host has its address");
    Ok(())
}

/// Asks for the address of an interface until it has one or time is up, but once at least.
fn ask_until(host: &Host, interface: &str, deadline: Instant) -> Result<IpAddr, NetdogError> {
    loop {
        let answer = ask(host, interface);
        if answer.is_ok() || Instant::now() >= deadline {
            return answer;
        }
        std::thread::sleep(ASK_AGAIN);
    }
}

fn ask(host: &Host, interface: &str) -> Result<IpAddr, NetdogError> {
    let mut command = Command::new(["networkctl", "status", "--json=short", interface]);
    command.timeout = STATUS_LIMIT;
    let what = command.argv.join(" ");
    let output = host.run(&command).context(RunSnafu { what: &what })?;
    let json = succeeded(&what, output)?;
    let address = address_of(&json).context(StatusSnafu { interface })?;
    address.context(NoAddressSnafu { interface })
}

fn link_resolv_conf(host: &Host) -> Result<(), NetdogError> {
    let path = host.path(RESOLV_CONF);
    if std::fs::read_link(&path).is_ok_and(|old| old == Path::new(RESOLVED_FILE)) {
        return Ok(());
    }
    let place = || {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => std::os::unix::fs::symlink(RESOLVED_FILE, &path),
        }
    };
    place().context(LinkSnafu { path: RESOLV_CONF, target: RESOLVED_FILE })
}

fn tell_kernel(host: &Host, interface: &str) -> Result<(), NetdogError> {
    let settings = kernel_settings(interface);
    if host.replace(KERNEL_SETTINGS, settings.as_bytes(), 0o644).context(WriteSnafu)? == Replaced::Written {
        act(host, &Command::new(["/usr/lib/systemd/systemd-sysctl", KERNEL_SETTINGS]))?;
    }
    Ok(())
}

/// The interface with a MAC address; of several, the one that is hardware, since a VLAN or a bond borrows its own.
fn interface_of(host: &Host, address: MacAddress) -> Result<String, NetdogError> {
    let names = names_in(host, INTERFACES)?;
    let has_address = |name: &&String| {
        let text = std::fs::read_to_string(host.path(format!("{INTERFACES}/{name}/address")));
        text.is_ok_and(|text| text.trim().parse() == Ok(address))
    };
    let mut found: Vec<&String> = names.iter().filter(has_address).collect();
    found.sort_by_key(|name| !host.path(format!("{INTERFACES}/{name}/device")).exists());
    let there = || NoInterfaceSnafu { address: address.to_string(), there: names.join(", ") };
    found.first().map(|name| (*name).clone()).with_context(there)
}
