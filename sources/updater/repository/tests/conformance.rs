//! The client workflow of the TUF specification (version 1.0, section 5), a row for each rule: a host that has seen one
//! state of a repository loads another.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use repository::{Kind, Repository};
use test_repository::{Place, Publisher, Root, later, text};

/// What comes of the second load.
enum Outcome {
    Loads,
    Fails(Kind, &'static str),
}
use Kind::Trust;
use Outcome::{Fails, Loads};

/// A rule: what the repository was at first, what it is then, and what comes of it.
struct Rule {
    /// Section of the specification, and what it says.
    says: &'static str,
    /// Changes to an orderly repository; none are loaded at first if this is none.
    first: Option<fn(&mut Publisher)>,
    /// Changes to the next release.
    then: fn(&mut Publisher),
    /// Changes to its files.
    tamper: fn(&Place),
    outcome: Outcome,
}

fn rule(says: &'static str, then: fn(&mut Publisher), outcome: Outcome) -> Rule {
    Rule { says, first: None, then, tamper: |_| (), outcome }
}

fn seen(says: &'static str, first: fn(&mut Publisher), then: fn(&mut Publisher), outcome: Outcome) -> Rule {
    Rule { says, first: Some(first), then, tamper: |_| (), outcome }
}

fn tampered(says: &'static str, tamper: fn(&Place), outcome: Outcome) -> Rule {
    Rule { says, first: None, then: |_| (), tamper, outcome }
}

/// Root 2 with another root key and the same online key, signed as it should be.
fn rotate_root(p: &mut Publisher) {
    p.roots.push(Root::new(2, 100, &[1, 2]));
}

/// Root 2 with another online key, which signs from then on.
fn rotate_online(p: &mut Publisher) {
    p.roots.push(Root::new(1, 101, &[1]));
    p.signers = vec![101];
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn rules() -> Vec<Rule> {
    vec![
        rule("5.2 an orderly repository loads", |_| (), Loads),
        rule("5.3.3 a root that is not there ends the chain", rotate_root, Loads),
        rule(
            "5.3.4 a new root is signed by the old keys",
            |p| p.roots.push(Root::new(2, 100, &[2])),
            Fails(Trust, "the root of the repository is not signed"),
        ),
        rule(
            "5.3.4 a new root is signed by its own keys",
            |p| p.roots.push(Root::new(2, 100, &[1])),
            Fails(Trust, "the root of the repository is not signed"),
        ),
        rule(
            "5.3.4 a threshold counts keys, not signatures",
            |p| p.roots.push(Root { keys: vec![1, 2], threshold: 2, ..Root::new(1, 100, &[1, 1]) }),
            Fails(Trust, "the root of the repository is not signed"),
        ),
        rule(
            "5.3.4 a threshold that is met",
            |p| p.roots.push(Root { keys: vec![1, 2], threshold: 2, ..Root::new(1, 100, &[1, 2]) }),
            Loads,
        ),
        rule(
            "5.3.5 a new root has the next version",
            |p| p.roots.push(Root { version: Some(3), ..Root::new(1, 100, &[1]) }),
            Fails(Trust, "goes back: its root is version 3"),
        ),
        rule(
            "5.3.5 a new root does not have the old version",
            |p| p.roots.push(Root { version: Some(1), ..Root::new(1, 100, &[1]) }),
            Fails(Trust, "goes back: its root is version 1"),
        ),
        tampered(
            "5.3.3 a root that is no metadata",
            |place| std::fs::write(place.metadata().join("2.root.json"), "{}").unwrap(),
            Fails(Trust, "read the root of the repository"),
        ),
        rule(
            "5.3.10 an expired root between is passed",
            |p| {
                p.roots[0].expires = later(-1);
                p.roots.push(Root::new(1, 100, &[1]));
            },
            Loads,
        ),
        rule(
            "5.3.10 the last root must not have expired",
            |p| p.roots.push(Root { expires: later(-1), ..Root::new(1, 100, &[1]) }),
            Fails(Trust, "the root of the repository expired on"),
        ),
        seen(
            "5.3.11 after a rotation of keys versions may go back",
            |p| (p.timestamp, p.snapshot) = (1_000_000, 1_000_000),
            |p| {
                rotate_online(p);
                (p.timestamp, p.snapshot) = (11, 11);
            },
            Loads,
        ),
        seen(
            "5.3.11 but not after a rotation that was seen before",
            |p| {
                rotate_online(p);
                p.timestamp = 1_000_000;
            },
            |p| p.timestamp = 11,
            Fails(Trust, "goes back: its timestamp is version 11, and version 1000000"),
        ),
        seen(
            "5.3 a root that was seen cannot be hidden",
            rotate_online,
            |p| {
                p.roots.pop();
                p.signers = vec![100];
            },
            Fails(Trust, "the timestamp of the repository is not signed"),
        ),
        rule(
            "5.4.2 the timestamp is signed by its key",
            |p| p.signers = vec![7],
            Fails(Trust, "the timestamp of the repository is not signed"),
        ),
        tampered(
            "5.4.2 the timestamp is as it was signed",
            |place| place.tamper("metadata/timestamp.json", "\"version\":10}}", "\"version\":11}}"),
            Fails(Trust, "the timestamp of the repository is not signed"),
        ),
        seen(
            "5.4.3.1 the timestamp does not go back",
            |_| (),
            |p| p.timestamp = 9,
            Fails(Trust, "its timestamp is version 9, and version 10 was seen before"),
        ),
        seen(
            "5.4.3.2 the snapshot it names does not go back",
            |_| (),
            |p| (p.timestamp, p.snapshot) = (11, 9),
            Fails(Trust, "its snapshot is version 9, and version 10 was seen before"),
        ),
        seen(
            "5.4.3 the same state again",
            |_| (),
            |p| (p.timestamp, p.snapshot, p.targets) = (10, 10, 10),
            Loads,
        ),
        rule(
            "5.4.4 the timestamp must not have expired",
            |p| p.timestamp_expires = later(-1),
            Fails(Trust, "the timestamp of the repository expired on"),
        ),
        tampered(
            "5.5.2 the snapshot is the one the timestamp names",
            |place| place.tamper("metadata/10.snapshot.json", "\"_type\"", " \"_type\""),
            Fails(Trust, "the snapshot of the repository is longer than"),
        ),
        tampered(
            "5.5.2 byte for byte",
            |place| place.tamper("metadata/10.snapshot.json", "1.0.0", "1.0.1"),
            Fails(Trust, "is mixed: its snapshot is not the one"),
        ),
        rule("5.5.3 the snapshot is signed", |p| p.measured = false, Loads),
        Rule {
            says: "5.5.3 also where nothing measures it",
            first: None,
            then: |p| p.measured = false,
            tamper: |place| place.tamper("metadata/10.snapshot.json", "\"version\":10}", "\"version\":11}"),
            outcome: Fails(Trust, "the snapshot of the repository is not signed"),
        },
        Rule {
            says: "5.5.4 the snapshot has the version that the timestamp names",
            first: None,
            then: |p| p.measured = false,
            tamper: mixed_snapshot,
            outcome: Fails(
                Trust,
                "is mixed: its snapshot is not the one that the rest speaks of (version 9, and not 10)",
            ),
        },
        seen(
            "5.5.5 the targets do not go back",
            |_| (),
            |p| (p.timestamp, p.snapshot, p.targets) = (11, 11, 9),
            Fails(Trust, "its targets is version 9, and version 10 was seen before"),
        ),
        rule(
            "5.5.6 the snapshot must not have expired",
            |p| p.snapshot_expires = later(-1),
            Fails(Trust, "the snapshot of the repository expired on"),
        ),
        tampered(
            "5.6.2 the targets are those the snapshot names",
            |place| place.tamper("metadata/10.targets.json", "1.0.0", "1.0.1"),
            Fails(Trust, "is mixed: its targets is not the one"),
        ),
        Rule {
            says: "5.6.3 the targets are signed",
            first: None,
            then: |p| p.measured = false,
            tamper: |place| place.tamper("metadata/10.targets.json", "\"length\":33", "\"length\":34"),
            outcome: Fails(Trust, "the targets of the repository is not signed"),
        },
        rule(
            "5.6.5 the targets must not have expired",
            |p| p.targets_expires = later(-1),
            Fails(Trust, "the targets of the repository expired on"),
        ),
        seen(
            "5.1 a frozen repository expires",
            |p| p.timestamp_expires = later(1),
            |p| p.timestamp_expires = later(-1),
            Fails(Trust, "frozen: its timestamp is still version 10"),
        ),
        tampered(
            "5.4.1 a timestamp that is no metadata",
            |place| std::fs::write(place.metadata().join("timestamp.json"), "[]").unwrap(),
            Fails(Trust, "read the timestamp of the repository"),
        ),
        tampered(
            "5.4.1 a timestamp that is not there",
            |place| std::fs::remove_file(place.metadata().join("timestamp.json")).unwrap(),
            Fails(Kind::Network, "fetch the timestamp of the repository"),
        ),
        tampered(
            "5.4.1 a timestamp that is too long",
            |place| {
                std::fs::write(place.metadata().join("timestamp.json"), vec![b' '; (1 << 20) + 1]).unwrap();
            },
            Fails(Trust, "the timestamp of the repository is longer than 1048576 bytes"),
        ),
    ]
}

/// An older snapshot, rightly signed, under the name of the one that is asked for.
fn mixed_snapshot(place: &Place) {
    let old = Publisher { snapshot: 9, measured: false, ..Publisher::new() };
    let other = Place::of(&old);
    std::fs::copy(other.metadata().join("9.snapshot.json"), place.metadata().join("10.snapshot.json"))
        .unwrap();
}

#[test]
fn the_rules_of_the_specification_are_kept() {
    for Rule { says: rule, first, then, tamper, outcome } in rules() {
        let mut publisher = Publisher::new();
        let place = Place::of(&publisher);
        if let Some(first) = first {
            first(&mut publisher);
            publisher.write(&place.repository());
            Repository::load(&place.source(&place.url()))
                .unwrap_or_else(|e| panic!("{rule}: at first: {}", text(&e)));
        }
        then(&mut publisher);
        std::fs::remove_dir_all(place.repository()).unwrap();
        publisher.write(&place.repository());
        if first.is_none() {
            std::fs::copy(place.metadata().join("1.root.json"), place.root_json()).unwrap();
        }
        tamper(&place);
        match (Repository::load(&place.source(&place.url())), outcome) {
            (Ok(_), Loads) => {}
            (Ok(_), Fails(_, expected)) => panic!("{rule}: loads, and not {expected:?}"),
            (Err(error), Loads) => panic!("{rule}: {}", text(&error)),
            (Err(error), Fails(kind, expected)) => {
                assert!(text(&error).contains(expected), "{rule}: {}", text(&error));
                assert_eq!(error.kind(), kind, "{rule}: {}", text(&error));
            }
        }
    }
}

/// 5.7: a target is its length and its digest.
#[test]
fn a_target_is_what_the_metadata_say() {
    for (content, expected) in [
        (b"right bytes".to_vec(), None),
        (b"wrong bytes".to_vec(), Some("is damaged: its SHA-256 is")),
        (b"right byte".to_vec(), Some("x has 10 bytes, and the repository says 11")),
        (b"right bytes and more".to_vec(), Some("it is longer than 11 bytes")),
        (Vec::new(), Some("x has 0 bytes, and the repository says 11")),
    ] {
        let place = Place::of(&Publisher::new().with_file("x", *b"right bytes"));
        let path = std::fs::read_dir(place.repository().join("targets")).unwrap();
        let path =
            path.map(|entry| entry.unwrap().path()).find(|path| path.extension().unwrap() == "x").unwrap();
        std::fs::write(path, &content).unwrap();
        let repository = Repository::load(&place.source(&place.url())).unwrap();
        let (read, mut copied) = (repository.read_target("x", 1000), Vec::new());
        let copy = repository.copy_target("x", &mut copied);
        match expected {
            None => {
                assert_eq!(read.unwrap(), content);
                copy.unwrap();
                assert_eq!(copied, content);
            }
            Some(expected) => {
                for error in [read.unwrap_err(), copy.unwrap_err()] {
                    assert!(text(&error).contains(expected), "{}", text(&error));
                    assert_eq!(error.kind(), Trust);
                }
            }
        }
    }
}

#[test]
fn names_that_lead_elsewhere_and_long_targets_are_refused() {
    let place = Place::of(&Publisher::new().with_file("x", vec![b'x'; 1000]));
    let repository = Repository::load(&place.source(&place.url())).unwrap();
    for (name, limit, expected) in [
        ("y", 1000, "the repository has no target y"),
        ("../x", 1000, "the repository has no target ../x"),
        ("x", 999, "x has 1000 bytes, and 999 are read at most"),
    ] {
        let error = repository.read_target(name, limit).unwrap_err();
        assert_eq!(text(&error), expected);
    }
}
