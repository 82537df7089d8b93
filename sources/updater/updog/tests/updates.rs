//! A host in a directory is updated: checked, installed, activated, reverted; and what goes wrong leaves it as it was.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../signpost/tests/fake_host/mod.rs"]
mod fake_host;
mod release;

use fake_host::Shape;
use partitions::Attributes;
use release::{Release, Scene, offering, with_manifest};
use semver::Version;
use signpost::{Lock, SetName};
use std::cell::RefCell;
use std::fs;
use test_repository::{Answer, Publisher, Server, files, later, text};
use updog::{Chosen, Error, Exit, Options, Staged, StagedState, Step};

const GOOD: Attributes = Attributes::NONE.with_priority(1).with_successful(true);
const VALID: Attributes = Attributes::NONE.with_tries_left(signpost::TRIES);

fn chosen(scene: &Scene) -> Chosen {
    updog::check(&scene.fake.host(), &Options::default()).unwrap().chosen().unwrap()
}

fn update_image(scene: &Scene, chosen: &Chosen) -> Result<updog::Installed, Error> {
    let host = scene.fake.host();
    updog::update_image(&host, &Lock::acquire(&host).unwrap(), chosen, &|_| ())
}

fn cache(scene: &Scene) -> std::path::PathBuf {
    scene.fake.path("var/lib/bottlerocket/updates/cache")
}

#[test]
fn an_update_is_installed_activated_and_reverted() {
    let new = Release::new("1.1.0");
    for frames in [false, true] {
        for runs_b in [false, true] {
            let shape = Shape { runs_b, ..Shape::default() };
            let scene = Scene::shaped(&offering(&new, frames), shape);
            if runs_b {
                // Which set is installed to is for signpost to say; the images land in that one.
                let host = scene.fake.host();
                let installed =
                    updog::update_image(&host, &Lock::acquire(&host).unwrap(), &chosen(&scene), &|_| ());
                // Set A is good and B has not proved itself: A must not be overwritten.
                assert_eq!(installed.unwrap_err().exit(), Exit::Refused);
                continue;
            }
            let (host, steps) = (scene.fake.host(), RefCell::new(Vec::new()));
            let lock = Lock::acquire(&host).unwrap();
            let installed = updog::update_image(&host, &lock, &chosen(&scene), &|progress| {
                steps.borrow_mut().push(progress.step);
            });
            let installed = installed.unwrap_or_else(|e| panic!("{}", text(&e)));
            assert!(scene.set_b_is(&new));
            assert_eq!(scene.set_b(), VALID);
            let staged = Staged::load(&host).unwrap().unwrap();
            assert_eq!(staged, installed.staged);
            assert_eq!(
                (staged.state, staged.version.to_string()),
                (StagedState::Complete, "1.1.0".to_owned())
            );
            assert_eq!(staged.chain, ["migrate_v1.1.0_a.lz4", "migrate_v1.1.0_b.lz4"]);
            let root = installed.root.unwrap();
            assert_eq!(root.totals.fetched < 400, frames, "{root:?}");
            steps.borrow_mut().dedup();
            assert_eq!(
                *steps.borrow(),
                [Step::Check, Step::Tree, Step::Cache, Step::Root, Step::Boot, Step::Hash, Step::Mark]
            );
            // No network from here on.
            fs::remove_dir_all(scene.place.repository()).unwrap();
            let activated = updog::activate(&host, &lock).unwrap_or_else(|e| panic!("{}", text(&e)));
            assert_eq!((activated.next, activated.changed), (Some(SetName::B), true));
            let reverted = updog::revert(&host, &lock).unwrap();
            assert_eq!((reverted.next, reverted.version), (Some(SetName::A), Some(Version::new(1, 1, 0))));
            updog::activate(&host, &lock).unwrap();
        }
    }
}

#[test]
fn what_is_there_already_is_not_installed_again() {
    let new = Release::new("1.1.0");
    let scene = Scene::new(&offering(&new, true));
    let server = Server::good(&scene.place.repository());
    scene.configure(&server.url, "");
    let chosen = chosen(&scene);
    update_image(&scene, &chosen).unwrap();
    let before = server.requests().len();
    let again = update_image(&scene, &chosen).unwrap();
    assert!(again.root.is_none() && again.boot.is_none());
    let asked = server.requests().split_off(before);
    assert!(asked.iter().all(|r| r.path.contains(".json")), "{asked:?}");
    assert_eq!(scene.set_b(), VALID);
}

