//! From one version to another and back: links, names, settings, what is left over.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod lab;

use host::program::chain;
use lab::{LINK, Lab, Repository, lz4, settings};
use migrator::{Current, Listing, Outcome, Planned, Request, StoreFolder, StoreName, decide};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const RENAME: &str = "{ rename = { from = 'settings.old', to = 'settings.new' } }";
const REMOVE: &str = "{ remove = { keys = ['settings.gone'] } }";

#[test]
fn settings_go_forward_and_back_with_what_was_changed_in_between() {
    let repository = Repository::default()
        .edge(
            "1.0.0",
            "1.1.0",
            &[("migrate_v1.1.0_rename.lz4", RENAME), ("migrate_v1.1.0_remove.lz4", REMOVE)],
        )
        .edge("1.1.0", "1.2.0", &[("migrate_v1.2.0_add.lz4", "{ add = { prefixes = ['settings.shiny'] } }")]);
    let lab = Lab::new("1.0.0");
    let outcome = lab.migrate("1.2.0", &repository).unwrap();
    assert_eq!(outcome, Outcome::Migrated { from: "1.0.0".parse().unwrap() });
    let mut expected = settings();
    expected.insert("user-data", json!({"settings.motd": "user", "settings.new.a": 1}));
    expected.insert("api", json!({"settings.motd": "api", "settings.new.b": [true]}));
    assert_eq!(lab.layers(), expected);
    assert_eq!(lab.names(), ["current -> v1.2.0", "v1.0.0", "v1.2.0"]);
    lab.set("settings.new.b", &json!("changed"));
    lab.set("settings.new.c", &json!("made"));
    lab.set("settings.motd", &Value::Null);
    lab.set("settings.shiny.x", &json!(1));
    lab.migrate("1.0.0", &repository).unwrap();
    let mut expected = settings();
    expected.insert("api", json!({"settings.old.b": "changed", "settings.old.c": "made"}));
    assert_eq!(lab.layers(), expected);
    assert_eq!(lab.names(), ["current -> v1.0.0", "v1.0.0", "v1.0.0", "v1.2.0"]);
    // And forward once more: the history remembers the last time.
    lab.set("settings.gone", &json!("again"));
    lab.migrate("1.1.0", &repository).unwrap();
    assert!(!lab.layers().values().any(|layer| layer.get("settings.gone").is_some()));
    lab.migrate("1.0.0", &repository).unwrap();
    assert_eq!(lab.layers()["api"]["settings.gone"], "again");
    assert_eq!(lab.layers()["user-data"]["settings.gone"], "away");
}

#[test]
fn every_kind_of_version_and_link_is_followed() {
    let rows = [
        ("1.0.0", "1.0.1"),
        ("1.0.0", "2.0.0"),
        ("1.2.3", "1.2.3-rc.1"),
        ("1.2.3-rc.1", "1.2.3"),
        ("1.2.3-rc.1", "1.2.3-rc.2"),
        ("1.2.3-rc-1.beta", "1.3.0-alpha"),
        ("1.2.3", "1.2.3+build.7"),
    ];
    for (from, to) in rows {
        let (low, high) = if from.parse::<semver::Version>().unwrap() < to.parse().unwrap() {
            (from, to)
        } else {
            (to, from)
        };
        let repository = Repository::default().edge(low, high, &[]);
        let lab = Lab::new(from);
        lab.migrate(to, &repository).unwrap_or_else(|e| panic!("{from} {to}: {}", chain(&e)));
        let mut names = [format!("current -> v{to}"), format!("v{from}"), format!("v{to}")];
        names[1..].sort();
        assert_eq!(lab.names(), names, "{from} {to}");
        assert_eq!(lab.layers(), settings(), "{from} {to}");
        assert_eq!(lab.migrate(to, &Repository::default()).unwrap(), Outcome::SameVersion, "{from} {to}");
    }
}

#[test]
fn a_chain_of_links_made_before_is_read_and_becomes_one_link() {
    let lab = Lab::empty();
    let folder = "v1.26.1_0123456789abcdef";
    for (name, target) in [("current", "v1"), ("v1", "v1.26"), ("v1.26", "v1.26.1"), ("v1.26.1", folder)] {
        lab.link(name, target);
    }
    lab.fill(folder, &settings());
    let repository = Repository::default().edge("1.26.1", "1.27.0", &[("m", RENAME)]);
    assert_eq!(lab.migrate("1.26.1", &repository).unwrap(), Outcome::SameVersion);
    assert_eq!(lab.names().len(), 5, "links in use stay: {:?}", lab.names());
    lab.migrate("1.27.0", &repository).unwrap();
    assert_eq!(lab.names(), ["current -> v1.27.0", "v1.26.1", "v1.27.0"]);
    lab.migrate("1.26.1", &repository).unwrap();
    assert_eq!(lab.layers(), settings());
}

