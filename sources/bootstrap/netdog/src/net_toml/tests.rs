//! Every rule of the file, by what breaks it.

use super::{parse, parse_bytes};
use crate::{Device, DeviceId, Dhcp, Family, Link, Monitor};
use proptest::prelude::*;
use std::time::Duration;

/// The faults of a text, one a line.
fn faults(text: &str) -> Vec<String> {
    match parse("f", text) {
        Ok(config) => panic!("{text}\nis accepted as {config:?}"),
        Err(faults) => faults.as_slice().iter().map(ToString::to_string).collect(),
    }
}

/// Each text has exactly one fault, which begins as told.
fn check(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        let faults = faults(text);
        assert_eq!(faults.len(), 1, "{text}\n{faults:#?}");
        assert!(faults[0].starts_with(expected), "{text}\n  {}\n  {expected}", faults[0]);
    }
}

#[test]
fn the_file_is_toml_with_a_version() {
    check(&[
        ("", "f:1:1: version is missing; begin the file with version = 3"),
        ("[eth0]\ndhcp4 = true\n", "f:1:1: version is missing"),
        ("version = 4\n", "f:1:11: version must be 1, 2 or 3, not '4'"),
        ("version = '3'\n[eth0]\nx = 1", "f:1:11: version must be 1, 2 or 3, not '3'"),
        ("version = 1.0\n", "f:1:11: version must be 1, 2 or 3, not '1.0'"),
        ("version = 3\n[eth0\n", "f:2:6: is not TOML: "),
        ("version = 3\n[a]\ndhcp4 = true\n[a]\ndhcp6 = true\n", "f:4:2: is not TOML: duplicate key"),
    ]);
    let faults = parse_bytes("f", b"version = 3\n# \xff\n").unwrap_err();
    assert_eq!(faults.to_string(), "f: is not text in UTF-8");
    // A file may say that nothing is configured.
    assert_eq!(parse("f", "version = 2\n").unwrap().devices(), []);
}

#[test]
fn devices_are_tables_with_names() {
    check(&[
        ("version = 1\neth0 = true\n", "f:2:8: eth0 must be the table of a device, not 'true'"),
        ("version = 1\n[[eth0]]\ndhcp4 = true\n", "f:2:1: eth0 must be the table of a device, not a list"),
        ("version = 1\n['']\ndhcp4 = true\n", "f:2:2: \"\" '' has 0 characters;"),
        (
            "version = 1\n[abcdefghijklmnop]\ndhcp4 = true\n",
            "f:2:2: abcdefghijklmnop 'abcdefghijklmnop' has 16",
        ),
        ("version = 1\n['eth0.1']\ndhcp4 = true\n", "f:2:2: \"eth0.1\" 'eth0.1' holds '.';"),
        ("version = 2\n['a/b']\ndhcp4 = true\n", "f:2:2: \"a/b\" 'a/b' holds '/';"),
        ("version = 3\n['a b']\ndhcp4 = true\n", "f:2:2: \"a b\" 'a b' holds ' ';"),
        // Interfaces go by their MAC address from version 3 on.
        (
            "version = 2\n['0a:1b:2c:3d:4e:5f']\ndhcp4 = true\n",
            "f:2:2: \"0a:1b:2c:3d:4e:5f\" '0a:1b:2c:3d:4e:5f' has 17",
        ),
        (
            "version = 3\n['0a:1b:2c:3d:4e']\ndhcp4 = true\n",
            "f:2:2: \"0a:1b:2c:3d:4e\" '0a:1b:2c:3d:4e' is no MAC",
        ),
        (
            "version = 3\n['0a:1b:2c:3d:4e:5f']\ndhcp4 = true\n['0A-1B-2C-3D-4E-5F']\ndhcp4 = true\n",
            "f:4:2: 0A-1B-2C-3D-4E-5F is the same MAC address as \"0a:1b:2c:3d:4e:5f\"",
        ),
    ]);
    let config = parse("f", "version = 3\n['0A-1B-2C-3D-4E-5F']\ndhcp4 = true\n").unwrap();
    assert!(matches!(config.devices()[0].link, Link::Hardware(_)));
}