/// The host went back from 1.1.0, which was good, and is to go to it again.
#[test]
fn a_set_that_was_good_is_tried_again_like_any_other() {
    let new = Release::new("1.1.0");
    let scene = Scene::new(&offering(&new, true));
    let chosen = chosen(&scene);
    let first = update_image(&scene, &chosen).unwrap().staged;
    scene.mark_b(GOOD);
    let again = update_image(&scene, &chosen).unwrap();
    let root = again.root.unwrap();
    assert_eq!((root.totals.fetched, root.totals.kept), (0, 400), "{root:?}");
    assert_ne!(again.staged.begun, first.begun, "it is another update, with a fate of its own");
    assert_eq!(scene.set_b(), VALID);
    let host = scene.fake.host();
    let lock = Lock::acquire(&host).unwrap();
    assert!(updog::activate(&host, &lock).unwrap().changed);
    let twice = updog::activate(&host, &lock).unwrap();
    assert_eq!((twice.next, twice.changed), (Some(SetName::B), false), "activated twice is activated once");
}

/// What the host needs to go back to a set is there until the set is overwritten.
#[test]
fn the_copy_of_before_counts_until_the_next_update_is_complete() {
    let new = Release::new("1.1.0");
    let scene = Scene::new(&offering(&new, false));
    let chosen = chosen(&scene);
    update_image(&scene, &chosen).unwrap();
    scene.mark_b(GOOD);
    fs::write(scene.partition(6), vec![0; new.root.len()]).unwrap();
    let current = || fs::read_link(cache(&scene).join("current")).unwrap();
    let before = current();
    let server = Server::new(&scene.place.repository(), |request| {
        if request.path.ends_with("root.ext4.lz4") { Answer::Status(400) } else { Answer::Good }
    });
    scene.configure(&server.url, "");
    update_image(&scene, &chosen).unwrap_err();
    assert_eq!((scene.set_b(), current()), (Attributes::NONE, before.clone()));
    scene.configure(&scene.place.url(), "");
    update_image(&scene, &chosen).unwrap();
    assert_eq!(scene.set_b(), VALID);
    assert_ne!(current(), before);
}

#[test]
fn an_install_that_was_cut_off_goes_on() {
    let new = Release::new("1.1.0");
    let scene = Scene::new(&offering(&new, true));
    let chosen = chosen(&scene);
    let server = Server::new(&scene.place.repository(), |request| {
        if request.path.ends_with("boot.ext4.zst") || request.path.ends_with("boot.ext4.lz4") {
            Answer::Status(400)
        } else {
            Answer::Good
        }
    });
    scene.configure(&server.url, "");
    let error = update_image(&scene, &chosen).unwrap_err();
    assert_eq!(error.exit(), Exit::Network, "{}", text(&error));
    assert!(
        text(&error).starts_with("install the boot image; set B stays without the right to boot"),
        "{}",
        text(&error)
    );
    assert_eq!(scene.set_b(), Attributes::NONE);
    let staged = Staged::load(&scene.fake.host()).unwrap().unwrap();
    assert_eq!(staged.state, StagedState::Writing);
    // What is not complete is not activated.
    let host = scene.fake.host();
    let error = updog::activate(&host, &Lock::acquire(&host).unwrap()).unwrap_err();
    assert!(matches!(error, Error::NotComplete { .. }), "{}", text(&error));
    scene.configure(&scene.place.url(), "");
    let installed = update_image(&scene, &chosen).unwrap();
    let root = installed.root.unwrap();
    assert_eq!((root.totals.fetched, root.totals.kept), (0, 400), "{root:?}");
    assert!(scene.set_b_is(&new));
    assert_eq!(scene.set_b(), VALID);
}

/// A server without ranges, and a manifest whose frames are not what the tree says.
#[test]
fn a_server_without_ranges_gives_the_full_image() {
    let new = Release::new("1.1.0");
    let scene = Scene::new(&offering(&new, true));
    let server = Server::new(&scene.place.repository(), |_| Answer::Whole);
    scene.configure(&server.url, "");
    let installed = update_image(&scene, &chosen(&scene)).unwrap();
    assert!(installed.root.unwrap().full.is_some());
    assert!(scene.set_b_is(&new));
}

