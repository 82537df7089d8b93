//! What the running kernel and its boot are told.

#![allow(clippy::unwrap_used, reason = "what surrounds a test fails it by panicking")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod host;

use host::TestHost;

const CORNDOG: &str = "/etc/corndog.toml";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const PRAIRIEDOG: &str = "/etc/prairiedog.toml";
const BLOB: &str = "/var/lib/bottlerocket/bootconfig.data";

#[test]
fn every_parameter_that_can_be_set_is_and_the_others_are_named() {
    let host = TestHost::empty();
    let interface = "/proc/sys/net/ipv4/conf/eth0.100/forwarding";
    // A folder cannot be written to.
    host.write("/proc/sys/net/ipv4/conf/x/keep", "", 0o644);
    host.write(interface, "0\n", 0o644);
    let sysctl = "[sysctl]\n\"vm.max_map_count\" = \"262144\"\n\"net.ipv4.conf.eth0/100.forwarding\" = \"1\"\n\
                  \"net/ipv4/conf/x\" = \"1\"\n\"a..b\" = \"1\"\n\"kernel/x\" = \"1\"\n\"kernel.x\" = \"2\"\n";
    host.write(CORNDOG, sysctl, 0o644);
    let said = host.expect(0, &["corndog", "sysctl"]);
    assert_eq!(host.text("/proc/sys/vm/max_map_count"), "262144");
    assert_eq!(host.text(interface), "1");
    assert_eq!(host.text("/proc/sys/kernel/x"), "2");
    for (key, why) in [
        ("a..b", "it is not the name of a kernel parameter"),
        ("kernel/x", "it is the parameter that 'kernel.x' sets to '2'"),
        ("net/ipv4/conf/x", "Is a directory"),
    ] {
        let lines: Vec<_> =
            said.lines().filter(|line| line.contains(&format!("'{key}' is not set"))).collect();
        assert!(lines.len() == 1 && lines[0].contains(why), "{key}: {said}");
    }
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn a_configuration_that_is_missing_or_wrong_is_an_error() {
    let host = TestHost::empty();
    for verb in ["sysctl", "lockdown"] {
        assert!(host.expect(1, &["corndog", verb]).contains("/etc/corndog.toml: there is no such file"));
        host.write("/x.toml", "lockdown = 'full'", 0o644);
        let said = host.expect(1, &["corndog", verb, "--config-path", "/x.toml"]);
        assert!(
            said.contains("use the configuration /x.toml") && said.contains("must be one of: none"),
            "{said}"
        );
    }
    host.expect(2, &["corndog"]);
}

#[test]
fn the_kernel_is_locked_down_further_but_never_less() {
    let host = TestHost::empty();
    host.write(CORNDOG, "lockdown = \"integrity\"\n", 0o644);
    let said = host.expect(1, &["corndog", "lockdown"]);
    assert!(said.contains("lock the kernel down to 'integrity': it has no lockdown"), "{said}");
    for (before, after, word) in [
        ("[none] integrity confidentiality\n", "integrity", "is locked down to 'integrity'"),
        ("none [integrity] confidentiality\n", "none [integrity] confidentiality\n", ""),
        (
            "none integrity [confidentiality]\n",
            "none integrity [confidentiality]\n",
            "cannot go back to 'integrity'",
        ),
    ] {
        host.write(LOCKDOWN, before, 0o644);
        let said = host.expect(0, &["corndog", "lockdown"]);
        assert!(said.contains(word) && said.is_empty() == word.is_empty(), "{said}");
        assert_eq!(host.text(LOCKDOWN), after);
    }
    host.write(CORNDOG, "", 0o644);
    assert_eq!(host.expect(0, &["corndog", "lockdown"]), "");
}

#[test]
fn huge_pages_are_generated() {
    let host = TestHost::empty();
    let verb = ["corndog", "generate-hugepages-setting"];
    host.expect(2, &verb);
    host.write("/proc/sys/vm/nr_hugepages", "12\n", 0o644);
    assert_eq!(host.run(&verb).stdout, b"\"12\"\n");
    host.write("/proc/sys/vm/nr_hugepages", "0\n", 0o644);
    assert_eq!(host.run(&verb).stdout, b"\"0\"\n");
}

#[test]
fn the_next_boot_gets_the_parameters_of_the_settings() {
    let host = TestHost::empty();
    let verb = ["prairiedog", "generate-boot-config"];
    host.write("/proc/bootconfig", "", 0o444);
    let empty = b"kernel\ninit\n\x0c\0\0\0\x49\x04\0\0#BOOTCONFIG\n";
    assert_eq!(host.expect(0, &verb), "");
    assert_eq!(host.host.read(BLOB).unwrap().unwrap(), empty);
    host.write(PRAIRIEDOG, "[kernel]\nb = [\"1\", \"a \\\"2\\\"\"]\na = []\n[init]\nx = [\"y\"]\n", 0o644);
    assert_eq!(host.expect(0, &verb), "");
    let blob = host.host.read(BLOB).unwrap().unwrap();
    assert!(blob.starts_with(b"kernel.a\nkernel.b = \"1\", 'a \"2\"'\ninit.x = \"y\"\n\0"), "{blob:?}");
    host.write(PRAIRIEDOG, "[kernel]\n\"a b\" = []\n", 0o644);
    assert!(host.expect(1, &verb).contains("must be one or more words"));
    assert_eq!(host.host.read(BLOB).unwrap().unwrap(), blob);
}

#[test]
fn a_kernel_that_ignores_boot_configuration_is_told_of_and_never_rebooted_for() {
    let host = TestHost::empty();
    let say = |verb: &str| host.expect(0, &["prairiedog", verb]);
    let ignores =
        |said: &str| said.lines().count() == 1 && said.contains("this kernel ignores boot configuration");
    assert_eq!(say("generate-boot-config"), "");
    assert_eq!(say("reboot-if-required"), "");
    host.write("/proc/cmdline", "quiet bootconfig\n", 0o444);
    assert!(ignores(&say("generate-boot-config")));
    host.write("/proc/cmdline", "quiet\n", 0o444);
    host.write(PRAIRIEDOG, "reboot-to-reconcile = true\n[kernel]\na = []\n", 0o644);
    assert!(ignores(&say("generate-boot-config")));
    assert!(ignores(&say("reboot-if-required")));
    assert_eq!(host.commands(), [""; 0]);
}

#[test]
fn a_host_is_rebooted_once_for_its_boot_configuration() {
    let host = TestHost::empty();
    let verb = ["prairiedog", "reboot-if-required"];
    host.write("/proc/bootconfig", "kernel.a = \"1\"\n", 0o444);
    host.write(PRAIRIEDOG, "[kernel]\na = []\n", 0o644);
    assert_eq!((host.expect(0, &verb), host.commands()), (String::new(), vec![]));
    host.write(PRAIRIEDOG, "reboot-to-reconcile = true\n[kernel]\na = []\n", 0o644);
    host.expect(0, &verb);
    assert_eq!(host.commands(), ["systemctl reboot"]);
    assert!(host.host.read(BLOB).unwrap().unwrap().starts_with(b"kernel.a\n"));
    // It did not help.
    assert!(host.expect(0, &verb).contains("it is not rebooted again"));
    assert_eq!(host.commands(), [""; 0]);
    // It did; an empty list is what the kernel shows as an empty value.
    host.write("/proc/bootconfig", "kernel.a = \"\"\n", 0o444);
    assert_eq!((host.expect(0, &verb), host.commands()), (String::new(), vec![]));
    // Another wish is another reason.
    host.write(PRAIRIEDOG, "reboot-to-reconcile = true\n[kernel]\nb = []\n", 0o644);
    host.expect(0, &verb);
    assert_eq!(host.commands(), ["systemctl reboot"]);
    host.write("/proc/bootconfig", "junk\n", 0o444);
    assert!(host.expect(1, &verb).contains("understand line 1: 'junk' is neither below"));
}

#[test]
fn the_boot_partition_of_the_running_system_is_mounted_once() {
    let host = TestHost::empty();
    let verb = ["prairiedog", "prepare-boot"];
    assert!(host.expect(1, &verb).contains("/proc/cmdline does not exist"));
    host.write("/proc/cmdline", "root=/dev/vda3 ro\n", 0o444);
    assert!(host.expect(1, &verb).contains("find the BOOT partition: the kernel's command line has no"));
    let id = "6a1b2c3d-0000-4abc-8def-0123456789ab";
    let table =
        format!("root,,,ro,0 8 verity 1 PARTUUID={id}/PARTNROFF=1 PARTUUID={id}/PARTNROFF=2 4096 4096 1 1");
    host.write("/proc/cmdline", format!("dm-mod.create=\"{table}\" root=/dev/dm-0\n"), 0o444);
    host.expect(0, &verb);
    let mount = format!(
        "mount -t ext4 -o ro,nosuid,nodev,noexec,noatime --make-private /dev/disk/by-partuuid/{id} /boot"
    );
    assert_eq!(host.commands(), [mount]);
    host.write(
        "/proc/self/mountinfo",
        "22 1 254:0 / / ro - erofs /dev/dm-0 ro\n36 22 254:2 / /boot ro\n",
        0o444,
    );
    assert!(host.expect(0, &verb).contains("mounted already"));
    assert_eq!(host.commands(), [""; 0]);
}
