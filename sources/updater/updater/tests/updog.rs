//! The program `updog` on a host in a directory: what it prints, where, and what it exits with.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../signpost/tests/fake_host/mod.rs"]
mod fake_host;
#[path = "../../updog/tests/release/mod.rs"]
mod release;

use release::{Release, Scene, VARIANT, offering, with_manifest};
use serde_json::Value;
use std::process::{Command, Output};
use test_repository::{Publisher, later};

fn updog(scene: &Scene, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_updater"));
    command.arg("--root").arg(scene.fake.path("")).arg("updog").args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs it and compares status, standard output, and a part of standard error.
fn check(scene: &Scene, words: &[&str], status: i32, stdout: &str, stderr: &str) {
    let output = updog(scene, words);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{words:?}: {out}{err}");
    assert_eq!(out, stdout, "{words:?}: {err}");
    assert!(err.contains(stderr), "{words:?}: {err}");
    if stderr.is_empty() {
        assert_eq!(err, "", "{words:?}");
    }
}

#[test]
fn checks_print_the_update_that_would_be_taken() {
    let new = Release::new("1.1.0");
    let scene = Scene::new(&offering(&new, false));
    let line = format!("{VARIANT} 1.1.0\n");
    for words in [
        &["check-update"][..],
        &["whats"],
        &["check-update", "--all"],
        &["check-update", "-i", "1.1.0", "-n"],
    ] {
        check(&scene, words, 0, &line, "");
    }
    check(&scene, &["prepare"], 0, "", "");
    let output = updog(&scene, &["check-update", "-j"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json, new.entry("1.1.0"));
    // The log stays out of the way of the result, at any level, and the option may be anywhere.
    let output = updog(&scene, &["-j", "check-update", "--all", "--log-level", "trace"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json, serde_json::json!([new.entry("1.1.0")]));
}

#[test]
fn checks_that_find_nothing_say_why() {
    let entry = Release::new("1.1.0").entry("1.1.0");
    let mut waiting = entry.clone();
    waiting["waves"] = serde_json::json!({ "0": later(48), "2048": later(96) });
    for (updates, words, stderr) in [
        (
            vec![],
            &["check-update"][..],
            "no update available: no update: the repository has nothing for metal-dev",
        ),
        (vec![waiting], &["check-update"], "1.1.0 opens at"),
        (vec![entry.clone()], &["check-update", "-i", "3.0.0"], "the repository has no 3.0.0"),
        (vec![entry], &["check-update", "--variant", "other"], "the repository has nothing for other"),
    ] {
        let scene = Scene::new(&with_manifest(Publisher::new(), &updates));
        check(&scene, words, 1, "", stderr);
        check(&scene, &["update", "-i", "3.0.0"], 0, "", "no update required");
    }
    let scene = Scene::new(&offering(&Release::new("1.1.0"), false));
    scene.file(
        "var/lib/bottlerocket/updates/status.json",
        r#"{"bad_versions": [{"version": "1.1.0", "reason": "x"}]}"#,
    );
    check(&scene, &["check-update"], 1, "", "1.1.0 was tried, and this host fell back from it");
    check(&scene, &["check-update", "-i", "1.1.0"], 0, &format!("{VARIANT} 1.1.0\n"), "");
    let scene = Scene::new(&with_manifest(Publisher::new(), &[]));
    check(&scene, &["check-update", "--all"], 0, "", "");
    check(&scene, &["check-update", "--all", "-j"], 0, "[]\n", "");
}

#[test]
fn an_update_is_made_applied_and_reverted() {
    let new = Release::new("1.1.0");
    let scene = Scene::new(&offering(&new, true));
    check(
        &scene,
        &["update-image"],
        0,
        &format!("update installed: {VARIANT} 1.1.0\n"),
        "starting update to 1.1.0",
    );
    assert!(scene.set_b_is(&new));
    std::fs::remove_dir_all(scene.place.repository()).unwrap();
    check(&scene, &["update-apply"], 0, "update applied: set B boots next\n", "boot choice");
    let output = updog(&scene, &["update-revert", "-j"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["next"], &json["version"], &json["changed"]),
        (&"A".into(), &"1.1.0".into(), &true.into())
    );
    assert!(output.status.success());
    check(&scene, &["update-apply", "-r"], 0, "update applied: set B boots next\n", "boot choice");
    let log = std::fs::read_to_string(scene.fake.path(host::COMMAND_LOG.trim_start_matches('/'))).unwrap();
    assert_eq!(log, "systemctl reboot\n");
    check(&scene, &["check-update"], 3, "", "fetch the timestamp of the repository");
}

#[test]
fn update_does_all_of_it() {
    let new = Release::new("1.1.0");
    let scene = Scene::new(&offering(&new, false));
    let output = updog(&scene, &["update", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json, new.entry("1.1.0"));
    assert_eq!(scene.set_b().priority(), 2);
}

#[test]
fn kinds_of_failure_have_exit_statuses_of_their_own() {
    let new = Release::new("1.1.0");
    for (words, damage, status, stderr) in [
        (&["check-update"][..], "", 0, ""),
        (&["upgrade"], "", 2, "unrecognized subcommand"),
        (&["check-update", "update"], "", 2, "unexpected argument"),
        (&["check-update", "-i", "x"], "", 2, "invalid value"),
        (&["check-update"], "seed", 2, "/etc/updog.toml has no seed: settings.updates.seed is not set"),
        (&["check-update"], "timestamp", 3, "timestamp.json is not there"),
        (&["check-update"], "signature", 4, "the timestamp of the repository is not signed"),
        (&["update"], "lock", 6, "an update is being made"),
        (&["update-apply"], "lock", 6, "an update is being made"),
        (&["update-apply"], "", 7, "no update is staged"),
        (&["check-update"], "os-release", 9, "has no VERSION_ID"),
    ] {
        let scene = Scene::new(&offering(&new, false));
        let mut lock = None;
        match damage {
            "seed" => scene.file(
                "etc/updog.toml",
                "metadata_base_url=\"a\"\ntargets_base_url=\"a\"\nversion_lock=\"latest\"\nignore_waves=true",
            ),
            "timestamp" => std::fs::remove_file(scene.place.metadata().join("timestamp.json")).unwrap(),
            "signature" => scene.place.tamper("metadata/timestamp.json", "1.0.0", "1.0.1"),
            "os-release" => scene.file("usr/lib/os-release", "VARIANT_ID=x"),
            "lock" => lock = Some(signpost::Lock::acquire(&scene.fake.host()).unwrap()),
            _ => {}
        }
        let stdout = if status == 0 { format!("{VARIANT} 1.1.0\n") } else { String::new() };
        check(&scene, words, status, &stdout, stderr);
        drop(lock);
    }
}
