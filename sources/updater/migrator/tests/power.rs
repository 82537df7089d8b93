//! The power is cut at every write and sync that a migration makes to the copy: the copy then holds the settings of
//! before or of after, and those of after for good once the run said that it is done, which is when a link may lead
//! to it.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod lab;

use datastore::{Author, CommitRequest, Edit, Layer, OpenOptions, Opened, Snapshot, Store, StoreError};
use lab::{Lab, Repository, settings};
use migrator::{Error, Plan, Planned, Work};
use powercut::{Image, Loss, PowerCut};
use serde_json::json;
use std::path::Path;

/// The copy of a store whose log still holds its last commit, as a power cut in the old version left it.
fn copied() -> Image {
    let disk = PowerCut::new();
    let Opened { mut store, snapshot, .. } = open(&disk).unwrap();
    let edit = |layer: &str, key: &str, value| Edit {
        layer: Layer::from_name(layer).unwrap(),
        key: key.parse().unwrap(),
        value: Some(value),
    };
    let author = Author { uid: 1000, pid: 7, program: "test".into() };
    let many =
        (0..120).map(|n| edit("user-data", &format!("settings.old.n{n}"), json!("x".repeat(100)))).collect();
    let (_, snapshot) = store.commit(&snapshot, CommitRequest::new(many, author.clone())).unwrap();
    store.checkpoint().unwrap();
    let last = vec![edit("api", "settings.old.n7", json!("last")), edit("api", "settings.gone", json!(1))];
    store.commit(&snapshot, CommitRequest::new(last, author)).unwrap();
    // Not closed: the log stays.
    disk.image(Loss::Nothing)
}

fn open(disk: &PowerCut) -> Result<Opened, StoreError> {
    let options = OpenOptions { vfs: Some(disk.vfs().to_owned()), ..OpenOptions::default() };
    Store::open_with(Path::new("/settings.db"), &options)
}

fn plan() -> Plan {
    let rows = "{ rename = { from = 'settings.old', to = 'settings.new' } }, { remove = { keys = ['settings.gone'] } }";
    let repository = Repository::default().edge("1.0.0", "1.1.0", &[("m", rows)]);
    let lab = Lab::new("1.0.0");
    assert_eq!(lab.layers(), settings());
    match lab.plan("1.1.0", &repository).unwrap() {
        Planned::Migrate(plan) => *plan,
        other => panic!("{other:?}"),
    }
}

fn migrate(plan: &Plan, disk: &PowerCut) -> Result<(), Error> {
    let work = Work { plan, scratch: "/nowhere".into(), time_ms: 1 };
    work.run(open(disk).map_err(|source| Error::OpenCopy { source })?)
}

fn state(image: Image, at: &str) -> Snapshot {
    let disk = PowerCut::from_image(image);
    let Opened { store, snapshot, quarantined, .. } = open(&disk).unwrap_or_else(|e| panic!("{at}: {e}"));
    assert_eq!(quarantined, [], "{at}");
    let verified = store.verify_history().unwrap_or_else(|e| panic!("{at}: {e}"));
    assert_eq!(verified.last, snapshot.head(), "{at}");
    snapshot
}

#[test]
fn the_power_may_be_cut_at_every_operation_of_a_migration() {
    let (plan, copied) = (plan(), copied());
    let before = state(copied.clone(), "before");
    let disk = PowerCut::from_image(copied.clone());
    migrate(&plan, &disk).unwrap();
    let operations = disk.operations();
    // Done is done: all of it was synced.
    let after = state(disk.image(Loss::All), "after");
    assert_eq!((before.head(), after.head()), (2, 3));
    assert!(after.effective().all(|(key, _)| key.as_str().starts_with("settings.new.n")));
    assert_eq!(after.effective().count(), 120);
    let mut images = 0;
    for cut in 0..operations {
        let disk = PowerCut::from_image(copied.clone());
        disk.cut_after(cut);
        let is_done = migrate(&plan, &disk).is_ok();
        // Only that the emptied log could not be removed is nothing to fail over.
        assert!(!is_done || cut + 1 == operations, "cut after {cut} of {operations}");
        let losses = (0..4).flat_map(|n| [Loss::Tail(n), Loss::Scattered(n)]);
        for loss in losses.chain([Loss::All, Loss::Nothing]) {
            let at = format!("cut after {cut} of {operations}, {loss:?}");
            let seen = state(disk.image(loss), &at);
            assert!(seen == after || (!is_done && seen == before), "{at}: commit {}", seen.head());
            images += 1;
        }
    }
    println!("{operations} cuts, {images} images");
    assert!(operations > 20, "the migration became trivial: {operations} operations");
}

#[test]
fn an_operation_that_fails_is_told_and_loses_nothing() {
    let (plan, copied) = (plan(), copied());
    let before = state(copied.clone(), "before");
    let operations = {
        let disk = PowerCut::from_image(copied.clone());
        migrate(&plan, &disk).unwrap();
        disk.operations()
    };
    let mut told = 0;
    for at in 0..operations {
        let disk = PowerCut::from_image(copied.clone());
        disk.fail_once_after(at);
        let result = migrate(&plan, &disk);
        let seen = state(disk.image(Loss::Nothing), &format!("operation {at} failed"));
        match result {
            Ok(()) => assert_eq!(seen.head(), 3, "operation {at}: said to be done"),
            Err(_) => told += 1,
        }
        assert!(seen == before || seen.head() == 3, "operation {at}");
    }
    assert!(told > 10, "only {told} of {operations} failures were told");
}