#[test]
fn devices_keep_the_order_of_the_file() {
    let config =
        parse("f", "version = 1\n[z]\ndhcp4 = true\n[m]\ndhcp4 = true\n[a]\ndhcp4 = true\n").unwrap();
    let names: Vec<String> = config.devices().iter().map(|device| device.id().to_string()).collect();
    assert_eq!(names, ["z", "m", "a"]);
    assert_eq!(config.primary().map(Device::id), "z".parse().ok());
    let dotted = parse("f", "version = 1\nz.dhcp4 = true\na.dhcp6 = true\nz.primary = false\n").unwrap();
    assert_eq!(dotted.primary().map(Device::id), Some("z".parse::<DeviceId>().unwrap()));
}

#[test]
fn one_device_at_most_is_primary() {
    check(&[
        (
            "version = 1\n[a]\ndhcp4 = true\nprimary = true\n[b]\ndhcp4 = true\nprimary = true\n",
            "f:7:1: b.primary cannot be primary too: a is;",
        ),
        ("version = 1\n[a]\ndhcp4 = true\nprimary = 1\n", "f:4:11: a.primary must be true or false, not '1'"),
    ]);
}

#[test]
fn unknown_keys_are_refused_with_what_was_meant() {
    check(&[
        (
            "version = 1\n[a]\ndhpc4 = true\ndhcp6 = true\n",
            "f:3:1: a.dhpc4 is not known; did you mean 'dhcp4'?",
        ),
        (
            "version = 1\n[a]\ndhcp4 = true\nmtu = 9000\n",
            "f:4:1: a.mtu is not known; known here: primary, dhcp4, dhcp6",
        ),
        (
            "version = 1\n[a]\ndhcp4 = true\nstatic4 = {addresses = []}\n",
            "f:4:1: a.static4 is known from version 2 of this file on; write version = 2",
        ),
        (
            "version = 1\n[a]\ndhcp4 = true\n[[a.route]]\nto = 'default'\n",
            "f:4:5: a.route is known from version 2",
        ),
        ("version = 2\n[a]\ndhcp4 = true\nkind = 'bond'\n", "f:4:1: a.kind is known from version 3"),
        ("version = 2\n[a]\ndhcp4 = true\nid = 1\n", "f:4:1: a.id is known from version 3"),
        ("version = 3\n[a]\ndhcp4 = true\nmode = 'x'\n", "f:4:1: a.mode is not known;"),
        (
            "version = 3\n[a]\nkind = 'vlan'\ndevice = 'b'\nid = 1\ndhcp4 = true\nmin-links = 1\n",
            "f:7:1: a.min-links is",
        ),
        ("version = 3\n[a.dhcp4]\nenabled = true\nmetric = 1\n", "f:4:1: a.dhcp4.metric is not known;"),
        (
            "version = 3\n[a.dhcp6]\nenabled = true\nroute-metric = 1\n",
            "f:4:1: a.dhcp6.route-metric is not known; known here: enabled, optional",
        ),
        (
            "version = 2\n[a.static4]\naddresses = ['192.0.2.1/24']\naddress = 1\n",
            "f:4:1: a.static4.address is not known; did",
        ),
    ]);
}

#[test]
fn a_device_needs_dhcp_or_static_addresses() {
    check(&[
        ("version = 1\n[a]\n", "f:2:2: a gets no address; write dhcp4 = true or dhcp6 = true"),
        ("version = 1\n[a]\ndhcp4 = false\n", "f:2:2: a gets no address;"),
        ("version = 1\n[a]\ndhcp4 = { enabled = false }\ndhcp6 = false\n", "f:2:2: a gets no address;"),
        (
            "version = 2\n[a]\nprimary = true\n",
            "f:2:2: a gets no address; write dhcp4 = true or dhcp6 = true, or static",
        ),
        ("version = 2\n[a]\nstatic4 = { addresses = [] }\n", "f:2:2: a gets no address;"),
        ("version = 3\n[a]\nkind = 'vlan'\ndevice = 'b'\nid = 1\n", "f:2:2: a gets no address;"),
    ]);
}

