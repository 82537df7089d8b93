//! The program `signpost` on a host in a directory.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../signpost/tests/fake_host/mod.rs"]
mod fake_host;

use fake_host::{FakeHost, Shape};
use partitions::Attributes;
use std::fs;
use std::process::{Command, Output};

const GOOD: Attributes = Attributes::NONE.with_priority(1).with_successful(true);

fn signpost(fake: &FakeHost, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_updater"));
    command.arg("--root").arg(fake.path("")).arg("signpost").args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_status_shows_each_set_beside_its_own_bits() {
    for runs_b in [false, true] {
        let shape = Shape { runs_b, ..Shape::default() };
        let b = Attributes::NONE.with_priority(2).with_tries_left(3);
        let fake = FakeHost::new(shape, GOOD, b);
        let dev = fake.path("dev");
        let dev = dev.display();
        let active = if runs_b { "B" } else { "A" };
        let output = signpost(&fake, &["status"]);
        let expected = format!(
            "OS disk: {dev}/vda\n\
             Set A:   boot={dev}/vda2 root={dev}/vda3 hash={dev}/vda4 priority=1 tries_left=0 successful=true\n\
             Set B:   boot={dev}/vda5 root={dev}/vda6 hash={dev}/vda7 priority=2 tries_left=3 successful=false\n\
             Active:  Set {active}\n\
             Next:    Set B\n"
        );
        assert_eq!(text(&output.stdout), expected);
        let json: serde_json::Value =
            serde_json::from_slice(&signpost(&fake, &["status", "--json"]).stdout).unwrap();
        assert_eq!(json["active"], active);
        assert_eq!(json["next"], "B");
        assert_eq!(json["sets"][1]["tries_left"], 3);
        assert_eq!(json["boot_ever_succeeded"], false);
    }
}

#[test]
fn an_update_by_hand() {
    let fake = FakeHost::new(Shape::default(), GOOD, Attributes::NONE);
    for (words, status, stdout, stderr) in [
        (&["has-boot-ever-succeeded"][..], 0, "", ""),
        (&["mark-successful-boot"], 0, "", "changed=true"),
        (&["mark-successful-boot"], 0, "", "changed=false"),
        (&["has-boot-ever-succeeded"], 0, "true\n", ""),
        (&["upgrade-to-inactive"], 1, "", "not marked valid"),
        (&["clear-inactive"], 0, "", "changed=false"),
        (&["mark-inactive-valid"], 0, "", "changed=true"),
        (&["upgrade-to-inactive"], 0, "", "next=B"),
        (&["rollback-to-inactive"], 1, "", "not proved itself in any boot"),
        (&["cancel-upgrade"], 0, "", "next=A"),
        (&["rewrite-table"], 0, "", ""),
        (&["reboot"], 2, "", "unrecognized subcommand"),
        (&["status", "more"], 2, "", "unexpected argument"),
        (&[], 2, "", "Usage"),
    ] {
        let output = signpost(&fake, words);
        let seen = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{words:?}: {seen}");
        assert_eq!(text(&output.stdout), stdout, "{words:?}");
        assert!(seen.contains(stderr), "{words:?}: {seen}");
    }
}

#[test]
fn a_dry_run_says_what_would_be_written_and_writes_nothing() {
    let fake = FakeHost::new(Shape::default(), GOOD, Attributes::NONE);
    let before = fs::read(fake.disk()).unwrap();
    let output = signpost(&fake, &["mark-inactive-valid", "--dry-run"]);
    let plan = text(&output.stdout);
    assert_eq!(plan.lines().count(), 6, "{plan}");
    assert!(plan.starts_with("write the backup entries"), "{plan}");
    assert_eq!(plan.lines().filter(|line| *line == "sync").count(), 2, "{plan}");
    assert_eq!(fs::read(fake.disk()).unwrap(), before);
}

#[test]
fn a_second_writer_is_turned_away_and_a_reader_is_not() {
    let fake = FakeHost::new(Shape::default(), GOOD, Attributes::NONE);
    let _lock = signpost::Lock::acquire(&fake.host()).unwrap();
    let output = signpost(&fake, &["clear-inactive"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("another program has locked"), "{}", text(&output.stderr));
    assert_eq!(signpost(&fake, &["status"]).status.code(), Some(0));
}
