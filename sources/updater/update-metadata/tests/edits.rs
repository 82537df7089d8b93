//! What a publisher changes.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use semver::Version;
use serde_json::json;
use std::collections::BTreeSet;
use update_metadata::{
    Edge, EditError, Host, Manifest, Migrations, Release, SEEDS, Update, UpdateId, VersionLock, Waves, choose,
};

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn id(arch: &str, text: &str) -> UpdateId {
    UpdateId { variant: "demo".into(), arch: arch.into(), version: version(text) }
}

fn update(arch: &str, version: &str) -> Update {
    serde_json::from_value(json!({
        "variant": "demo", "arch": arch, "version": version, "max_version": version, "waves": {},
        "images": {"boot": "b", "root": "r", "hash": "h"},
    }))
    .unwrap()
}

/// Updates of an architecture and their maximum.
fn manifest(max_version: &str, versions: &[&str]) -> Manifest {
    let mut manifest = Manifest::new();
    for text in versions {
        manifest.add_update(update("x86_64", text), None).unwrap();
    }
    manifest.set_max_version(None, None, &version(max_version));
    manifest
}

fn max_versions(manifest: &Manifest, arch: &str) -> BTreeSet<String> {
    let of_arch = manifest.updates.iter().filter(|update| update.arch == arch);
    of_arch.map(|update| update.max_version.to_string()).collect()
}

#[test]
fn a_new_update_raises_the_maximum_of_its_like() {
    for (max_before, added, asked, max_after) in [
        ("1.1.0", "1.2.0", None, "1.2.0"),
        ("1.5.0", "1.2.0", None, "1.5.0"),
        ("1.1.0", "1.0.5", None, "1.1.0"),
        ("1.1.0", "1.2.0", Some("1.3.0"), "1.3.0"),
        // Published, and held back.
        ("1.1.0", "1.2.0", Some("1.1.0"), "1.1.0"),
    ] {
        let mut manifest = manifest(max_before, &["1.0.0", "1.1.0"]);
        manifest.add_update(update("aarch64", "0.1.0"), None).unwrap();
        manifest.add_update(update("x86_64", added), asked.map(version)).unwrap();
        assert_eq!(max_versions(&manifest, "x86_64"), BTreeSet::from([max_after.to_owned()]), "{added}");
        assert_eq!(max_versions(&manifest, "aarch64"), BTreeSet::from(["0.1.0".to_owned()]));
    }
}

type Edit<'a> = Box<dyn Fn(&mut Manifest) -> Result<(), EditError> + 'a>;

#[test]
fn a_refused_edit_changes_nothing() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let mut before = manifest("1.1.0", &["1.0.0", "1.1.0"]);
    before.pause(&id("x86_64", "1.1.0"), at("2031-01-01T00:00:00Z")).unwrap();
    before.withdraw(&id("x86_64", "1.0.0"), "old").unwrap();
    let mut manifest = before.clone();
    let missing = id("aarch64", "1.1.0");
    let edits: [(Edit<'_>, &str); 10] = [
        (
            Box::new(|m| m.add_update(update("x86_64", "1.1.0"), None)),
            "the manifest has demo 1.1.0 for x86_64 already",
        ),
        (
            Box::new(|m| m.add_update(update("x86_64", "1.2.0"), Some(version("1.0.0")))),
            "add demo 1.2.0 for x86_64 with a maximum of 1.0.0: other updates have 1.1.0; lower it for all of them instead",
        ),
        (Box::new(|m| m.withdraw(&missing, "")), "the manifest has no demo 1.1.0 for aarch64"),
        (
            Box::new(|m| m.set_waves(&missing, Waves::default(), Timestamp::UNIX_EPOCH)),
            "the manifest has no demo",
        ),
        (Box::new(|m| m.pause(&missing, Timestamp::UNIX_EPOCH)), "the manifest has no demo"),
        (Box::new(|m| m.resume(&missing, Timestamp::UNIX_EPOCH)), "the manifest has no demo"),
        (
            Box::new(|m| m.pause(&id("x86_64", "1.1.0"), at("2031-01-02T00:00:00Z"))),
            "demo 1.1.0 for x86_64 is paused already",
        ),
        (
            Box::new(|m| m.pause(&id("x86_64", "1.0.0"), at("2031-01-02T00:00:00Z"))),
            "demo 1.0.0 for x86_64 was withdrawn",
        ),
        (
            Box::new(|m| m.resume(&id("x86_64", "1.0.0"), Timestamp::MAX)),
            "demo 1.0.0 for x86_64 is not paused",
        ),
        (
            Box::new(|m| m.resume(&id("x86_64", "1.1.0"), at("2030-12-31T00:00:00Z"))),
            "resume demo 1.1.0 for x86_64 at 2030-12-31T00:00:00Z, before it was paused, at 2031-01-01T00:00:00Z",
        ),
    ];
    for (edit, expected) in edits {
        let found = edit(&mut manifest).unwrap_err().to_string();
        assert!(found.starts_with(expected), "{found}\n  is not {expected}");
        assert_eq!(manifest, before, "{expected}");
    }
}