#[test]
fn dhcp_is_a_boolean_or_a_table() {
    check(&[
        ("version = 1\n[a]\ndhcp4 = 'yes'\n", "f:3:9: a.dhcp4 must be true, false, or a table such as"),
        ("version = 1\n[a]\ndhcp4 = {}\n", "f:3:1: a.dhcp4.enabled is missing; it must be true or false"),
        (
            "version = 1\n[a]\ndhcp4 = { enabled = 1 }\n",
            "f:3:21: a.dhcp4.enabled must be true or false, not '1'",
        ),
        (
            "version = 1\n[a]\ndhcp6 = { enabled = true, optional = 'x' }\n",
            "f:3:38: a.dhcp6.optional must be true",
        ),
        (
            "version = 1\n[a]\ndhcp4 = { enabled = true, route-metric = -1 }\n",
            "f:3:42: a.dhcp4.route-metric must be a number from 0 to 4294967295, not '-1'",
        ),
        (
            "version = 1\n[a]\ndhcp4 = { enabled = true, route-metric = 4294967296 }\n",
            "f:3:42: a.dhcp4.route-metric must be a number from 0",
        ),
    ]);
    for (value, expected) in [
        ("true", Some(Dhcp::default())),
        ("false", None),
        ("{ enabled = true }", Some(Dhcp::default())),
        ("{ enabled = false, optional = true }", None),
        (
            "{ enabled = true, optional = true, route-metric = 0x10 }",
            Some(Dhcp { optional: true, route_metric: Some(16) }),
        ),
    ] {
        let config = parse("f", &format!("version = 1\n[a]\ndhcp6 = true\ndhcp4 = {value}\n")).unwrap();
        assert_eq!(config.devices()[0].addressing.dhcp4, expected, "{value}");
    }
}

#[test]
fn a_static_list_is_of_one_family() {
    check(&[
        (
            "version = 2\n[a]\nstatic4 = { addresses = ['192.0.2.1/24', '2001:db8::1/64'] }\n",
            "f:3:42: a.static4.addresses '2001:db8::1/64' is an address of IPv6; this list is of IPv4",
        ),
        (
            "version = 2\n[a]\nstatic6 = { addresses = ['192.0.2.1/24'] }\n",
            "f:3:26: a.static6.addresses '192.0.2.1/24' is an address of IPv4; this list is of IPv6",
        ),
        (
            "version = 2\n[a]\nstatic4 = { addresses = ['192.0.2.1'] }\n",
            "f:3:26: a.static4.addresses '192.0.2.1' is not an",
        ),
        (
            "version = 2\n[a]\nstatic4 = { addresses = ['192.0.2.1/33'] }\n",
            "f:3:26: a.static4.addresses '192.0.2.1/33' has",
        ),
        (
            "version = 2\n[a]\nstatic4 = { addresses = [1] }\n",
            "f:3:26: a.static4.addresses must be a list of addresses with",
        ),
        ("version = 2\n[a]\nstatic4 = ['192.0.2.1/24']\n", "f:3:11: a.static4 must be a table, such as"),
        ("version = 2\n[a]\nstatic4 = {}\n", "f:3:1: a.static4.addresses is missing;"),
    ]);
}

