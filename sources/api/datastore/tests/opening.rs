//! Opening: modes, a second opener, other formats, damage as a whole and damage of leaves.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod home;

use datastore::{Layer, Opened, Store, StoreError};
use home::{Home, author, key, request, set, unset};
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A way to damage the file.
type Damage<'a> = &'a dyn Fn(&Home);

fn stored(home: &Home) {
    let Opened { mut store, snapshot, .. } = home.open();
    let edits = [
        set(Layer::Default, "a.b", json!(1)),
        set(Layer::Api, "a.b", json!(2)),
        set(Layer::Api, "a.c", json!(3)),
    ];
    store.commit(&snapshot, request(edits)).unwrap();
}

#[test]
fn nobody_else_can_look_into_the_folder_or_the_file() {
    let home = Home::new();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let opened = home.open();
    assert_eq!(mode(home.path().parent().unwrap()), 0o700);
    let files: Vec<_> =
        fs::read_dir(home.path().parent().unwrap()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "the file and its log, no shared memory: {files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    drop(opened);
    fs::set_permissions(home.path(), Permissions::from_mode(0o644)).unwrap();
    drop(home.open());
    assert_eq!(mode(&home.path()), 0o600);
}

#[test]
fn a_second_opener_gets_one_clear_error_and_disturbs_nothing() {
    let home = Home::new();
    let Opened { mut store, snapshot, .. } = home.open();
    let error = Store::open(&home.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    assert!(error.to_string().ends_with("settings.db is in use by another process"), "{error}");
    store.commit(&snapshot, request([set(Layer::Api, "a.b", json!(1))])).unwrap();
    // Another process, too: the locks of one process do not keep itself out.
    let mut other = Command::new(std::env::current_exe().unwrap());
    other
        .args(["--exact", "opens_what_the_environment_names", "--nocapture"])
        .env("OTHER_STORE", home.path());
    let output = other.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("is in use by another process"), "{output:?}");
    drop(store);
    let output = other.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("opened at commit 1"), "{output:?}");
}

