//! The record of boots on a host in a directory, and what is done when one fails.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../signpost/tests/fake_host/mod.rs"]
mod fake_host;

use fake_host::{FakeHost, Shape};
use partitions::Attributes;
use serde_json::Value;
use std::process::{Command, Output};

const GOOD: Attributes = Attributes::NONE.with_priority(1).with_successful(true);
const NEW: Attributes = Attributes::NONE.with_priority(2).with_tries_left(2);
const ORDERLY: &str = "systemctl --no-block reboot\n";

/// A host whose set B runs, as `systemctl` and `journalctl` see it.
fn host_running_b(a: Attributes, b: Attributes) -> FakeHost {
    let fake = FakeHost::new(Shape { runs_b: true, ..Shape::default() }, a, b);
    let host = fake.host();
    host.replace("/usr/lib/os-release", b"VERSION_ID=\"1.2.3\"\nVARIANT_ID=metal-dev\n", 0o644).unwrap();
    let systemctl = "#!/bin/sh\necho 'a.service loaded failed failed A'\n\
                     echo 'health-user.service loaded activating start H'\n";
    host.replace("/usr/bin/systemctl", systemctl.as_bytes(), 0o755).unwrap();
    let journalctl = "#!/bin/sh\nfor word; do :; done\necho \" INFO $word said so\"\n";
    host.replace("/usr/bin/journalctl", journalctl.as_bytes(), 0o755).unwrap();
    boot(&fake, "first");
    fake
}

/// The host starts: nothing has happened yet.
fn boot(fake: &FakeHost, id: &str) {
    fake.host().replace("/proc/sys/kernel/random/boot_id", format!("{id}\n").as_bytes(), 0o644).unwrap();
    uptime(fake, 5);
}

fn uptime(fake: &FakeHost, seconds: u32) {
    fake.host().replace("/proc/uptime", format!("{seconds}.25 1.00\n").as_bytes(), 0o644).unwrap();
}

fn run(fake: &FakeHost, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_updater"));
    command.arg("--root").arg(fake.path("")).arg("boot-attempt").args(words).output().unwrap()
}

fn expect(fake: &FakeHost, status: i32, words: &[&str]) -> String {
    let output = run(fake, words);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
    said
}

fn record(fake: &FakeHost) -> Value {
    serde_json::from_slice(&fake.host().read(signpost::attempt::ATTEMPT).unwrap().unwrap()).unwrap()
}

/// The commands given to systemd since this was last asked.
fn commands(fake: &FakeHost) -> String {
    let log = fake.host().read(host::COMMAND_LOG).unwrap().unwrap_or_default();
    fake.host().remove(host::COMMAND_LOG).unwrap();
    String::from_utf8(log).unwrap()
}

#[test]
fn a_boot_that_becomes_healthy() {
    let fake = host_running_b(GOOD, NEW);
    expect(&fake, 0, &["begin"]);
    let begun = record(&fake);
    for (key, value) in [("version", "1.2.3"), ("variant", "metal-dev"), ("set", "B"), ("stage", "started")] {
        assert_eq!(begun[key], value, "{begun}");
    }
    assert_eq!((&begun["tries_left"], &begun["proven"]), (&Value::from(2), &Value::from(false)));
    assert_eq!(begun["reason"], Value::Null);
    assert!(begun["begun"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    for stage in ["migrated", "configured", "healthy"] {
        expect(&fake, 0, &["stage", stage]);
        assert_eq!(record(&fake)["stage"], stage);
    }
    // Even long after the deadline.
    uptime(&fake, 4000);
    expect(&fake, 0, &["watch"]);
    assert_eq!(commands(&fake), "");
}

#[test]
fn a_new_set_that_misses_the_deadline_restarts_and_leaves_the_reason() {
    let fake = host_running_b(GOOD, NEW);
    expect(&fake, 0, &["begin"]);
    uptime(&fake, 300);
    expect(&fake, 0, &["watch"]);
    assert_eq!(commands(&fake), ORDERLY);
    let reason = "not healthy 300 s after the start: \
                  health-user.service (_SYSTEMD_UNIT=health-user.service said so), \
                  a.service (_SYSTEMD_UNIT=a.service said so)";
    assert_eq!(record(&fake)["reason"], reason);
    // The next boot keeps it for whoever asks.
    boot(&fake, "second");
    expect(&fake, 0, &["begin"]);
    let next = record(&fake);
    assert_eq!((&next["reason"], &next["failures"]), (&Value::Null, &Value::from(1)));
    assert_eq!(next["failed"][0]["reason"], reason);
    assert_eq!(next["failed"][0]["set"], "B");
}

#[test]
fn a_set_that_was_healthy_once_stays_up_after_the_deadline() {
    let fake = host_running_b(GOOD, GOOD);
    fake.host()
        .replace("/etc/health.toml", b"deadline = 40\n[checks.x]\nunit = 'x.service'\n", 0o644)
        .unwrap();
    expect(&fake, 0, &["begin"]);
    uptime(&fake, 40);
    let said = expect(&fake, 0, &["watch"]);
    assert!(said.contains("not healthy 40 s after the start") && said.contains("stays up"), "{said}");
    assert_eq!(commands(&fake), "");
}

#[test]
fn the_record_of_an_earlier_boot_says_nothing_of_this_one() {
    let fake = host_running_b(GOOD, NEW);
    expect(&fake, 0, &["begin"]);
    expect(&fake, 0, &["stage", "healthy"]);
    boot(&fake, "second");
    let said = expect(&fake, 1, &["stage", "migrated"]);
    assert!(said.contains("this boot has no record"), "{said}");
    uptime(&fake, 300);
    let said = expect(&fake, 0, &["watch"]);
    assert!(said.contains("keep the reason"), "{said}");
    assert_eq!(commands(&fake), ORDERLY);
    assert_eq!(record(&fake)["stage"], "healthy");
}

#[test]
fn a_record_that_cannot_be_read_holds_nothing_up() {
    let fake = host_running_b(GOOD, NEW);
    fake.host().replace(signpost::attempt::ATTEMPT, b"{\"version\":", 0o644).unwrap();
    let said = expect(&fake, 0, &["begin"]);
    assert!(said.contains("begin a new record of boots: understand the record"), "{said}");
    assert_eq!(record(&fake)["failures"], 0);
}

#[test]
fn a_new_set_whose_migration_fails_restarts() {
    let fake = host_running_b(GOOD, NEW);
    expect(&fake, 0, &["begin"]);
    expect(&fake, 0, &["fail", "migrator.service"]);
    assert_eq!(commands(&fake), ORDERLY);
    let reason = "migrator.service failed: _SYSTEMD_UNIT=migrator.service said so";
    assert_eq!(record(&fake)["reason"], reason);
}

/// A datastore that no version can migrate: each set gets its turn, then the host stays as it is.
#[test]
fn good_sets_whose_migrations_fail_take_turns_but_not_for_ever() {
    let fake = host_running_b(GOOD, GOOD.with_priority(2));
    let mut seen = Vec::new();
    for number in 0..4 {
        boot(&fake, &number.to_string());
        expect(&fake, 0, &["begin"]);
        expect(&fake, 0, &["fail", "migrator.service"]);
        let a_is_next = fake.reading().table.get(2).unwrap().attributes.priority() == 2;
        seen.push((commands(&fake), a_is_next));
        assert_eq!(record(&fake)["switched"], number < 2, "whether the other set gets its turn");
    }
    // The fake host goes on running B.
    let stays = (String::new(), true);
    assert_eq!(seen, [(ORDERLY.to_owned(), true), (ORDERLY.to_owned(), true), stays.clone(), stays]);
}
