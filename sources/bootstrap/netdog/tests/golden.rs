//! Whole configurations and the plans that follow, in `golden/`: `NAME.toml` (a `net.toml`) or `NAME.cmdline` (a
//! kernel command line), with `NAME.netdog` (an `/etc/netdog.toml`) where there is one, make `NAME.plan`.
//! `VISCO_UPDATE_GOLDEN=1` writes the plans anew.

#![allow(clippy::unwrap_used, reason = "what surrounds a test fails it by panicking")]

use netdog::{Config, DnsSettings, Plan, command_line, net_toml, plan_dns, plan_links};
use proptest::prelude::*;
use std::path::Path;

/// The options that the planned files may use, by section: those that the manual pages of systemd 252 name.
const OPTIONS: &[(&str, &[&str])] = &[
    ("Match", &["Name", "PermanentMACAddress"]),
    ("Link", &["RequiredForOnline", "RequiredFamilyForOnline"]),
    (
        "Network",
        &[
            "Address",
            "BindCarrier",
            "Bond",
            "ConfigureWithoutCarrier",
            "DHCP",
            "DNSDefaultRoute",
            "IPv6AcceptRA",
            "IPv6DuplicateAddressDetection",
            "KeepConfiguration",
            "LinkLocalAddressing",
            "PrimarySlave",
            "VLAN",
        ],
    ),
    ("DHCPv4", &["UseMTU", "RouteMetric", "UseDNS", "UseDomains"]),
    ("DHCPv6", &["WithoutRA", "UseDNS", "UseDomains"]),
    ("IPv6AcceptRA", &["UseDNS", "UseDomains"]),
    ("Route", &["Destination", "Gateway", "PreferredSource", "Metric"]),
    ("NetDev", &["Name", "Kind"]),
    (
        "Bond",
        &[
            "Mode",
            "MinLinks",
            "MIIMonitorSec",
            "UpDelaySec",
            "DownDelaySec",
            "ARPIntervalSec",
            "ARPValidate",
            "ARPIPTargets",
        ],
    ),
    ("VLAN", &["Id"]),
    ("Resolve", &["DNS", "Domains"]),
];

/// Reads a planned file again, as systemd does: sections, each with known options that have a value.
fn check_ini(path: &str, content: &str) {
    let mut options: Option<&[&str]> = None;
    for line in content.lines().filter(|line| !line.is_empty()) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let known = OPTIONS.iter().find(|(name, _)| *name == section);
            options = Some(known.unwrap_or_else(|| panic!("{path}: section {section}")).1);
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{path}: {line}"));
        let options = options.unwrap_or_else(|| panic!("{path}: {line} is in no section"));
        assert!(options.contains(&name), "{path}: option {name}");
        assert!(!value.is_empty() && value.trim() == value, "{path}: {line}");
        assert!(!value.ends_with('\\'), "{path}: {line} goes on in the next line");
    }
}

fn check_plan(plan: &Plan) {
    let mut paths: Vec<&str> = plan.writes.iter().map(|file| file.path.as_str()).collect();
    for file in plan.writes.iter().filter(|file| file.path.starts_with("/etc/systemd/")) {
        check_ini(&file.path, &file.content);
    }
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), plan.writes.len(), "every file is written once");
}

fn names_of_networks(plan: &Plan) -> Vec<String> {
    let name = |path: &str| path.strip_prefix("/etc/systemd/network/").map(str::to_owned);
    plan.writes.iter().filter_map(|file| name(&file.path)).filter(|name| name.ends_with(".network")).collect()
}

fn plan_of(input: &Path) -> Plan {
    let name = input.file_name().unwrap().to_str().unwrap();
    let text = std::fs::read_to_string(input).unwrap();
    let config = match input.extension().unwrap().to_str().unwrap() {
        "toml" => net_toml::parse(name, &text).unwrap(),
        _ => command_line::parse(name, &text).unwrap().unwrap(),
    };
    let dns = std::fs::read_to_string(input.with_extension("netdog")).unwrap_or_default();
    let dns = DnsSettings::parse("netdog.toml", &dns).unwrap();
    let mut plan = plan_links(&config, &dns, &[]);
    let primary = config.primary().map(netdog::Device::id);
    let resolved = plan_dns(&dns, &names_of_networks(&plan), primary.as_ref(), 1);
    for file in resolved.writes {
        if !plan.writes.contains(&file) {
            plan.writes.push(file);
        }
    }
    plan
}