/// Every failure, the exit status it ends in, and whether the set was touched by then.
#[test]
fn failures_leave_the_host_as_it_was_or_the_set_without_the_right_to_boot() {
    type Damage = fn(&Scene);
    let damaged_root: Damage = |scene| overwrite(scene, "root.ext4.lz4");
    let cases: [(&str, Damage, Exit, bool, &str); 10] = [
        ("root image", damaged_root, Exit::Trust, true, "install the root image; set B stays"),
        (
            "boot image",
            |scene| overwrite(scene, "boot.ext4.lz4"),
            Exit::Trust,
            true,
            "install the boot image; set B stays",
        ),
        ("hash image", |scene| overwrite(scene, "root.verity.lz4"), Exit::Trust, false, "hash"),
        (
            "migration",
            |scene| overwrite(scene, "_b.lz4"),
            Exit::Trust,
            false,
            "migrate_v1.1.0_b.lz4 is damaged",
        ),
        (
            "migration gone",
            |scene| remove(scene, "_b.lz4"),
            Exit::Network,
            false,
            "fetch migrate_v1.1.0_b.lz4",
        ),
        ("one set", |_| (), Exit::Refused, false, "the disk has one set of partitions"),
        ("no room for boot", |_| (), Exit::Trust, true, "install the boot image; set B stays"),
        (
            "no configuration",
            |scene| fs::remove_file(scene.fake.path("etc/updog.toml")).unwrap(),
            Exit::Usage,
            false,
            "there is no /etc/updog.toml",
        ),
        (
            "no os-release",
            |scene| scene.file("usr/lib/os-release", "VARIANT_ID=x"),
            Exit::Failed,
            false,
            "has no VERSION_ID",
        ),
        (
            "cache in the way",
            |scene| scene.file("var/lib/bottlerocket/updates/cache", "x"),
            Exit::Failed,
            false,
            "write the copy of the repository",
        ),
    ];
    for (name, damage, exit, touched, expected) in cases {
        let mut new = Release::new("1.1.0");
        if name == "no room for boot" {
            new.boot = vec![1; 2 << 20];
        }
        let shape = Shape { one_set: name == "one set", ..Shape::default() };
        let scene = Scene::shaped(&offering(&new, false), shape);
        let chosen = chosen(&scene);
        damage(&scene);
        let error = update_image(&scene, &chosen).unwrap_err();
        assert!(text(&error).contains(expected), "{name}: {}", text(&error));
        assert_eq!(error.exit(), exit, "{name}: {}", text(&error));
        if shape.one_set {
            continue;
        }
        assert_eq!(scene.set_b(), Attributes::NONE, "{name}");
        let staged = Staged::load(&scene.fake.host()).unwrap();
        assert_eq!(staged.is_some(), touched, "{name}");
    }
}

fn target(scene: &Scene, suffix: &str) -> std::path::PathBuf {
    let folder = scene.place.repository().join("targets");
    let name = files(&folder).into_iter().find(|name| name.ends_with(suffix)).unwrap();
    folder.join(name)
}

