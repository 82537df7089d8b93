//! Which update a host takes, and why.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use jiff::Timestamp;
use semver::Version;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use update_metadata::{Decision, Host, Manifest, NoUpdate, Standing, VersionLock, candidates, choose};

const NOW: &str = "2031-03-02T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn update(version: &str, more: &Value) -> Value {
    let mut update = json!({
        "variant": "demo", "arch": "x86_64", "version": version, "max_version": "9.0.0", "waves": {},
        "images": {"boot": "b", "root": "r", "hash": "h"},
    });
    update.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    update
}

fn manifest(updates: &[Value]) -> Manifest {
    Manifest::parse(json!({"updates": updates, "migrations": {}}).to_string().as_bytes()).unwrap()
}

fn host(running: &str) -> Host {
    Host {
        variant: "demo".into(),
        arch: "x86_64".into(),
        version: version(running),
        seed: 100,
        version_lock: VersionLock::Latest,
        ignore_waves: false,
        forced: None,
    }
}

/// What each test repository offers, newest last.
fn plain() -> Manifest {
    manifest(&[
        update("1.1.0", &json!({})),
        update("1.0.0", &json!({})),
        update("1.2.0", &json!({})),
        update("3.0.0", &json!({"variant": "other"})),
        update("3.0.0", &json!({"arch": "aarch64"})),
    ])
}