#[test]
fn configurations_make_the_expected_plans() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.retain(|path| path.extension().is_some_and(|end| end == "toml" || end == "cmdline"));
    inputs.sort();
    assert!(inputs.len() >= 15, "{inputs:?}");
    let mut differences = Vec::new();
    for input in inputs {
        let plan = plan_of(&input);
        check_plan(&plan);
        let golden = input.with_extension("plan");
        if std::env::var_os("VISCO_UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, plan.to_string()).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if plan.to_string() != expected {
            differences.push(format!("{}:\n{plan}", golden.display()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The lines of one device's table, by the kind of device.
fn device_lines() -> impl Strategy<Value = String> {
    let dhcp = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        any::<bool>().prop_map(|optional| format!("{{ enabled = true, optional = {optional} }}")),
    ];
    let fixed = (any::<[u8; 4]>(), 0..=32u8).prop_map(|([a, b, c, d], prefix)| {
        format!("static4 = {{ addresses = ['{a}.{b}.{c}.{d}/{prefix}'] }}\nroute = [{{ to = 'default', via = '{d}.{c}.{b}.{a}' }}]")
    });
    let addressing = prop_oneof![
        dhcp.clone().prop_map(|dhcp| format!("dhcp4 = {dhcp}")),
        dhcp.prop_map(|dhcp| format!("dhcp6 = {dhcp}")),
        fixed,
    ];
    let name = "[a-e]";
    let kind = prop_oneof![
        Just(String::new()),
        (name, 0..4100u16).prop_map(|(device, id)| format!("kind = 'vlan'\ndevice = '{device}'\nid = {id}")),
        (name, name, 0..3u8, 0..200u32).prop_map(|(one, other, min, delay)| format!(
            "kind = 'bond'\nmode = 'active-backup'\ninterfaces = ['{one}', '{other}']\nmin-links = {min}\n\
             monitoring = {{ miimon-frequency-ms = 50, miimon-updelay-ms = {delay} }}"
        )),
    ];
    (kind, addressing).prop_map(|(kind, addressing)| format!("{kind}\n{addressing}\n"))
}

proptest! {
    #[test]
    fn what_is_accepted_becomes_files_that_can_be_read_again(
        devices in prop::collection::btree_map("[a-h~+]{1,2}|0a:00:00:00:00:0[0-9]", device_lines(), 0..4),
    ) {
        let tables = devices.iter().map(|(name, lines)| format!("['{name}']\n{lines}"));
        let text = format!("version = 3\n{}", tables.collect::<String>());
        match net_toml::parse("f", &text) {
            Ok(config) => {
                let plan = plan_links(&config, &DnsSettings::default(), &[]);
                check_plan(&plan);
                prop_assert_eq!(config.devices().len(), devices.len());
                prop_assert!(names_of_networks(&plan).len() >= devices.len());
                let paths: Vec<String> = plan.writes.iter().map(|file| file.path.clone()).collect();
                let none = plan_links(&Config::default(), &DnsSettings::default(), &paths);
                prop_assert_eq!(none.removals, paths, "all of it is known for ours again");
            }
            Err(faults) => prop_assert!(faults.as_slice().iter().all(|fault| fault.position.is_some())),
        }
    }

    #[test]
    fn no_command_line_makes_the_parser_panic(text in "\\PC{0,40}") {
        drop(command_line::parse("c", &text));
        drop(command_line::parse("c", &format!("netdog.default-interface={text}")));
    }

    #[test]
    fn what_the_command_line_accepts_becomes_files_that_can_be_read_again(
        name in "[a-z0-9*.@-]{1,16}",
        options in "(dhcp[46]\\??,?){1,3}",
    ) {
        let line = format!("netdog.default-interface={name}:{options}");
        if let Ok(Some(config)) = command_line::parse("c", &line) {
            check_plan(&plan_links(&config, &DnsSettings::default(), &[]));
        }
    }
}