#[test]
fn a_withdrawn_update_is_left_by_old_and_new_clients() {
    for (max_before, withdrawn, max_after) in [
        ("1.2.0", &["1.2.0"][..], "1.1.0"),
        ("1.2.0", &["1.1.0"], "1.2.0"),
        ("1.2.0", &["1.1.0", "1.2.0"], "1.0.0"),
        ("1.2.0", &["1.2.0", "1.1.0", "1.0.0"], "0.0.0"),
        // It was lowered further by hand.
        ("1.0.0", &["1.2.0"], "1.0.0"),
    ] {
        let mut manifest = manifest(max_before, &["1.0.0", "1.1.0", "1.2.0"]);
        manifest.add_update(update("aarch64", "1.2.0"), None).unwrap();
        for text in withdrawn {
            manifest.withdraw(&id("x86_64", text), "eats disks").unwrap();
        }
        assert_eq!(
            max_versions(&manifest, "x86_64"),
            BTreeSet::from([max_after.to_owned()]),
            "{withdrawn:?}"
        );
        assert_eq!(max_versions(&manifest, "aarch64"), BTreeSet::from(["1.2.0".to_owned()]));

        // A client that does not know the mark goes by the maximum alone.
        let mut unmarked = manifest.clone();
        unmarked.updates.iter_mut().for_each(|update| update.withdrawn = None);
        for manifest in [&manifest, &unmarked] {
            let host = Host {
                variant: "demo".into(),
                arch: "x86_64".into(),
                version: version("1.2.0"),
                seed: 0,
                version_lock: VersionLock::Latest,
                ignore_waves: false,
                forced: None,
            };
            let decision = choose(manifest, &host, Timestamp::UNIX_EPOCH, &BTreeSet::new());
            let taken = decision.update().map(|update| update.version.to_string());
            let expected = (!["1.2.0", "0.0.0"].contains(&max_after)).then(|| max_after.to_owned());
            assert_eq!(taken, expected, "{withdrawn:?}");
        }
    }
}

#[test]
fn the_maximum_is_set_where_it_is_meant() {
    for (variant, arch, count) in [
        (None, None, 3),
        (Some("demo"), None, 3),
        (Some("demo"), Some("aarch64"), 1),
        (Some("other"), None, 0),
    ] {
        let mut manifest = manifest("1.1.0", &["1.0.0", "1.1.0"]);
        manifest.add_update(update("aarch64", "1.1.0"), None).unwrap();
        assert_eq!(manifest.set_max_version(variant, arch, &version("1.0.0")), count);
        let lowered = manifest.updates.iter().filter(|update| update.max_version == version("1.0.0")).count();
        assert_eq!(lowered, count);
    }
}

#[test]
fn waves_that_are_set_in_a_pause_move_by_what_is_left_of_it() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let (id, mut manifest) = (id("x86_64", "1.0.0"), manifest("1.0.0", &["1.0.0"]));
    let waves = Waves::new([(0, at("2031-02-01T01:00:00Z")), (SEEDS, at("2031-02-01T02:00:00Z"))]);
    manifest.pause(&id, at("2031-01-01T00:00:00Z")).unwrap();
    manifest.set_waves(&id, waves.clone(), at("2031-02-01T00:00:00Z")).unwrap();
    manifest.resume(&id, at("2031-02-01T00:30:00Z")).unwrap();
    let first = manifest.update(&id).unwrap().waves.bounds().next().unwrap();
    assert_eq!(first.time, at("2031-02-01T01:30:00Z"));
    // Where nothing is paused, nothing is marked.
    manifest.set_waves(&id, waves, at("2031-03-01T00:00:00Z")).unwrap();
    assert_eq!(manifest.update(&id).unwrap().paused_at, None);
}

