//! Migrations from the signed copy of a repository that an update leaves for the next boot.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod lab;

use datastore::Store;
use host::program::chain;
use lab::{Lab, lz4, settings};
use migrations::to_target;
use migrator::{Cache, Error, Outcome, Planned, dry_run, migrate};
use repository::Repository;
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use test_repository::{Place, Publisher, later};

const NAMES: [&str; 2] = ["migrate_v1.1.0_rename.lz4", "migrate_v1.1.0_list.lz4"];
const COPIES: &str = "/var/lib/bottlerocket/updates/cache";

fn publisher() -> Publisher {
    let manifest = json!({ "updates": [], "migrations": { "(1.0.0, 1.1.0)": NAMES } });
    let rename = "rows = [{ rename = { from = 'settings.old', to = 'settings.new' } }]";
    let list = "rows = [{ replace-list = { key = 'settings.new.b', old = ['x'], new = ['y'] } }]";
    Publisher::new()
        .with_file("manifest.json", manifest.to_string())
        .with_file(NAMES[0], lz4(&to_target(rename).unwrap()))
        .with_file(NAMES[1], lz4(&to_target(list).unwrap()))
}

/// A host at 1.0.0 that staged an update to 1.1.0; gives the folder of the copy, too.
fn staged(publisher: &Publisher) -> (Lab, PathBuf) {
    let lab = Lab::new("1.0.0");
    let place = Place::of(publisher);
    let root = fs::read(place.root_json()).unwrap();
    lab.host.replace("/usr/share/updog/root.json", &root, 0o644).unwrap();
    let repository = Repository::load(&place.source(&place.url())).unwrap();
    let names = NAMES.map(str::to_owned);
    let folder = repository.cache(&lab.host.path(COPIES), "1.1.0", &names).unwrap().make_current().unwrap();
    (lab, folder)
}

fn cache() -> Cache {
    Cache::in_folder(&Path::new(COPIES).join("current"))
}

fn boot(lab: &Lab, to: &str) -> Result<Outcome, Error> {
    migrate(&lab.host, &lab.request(to), 1, || cache().open(&lab.host))
}

#[test]
fn a_staged_update_is_migrated_to_and_back_without_its_repository() {
    let (lab, _) = staged(&publisher());
    assert!(matches!(dry_run(&lab.host, &lab.request("1.1.0"), &cache()), Ok(Planned::Migrate(_))));
    assert_eq!(lab.layers(), settings(), "a dry run changes nothing");
    boot(&lab, "1.1.0").unwrap();
    assert_eq!(lab.layers()["api"]["settings.new.b"], json!([true]));
    assert_eq!(boot(&lab, "1.1.0").unwrap(), Outcome::SameVersion);
    boot(&lab, "1.0.0").unwrap();
    assert_eq!(lab.layers(), settings());
}

#[test]
fn two_folders_anywhere_are_a_copy_too() {
    let (lab, folder) = staged(&publisher());
    for name in ["metadata", "targets"] {
        let to = lab.host.path(format!("/elsewhere/its-{name}"));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(folder.join(name), to).unwrap();
    }
    let cache = Cache {
        root: "/usr/share/updog/root.json".into(),
        metadata: "/elsewhere/its-metadata".into(),
        targets: "/elsewhere/its-targets".into(),
    };
    migrate(&lab.host, &lab.request("1.1.0"), 1, || cache.open(&lab.host)).unwrap();
    assert_eq!(lab.layers()["api"]["settings.new.b"], json!([true]));
}

#[test]
fn a_copy_is_of_use_after_its_metadata_expired() {
    let (lab, _) = staged(&Publisher { timestamp_expires: later(1), ..publisher() });
    let published = Publisher { timestamp_expires: later(-1), ..publisher() };
    let old = Place::of(&published);
    for name in ["metadata", "targets"] {
        let copy = lab.host.path(COPIES).join("current").join(name);
        fs::remove_dir_all(&copy).unwrap();
        fs::rename(old.repository().join(name), copy).unwrap();
    }
    fs::copy(old.root_json(), lab.host.path("/usr/share/updog/root.json")).unwrap();
    boot(&lab, "1.1.0").unwrap();
}

/// What is done to the folder of a copy.
type Tamper<'a> = &'a dyn Fn(&Path);

