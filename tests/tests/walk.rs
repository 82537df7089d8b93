//! One setting travels the whole way, and back.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use serde_json::json;
use tests::TestHost;

#[test]
fn a_setting_travels_from_the_client_to_its_file_and_back_to_the_default() {
    let host = TestHost::boot("metal-dev", None);
    let set = host.client(&["set", "motd=Hello <&> 'there'"]);
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    assert_eq!(host.file("/etc/motd"), "Hello <&> 'there'\n");
    let get = host.client(&["get", "settings.motd"]);
    let shown: serde_json::Value = serde_json::from_slice(&get.stdout).unwrap();
    assert_eq!(shown, json!({"settings": {"motd": "Hello <&> 'there'"}}));
    let unset = host.client(&["unset", "settings.motd"]);
    assert!(unset.status.success(), "{}", String::from_utf8_lossy(&unset.stderr));
    assert_eq!(host.file("/etc/motd"), "Welcome to Visco!\n");
}

#[test]
fn what_was_set_is_there_after_a_reboot() {
    let mut host = TestHost::boot("metal-dev", None);
    assert!(host.client(&["set", "motd=kept", "ntp.time-servers=[\"a.example\"]"]).status.success());
    host.reboot();
    assert_eq!(host.file("/etc/motd"), "kept\n");
    assert!(host.file("/etc/chrony.conf").contains("pool a.example iburst"));
}

#[test]
fn restarts_are_recorded_with_the_services_they_are_for() {
    let host = TestHost::boot("metal-dev", None);
    let before = host.file(host::COMMAND_LOG).lines().count();
    assert!(host.client(&["set", "ntp.time-servers=[\"b.example\"]"]).status.success());
    let log = host.file(host::COMMAND_LOG);
    let after: Vec<&str> = log.lines().skip(before).collect();
    assert_eq!(after, ["/bin/systemctl try-reload-or-restart chronyd.service"]);
}

#[test]
fn a_client_is_told_what_is_wrong_and_nothing_is_changed() {
    let host = TestHost::boot("metal-dev", None);
    let set = host.client(&["set", "motdd=x", "motd=y"]);
    assert_eq!(set.status.code(), Some(3));
    let said = String::from_utf8_lossy(&set.stderr).into_owned();
    assert!(said.contains("settings.motdd") && said.contains("settings.motd"), "{said}");
    assert_eq!(host.file("/etc/motd"), "Welcome to Visco!\n");
    let (_, transactions) = host.request("GET", "/tx/list", "");
    assert_eq!(transactions, json!([]), "no transaction is left behind");
}

#[test]
fn a_server_that_was_killed_comes_back_with_every_answered_commit() {
    let directory = tempfile::TempDir::with_prefix("visco").unwrap();
    let report = hostlab::crash(&hostlab::CrashArgs {
        dir: directory.path().to_owned(),
        programs: tests::programs().to_owned(),
        kills: 25,
        seed: u64::from(std::process::id()),
    });
    assert_eq!(report.unwrap().kills, 25);
}