#[test]
fn links_that_lead_to_no_store_are_told() {
    let check = |links: &[(&str, &str)], expected: &str| {
        let lab = Lab::empty();
        for (name, target) in links {
            lab.link(name, target);
        }
        fs::create_dir_all(lab.folder().join("v1.2.3")).unwrap();
        let error = chain(&lab.migrate("2.0.0", &Repository::default()).unwrap_err());
        assert!(error.contains(expected), "{links:?}: {error}");
    };
    check(
        &[("current", "../../etc")],
        "current leads to '../../etc'; a link of the datastore leads to a name in its own",
    );
    check(&[("current", "/etc")], "current leads to '/etc'");
    check(
        &[("current", "v1.2.3")],
        "current leads to 'v1.2.3', which names no version; a store is named like",
    );
    check(&[("current", "a"), ("a", "b"), ("b", "a")], "current leads in a circle");
    let lab = Lab::empty();
    fs::create_dir(lab.folder().join("current")).unwrap();
    let error = chain(&lab.migrate("2.0.0", &Repository::default()).unwrap_err());
    assert!(error.ends_with("current is a folder; it must be a link to the store"), "{error}");
}

#[test]
fn a_first_boot_and_a_store_without_a_file_are_nothing_to_fail_over() {
    let lab = Lab::empty();
    assert_eq!(lab.migrate("1.0.0", &Repository::default()).unwrap(), Outcome::NoStore);
    lab.link("current", "v1.0.0_0123456789abcdef");
    assert_eq!(
        lab.migrate("1.0.0", &Repository::default()).unwrap(),
        Outcome::NoStore,
        "the link leads nowhere"
    );
    fs::create_dir(lab.folder().join("v1.0.0_0123456789abcdef")).unwrap();
    lab.migrate("1.1.0", &Repository::default().edge("1.0.0", "1.1.0", &[("m", RENAME)])).unwrap();
    assert_eq!(lab.names(), ["current -> v1.1.0", "v1.0.0", "v1.1.0"]);
}

#[test]
fn what_cannot_be_migrated_leaves_everything_as_it_was() {
    let check = |repository: &Repository, expected: &str| {
        let lab = Lab::new("1.0.0");
        let error = chain(&lab.migrate("1.1.0", repository).unwrap_err());
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(lab.names(), ["current -> v1.0.0", "v1.0.0"], "{expected}");
        assert_eq!(lab.layers(), settings(), "{expected}");
    };
    let whole = Repository::default().edge("1.0.0", "1.1.0", &[("m1", RENAME), ("m2", RENAME)]);
    check(
        &Repository::default(),
        "find the migrations from 1.0.0 to 1.1.0: find migrations from 1.0.0 to 1.1.0: no edge",
    );
    let mut missing = whole.clone();
    missing.targets.remove("m2");
    check(&missing, "read m2: there is no target m2");
    let mut truncated = whole.clone();
    truncated.targets.get_mut("m2").unwrap().truncate(20);
    check(&truncated, "decompress m2: ");
    let mut altered = whole.clone();
    altered.targets.insert("m2".into(), lz4(b"{\"visco-migration\": 1, \"rows\": [{\"rename\": {}}]}"));
    check(&altered, "read the document m2: row 1: missing field `from`");
    let mut other = whole;
    other.targets.insert("m2".into(), lz4(b"#!/bin/sh"));
    check(&other, "m2 is neither a document (JSON) nor a program (ELF)");
    let long = format!("{{ rename = {{ from = 'settings.old', to = 'settings.{}' }} }}", "n".repeat(245));
    let too_long = Repository::default().edge("1.0.0", "1.1.0", &[("m1", REMOVE), ("m2", &long)]);
    check(&too_long, "run m2 forward: row 1: give 'settings.old.a' its new name below 'settings.nnn");
}

#[test]
fn a_damaged_store_is_not_migrated_and_stays() {
    let lab = Lab::new("1.0.0");
    let file = lab.folder().join("current/settings.db");
    let mut content = fs::read(&file).unwrap();
    content[100..].fill(0xff);
    fs::write(&file, &content).unwrap();
    let repository = Repository::default().edge("1.0.0", "1.1.0", &[]);
    let error = chain(&lab.migrate("1.1.0", &repository).unwrap_err());
    assert!(error.starts_with("open the copy of the datastore: the datastore "), "{error}");
    assert_eq!(lab.names(), ["current -> v1.0.0", "v1.0.0"]);
    assert_eq!(fs::read(&file).unwrap(), content);
}

#[test]
fn the_history_says_what_happened_and_when() {
    let lab = Lab::new("1.0.0");
    lab.migrate("1.1.0", &Repository::default().edge("1.0.0", "1.1.0", &[("m1", RENAME), ("m2", REMOVE)]))
        .unwrap();
    let store = datastore::Store::open(&lab.folder().join("current/settings.db")).unwrap().store;
    let commit = &store.history(1, None).unwrap()[0];
    assert_eq!((commit.message.as_str(), commit.time_ms), ("migration 1.0.0 -> 1.1.0", 1));
    assert_eq!((commit.author.program.as_str(), commit.changes), ("migrator", 5));
    assert_eq!(commit.marks, ["m1", "m2"]);
}

