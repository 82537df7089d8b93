//! Helpers of `network`: the host of a URL, and the lines of `/etc/hosts`.

use super::{Call, Kind, Row};
use crate::Format;
use crate::format::word;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use serde_json::Value;
use url::Url;

pub(super) const ROWS: &[Row] = &[
    Row { extension: "network", name: "host", args: 1, kind: Kind::Value, run: host },
    Row {
        extension: "network",
        name: "localhost_aliases",
        args: 3,
        kind: Kind::Written,
        run: localhost_aliases,
    },
    Row {
        extension: "network",
        name: "etc_hosts_entries",
        args: 1,
        kind: Kind::Written,
        run: etc_hosts_entries,
    },
];

const LOOPBACKS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// The host part; settings hold addresses without a scheme too, and `name:port` must not be read as one.
fn host(call: &Call) -> Result<Value, String> {
    let text = call.text(0)?;
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    let url = url.map_err(|error| format!("'{text}' is not a URL: {error}"))?;
    url.host_str().map(Value::from).ok_or_else(|| format!("'{text}' names no host"))
}

/// The `[address, [name, ...]]` pairs of `settings.network.hosts`.
fn entries(call: &Call, index: usize) -> Result<Vec<(IpAddr, Vec<String>)>, String> {
    if call.args[index].is_null() {
        return Ok(Vec::new());
    }
    let pairs: Vec<(IpAddr, Vec<String>)> = serde_json::from_value(call.args[index].clone())
        .map_err(|error| format!("the list must hold pairs of an address and names: {error}"))?;
    for name in pairs.iter().flat_map(|(_, names)| names) {
        word(name).map_err(|why| format!("the name '{name}' {why}"))?;
    }
    Ok(pairs)
}

fn only_in_hosts(call: &Call) -> Result<(), String> {
    match call.format {
        Format::Hosts | Format::Text => Ok(()),
        _ => Err("writes lines of /etc/hosts; the format of the file must be 'hosts'".into()),
    }
}

fn localhost_aliases(call: &Call) -> Result<Value, String> {
    only_in_hosts(call)?;
    let loopback = match call.text(0)? {
        "ipv4" => LOOPBACKS[0],
        "ipv6" => LOOPBACKS[1],
        other => return Err(format!("argument 1 must be \"ipv4\" or \"ipv6\", not \"{other}\"")),
    };
    let entries = entries(call, 2)?;
    let mut aliases = Vec::new();
    let hostname = if call.args[1].is_null() { "" } else { call.text(1)? };
    if !hostname.is_empty() {
        let hostname = word(hostname).map_err(|why| format!("the host name {why}"))?;
        let listed = entries.iter().any(|(_, names)| names.iter().any(|name| name == hostname));
        if !listed && !(call.facts.resolvable)(hostname) {
            aliases.push(hostname.to_owned());
        }
    }
    for (_, names) in entries.into_iter().filter(|(address, _)| *address == loopback) {
        for name in names {
            if !aliases.contains(&name) {
                aliases.push(name);
            }
        }
    }
    Ok(aliases.join(" ").into())
}

fn etc_hosts_entries(call: &Call) -> Result<Value, String> {
    only_in_hosts(call)?;
    let mut merged: Vec<(IpAddr, Vec<String>)> = Vec::new();
    for (address, names) in entries(call, 0)? {
        if LOOPBACKS.contains(&address) || names.is_empty() {
            continue;
        }
        let known = merged.iter().position(|(seen, _)| *seen == address).unwrap_or_else(|| {
            merged.push((address, Vec::new()));
            merged.len() - 1
        });
        for name in names {
            if !merged[known].1.contains(&name) {
                merged[known].1.push(name);
            }
        }
    }
    let lines: Vec<String> =
        merged.iter().map(|(address, names)| format!("{address} {}", names.join(" "))).collect();
    Ok(lines.join("\n").into())
}
