//! One device: how it gets its addresses.

use super::Version;
use crate::fault::Rule;
use crate::reader::{Field, Fields, Reader};
use crate::{Addressing, Cidr, Destination, Dhcp, Family, Route};
use std::net::IpAddr;

pub(super) fn addressing(fields: &mut Fields<'_>, version: Version, reader: &mut Reader<'_>) -> Addressing {
    let given = |field: &Option<Field<'_>>| field.is_some();
    let dhcp4 = fields.take("dhcp4").and_then(|field| dhcp(&field, Family::V4, reader));
    let dhcp6 = fields.take("dhcp6").and_then(|field| dhcp(&field, Family::V6, reader));
    let mut addressing = Addressing { dhcp4, dhcp6, ..Addressing::default() };
    let has_dhcp = addressing.dhcp4.is_some() || addressing.dhcp6.is_some();
    let fixed = version >= Version::Two;
    if !fixed {
        if !has_dhcp {
            reader.blame(fields.at, &fields.key, Rule::NoAddressing { fixed });
        }
        return addressing;
    }
    let (static4, static6) = (fields.take("static4"), fields.take("static6"));
    let says_static = given(&static4) || given(&static6);
    let faults_before = reader.fault_count();
    addressing.static4 = static4.map(|field| addresses(&field, Family::V4, reader)).unwrap_or_default();
    addressing.static6 = static6.map(|field| addresses(&field, Family::V6, reader)).unwrap_or_default();
    // Addresses that are blamed already are there, in what was meant.
    let has_static = !(addressing.static4.is_empty() && addressing.static6.is_empty())
        || says_static && reader.fault_count() > faults_before;
    let routes = fields.take("route");
    match &routes {
        Some(field) if has_dhcp => reader.blame(field.at, &field.key, Rule::RoutesWithDhcp),
        Some(field) if !has_static => reader.blame(field.at, &field.key, Rule::RoutesWithoutStatic),
        None if !has_dhcp && !has_static => {
            reader.blame(fields.at, &fields.key, Rule::NoAddressing { fixed });
        }
        _ => {}
    }
    if let Some(field) = routes {
        let tables = field.tables("tables, as [[NAME.route]] makes them", reader);
        let families = families(&addressing);
        addressing.routes =
            tables.into_iter().filter_map(|fields| route(fields, &families, reader)).collect();
    }
    addressing
}

/// A DHCP setting; `None` where it is off.
fn dhcp(field: &Field<'_>, family: Family, reader: &mut Reader<'_>) -> Option<Dhcp> {
    match field.value() {
        toml::de::DeValue::Boolean(on) => on.then(Dhcp::default),
        toml::de::DeValue::Table(_) => {
            let mut fields = field.table("a table", reader)?;
            let on = fields.need("enabled", "true or false", reader);
            let on = on.is_none_or(|field| field.boolean(reader) != Some(false));
            let optional = fields.take("optional").and_then(|field| field.boolean(reader)).unwrap_or(false);
            let route_metric = match family {
                Family::V4 => fields.take("route-metric").and_then(|field| metric(&field, reader)),
                Family::V6 => None,
            };
            let known: &[&str] = match family {
                Family::V4 => &["enabled", "optional", "route-metric"],
                Family::V6 => &["enabled", "optional"],
            };
            fields.refuse_rest(known, &[], reader);
            on.then_some(Dhcp { optional, route_metric })
        }
        _ => {
            field.wrong_type("true, false, or a table such as { enabled = true, optional = true }", reader);
            // It was meant to be something.
            Some(Dhcp::default())
        }
    }
}

fn metric(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<u32> {
    field.number(u32::MAX.into(), "a number from 0 to 4294967295", reader)
}

fn addresses(field: &Field<'_>, expected: Family, reader: &mut Reader<'_>) -> Vec<Cidr> {
    let Some(mut fields) = field.table("a table, such as { addresses = [\"192.0.2.10/24\"] }", reader) else {
        return Vec::new();
    };
    let what = "a list of addresses with prefix lengths";
    let list = fields.need("addresses", what, reader);
    fields.refuse_rest(&["addresses"], &[], reader);
    let address = |text: &str| {
        let cidr: Cidr = text.parse()?;
        let found = cidr.family();
        if found == expected {
            Ok(cidr)
        } else {
            Err(Rule::ListFamily { text: text.to_owned(), found, expected })
        }
    };
    let list = list.map(|list| list.list(what, reader, address)).unwrap_or_default();
    list.into_iter().map(|(cidr, _)| cidr).collect()
}

/// The families that a device has static addresses of.
fn families(addressing: &Addressing) -> Vec<Family> {
    let all = addressing.static4.iter().chain(&addressing.static6).map(Cidr::family);
    let mut families: Vec<Family> = all.collect();
    families.dedup();
    families
}

fn route(mut fields: Fields<'_>, families: &[Family], reader: &mut Reader<'_>) -> Option<Route> {
    let to = fields.need("to", "a network such as \"198.51.100.0/24\", or \"default\"", reader);
    let to_at = to.as_ref().map_or(fields.at, Field::value_at);
    let to_key = format!("{}.to", fields.key);
    let to = to.and_then(|field| field.parsed::<Destination>(reader));
    let mut address = |name: &str| {
        let field = fields.take(name)?;
        let text = field.text(reader)?;
        let parsed = text.parse::<IpAddr>().map_err(|_| Rule::IpAddress { text: text.to_owned() });
        let address = parsed.map_err(|rule| field.blame(reader, rule)).ok()?;
        Some((address, field))
    };
    let (from, via) = (address("from"), address("via"));
    let metric = fields.take("route-metric").and_then(|field| metric(&field, reader));
    fields.refuse_rest(&["to", "from", "via", "route-metric"], &[], reader);
    let given = [&via, &from].into_iter().flatten().map(|(address, _)| Family::of(*address)).next();
    let family = match (to?, given, families) {
        (Destination::Network(network), ..) => network.family(),
        (Destination::Default, Some(family), _) => family,
        (Destination::Default, None, [family]) => *family,
        (Destination::Default, None, _) => {
            reader.blame(to_at, &to_key, Rule::DefaultFamily);
            return None;
        }
    };
    let to = match to? {
        Destination::Network(network) => network,
        Destination::Default => Cidr::everything(family),
    };
    for (address, field) in [&via, &from].into_iter().flatten() {
        let found = Family::of(*address);
        if found != family {
            field.blame(reader, Rule::RouteFamily { found, expected: family });
        }
    }
    let plain = |given: Option<(IpAddr, Field<'_>)>| given.map(|(address, _)| address);
    Some(Route { to, from: plain(from), via: plain(via), metric })
}