#[test]
fn old_stores_are_bounded_over_many_updates() {
    let mut repository = Repository::default();
    for minor in 0..9 {
        repository = repository.edge(&format!("1.{minor}.0"), &format!("1.{}.0", minor + 1), &[]);
    }
    let lab = Lab::new("1.0.0");
    for minor in 1..=9 {
        lab.migrate(&format!("1.{minor}.0"), &repository).unwrap();
    }
    assert_eq!(lab.names(), ["current -> v1.9.0", "v1.7.0", "v1.8.0", "v1.9.0"]);
    // The store it came from stays, however old it is.
    lab.migrate("1.1.0", &repository).unwrap();
    lab.migrate("1.2.0", &repository).unwrap();
    assert_eq!(lab.names(), ["current -> v1.2.0", "v1.1.0", "v1.2.0", "v1.9.0"]);
    assert_eq!(lab.layers(), settings());
}

#[test]
fn what_earlier_runs_left_goes_even_if_there_is_nothing_else_to_do() {
    let lab = Lab::new("1.0.0");
    for name in [".v1.1.0_0123456789abcdef.new", ".v0.9.0_0123456789abcdef.old"] {
        fs::create_dir(lab.folder().join(name)).unwrap();
        fs::write(lab.folder().join(name).join("settings.db"), "half").unwrap();
    }
    lab.link(".current.new", "v1.1.0_0123456789abcdef");
    for version in ["0.7.0", "0.8.0", "0.9.0"] {
        fs::create_dir(lab.folder().join(format!("v{version}_0123456789abcdef"))).unwrap();
    }
    fs::write(lab.folder().join("kept"), "is not ours").unwrap();
    assert_eq!(lab.migrate("1.0.0", &Repository::default()).unwrap(), Outcome::SameVersion);
    assert_eq!(lab.names(), ["current -> v1.0.0", "kept", "v0.8.0", "v0.9.0", "v1.0.0"]);
}

#[test]
fn a_plan_changes_nothing_and_prints() {
    let lab = Lab::new("1.0.0");
    let repository = Repository::default().edge("1.0.0", "1.1.0", &[("m1", RENAME), ("m2", "")]);
    let Planned::Migrate(plan) = lab.plan("1.1.0", &repository).unwrap() else { panic!("nothing planned") };
    assert_eq!(lab.names(), ["current -> v1.0.0", "v1.0.0"]);
    let (needed, free) = (plan.room.needed.div_ceil(1024), plan.room.free / 1024);
    let (from, to) = ("v1.0.0_0123456789abcdef", "v1.1.0_0000000000000002");
    let expected = format!(
        "migrate forward 1.0.0 -> 1.1.0\ncopy {from} to .{to}.new ({needed} KiB needed, {free} KiB free)\n\
         run m1: 1 row\nrun m2: 0 rows\ncommit and close\nsync .{to}.new\nrename .{to}.new to {to}\nlink current to {to}\n"
    );
    assert_eq!(plan.to_string(), expected);
}

#[test]
fn room_is_made_or_found_missing_before_anything_is_done() {
    let store = |version: &str, size| StoreFolder { name: StoreName::new(version.parse().unwrap(), 1), size };
    let current = Current { name: store("1.3.0", 0).name, links: vec!["current".into()] };
    let kib = 1024;
    let stores = vec![
        store("1.0.0", 40 * kib),
        store("1.1.0", 40 * kib),
        store("1.2.0", 40 * kib),
        store("1.3.0", 100 * kib),
    ];
    let check = |free: u64, first: &[&str], last: &[&str]| {
        let rubbish = vec![".v9.9.9_0123456789abcdef.new".to_owned()];
        let listing = Listing { stores: stores.clone(), links: vec![], rubbish, free: free * kib };
        let request = Request { link: LINK.into(), to: "1.4.0".parse().unwrap(), random: 7 };
        match decide(Path::new("/d"), &current, &listing, &request, vec![]) {
            Ok(Planned::Migrate(plan)) => {
                let versions = |names: &[String]| -> Vec<String> {
                    names.iter().map(|name| name.split('_').next().unwrap().to_owned()).collect()
                };
                assert_eq!(versions(&plan.remove_first)[1..], *first, "{free} KiB free");
                assert_eq!(versions(&plan.remove_last), last, "{free} KiB free");
                assert_eq!(plan.room.needed, (200 + 256) * kib);
            }
            Ok(other) => panic!("{free} KiB free: {other:?}"),
            Err(e) => assert_eq!(
                e.to_string(),
                format!(
                    "migrating the datastore needs 456 KiB in /d, and only {} KiB are free; the datastore is left as it is",
                    first[0]
                ),
            ),
        }
    };
    check(1000, &[], &["v1.0.0", "v1.1.0"]);
    check(456, &[], &["v1.0.0", "v1.1.0"]);
    check(455, &["v1.0.0"], &["v1.1.0"]);
    check(416, &["v1.0.0"], &["v1.1.0"]);
    check(376, &["v1.0.0", "v1.1.0"], &[]);
    check(336, &["v1.0.0", "v1.1.0", "v1.2.0"], &[]);
    // The store of now is never among what goes.
    check(335, &["455"], &[]);
    check(0, &["120"], &[]);
}