#[test]
fn routes_belong_to_static_addresses() {
    let device = "version = 2\n[a]\nstatic4 = { addresses = ['192.0.2.10/24'] }\n[[a.route]]\n";
    let both =
        "version = 2\n[a]\nstatic4.addresses = ['192.0.2.10/24']\nstatic6.addresses = ['2001:db8::10/64']\n";
    check(&[
        (
            "version = 2\n[a]\ndhcp4 = true\n[[a.route]]\nto = 'default'\nvia = '192.0.2.1'\n",
            "f:4:5: a.route cannot stand beside DHCP",
        ),
        (
            "version = 2\n[a]\ndhcp6 = true\nstatic4.addresses = ['192.0.2.10/24']\n[[a.route]]\nto = 'default'\n",
            "f:5:5: a.route cannot stand beside DHCP",
        ),
        (
            "version = 2\n[a]\n[[a.route]]\nto = 'default'\nvia = '192.0.2.1'\n",
            "f:3:5: a.route needs static addresses",
        ),
        (
            &format!("{device}via = '192.0.2.1'\n"),
            "f:4:1: a.route[0].to is missing; it must be a network such as",
        ),
        (
            &format!("{device}to = 'everywhere'\n"),
            "f:5:6: a.route[0].to 'everywhere' is not an address with a prefix",
        ),
        (
            &format!("{device}to = '198.51.100.0'\n"),
            "f:5:6: a.route[0].to '198.51.100.0' is not an address with a",
        ),
        (&format!("{device}to = 'default'\nvia = 'x'\n"), "f:6:7: a.route[0].via 'x' is not an IP address"),
        (
            &format!("{device}to = 'default'\nfrom = '192.0.2.1/24'\n"),
            "f:6:8: a.route[0].from '192.0.2.1/24' is not an IP",
        ),
        (
            &format!("{device}to = 'default'\ngateway = '192.0.2.1'\n"),
            "f:6:1: a.route[0].gateway is not known;",
        ),
        (
            &format!("{device}to = 'default'\nroute-metric = 'x'\n"),
            "f:6:16: a.route[0].route-metric must be a number",
        ),
        (
            &format!("{device}to = '198.51.100.0/24'\nvia = '2001:db8::1'\n"),
            "f:6:7: a.route[0].via is of IPv6, but the rest of the route is of IPv4",
        ),
        (
            &format!(
                "{device}to = 'default'\nvia = '192.0.2.1'\n[[a.route]]\nto = 'default'\nvia = '192.0.2.1'\nfrom = '2001:db8::10'\n"
            ),
            "f:10:8: a.route[1].from is of IPv6, but the rest of the route is of IPv4",
        ),
        (
            &format!("{both}[[a.route]]\nto = 'default'\n"),
            "f:6:6: a.route[0].to 'default' may be of IPv4 or IPv6 here;",
        ),
        (
            "version = 2\n[a]\nstatic4.addresses = ['192.0.2.10/24']\nroute = 'default'\n",
            "f:4:9: a.route must be tables,",
        ),
    ]);
    for (text, to) in [
        (format!("{device}to = 'default'\n"), "0.0.0.0/0"),
        (format!("{both}[[a.route]]\nto = 'default'\nvia = '2001:db8::1'\n"), "::/0"),
        (format!("{both}[[a.route]]\nto = 'default'\nfrom = '192.0.2.10'\n"), "0.0.0.0/0"),
        (format!("{both}[[a.route]]\nto = '2001:db8:1::/48'\n"), "2001:db8:1::/48"),
    ] {
        let config = parse("f", &text).unwrap();
        assert_eq!(config.devices()[0].addressing.routes[0].to.to_string(), to, "{text}");
    }
}

/// A bond of two interfaces, with lines of its own and a table for its monitoring.
fn bond(lines: &str, monitoring: &str) -> String {
    format!(
        "version = 3\n[bond0]\nkind = 'bond'\nmode = 'active-backup'\ndhcp4 = true\n{lines}\n\
         [bond0.monitoring]\n{monitoring}\n"
    )
}

#[test]
fn bonds_have_a_mode_and_interfaces_of_their_own() {
    let two = "interfaces = ['eth0', 'eth1']";
    let mii = "miimon-frequency-ms = 100";
    check(&[
        ("version = 3\n[a]\nkind = 'bridge'\ndhcp4 = true\n", "f:3:8: a.kind must be \"bond\" or \"vlan\";"),
        (
            &bond(two, mii).replace("active-backup", "802.3ad"),
            "f:4:8: bond0.mode must be \"active-backup\", the one",
        ),
        (&bond(two, mii).replace("mode = 'active-backup'", ""), "f:2:2: bond0.mode is missing;"),
        (&bond("", mii), "f:2:2: bond0.interfaces is missing;"),
        (&bond("interfaces = []", mii), "f:6:14: bond0.interfaces has no interfaces;"),
        (&bond("interfaces = ['eth0', 'e/1']", mii), "f:6:23: bond0.interfaces 'e/1' holds '/'"),
        (
            &bond("interfaces = ['eth0', '0a:1b:2c:3d:4e:5f']", mii),
            "f:6:23: bond0.interfaces '0a:1b:2c:3d:4e:5f' has 17",
        ),
        (&bond("interfaces = 'eth0'", mii), "f:6:14: bond0.interfaces must be a list of the names"),
        (
            &bond("interfaces = ['eth0', 'eth0']", mii),
            "f:6:23: bond0.interfaces eth0 is already a part of bond0;",
        ),
        (
            &bond("interfaces = ['eth0']\nmin-links = 2", mii),
            "f:7:13: bond0.min-links is 2, but the bond has 1 interface;",
        ),
        (
            &bond(&format!("{two}\nmin-links = 3"), mii),
            "f:7:13: bond0.min-links is 3, but the bond has 2 interfaces;",
        ),
        (
            &bond(&format!("{two}\nmin-links = -1"), mii),
            "f:7:13: bond0.min-links must be a number of interfaces, not '-1'",
        ),
        (
            &format!("{}[eth1]\ndhcp4 = true\n", bond(two, mii)),
            "f:6:23: bond0.interfaces eth1 cannot be a part of a bond",
        ),
        (
            &bond("interfaces = ['bond0', 'eth1']", mii),
            "f:6:15: bond0.interfaces bond0 cannot be a part of a bond",
        ),
        (
            &format!(
                "{}[bond1]\nkind = 'bond'\nmode = 'active-backup'\ndhcp4 = true\ninterfaces = ['eth1']\n\
                 monitoring.miimon-frequency-ms = 1\n",
                bond(two, mii)
            ),
            "f:13:15: bond1.interfaces eth1 is already a part of bond0;",
        ),
        (
            &format!("{}[v]\nkind = 'vlan'\ndevice = 'eth1'\nid = 1\ndhcp4 = true\n", bond(two, mii)),
            "f:11:10: v.device eth1 is a part of the bond bond0; put the VLAN on bond0",
        ),
        (
            &bond(two, mii).replace("bond0", "'0a:1b:2c:3d:4e:5f'"),
            "f:2:2: \"0a:1b:2c:3d:4e:5f\" is a bond, which has a name of its own;",
        ),
    ]);
}