/// Opens to seed 100 an hour and two hours from now.
fn waiting() -> Manifest {
    let waves = |hour: u8| json!({"waves": {"0": "2031-03-02T11:00:00Z", "100": format!("2031-03-02T{hour}:00:00Z")}});
    manifest(&[update("1.0.0", &json!({})), update("1.1.0", &waves(13)), update("1.2.0", &waves(14))])
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn the_choice_and_its_reason() {
    let plain = plain();
    let waiting = waiting();
    let max = |max: &str, versions: &[&str]| {
        let updates: Vec<_> =
            versions.iter().map(|version| update(version, &json!({"max_version": max}))).collect();
        manifest(&updates)
    };
    let withdrawn = manifest(&[
        update("1.0.0", &json!({})),
        update("1.1.0", &json!({})),
        update("1.2.0", &json!({"withdrawn": "eats disks"})),
    ]);
    let paused = manifest(&[update("1.0.0", &json!({})), update("1.1.0", &json!({"paused": true}))]);
    let all_withdrawn = manifest(&[update("1.2.0", &json!({"withdrawn": "eats disks"}))]);
    let pre = manifest(&[update("1.2.0-rc.1", &json!({})), update("1.2.0-rc.2", &json!({}))]);

    let lock = |running: &str, lock: &str| Host { version_lock: lock.parse().unwrap(), ..host(running) };
    let forced = |running: &str, forced: &str| Host { forced: Some(version(forced)), ..host(running) };
    let eager = |host: Host| Host { ignore_waves: true, ..host };
    let bad = |versions: &[&str]| versions.iter().map(|text| version(text)).collect::<BTreeSet<_>>();

    for (manifest, host, bad, expected) in [
        // `latest` goes to the newest, and no further down than it runs.
        (&plain, host("1.0.0"), bad(&[]), "update to 1.2.0: the newest for this host"),
        (&plain, host("1.2.0"), bad(&[]), "no update: 1.2.0 is what this host should run"),
        (&plain, host("1.5.0"), bad(&[]), "no update: 1.5.0 is what this host should run"),
        (&pre, host("1.2.0-rc.1"), bad(&[]), "update to 1.2.0-rc.2: the newest for this host"),
        (
            &plain,
            Host { variant: "none".into(), ..host("1.0.0") },
            bad(&[]),
            "no update: the repository has nothing for none on x86_64",
        ),
        // A lock is taken as it is.
        (&plain, lock("1.0.0", "1.1.0"), bad(&[]), "update to 1.1.0: the version lock names it"),
        (&plain, lock("1.2.0", "v1.0.0"), bad(&[]), "update to 1.0.0: the version lock names it"),
        (&plain, lock("1.1.0", "1.1.0"), bad(&[]), "no update: 1.1.0 is what this host should run"),
        (&plain, lock("1.0.0", "1.1.1"), bad(&[]), "no update: the repository has no 1.1.1 for this host"),
        (&plain, lock("1.0.0", "3.0.0"), bad(&[]), "no update: the repository has no 3.0.0 for this host"),
        // What was asked for goes before the lock.
        (&plain, forced("1.2.0", "1.0.0"), bad(&[]), "update to 1.0.0: asked for"),
        (&plain, forced("1.2.0", "1.2.0"), bad(&[]), "update to 1.2.0: asked for"),
        (
            &plain,
            Host { forced: Some(version("1.1.0")), ..lock("1.0.0", "1.2.0") },
            bad(&[]),
            "update to 1.1.0: asked for",
        ),
        // Waves.
        (
            &waiting,
            host("1.0.0"),
            bad(&[]),
            "no update: 1.1.0 opens at 2031-03-02T13:00:00Z\n1.2.0 waits: seed 100 is in wave 1 of 2, which opens to \
             seeds 0 to 100 from 2031-03-02T11:00:00Z to 2031-03-02T14:00:00Z: 100 of 100 seeds into it, at \
             2031-03-02T14:00:00Z\n1.1.0 waits: seed 100 is in wave 1 of 2, which opens to seeds 0 to 100 from \
             2031-03-02T11:00:00Z to 2031-03-02T13:00:00Z: 100 of 100 seeds into it, at 2031-03-02T13:00:00Z",
        ),
        (&waiting, eager(host("1.0.0")), bad(&[]), "update to 1.2.0: the newest for this host"),
        (&waiting, Host { seed: 0, ..host("1.0.0") }, bad(&[]), "update to 1.2.0: the newest for this host"),
        (
            &waiting,
            Host { seed: 45, ..host("1.0.0") },
            bad(&[]),
            "update to 1.1.0: the newest for this host\n1.2.0 waits: seed 45 is in wave 1 of 2, which opens to seeds \
             0 to 100 from 2031-03-02T11:00:00Z to 2031-03-02T14:00:00Z: 45 of 100 seeds into it, at \
             2031-03-02T12:21:00Z",
        ),
        (&waiting, eager(forced("1.0.0", "1.1.0")), bad(&[]), "update to 1.1.0: asked for"),
        // Above the maximum: not offered, and whoever runs it steps down.
        (
            &max("1.1.0", &["1.0.0", "1.1.0", "1.2.0"]),
            host("1.0.0"),
            bad(&[]),
            "update to 1.1.0: the newest for this host\n1.2.0 is above the highest version, 1.1.0",
        ),
        (
            &max("1.1.0", &["1.0.0", "1.1.0", "1.2.0"]),
            host("1.2.0"),
            bad(&[]),
            "update to 1.1.0: the running version was withdrawn",
        ),
        (
            &max("1.1.0", &["1.0.0", "1.1.0"]),
            host("1.2.0"),
            bad(&["1.1.0"]),
            "update to 1.0.0: the running version was withdrawn\n1.1.0 was tried, and this host fell back from it",
        ),
        (
            &max("1.1.0", &["1.2.0"]),
            eager(forced("1.0.0", "1.2.0")),
            bad(&[]),
            "no update: none of the versions this host would take is open to it\n1.2.0 is above the highest version, 1.1.0",
        ),
        // Withdrawn: the same, also for who asks for it.
        (
            &withdrawn,
            host("1.1.0"),
            bad(&[]),
            "no update: none of the versions this host would take is open to it\n1.2.0 was withdrawn: eats disks",
        ),
        (&withdrawn, host("1.2.0"), bad(&[]), "update to 1.1.0: the running version was withdrawn"),
        (
            &withdrawn,
            forced("1.1.0", "1.2.0"),
            bad(&[]),
            "no update: none of the versions this host would take is open to it\n1.2.0 was withdrawn: eats disks",
        ),
        (&all_withdrawn, host("1.2.0"), bad(&[]), "no update: 1.2.0 is what this host should run"),
        // Paused: offered to nobody, but no reason to leave it.
        (
            &paused,
            host("1.0.0"),
            bad(&[]),
            "no update: none of the versions this host would take is open to it\n1.1.0 is paused",
        ),
        (&paused, host("1.1.0"), bad(&[]), "no update: 1.1.0 is what this host should run"),
        (
            &paused,
            lock("1.0.0", "1.1.0"),
            bad(&[]),
            "no update: none of the versions this host would take is open to it\n1.1.0 is paused",
        ),
        // What the host fell back from is not tried again, unless an operator names it.
        (
            &plain,
            host("1.0.0"),
            bad(&["1.2.0"]),
            "update to 1.1.0: the newest for this host\n1.2.0 was tried, and this host fell back from it",
        ),
        // The lock may have been there before the version fell back: it would be tried for ever.
        (
            &plain,
            lock("1.0.0", "1.2.0"),
            bad(&["1.2.0"]),
            "no update: none of the versions this host would take is open to it\n1.2.0 was tried, and this host fell \
             back from it",
        ),
        (&plain, forced("1.0.0", "1.2.0"), bad(&["1.2.0"]), "update to 1.2.0: asked for"),
        (
            &waiting,
            host("1.0.0"),
            bad(&["1.1.0"]),
            "no update: 1.2.0 opens at 2031-03-02T14:00:00Z\n1.2.0 waits: seed 100 is in wave 1 of 2, which opens to \
             seeds 0 to 100 from 2031-03-02T11:00:00Z to 2031-03-02T14:00:00Z: 100 of 100 seeds into it, at \
             2031-03-02T14:00:00Z\n1.1.0 was tried, and this host fell back from it",
        ),
    ] {
        let decision = choose(manifest, &host, now(), &bad);
        assert_eq!(decision.to_string(), expected, "{host:?}, bad: {bad:?}");
        assert_eq!(decision.update().is_some(), expected.starts_with("update to"));
    }
}

#[test]
fn the_reason_is_a_value_too() {
    let manifest = waiting();
    let Decision::None { because: NoUpdate::Waiting { version, turn }, skipped } =
        choose(&manifest, &host("1.0.0"), now(), &BTreeSet::new())
    else {
        panic!("the host's turn is yet to come");
    };
    assert_eq!((version.to_string().as_str(), turn.wave, skipped.len()), ("1.1.0", 1, 2));
    let json = serde_json::to_value(choose(&manifest, &host("1.0.0"), now(), &BTreeSet::new())).unwrap();
    assert_eq!(json["none"]["because"]["reason"], "waiting");
    assert_eq!(json["none"]["because"]["turn"]["opens_at"], "2031-03-02T13:00:00Z");
    assert_eq!(json["none"]["skipped"][0]["standing"]["standing"], "waiting");
}

#[test]
fn all_candidates_are_listed_with_their_standing() {
    let manifest = waiting();
    let listed = candidates(&manifest, &host("1.0.0"), now(), &BTreeSet::new());
    let listed: Vec<_> =
        listed.iter().map(|it| (it.update.version.to_string(), it.standing == Standing::Open)).collect();
    assert_eq!(
        listed,
        [("1.2.0".to_owned(), false), ("1.1.0".to_owned(), false), ("1.0.0".to_owned(), true)]
    );
    let eager = Host { ignore_waves: true, ..host("1.0.0") };
    assert!(
        candidates(&manifest, &eager, now(), &BTreeSet::new()).iter().all(|it| it.standing == Standing::Open)
    );
}

#[test]
fn a_lock_is_latest_or_a_version() {
    for (text, printed) in [("latest", "latest"), ("1.2.3", "1.2.3"), ("v1.2.3-rc.1", "1.2.3-rc.1")] {
        assert_eq!(text.parse::<VersionLock>().unwrap().to_string(), printed);
    }
    for text in ["", "Latest", "1.2", "vv1.2.3", "v"] {
        assert!(text.parse::<VersionLock>().is_err(), "{text}");
    }
}