/// The other process of the test above.
#[test]
fn opens_what_the_environment_names() {
    let Some(path) = std::env::var_os("OTHER_STORE") else { return };
    match Store::open(path.as_ref()) {
        Ok(opened) => println!("opened at commit {}", opened.snapshot.head()),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn a_newer_format_or_a_foreign_database_is_refused_untouched() {
    for (sql, message) in [
        ("PRAGMA user_version = 2", "has format 2; this version reads up to 1"),
        ("PRAGMA application_id = 7", "it is the database of another program"),
        ("PRAGMA user_version = 0; PRAGMA application_id = 0", "it is the database of another program"),
        ("DROP TABLE marks", "no such table: marks"),
        ("ALTER TABLE marks RENAME COLUMN commit_id TO id", "no such column: commit_id"),
    ] {
        let home = Home::new();
        stored(&home);
        home.tamper(sql);
        let before = fs::read(home.path()).unwrap();
        let error = Store::open(&home.path()).unwrap_err().to_string();
        assert!(error.contains(message), "{sql}: {error}");
        assert_eq!(fs::read(home.path()).unwrap(), before, "{sql}");
    }
}

#[test]
fn a_file_damaged_as_a_whole_is_refused_and_set_aside_only_when_asked() {
    let no_database =
        |home: &Home| fs::write(home.path(), "not a database, but long enough ".repeat(200)).unwrap();
    let cut_off = |home: &Home| {
        let content = fs::read(home.path()).unwrap();
        fs::write(home.path(), &content[..content.len() - 4096]).unwrap();
    };
    let overwritten = |home: &Home| {
        let mut content = fs::read(home.path()).unwrap();
        content[4096..8192].fill(0xa5);
        fs::write(home.path(), content).unwrap();
    };
    let ways: [(&str, Damage<'_>); 3] =
        [("no database", &no_database), ("cut off", &cut_off), ("overwritten", &overwritten)];
    for (name, damage) in ways {
        let mut home = Home::new();
        for round in 1..=2 {
            stored(&home);
            damage(&home);
            let damaged = fs::read(home.path()).unwrap();
            home.options.set_damaged_aside = false;
            let error = Store::open_with(&home.path(), &home.options).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "{name}: {error:?}");
            assert_eq!(fs::read(home.path()).unwrap(), damaged, "{name}");
            home.options.set_damaged_aside = true;
            let opened = home.open();
            let aside = home.path().with_extension(format!("db.damaged-{round}"));
            assert_eq!(opened.set_aside.as_ref(), Some(&aside), "{name}");
            assert_eq!(fs::read(aside).unwrap(), damaged, "{name}");
            assert_eq!((opened.snapshot.head(), opened.quarantined.len()), (0, 0), "{name}");
            drop(opened);
            assert_eq!(home.open().set_aside, None, "{name}");
        }
    }
}

#[test]
fn a_bad_leaf_is_left_out_and_stays_on_disk() {
    for (sql, layer, name, why) in [
        ("UPDATE settings SET value = '{' WHERE key = 'a.c'", "api", "a.c", "the value is not JSON"),
        ("UPDATE settings SET layer = 'odd' WHERE key = 'a.c'", "odd", "a.c", "there is no layer 'odd'"),
        ("UPDATE settings SET key = 'a..c' WHERE key = 'a.c'", "api", "a..c", "the key is malformed"),
        ("UPDATE settings SET key = 'a.\"c\"' WHERE key = 'a.c'", "api", "a.\"c\"", "it would be 'a.c'"),
        ("UPDATE settings SET value = CAST(x'22ff22' AS TEXT) WHERE key = 'a.c'", "api", "a.c", "not JSON"),
    ] {
        let home = Home::new();
        stored(&home);
        home.tamper(sql);
        for _ in 0..2 {
            let Opened { store, snapshot, quarantined, .. } = home.open();
            assert_eq!(quarantined.len(), 1, "{sql}");
            assert_eq!((quarantined[0].layer.as_str(), quarantined[0].key.as_str()), (layer, name), "{sql}");
            assert!(quarantined[0].why.contains(why), "{sql}: {}", quarantined[0].why);
            assert_eq!(*snapshot.leaf(&key("a.b")).unwrap().value, json!(2), "{sql}");
            assert_eq!(snapshot.leaf(&key("a.c")), None, "{sql}");
            assert_eq!(store.quarantined().collect::<Vec<_>>(), [&quarantined[0]], "{sql}");
        }
    }
}

#[test]
fn what_fails_a_check_is_left_out_until_it_is_edited() {
    let home = Home::new();
    stored(&home);
    let open = || {
        let mut opened = home.open();
        opened.quarantine(|_, value| if *value == json!(2) { Err("two is odd".into()) } else { Ok(()) });
        opened
    };
    let Opened { snapshot, quarantined, mut store, .. } = open();
    assert_eq!(quarantined.len(), 1);
    assert_eq!((quarantined[0].layer.as_str(), quarantined[0].why.as_str()), ("api", "two is odd"));
    assert_eq!(*snapshot.leaf(&key("a.b")).unwrap().value, json!(1), "the layer below shows");
    store.verify_history().unwrap();
    let (_, snapshot) = store.commit(&snapshot, request([set(Layer::Api, "a.c", json!(4))])).unwrap();
    assert_eq!(store.quarantined().count(), 1, "another leaf changes nothing");
    drop(store);
    assert_eq!(open().quarantined.len(), 1);
    let mut store = open().store;
    let (commit, snapshot) = store.commit(&snapshot, request([unset(Layer::Api, "a.b")])).unwrap();
    assert_eq!(commit.changes[0].old, Some(json!(2)), "the history says what it was");
    assert_eq!(store.quarantined().count(), 0);
    drop(store);
    let opened = open();
    assert_eq!((opened.quarantined.len(), &opened.snapshot), (0, &snapshot));
    opened.store.verify_history().unwrap();
}

#[test]
fn new_defaults_take_bad_old_ones_away() {
    let home = Home::new();
    stored(&home);
    home.tamper("UPDATE settings SET value = '{' WHERE layer = 'default'");
    let Opened { mut store, snapshot, .. } = home.open();
    let snapshot = store.replace_defaults(snapshot, vec![(key("a.z"), json!(1))], author(), 0).unwrap();
    assert_eq!(snapshot.layer(Layer::Default).count(), 1);
    drop(store);
    let Opened { store, snapshot: reopened, quarantined, .. } = home.open();
    assert_eq!((quarantined, reopened), (vec![], snapshot));
    store.verify_history().unwrap();
}