#[test]
fn bonds_are_watched_in_one_way() {
    let two = "interfaces = ['eth0', 'eth1']";
    let targets =
        |count: usize| format!("arpmon-interval-ms = 1\narpmon-targets = [{}]", "'192.0.2.1',".repeat(count));
    let none = bond(two, "").replace("[bond0.monitoring]", "");
    check(&[
        (&none, "f:2:2: bond0.monitoring is missing;"),
        (&bond(two, ""), "f:7:8: bond0.monitoring does not say how; write miimon-frequency-ms, or"),
        (
            &bond(two, "miimon-frequency-ms = 1\narpmon-interval-ms = 1"),
            "f:7:8: bond0.monitoring names both ways",
        ),
        (
            &bond(two, "miimon-frequency = 1\nmiimon-frequency-ms = 1"),
            "f:8:1: bond0.monitoring.miimon-frequency is not",
        ),
        (&bond(two, "miimon-updelay-ms = 1"), "f:7:8: bond0.monitoring.miimon-frequency-ms is missing;"),
        (
            &bond(two, "miimon-frequency-ms = 0"),
            "f:8:23: bond0.monitoring.miimon-frequency-ms must be more than 0 ms",
        ),
        (
            &bond(two, "miimon-frequency-ms = '1s'"),
            "f:8:23: bond0.monitoring.miimon-frequency-ms must be a number of",
        ),
        (
            &bond(two, "miimon-frequency-ms = 100\nmiimon-updelay-ms = 99"),
            "f:9:21: bond0.monitoring.miimon-updelay-ms is 99 ms, less than the 100 ms of",
        ),
        (
            &bond(two, "miimon-frequency-ms = 100\nmiimon-downdelay-ms = 0"),
            "f:9:23: bond0.monitoring.miimon-downdelay-ms is 0 ms, less than",
        ),
        (&bond(two, "arpmon-interval-ms = 1"), "f:7:8: bond0.monitoring.arpmon-targets is missing;"),
        (
            &bond(two, "arpmon-targets = ['192.0.2.1']"),
            "f:7:8: bond0.monitoring.arpmon-interval-ms is missing;",
        ),
        (&bond(two, &targets(0)), "f:9:18: bond0.monitoring.arpmon-targets has 0 addresses; name 1 to 16"),
        (&bond(two, &targets(17)), "f:9:18: bond0.monitoring.arpmon-targets has 17 addresses; name 1 to 16"),
        (
            &bond(two, &targets(1).replace("= 1\n", "= 0\n")),
            "f:8:22: bond0.monitoring.arpmon-interval-ms must be more than",
        ),
        (
            &bond(two, &targets(1).replace("192.0.2.1", "2001:db8::1")),
            "f:9:19: bond0.monitoring.arpmon-targets '2001:db8::1'",
        ),
        (
            &bond(two, &format!("{}\narpmon-validate = 'some'", targets(1))),
            "f:10:19: bond0.monitoring.arpmon-validate must be \"none\", \"active\", \"backup\" or \"all\", not 'some'",
        ),
    ]);
    let config = parse("f", &bond(two, "miimon-frequency-ms = 100\nmiimon-updelay-ms = 100")).unwrap();
    let Link::Bond(_, bond) = &config.devices()[0].link else { panic!("{config:?}") };
    let Monitor::Mii(mii) = &bond.monitor else { panic!("{bond:?}") };
    assert_eq!((mii.up_delay, mii.down_delay), (Some(Duration::from_millis(100)), None));
}

