//! The verbs of netdog, as programs on a host in a directory.

#![allow(clippy::unwrap_used, reason = "what surrounds a test fails it by panicking")]

use host::{COMMAND_LOG, Host};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tempfile::TempDir;

const STATUS: &str = include_str!("../../netdog/tests/networkctl/static-both.json");
const NO_ADDRESS: &str = include_str!("../../netdog/tests/networkctl/link-local-only.json");
const NETWORK: &str = "/etc/systemd/network/10-eth0.network";
const DROP_IN: &str = "/etc/systemd/network/10-eth0.network.d/10-dns.conf";

struct TestHost {
    host: Host,
    _directory: TempDir,
}

impl TestHost {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = TempDir::with_prefix("v").unwrap();
        let host = Self { host: Host::new(directory.path()), _directory: directory };
        for (path, content) in files {
            host.write(path, content);
        }
        host
    }

    fn write(&self, path: &str, content: &str) {
        let mode = if path.starts_with("/usr/") { 0o755 } else { 0o644 };
        self.host.replace(path, content.as_bytes(), mode).unwrap();
    }

    fn networkctl(&self, json: &str) {
        // What is not the one question that is asked is answered as networkctl does.
        let script = format!(
            "#!/bin/sh\n[ \"$*\" = 'status --json=short eth0' ] || {{ echo \"Interface \\\"$3\\\" not found.\" >&2; \
             exit 1; }}\ncat <<'END'\n{json}\nEND\n"
        );
        self.write("/usr/bin/networkctl", &script);
    }

    fn read(&self, path: &str) -> Option<String> {
        self.host.read(path).unwrap().map(|content| String::from_utf8(content).unwrap())
    }

    /// Runs a verb, checks its exit status, and gives what it said on both outputs.
    fn run(&self, code: i32, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootstrap"));
        let output = command.arg("netdog").args(args).arg("--root").arg(self.host.root()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }

    fn commands(&self) -> Vec<String> {
        self.read(COMMAND_LOG).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

fn net_toml(device: &str) -> String {
    format!("version = 1\n[{device}]\ndhcp4 = true\n")
}

#[test]
fn the_first_source_that_exists_is_used() {
    let host = TestHost::new(&[("/proc/cmdline", "quiet netdog.default-interface=eth0:dhcp4\n")]);
    let sources = [
        ("/proc/cmdline", "eth0"),
        ("/var/lib/bottlerocket/net.toml", "eth1"),
        ("/var/lib/netdog/net.toml", "eth2"),
    ];
    for (source, device) in sources {
        if source != "/proc/cmdline" {
            host.write(source, &net_toml(device));
        }
        let said = host.run(0, &["generate-net-config"]);
        assert!(said.contains(source), "{said}");
        assert_eq!(host.read("/var/lib/netdog/primary_interface"), Some(format!("{device}\n")));
        let names: Vec<String> = std::fs::read_dir(host.host.path("/etc/systemd/network"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names.len(), 2, "what was there before is gone: {names:?}");
        assert!(names.iter().all(|name| name.starts_with(&format!("10-{device}.network"))), "{names:?}");
    }
    let mode = |path: &str| std::fs::metadata(host.host.path(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("/etc/systemd/network/10-eth2.network"), 0o644);
    assert_eq!(host.commands(), [""; 0], "it runs before networkd");
}

#[test]
fn a_host_without_configuration_configures_nothing_and_says_so() {
    let host = TestHost::new(&[
        ("/proc/cmdline", "quiet\n"),
        (NETWORK, "[Match]\nName=eth0\n"),
        ("/var/lib/netdog/primary_interface", "eth0\n"),
        ("/var/lib/netdog/current_ip", "192.0.2.1\n"),
    ]);
    let said = host.run(0, &["generate-net-config"]);
    for word in ["no network configuration was found", "/var/lib/netdog/net.toml", "netdog.default-interface"]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!([host.read(NETWORK), host.read("/var/lib/netdog/current_ip")], [None, None]);
    let said = host.run(0, &["write-primary-interface-status"]);
    assert!(said.contains("no primary interface"), "{said}");
    assert!(host.run(2, &["node-ip"]).contains("has no address yet"));
    host.run(0, &["write-resolv-conf"]);
    assert_eq!(host.commands(), [""; 0]);
}

#[test]
fn the_folder_of_the_state_is_private() {
    let host = TestHost::new(&[("/proc/cmdline", "netdog.default-interface=eth0:dhcp4\n")]);
    host.run(0, &["generate-net-config"]);
    let folder = std::fs::metadata(host.host.path("/var/lib/netdog")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o7777, 0o700);
}

#[test]
fn a_faulty_configuration_changes_nothing() {
    let host = TestHost::new(&[("/proc/cmdline", "netdog.default-interface=eth0:dhcp4\n")]);
    host.run(0, &["generate-net-config"]);
    let before = host.read(NETWORK);
    host.write("/var/lib/bottlerocket/net.toml", "version = 1\n[eth1]\ndhpc4 = true\n[eth2]\ndhcp4 = 1\n");
    let said = host.run(1, &["generate-net-config"]);
    assert_eq!(
        said,
        "/var/lib/bottlerocket/net.toml:2:2: eth1 gets no address; write dhcp4 = true or dhcp6 = true\n\
         /var/lib/bottlerocket/net.toml:3:1: eth1.dhpc4 is not known; did you mean 'dhcp4'?\n\
         /var/lib/bottlerocket/net.toml:5:9: eth2.dhcp4 must be true, false, or a table such as { enabled = true, \
         optional = true }, not '1'\n\
         Nothing was changed; mend /var/lib/bottlerocket/net.toml, or remove it\n"
    );
    assert_eq!(host.read(NETWORK), before);
    assert_eq!(host.read("/var/lib/netdog/primary_interface").as_deref(), Some("eth0\n"));
    let twice = "netdog.default-interface=a:dhcp4 netdog.default-interface=b:dhcp4";
    let host = TestHost::new(&[("/proc/cmdline", twice)]);
    assert!(
        host.run(1, &["generate-net-config"])
            .contains("/proc/cmdline: netdog.default-interface is named 2 times")
    );
}

#[test]
fn a_dry_run_prints_the_plan_and_does_nothing() {
    let host = TestHost::new(&[("/proc/cmdline", "netdog.default-interface=eth0:dhcp4\n")]);
    let said = host.run(0, &["generate-net-config", "--dry-run"]);
    assert!(said.starts_with(&format!("write {NETWORK}\n    [Match]\n    Name=eth0\n")), "{said}");
    assert_eq!(host.read(NETWORK), None);
    host.write("/etc/netdog.toml", "name-servers = ['192.0.2.53']\n");
    let said = host.run(0, &["write-resolv-conf", "--dry-run"]);
    assert!(said.contains("    DNS=192.0.2.53\n"), "{said}");
    assert_eq!(host.commands(), [""; 0]);
}

#[test]
fn the_address_of_the_primary_interface_is_noted() {
    let host = TestHost::new(&[("/var/lib/netdog/primary_interface", "eth0\n")]);
    host.networkctl(STATUS);
    host.run(0, &["write-primary-interface-status"]);
    assert_eq!(host.read("/var/lib/netdog/current_ip").as_deref(), Some("192.0.2.10\n"));
    assert_eq!(host.run(0, &["node-ip"]), "\"192.0.2.10\"\n");
    let link = std::fs::read_link(host.host.path("/run/netdog/resolv.conf")).unwrap();
    assert_eq!(link.to_str(), Some("/run/systemd/resolve/resolv.conf"));
    let sysctl = "/etc/sysctl.d/90-primary_interface.conf";
    let expected = "-net/ipv4/conf/eth0/rp_filter = 2\n-net/ipv6/conf/eth0/accept_ra = 0\n";
    assert_eq!(host.read(sysctl).as_deref(), Some(expected));
    host.run(0, &["write-primary-interface-status"]);
    assert_eq!(host.commands(), [format!("/usr/lib/systemd/systemd-sysctl {sysctl}")], "once in a boot");
}

#[test]
fn no_address_is_an_error_that_says_what_is_missing() {
    let host = TestHost::new(&[
        ("/var/lib/netdog/primary_interface", "eth0\n"),
        ("/run/netdog/online-required", "eth0\n"),
    ]);
    host.networkctl(NO_ADDRESS);
    let said = host.run(1, &["write-primary-interface-status"]);
    assert!(said.contains("the primary interface eth0 has no address that others can reach"), "{said}");
    assert_eq!(host.read("/var/lib/netdog/current_ip"), None);
    // Containers find the resolver once there is a network.
    assert!(std::fs::symlink_metadata(host.host.path("/run/netdog/resolv.conf")).is_ok());
    host.write("/var/lib/netdog/primary_interface", "eth7\n");
    let said = host.run(1, &["write-primary-interface-status"]);
    assert!(
        said.contains("status --json=short eth7 ended with exit status: 1: Interface \"eth7\" not"),
        "{said}"
    );
    host.write("/var/lib/netdog/primary_interface", "eth 0\n");
    let said = host.run(1, &["write-primary-interface-status"]);
    assert!(said.contains("/var/lib/netdog/primary_interface does not name a device"), "{said}");
}

#[test]
fn an_address_that_nobody_has_to_wait_for_may_be_missing() {
    let host = TestHost::new(&[("/proc/cmdline", "netdog.default-interface=eth0:dhcp4?\n")]);
    host.run(0, &["generate-net-config"]);
    host.networkctl(NO_ADDRESS);
    let said = host.run(0, &["write-primary-interface-status"]);
    assert!(said.contains("none is required"), "{said}");
    assert!(host.run(2, &["node-ip"]).contains("has no address yet"));
    host.write("/proc/cmdline", "netdog.default-interface=eth0:dhcp4\n");
    host.run(0, &["generate-net-config"]);
    host.run(1, &["write-primary-interface-status"]);
}

#[test]
fn an_address_may_come_late() {
    let host = TestHost::new(&[("/proc/cmdline", "netdog.default-interface=eth0:dhcp4\n")]);
    host.run(0, &["generate-net-config"]);
    // Every question adds a line; the third has the answer.
    let script = format!(
        "#!/bin/sh\nasked=$VISCO_ROOT/run/asked\necho x >>\"$asked\"\nif [ $(wc -l <\"$asked\") -lt 3 ]; then cat \
         <<'END'\n{NO_ADDRESS}\nEND\nelse cat <<'END'\n{STATUS}\nEND\nfi\n"
    );
    host.write("/usr/bin/networkctl", &script);
    host.run(0, &["write-primary-interface-status", "--wait", "60"]);
    assert_eq!(host.read("/var/lib/netdog/current_ip").as_deref(), Some("192.0.2.10\n"));
    assert_eq!(host.read("/run/asked").as_deref(), Some("x\nx\nx\n"));
}

#[test]
fn a_primary_interface_is_found_by_its_mac_address() {
    let host = TestHost::new(&[
        ("/var/lib/netdog/primary_mac_address", "52:54:00:12:34:56\n"),
        ("/sys/class/net/lo/address", "00:00:00:00:00:00\n"),
        ("/sys/class/net/aaa-vlan/address", "52:54:00:12:34:56\n"),
        ("/sys/class/net/eth0/address", "52:54:00:12:34:56\n"),
        ("/sys/class/net/eth0/device/vendor", "0x1af4\n"),
    ]);
    host.networkctl(STATUS);
    host.run(0, &["write-primary-interface-status"]);
    assert_eq!(host.read("/var/lib/netdog/current_ip").as_deref(), Some("192.0.2.10\n"));
    host.write("/var/lib/netdog/primary_mac_address", "52:54:00:12:34:57\n");
    let said = host.run(1, &["write-primary-interface-status"]);
    assert!(said.contains("has the MAC address 52:54:00:12:34:57"), "{said}");
    assert!(said.contains("there are: aaa-vlan, eth0, lo"), "{said}");
}

#[test]
fn dns_settings_reach_networkd_and_resolved_when_they_change() {
    let host = TestHost::new(&[
        ("/proc/cmdline", "netdog.default-interface=eth0:dhcp4\n"),
        ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ]);
    host.run(0, &["generate-net-config"]);
    // The first time that settings are applied says nothing new.
    host.write("/etc/netdog.toml", "");
    host.run(0, &["write-resolv-conf"]);
    assert_eq!(host.commands(), [""; 0]);
    assert!(host.read(DROP_IN).unwrap().contains("UseDNS=yes\nUseDomains=yes\n"));

    host.write("/etc/netdog.toml", "name-servers = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4']\n");
    host.run(0, &["write-resolv-conf"]);
    host.run(0, &["write-resolv-conf"]);
    assert!(host.read(DROP_IN).unwrap().contains("UseDNS=no\nUseDomains=yes\n"));
    let both = "systemctl --no-block try-reload-or-restart systemd-networkd.service systemd-resolved.service";
    assert_eq!(host.commands(), [both]);

    host.write("/etc/netdog.toml", "name-servers = ['192.0.2.9']\n");
    host.run(0, &["write-resolv-conf"]);
    let resolved = "systemctl --no-block try-reload-or-restart systemd-resolved.service";
    assert_eq!(host.commands(), [both, resolved]);

    host.write("/etc/netdog.toml", "");
    host.run(0, &["write-resolv-conf"]);
    assert_eq!(host.read("/etc/systemd/resolved.conf.d/10-resolv.conf"), None);
    assert_eq!(host.commands(), [both, resolved, both]);

    host.write("/etc/netdog.toml", "name-servers = ['x']\n");
    assert!(
        host.run(1, &["write-resolv-conf"])
            .starts_with("/etc/netdog.toml:1:17: name-servers 'x' is not an IP")
    );
    assert_eq!(host.commands().len(), 3);
}

#[test]
fn the_hostname_is_told_to_the_kernel() {
    let host = TestHost::new(&[("/proc/sys/kernel/hostname", "localhost\n")]);
    assert!(host.run(0, &["set-hostname", ""]).contains("no hostname is set"));
    assert_eq!(host.read("/proc/sys/kernel/hostname").as_deref(), Some("localhost\n"));
    host.run(0, &["set-hostname", "node-1.example"]);
    assert_eq!(host.read("/proc/sys/kernel/hostname").as_deref(), Some("node-1.example"));
    assert!(host.run(1, &["set-hostname", "a b"]).contains("'a b' is no name for a host"));
    host.run(2, &["set-hostname"]);
}