/// Puts something wrong into the copy: the dry run refuses it, and so does the boot, which leaves all as it was.
#[test]
fn a_copy_that_is_not_as_it_was_signed_is_refused_before_and_at_the_boot() {
    let target = |folder: &Path, name: &str| -> PathBuf {
        let entries = fs::read_dir(folder.join("targets")).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.to_str().unwrap().ends_with(name)).unwrap()
    };
    let change = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
        let mut content = fs::read(path).unwrap();
        change(&mut content);
        fs::write(path, content).unwrap();
    };
    let rows: [(&str, Tamper<'_>, &str); 7] = [
        (
            "truncated",
            &|copy| change(&target(copy, NAMES[1]), &|c| c.truncate(c.len() - 1)),
            "read migrate_v1.1.0_list.lz4: ",
        ),
        (
            "altered",
            &|copy| change(&target(copy, NAMES[1]), &|c| c[20] ^= 1),
            "read migrate_v1.1.0_list.lz4: ",
        ),
        ("padded", &|copy| change(&target(copy, NAMES[1]), &|c| c.push(0)), "read migrate_v1.1.0_list.lz4: "),
        (
            "missing",
            &|copy| fs::remove_file(target(copy, NAMES[0])).unwrap(),
            "read migrate_v1.1.0_rename.lz4: ",
        ),
        (
            "manifest",
            &|copy| change(&target(copy, "manifest.json"), &|c| c[5] ^= 1),
            "find the migrations from 1.0.0 to 1.1.0: ",
        ),
        (
            "metadata",
            &|copy| change(&copy.join("metadata/timestamp.json"), &|c| c.truncate(50)),
            "find the migrations from 1.0.0 to 1.1.0: ",
        ),
        ("all of it", &|copy| fs::remove_dir_all(copy).unwrap(), "find the migrations from 1.0.0 to 1.1.0: "),
    ];
    for (what, tamper, expected) in rows {
        let (lab, folder) = staged(&publisher());
        tamper(&folder);
        for error in [
            dry_run(&lab.host, &lab.request("1.1.0"), &cache()).unwrap_err(),
            boot(&lab, "1.1.0").unwrap_err(),
        ] {
            let error = chain(&error);
            assert!(error.starts_with(expected), "{what}: {error}");
        }
        assert_eq!(lab.names(), ["current -> v1.0.0", "v1.0.0"], "{what}");
        assert_eq!(lab.layers(), settings(), "{what}");
        // The version that is there boots with it all the same.
        assert_eq!(boot(&lab, "1.0.0").unwrap(), Outcome::SameVersion, "{what}");
    }
}

#[test]
fn a_way_that_is_not_in_the_copy_is_told() {
    let (lab, _) = staged(&publisher());
    let error = chain(&dry_run(&lab.host, &lab.request("1.2.0"), &cache()).unwrap_err());
    assert!(error.ends_with("the manifest's edges lead no further than 1.1.0"), "{error}");
}

const HOLD: &str = "VISCO_TEST_HOLD";

/// Not a test but the other process of the next one: it has a store open until its input ends.
#[test]
#[ignore = "is started by another test"]
fn hold_a_store() {
    let Ok(path) = std::env::var(HOLD) else { return };
    let opened = Store::open(Path::new(&path)).unwrap();
    println!("\nheld");
    std::io::stdout().flush().unwrap();
    std::io::stdin().lines().for_each(drop);
    drop(opened);
}

#[test]
fn a_store_that_a_server_has_open_is_left_alone() {
    let (lab, _) = staged(&publisher());
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "hold_a_store"])
        .env(HOLD, lab.folder().join("current/settings.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It is listened to until its end: what it says to nobody would be an error of its own.
    let mut output = BufReader::new(server.stdout.take().unwrap()).lines();
    assert!(output.any(|line| line.unwrap() == "held"));
    let error = chain(&boot(&lab, "1.1.0").unwrap_err());
    assert!(error.ends_with("settings.db is in use by another process"), "{error}");
    assert_eq!(lab.names(), ["current -> v1.0.0", "v1.0.0"]);
    // Whoever only asks need not wait for it.
    dry_run(&lab.host, &lab.request("1.1.0"), &cache()).unwrap();
    drop(server.stdin.take());
    output.for_each(drop);
    assert!(server.wait().unwrap().success());
    boot(&lab, "1.1.0").unwrap();
}
