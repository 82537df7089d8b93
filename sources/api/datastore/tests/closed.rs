//! Copies of a closed store, and the closing.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod home;

use datastore::{Closed, Layer, Opened, Store};
use home::{Home, request, set};
use serde_json::json;
use std::fs;

#[test]
fn a_copy_has_what_the_log_had_and_the_source_stays_as_it_is() {
    let home = Home::new();
    let Opened { mut store, snapshot, .. } = home.open();
    let (_, snapshot) =
        store.commit(&snapshot, request([set(Layer::Api, "a.b", json!(1))]).mark("m")).unwrap();
    // As after a power cut: the log is there, with the commit in it.
    std::mem::forget(store);
    let folder = home.path().parent().unwrap().to_owned();
    let read = || -> Vec<_> {
        let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        files.sort();
        files
    };
    let before = read();
    assert_eq!(before.len(), 2, "the file and its log");
    let copy = tempfile::tempdir().unwrap();
    let target = copy.path().join("settings.db");
    let size: usize = before.iter().map(|(_, content)| content.len()).sum();
    assert_eq!(Closed::size(&home.path()).unwrap(), size as u64);
    Closed::take(&home.path()).unwrap().unwrap().copy_to(&target).unwrap();
    let Opened { store, snapshot: copied, .. } = Store::open(&target).unwrap();
    assert_eq!(copied, snapshot);
    assert_eq!(store.verify_history().unwrap().commits, 1);
    assert_eq!(store.mark("m").unwrap(), Some(1));
    store.close().unwrap();
    assert_eq!(fs::read_dir(copy.path()).unwrap().count(), 1, "the log is gone");
    assert_eq!(Store::open(&target).unwrap().snapshot, snapshot);
    assert_eq!(read(), before);
}

#[test]
fn where_there_is_no_store_there_is_nothing_to_take() {
    let home = Home::new();
    assert!(Closed::take(&home.path()).unwrap().is_none());
    assert_eq!(Closed::size(&home.path()).unwrap(), 0);
}

#[test]
fn a_copy_does_not_replace_what_is_there() {
    let home = Home::new();
    drop(home.open());
    let error = Closed::take(&home.path()).unwrap().unwrap().copy_to(&home.path()).unwrap_err();
    assert!(error.to_string().starts_with("copy "), "{error}");
}
