//! Copies for the next boot: complete, checked again, and replaced in one step.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use repository::{Error, Repository};
use std::path::PathBuf;
use test_repository::{Place, Publisher, Root, Server, files, later, text};

const MIGRATIONS: [&str; 2] = ["migrate_v1.1.0_a.lz4", "migrate_v1.1.0_b.lz4"];

fn publisher() -> Publisher {
    MIGRATIONS.iter().fold(Publisher::new(), |publisher, name| publisher.with_file(name, name.as_bytes()))
}

fn names() -> Vec<String> {
    MIGRATIONS.map(str::to_owned).into()
}

fn cache(place: &Place) -> PathBuf {
    place.path("cache")
}

#[test]
fn a_copy_has_all_that_the_next_boot_needs() {
    let mut publisher = publisher();
    publisher.roots.push(Root::new(2, 100, &[1, 2]));
    let place = Place::of(&publisher);
    let server = Server::good(&place.repository());
    let repository = Repository::load(&place.source(&server.url)).unwrap();
    let before = server.requests().len();
    let cached = repository.cache(&cache(&place), "1.1.0", &names()).unwrap();
    // Metadata is what was checked, and is not fetched again.
    let asked = server.requests().split_off(before);
    assert!(asked.iter().all(|request| request.path.starts_with("/targets/")), "{asked:?}");
    let folder = cached.make_current().unwrap();
    assert!(folder.file_name().unwrap().to_str().unwrap().starts_with("1.1.0-"));
    let found = files(&folder);
    assert_eq!(found.len(), 5 + 3, "{found:?}");
    assert_eq!(
        found[..5],
        ["1.root.json", "10.snapshot.json", "10.targets.json", "2.root.json", "timestamp.json"]
            .map(|f| format!("metadata/{f}"))
    );
    drop(server);
    let current = cache(&place).join("current");
    let copy = Repository::load_cached(&place.root_json(), &current).unwrap();
    assert_eq!(copy.manifest().unwrap(), repository.manifest().unwrap());
    for name in MIGRATIONS {
        assert_eq!(copy.read_target(name, 100).unwrap(), name.as_bytes());
    }
}

#[test]
fn a_copy_is_of_use_after_its_metadata_expired() {
    let expired = later(-24);
    let publisher = Publisher {
        timestamp_expires: expired,
        snapshot_expires: expired,
        targets_expires: expired,
        ..publisher()
    };
    let place = Place::of(&publisher);
    Repository::load(&place.source(&place.url())).unwrap_err();
    Repository::load_cached(&place.root_json(), &place.repository()).unwrap();
}

#[test]
fn a_copy_that_was_tampered_with_is_refused() {
    for (file, from, to, expected) in [
        ("metadata/timestamp.json", "1.0.0", "1.0.1", "the timestamp of the repository is not signed"),
        ("metadata/10.targets.json", "1.0.0", "1.0.1", "is mixed"),
    ] {
        let place = Place::of(&publisher());
        place.tamper(file, from, to);
        let error = Repository::load_cached(&place.root_json(), &place.repository()).unwrap_err();
        assert!(text(&error).contains(expected), "{}", text(&error));
    }
    let place = Place::of(&publisher());
    for file in files(&place.repository().join("targets")) {
        std::fs::write(place.repository().join("targets").join(file), "x").unwrap();
    }
    let copy = Repository::load_cached(&place.root_json(), &place.repository()).unwrap();
    assert!(matches!(copy.read_target(MIGRATIONS[0], 100), Err(Error::Length { .. })));
    assert!(copy.manifest().is_err());
}

#[test]
fn what_cannot_be_copied_leaves_the_copy_that_counts() {
    let publisher = publisher();
    let place = Place::of(&publisher);
    let repository = Repository::load(&place.source(&place.url())).unwrap();
    repository.cache(&cache(&place), "1.1.0", &names()).unwrap().make_current().unwrap();
    let before = files(&cache(&place));
    // Not there; damaged; given up before it counts.
    let error = repository.cache(&cache(&place), "1.2.0", &["migrate_c".into()]).unwrap_err();
    assert_eq!(text(&error), "the repository has no target migrate_c");
    drop(repository.cache(&cache(&place), "1.2.0", &names()).unwrap());
    for file in files(&place.repository().join("targets")) {
        std::fs::write(place.repository().join("targets").join(file), "x").unwrap();
    }
    repository.cache(&cache(&place), "1.2.0", &names()).unwrap_err();
    assert_eq!(files(&cache(&place)), before);
    // What a run that was cut off has left is removed by the next.
    std::fs::create_dir_all(cache(&place).join("1.2.0-abcdef/metadata")).unwrap();
    publisher.write(&place.repository());
    let folder = repository.cache(&cache(&place), "1.3.0", &[]).unwrap().make_current().unwrap();
    let mut left: Vec<_> =
        std::fs::read_dir(cache(&place)).unwrap().map(|entry| entry.unwrap().path()).collect();
    left.sort();
    assert_eq!(left, [folder, cache(&place).join("current")]);
}

/// A release that a downgrade leads to starts from an older root than this one.
#[test]
fn older_roots_are_copied_as_far_as_they_are_right() {
    let mut publisher = publisher();
    publisher.roots.push(Root::new(2, 100, &[1, 2]));
    publisher.roots.push(Root::new(2, 100, &[2]));
    for (damage, expected) in [(None, vec![1, 2, 3]), (Some(1), vec![2, 3]), (Some(2), vec![3])] {
        let place = Place::of(&publisher);
        std::fs::copy(place.metadata().join("3.root.json"), place.root_json()).unwrap();
        if let Some(version) = damage {
            place.tamper(&format!("metadata/{version}.root.json"), "true", "false");
        }
        let repository = Repository::load(&place.source(&place.url())).unwrap();
        let cached = repository.cache(&cache(&place), "1.1.0", &[]).unwrap();
        let has = |version: &u64| cached.path().join(format!("metadata/{version}.root.json")).exists();
        assert_eq!((1..=4).filter(has).collect::<Vec<_>>(), expected);
    }
    // With all of them the copy opens from each.
    let place = Place::of(&publisher);
    let repository = Repository::load(&place.source(&place.url())).unwrap();
    let cached = repository.cache(&cache(&place), "1.1.0", &[]).unwrap();
    for version in 1..=3 {
        let root = place.metadata().join(format!("{version}.root.json"));
        Repository::load_cached(&root, cached.path()).unwrap();
    }
}