fn overwrite(scene: &Scene, suffix: &str) {
    let path = target(scene, suffix);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn remove(scene: &Scene, suffix: &str) {
    fs::remove_file(target(scene, suffix)).unwrap();
}

#[test]
fn an_image_that_is_too_large_for_its_partition_is_refused_before_anything_changes() {
    let mut new = Release::new("1.1.0");
    new.boot = vec![1; 2 << 20];
    let scene = Scene::new(&offering(&new, true));
    let error = update_image(&scene, &chosen(&scene)).unwrap_err();
    assert_eq!(error.exit(), Exit::NoSpace);
    assert_eq!(text(&error), "the boot image has 2097152 bytes, and its partition has room for 1048576");
    assert!(Staged::load(&scene.fake.host()).unwrap().is_none());
    assert!(!cache(&scene).exists());
}

#[test]
fn what_was_chosen_is_what_is_installed() {
    let new = Release::new("1.1.0");
    let publisher = offering(&new, false);
    let scene = Scene::new(&publisher);
    let chosen = chosen(&scene);
    // The same manifest, signed anew, is the same choice.
    publisher.next().write(&scene.place.repository());
    let other = Release::new("1.2.0");
    update_image(&scene, &chosen).unwrap();
    // Another manifest is another.
    let both = with_manifest(
        other.publish(publisher.next().next(), false),
        &[new.entry("1.2.0"), other.entry("1.2.0")],
    );
    both.write(&scene.place.repository());
    let error = update_image(&scene, &chosen).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{}", text(&error));
    assert_eq!(error.exit(), Exit::Refused);
}

#[test]
fn there_is_one_update_at_a_time_and_nothing_to_activate_before_it() {
    let scene = Scene::new(&offering(&Release::new("1.1.0"), false));
    let host = scene.fake.host();
    let lock = Lock::acquire(&host).unwrap();
    let error = Error::from(Lock::acquire(&host).unwrap_err());
    assert_eq!(error.exit(), Exit::Busy);
    let error = updog::activate(&host, &lock).unwrap_err();
    assert!(matches!(error, Error::NothingStaged), "{}", text(&error));
    assert_eq!(error.exit(), Exit::Refused);
}

#[test]
fn a_copy_that_was_lost_is_found_out_before_the_update_is_activated() {
    let scene = Scene::new(&offering(&Release::new("1.1.0"), false));
    update_image(&scene, &chosen(&scene)).unwrap();
    fs::remove_dir_all(cache(&scene)).unwrap();
    let host = scene.fake.host();
    updog::activate(&host, &Lock::acquire(&host).unwrap()).unwrap_err();
    assert_eq!(scene.set_b(), VALID);
    // Installing again brings it back.
    update_image(&scene, &chosen(&scene)).unwrap();
    updog::activate(&host, &Lock::acquire(&host).unwrap()).unwrap();
}

#[test]
fn the_offer_says_what_is_taken_and_why_not() {
    let new = Release::new("1.1.0");
    let entry = |change: fn(&mut serde_json::Value)| {
        let mut entry = new.entry("1.1.0");
        change(&mut entry);
        entry
    };
    let soon = later(48).to_string();
    let mut waiting = entry(|_| ());
    waiting["waves"] = serde_json::json!({ "0": soon, "2048": later(96).to_string() });
    for (updates, options, version, all) in [
        (vec![entry(|_| ())], Options::default(), Some("1.1.0"), 1),
        (vec![], Options::default(), None, 0),
        (vec![entry(|e| e["variant"] = "other".into())], Options::default(), None, 0),
        (vec![entry(|e| e["withdrawn"] = "bad".into())], Options::default(), None, 0),
        (vec![waiting.clone()], Options::default(), None, 0),
        (vec![waiting], Options { ignore_waves: true, ..Options::default() }, Some("1.1.0"), 1),
        (vec![entry(|_| ())], Options { image: Some(Version::new(2, 0, 0)), ..Options::default() }, None, 1),
        (vec![entry(|_| ())], Options { bad: [Version::new(1, 1, 0)].into(), ..Options::default() }, None, 0),
        (
            vec![entry(|e| e["variant"] = "other".into())],
            Options { variant: Some("other".into()), ..Options::default() },
            Some("1.1.0"),
            1,
        ),
    ] {
        let scene = Scene::new(&with_manifest(Publisher::new(), &updates));
        let offer = updog::check(&scene.fake.host(), &options).unwrap();
        let found = offer.decision().update().map(|update| update.version.to_string());
        assert_eq!((found.as_deref(), offer.applicable().len()), (version, all), "{}", offer.decision());
    }
}

#[test]
fn the_repository_is_told_of_the_host_only_if_it_sends_metrics() {
    for (metrics, expected) in [("send_metrics = false", ""), ("send_metrics = true", "seed=5&version=1.0.0")]
    {
        let scene = Scene::new(&offering(&Release::new("1.1.0"), false));
        let server = Server::good(&scene.place.repository());
        scene.configure(&server.url, "");
        scene.file("etc/metricdog.toml", metrics);
        update_image(&scene, &chosen(&scene)).unwrap();
        let requests = server.requests();
        assert_eq!(requests[0].query, expected);
        let last = &requests.last().unwrap().query;
        assert_eq!(
            last.contains("target=1.1.0") && last.contains("migrations=migrate_v1.1.0_a.lz4%2C"),
            !expected.is_empty(),
            "{last}"
        );
    }
}
