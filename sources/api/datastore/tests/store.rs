//! Commits, layers, reopening.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod home;

use datastore::{Layer, Opened, StoreError};
use home::{Home, author, key, request, set, unset};
use serde_json::json;

#[test]
fn a_commit_is_there_after_reopening_with_its_mark() {
    let home = Home::new();
    let motd = key("settings.motd");
    let Opened { mut store, snapshot, .. } = home.open();
    let snapshot =
        store.replace_defaults(snapshot, vec![(motd.clone(), json!("hello"))], author(), 0).unwrap();
    let edit = set(Layer::Api, "settings.motd", json!("hi"));
    let (commit, snapshot) = store.commit(&snapshot, request([edit]).mark("done")).unwrap();
    assert_eq!((commit.id, snapshot.head()), (2, 2));
    drop(store);
    let Opened { mut store, snapshot: reopened, .. } = home.open();
    assert_eq!(reopened, snapshot);
    assert_eq!(*reopened.leaf(&motd).unwrap().value, json!("hi"));
    assert_eq!(store.mark("done").unwrap(), Some(2));
    assert_eq!(store.commit_by_id(2).unwrap(), Some(commit));
    let (_, snapshot) = store.commit(&snapshot, request([unset(Layer::Api, "settings.motd")])).unwrap();
    assert_eq!(*snapshot.leaf(&motd).unwrap().value, json!("hello"), "unset goes back to the default");
    assert_eq!(store.history(10, None).unwrap().len(), 3);
    store.verify_history().unwrap();
}

#[test]
fn of_several_edits_of_a_leaf_the_last_one_counts() {
    let home = Home::new();
    let Opened { mut store, snapshot, .. } = home.open();
    let one = || set(Layer::Api, "a.b", json!(1));
    let (commit, snapshot) =
        store.commit(&snapshot, request([set(Layer::Api, "a.b", json!(2)), one()])).unwrap();
    assert_eq!(commit.changes.len(), 1);
    assert_eq!(*snapshot.leaf(&key("a.b")).unwrap().value, json!(1));
    let (commit, after) = store.commit(&snapshot, request([one()])).unwrap();
    assert_eq!(commit.changes, [], "a leaf that has the value already does not change");
    assert_eq!(after.leaf(&key("a.b")).unwrap().commit, 1);
    drop(store);
    assert_eq!(home.open().snapshot, after);
}

#[test]
fn a_commit_on_an_old_snapshot_is_refused() {
    let home = Home::new();
    let Opened { mut store, snapshot, .. } = home.open();
    let edit = || [set(Layer::Api, "a.b", json!(2))];
    store.commit(&snapshot, request(edit())).unwrap();
    let refused = store.commit(&snapshot, request(edit())).unwrap_err();
    assert!(matches!(refused, StoreError::Stale { found: 0, head: 1 }), "{refused}");
    assert_eq!(store.history(10, None).unwrap().len(), 1);
}