#[test]
fn a_release_document_becomes_the_migration_graph() {
    let release = Release::parse(
        "version = '1.2.0'\nunknown = 1\n[migrations]\n'(1.0.0, 1.1.0)' = []\n\
         '(1.1.0, 1.2.0)' = ['migrate_v1.2.0_a.lz4']\n",
    )
    .unwrap();
    assert_eq!(release.version, version("1.2.0"));
    let mut manifest = manifest("1.2.0", &["0.9.0", "1.0.0", "1.1.0", "1.2.0"]);
    let edge = |text: &str| text.parse::<Edge>().unwrap();
    manifest.migrations =
        Migrations::from([(edge("(0.9.0, 1.0.0)"), vec![]), (edge("(1.0.0, 1.1.0)"), vec!["x".into()])]);
    let cut_off = |manifest: &Manifest| {
        manifest.cut_off().into_iter().map(|(id, _)| id.version.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(cut_off(&manifest), ["0.9.0", "1.0.0", "1.1.0"]);
    assert_eq!(manifest.set_migrations(release.migrations.clone()), [edge("(0.9.0, 1.0.0)")]);
    assert_eq!(manifest.migrations, release.migrations);
    assert_eq!(cut_off(&manifest), ["0.9.0"]);

    let printed = toml::to_string(&release).unwrap();
    assert_eq!(Release::parse(&printed).unwrap(), release);
    for text in [
        "",
        "version = '1.2'",
        "version = '1.2.0'\n[migrations]\n'1.0.0' = []",
        "version = '1.2.0'\n[migrations]\n'(1.0.0, 1.1.0)' = []\n'(1.0.0,1.1.0)' = []",
    ] {
        assert!(Release::parse(text).is_err(), "{text}");
    }
}

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

proptest! {
    #[test]
    fn a_pause_moves_later_turns_by_its_length(
        spans in proptest::collection::btree_map(0..SEEDS + 1, 1..1_000_000_i64, 1..6),
        pause in -10..4_000_000_i64,
        length in 0..10_000_000_i64,
        pauses_before: bool,
    ) {
        let start: Timestamp = "2031-03-02T08:00:00Z".parse().unwrap();
        let mut at = 0;
        let waves = Waves::new(spans.into_iter().map(|(seed, span)| {
            at += span;
            (seed, start + seconds(at))
        }));
        let (id, pause, end) = (id("x86_64", "1.0.0"), start + seconds(pause), start + seconds(pause + length));
        let mut manifest = manifest("1.0.0", &["1.0.0"]);
        if pauses_before {
            // Waves that are set in a pause stand still from then on.
            manifest.pause(&id, pause - seconds(100_000_000)).unwrap();
            manifest.set_waves(&id, waves.clone(), pause).unwrap();
        } else {
            manifest.set_waves(&id, waves.clone(), pause - seconds(1)).unwrap();
            manifest.pause(&id, pause).unwrap();
        }
        prop_assert!(!manifest.update(&id).unwrap().is_offered());
        manifest.resume(&id, end).unwrap();
        let update = manifest.update(&id).unwrap();
        prop_assert!(update.is_offered() && update.paused_at.is_none());
        for seed in (0..SEEDS).step_by(7).chain([SEEDS - 1, SEEDS, u32::MAX]) {
            let (before, after) = (waves.ready_at(seed).unwrap(), update.waves.ready_at(seed).unwrap());
            let expected = if before > pause { before + seconds(length) } else { before };
            // A wave that is cut is counted in whole seconds once more.
            let off = after.duration_since(expected).abs();
            prop_assert!(off <= seconds(1), "seed {}: {} became {}", seed, before, after);
            prop_assert_eq!(before <= pause, after <= pause, "seed {}", seed);
        }
    }
}
