//! The program `migrator` on a host in a directory: its flags, what it prints and what it exits with. What it does to
//! settings is tested in the crate of that name.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use host::Host;
use repository::Repository;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use tempfile::TempDir;
use test_repository::{Place, Publisher};

const FROM_IMAGE: &str = "--migrate-to-version-from-os-release";
const STORES: &str = "/var/lib/bottlerocket/datastore";

/// A host with the image of a version.
fn host(version: &str) -> (TempDir, Host) {
    let directory = TempDir::with_prefix("v").unwrap();
    let host = Host::new(directory.path());
    let text = format!("NAME=Visco\nVERSION_ID=\"{version}\"\n");
    host.replace("/usr/lib/os-release", text.as_bytes(), 0o644).unwrap();
    (directory, host)
}

/// The same with a store of 1.0.0, empty, and a copy of a repository that leads to 1.1.0 without migrations.
fn staged(version: &str) -> (TempDir, Host) {
    let (directory, host) = host(version);
    let stores = host.path(STORES);
    fs::create_dir_all(stores.join("v1.0.0_0123456789abcdef")).unwrap();
    symlink("v1.0.0_0123456789abcdef", stores.join("current")).unwrap();
    let manifest = json!({ "updates": [], "migrations": { "(1.0.0, 1.1.0)": [] } });
    let place = Place::of(&Publisher::new().with_file("manifest.json", manifest.to_string()));
    host.replace("/usr/share/updog/root.json", &fs::read(place.root_json()).unwrap(), 0o644).unwrap();
    let repository = Repository::load(&place.source(&place.url())).unwrap();
    let copies = host.path("/var/lib/bottlerocket/updates/cache");
    repository.cache(&copies, "1.1.0", &[]).unwrap().make_current().unwrap();
    (directory, host)
}

/// Runs it; gives its exit status, standard output and standard error.
fn run(host: &Host, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_updater"));
    let output = command.arg("--root").arg(host.root()).arg("migrator").args(words).output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), stdout, stderr)
}

fn current(host: &Host) -> String {
    fs::read_link(host.path(STORES).join("current")).unwrap().display().to_string()
}

#[test]
fn wrong_usage_is_told_with_2() {
    let (_directory, host) = host("1.0.0");
    for (words, expected) in [
        (&[][..], "required"),
        (&["--migrate-to-version", "1.0.0", FROM_IMAGE], "cannot be used with"),
        (&["--migrate-to-version", "1.0"], "invalid value '1.0'"),
        (&[FROM_IMAGE, "--no-such-flag"], "unexpected argument"),
        (&[FROM_IMAGE, "--log-level", "loud"], "invalid value 'loud'"),
    ] {
        let (status, stdout, stderr) = run(&host, words);
        assert_eq!((status, stdout.as_str()), (2, ""), "{words:?}");
        assert!(stderr.contains(expected), "{words:?}: {stderr}");
    }
}

#[test]
fn a_first_boot_and_an_equal_version_need_no_copy_of_a_repository() {
    let (_directory, host) = host("1.0.0");
    assert_eq!(run(&host, &[FROM_IMAGE]).0, 0, "there is no folder");
    let stores = host.path(STORES);
    fs::create_dir_all(stores.join("v1.0.0_0123456789abcdef")).unwrap();
    assert_eq!(run(&host, &[FROM_IMAGE]).0, 0, "there is no link");
    symlink("v1.0.0_0123456789abcdef", stores.join("current")).unwrap();
    assert_eq!(run(&host, &[FROM_IMAGE]), (0, String::new(), String::new()));
    assert_eq!(run(&host, &["--migrate-to-version", "1.0.0"]).0, 0);
    let (status, _, stderr) = run(&host, &["--migrate-to-version", "1.1.0"]);
    assert_eq!(status, 1);
    assert!(stderr.starts_with("find the migrations from 1.0.0 to 1.1.0: "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn the_boot_needs_no_flag_but_one() {
    let (_directory, host) = staged("1.1.0");
    let (status, stdout, stderr) = run(&host, &[FROM_IMAGE, "--dry-run"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert!(
        stdout.starts_with("migrate forward 1.0.0 -> 1.1.0\ncopy v1.0.0_0123456789abcdef to .v1.1.0_"),
        "{stdout}"
    );
    assert_eq!(current(&host), "v1.0.0_0123456789abcdef");
    let (status, stdout, stderr) = run(&host, &[FROM_IMAGE]);
    assert_eq!((status, stdout.as_str()), (0, ""), "{stderr}");
    assert!(current(&host).starts_with("v1.1.0_"), "{}", current(&host));
    assert_eq!(run(&host, &[FROM_IMAGE, "--dry-run"]).1, "the datastore has the version\n");
}

#[test]
fn every_documented_flag_is_followed() {
    let (_directory, host) = staged("9.9.9");
    let moves = [
        ("/var/lib/bottlerocket/datastore", "/store"),
        ("/usr/share/updog/root.json", "/root.json"),
        ("/var/lib/bottlerocket/updates/cache/current/metadata", "/metadata"),
        ("/var/lib/bottlerocket/updates/cache/current/targets", "/migrations"),
    ];
    for (from, to) in moves {
        fs::rename(host.path(from), host.path(to)).unwrap();
    }
    let words = [
        "--datastore-path",
        "/store/current",
        "--migration-directory",
        "/migrations",
        "--root-path",
        "/root.json",
        "--metadata-directory",
        "/metadata",
        "--migrate-to-version",
        "1.1.0",
        "--log-level",
        "warn",
    ];
    assert_eq!(run(&host, &words), (0, String::new(), String::new()));
    let link = fs::read_link(host.path("/store/current")).unwrap();
    assert!(link.to_str().unwrap().starts_with("v1.1.0_"), "{}", link.display());
}

#[test]
fn an_image_without_a_version_is_told() {
    let (_directory, host) = host("latest");
    let (status, _, stderr) = run(&host, &[FROM_IMAGE]);
    assert_eq!(
        (status, stderr.as_str()),
        (1, "/usr/lib/os-release has no VERSION_ID that is a version like 1.2.3\n")
    );
}