#[test]
fn vlans_are_a_part_of_another_device() {
    let vlan = |lines: &str| format!("version = 3\n[v]\nkind = 'vlan'\ndhcp4 = true\n{lines}\n");
    check(&[
        (&vlan("id = 1"), "f:2:2: v.device is missing;"),
        (&vlan("device = 'a'"), "f:2:2: v.id is missing; it must be a number from 0 to 4094"),
        (&vlan("device = 'a'\nid = 4095"), "f:6:6: v.id must be a number from 0 to 4094, not '4095'"),
        (&vlan("device = 'a'\nid = -1"), "f:6:6: v.id must be a number from 0 to 4094, not '-1'"),
        (
            &vlan("device = '0a:1b:2c:3d:4e:5f'\nid = 1"),
            "f:5:10: v.device '0a:1b:2c:3d:4e:5f' has 17 characters",
        ),
        (&vlan("device = 'v'\nid = 1"), "f:5:10: v.device leads back to the VLAN itself;"),
        (
            &vlan("device = 'a'\nid = 1\n[w]\nkind = 'vlan'\ndhcp4 = true\ndevice = 'a'\nid = 1"),
            "f:10:10: w is 1 on a, as that of v is;",
        ),
        (
            &vlan("device = 'a'\nid = 1").replace("[v]", "['0a:1b:2c:3d:4e:5f']"),
            "f:2:2: \"0a:1b:2c:3d:4e:5f\" is a VLAN, which has a name",
        ),
    ]);
    let round = faults(&vlan("device = 'w'\nid = 1\n[w]\nkind = 'vlan'\ndhcp4 = true\ndevice = 'v'\nid = 2"));
    assert_eq!(round.len(), 2, "{round:?}");
    for id in [0, 4094] {
        parse("f", &vlan(&format!("device = 'a'\nid = {id}"))).unwrap();
    }
    // A VLAN may be a part of a VLAN.
    parse("f", &vlan("device = 'w'\nid = 1\n[w]\nkind = 'vlan'\ndhcp4 = true\ndevice = 'a'\nid = 1"))
        .unwrap();
}

#[test]
fn all_faults_of_a_file_are_told_in_the_order_of_its_lines() {
    let text = "version = 3\n[a]\nprimary = 'x'\ndhcp4 = { optional = true }\n[b]\nstatic4 = { addresses = \
                ['192.0.2.1'] }\n[b.c]\n['c/d']\n[e]\nkind = 'vlan'\n";
    let places: Vec<String> = faults(text)
        .iter()
        .map(|fault| fault.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        places,
        [
            "f:3:11: a.primary",
            "f:4:1: a.dhcp4.enabled",
            "f:6:26: b.static4.addresses",
            "f:7:4: b.c",
            "f:8:2: \"c/d\"",
            "f:8:2: \"c/d\"",
            "f:9:2: e.device",
            "f:9:2: e.id",
            "f:9:2: e"
        ]
    );
}

#[test]
fn the_family_that_the_host_waits_for_follows_what_is_optional() {
    for (lines, v4, v6) in [
        ("dhcp4 = true", true, false),
        ("dhcp4 = { enabled = true, optional = true }", false, false),
        ("dhcp4 = { enabled = true, optional = true }\ndhcp6 = true", false, true),
        ("dhcp4 = true\ndhcp6 = { enabled = true, optional = true }", true, false),
        ("dhcp4 = { enabled = true, optional = true }\nstatic4.addresses = ['192.0.2.1/24']", true, false),
        ("static6.addresses = ['2001:db8::1/64']", false, true),
    ] {
        let config = parse("f", &format!("version = 2\n[a]\n{lines}\n")).unwrap();
        let addressing = &config.devices()[0].addressing;
        assert_eq!((addressing.requires(Family::V4), addressing.requires(Family::V6)), (v4, v6), "{lines}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(parse_bytes("f", &content));
    }

    #[test]
    fn no_text_makes_the_parser_panic(
        version in 1..=3,
        text in "(\\PC|[\\n\\[\\]=.'\"{},:]|\n\\[[a-c]\\]\n|dhcp[46] ?= ?true\n|kind|'bond'|'vlan'|route){0,40}",
    ) {
        drop(parse("f", &format!("version = {version}\n{text}")));
    }
}
