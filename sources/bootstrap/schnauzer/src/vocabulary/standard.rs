//! Helpers of `std`: fallbacks, joins, encodings, type tests, addresses.

use super::{Call, JOIN_ARRAY, Kind, Row};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use core::net::{IpAddr, Ipv4Addr};
use serde_json::Value;

pub(super) const ROWS: &[Row] = &[
    row("any_enabled", 1, Kind::Value, any_enabled),
    row("base64_decode", 1, Kind::Value, base64_decode),
    row("default", 2, Kind::Value, default),
    row(JOIN_ARRAY, 2, Kind::Written, join_array),
    row("join_map", 4, Kind::Value, join_map),
    row("negate_or_else", 2, Kind::Value, negate_or_else),
    row("toml_encode", 1, Kind::Written, toml_encode),
    row("goarch", 1, Kind::Value, goarch),
    row("is_null", 1, Kind::Value, |call| Ok(call.args[0].is_null().into())),
    row("is_bool", 1, Kind::Value, |call| Ok(call.args[0].is_boolean().into())),
    row("is_number", 1, Kind::Value, |call| Ok(call.args[0].is_number().into())),
    row("is_string", 1, Kind::Value, |call| Ok(call.args[0].is_string().into())),
    row("is_array", 1, Kind::Value, |call| Ok(call.args[0].is_array().into())),
    row("is_object", 1, Kind::Value, |call| Ok(call.args[0].is_object().into())),
    row("is_ipv4", 1, Kind::Value, |call| Ok(cidr(call)?.is_ipv4().into())),
    row("is_ipv6", 1, Kind::Value, |call| Ok(cidr(call)?.is_ipv6().into())),
    row("cidr_to_ipaddr", 1, Kind::Value, |call| Ok(cidr(call)?.to_string().into())),
    row("replace_ipv4_octet", 3, Kind::Value, replace_ipv4_octet),
];

const fn row(name: &'static str, args: usize, kind: Kind, run: fn(&Call) -> Result<Value, String>) -> Row {
    Row { extension: "std", name, args, kind, run }
}

#[allow(clippy::unnecessary_wraps)] // the signature of a row
fn any_enabled(call: &Call) -> Result<Value, String> {
    let enabled = |member: &Value| member.get("enabled") == Some(&Value::Bool(true));
    Ok(match call.args[0] {
        Value::Array(members) => members.iter().any(enabled).into(),
        Value::Object(members) => members.values().any(enabled).into(),
        _ => false.into(),
    })
}

fn base64_decode(call: &Call) -> Result<Value, String> {
    let bytes = STANDARD.decode(call.text(0)?).map_err(|error| format!("the text is not base64: {error}"))?;
    String::from_utf8(bytes).map(Value::String).map_err(|_| "the decoded bytes are not UTF-8 text".into())
}

fn default(call: &Call) -> Result<Value, String> {
    let composite = |value: &Value| value.is_array() || value.is_object();
    let [fallback, value] = call.args[..] else { unreachable!("two arguments") };
    if fallback.is_null() || composite(fallback) {
        Err(call.mismatch(0, "text, a number or a boolean"))
    } else if composite(value) {
        Err(call.mismatch(1, "text, a number or a boolean"))
    } else {
        Ok(if value.is_null() { fallback.clone() } else { value.clone() })
    }
}

fn join_array(call: &Call) -> Result<Value, String> {
    let items = call.args[1].as_array().ok_or_else(|| call.mismatch(1, "a list of text"))?;
    let written = |item: &Value| match item {
        Value::String(_) => call.format.literal(item).map_err(|why| format!("{item} {why}")),
        other => Err(format!("the list must hold text only, but has {other}")),
    };
    Ok(items.iter().map(written).collect::<Result<Vec<_>, _>>()?.join(call.text(0)?).into())
}

fn join_map(call: &Call) -> Result<Value, String> {
    let (inner, outer) = (call.text(0)?, call.text(1)?);
    let members = match (call.text(2)?, call.args[3]) {
        (_, Value::Object(members)) => members,
        ("no-fail-if-missing", Value::Null) => return Ok("".into()),
        ("fail-if-missing" | "no-fail-if-missing", _) => return Err(call.mismatch(3, "a map")),
        _ => return Err("argument 3 must be \"fail-if-missing\" or \"no-fail-if-missing\"".into()),
    };
    let pair = |(key, value): (&String, &Value)| match value {
        Value::String(text) => Ok(format!("{key}{inner}{text}")),
        Value::Number(_) | Value::Bool(_) => Ok(format!("{key}{inner}{value}")),
        _ => Err(format!("the value of '{key}' must be text, a number or a boolean")),
    };
    Ok(members.iter().map(pair).collect::<Result<Vec<_>, _>>()?.join(outer).into())
}

fn negate_or_else(call: &Call) -> Result<Value, String> {
    let Value::Bool(fallback) = call.args[0] else { return Err(call.mismatch(0, "a boolean")) };
    match call.args[1] {
        Value::Null => Ok((*fallback).into()),
        Value::Bool(flag) => Ok((!flag).into()),
        _ => Err(call.mismatch(1, "a boolean")),
    }
}

fn toml_encode(call: &Call) -> Result<Value, String> {
    call.format.literal(call.args[0]).map(Value::String).map_err(|why| format!("the value {why}"))
}

fn goarch(call: &Call) -> Result<Value, String> {
    match call.text(0)? {
        "x86_64" | "amd64" => Ok("amd64".into()),
        "aarch64" | "arm64" => Ok("arm64".into()),
        other => Err(format!("'{other}' is not a known architecture; those known are x86_64 and aarch64")),
    }
}

/// The address of a CIDR block.
fn cidr(call: &Call) -> Result<IpAddr, String> {
    let text = call.text(0)?;
    let parse = || {
        let (address, length) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (length.parse::<u8>().ok()? <= longest).then_some(address)
    };
    parse().ok_or_else(|| format!("'{text}' is not a CIDR block such as 10.0.0.0/16"))
}

fn replace_ipv4_octet(call: &Call) -> Result<Value, String> {
    let address = call.text(0)?;
    let address: Ipv4Addr = address.parse().map_err(|_| format!("'{address}' is not an IPv4 address"))?;
    let mut octets = address.octets();
    let index = call.args[1].as_u64().and_then(|index| usize::try_from(index).ok());
    let octet = index.and_then(|index| octets.get_mut(index)).ok_or("argument 2 must be 0, 1, 2 or 3")?;
    let replacement = match call.args[2] {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u8::try_from(number).ok()),
    };
    *octet = replacement.ok_or("argument 3 must be a number from 0 to 255")?;
    Ok(Ipv4Addr::from(octets).to_string().into())
}
