//! History: its bounds, going back in it, trials, and that tampering shows.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod home;

use datastore::{HistoryLimits, Layer, Opened, Snapshot, Store, StoreError, Trial};
use home::{Home, key, request, set, unset};
use serde_json::{Value, json};

/// Four commits of one leaf each, the second with every extra a commit can have.
fn four_commits(home: &Home) -> (Store, Snapshot) {
    let Opened { mut store, snapshot, .. } = home.open();
    let set = |name, value| set(Layer::Api, name, json!(value));
    let (_, snapshot) = store.commit(&snapshot, request([set("a.b", 1)]).trial(5)).unwrap();
    let second = request([set("a.c", 2)]).mark("done").trial(9).ends_trial(1);
    let (_, snapshot) = store.commit(&snapshot, second).unwrap();
    let (_, snapshot) = store.commit(&snapshot, request([set("a.b", 3)])).unwrap();
    let (_, snapshot) = store.commit(&snapshot, request([unset(Layer::Api, "a.d"), set("a.e", 4)])).unwrap();
    (store, snapshot)
}

#[test]
fn history_is_read_newest_first_and_page_by_page() {
    let home = Home::new();
    let (store, _) = four_commits(&home);
    let ids = |limit, before| -> Vec<u64> {
        store.history(limit, before).unwrap().iter().map(|commit| commit.id).collect()
    };
    assert_eq!(ids(10, None), [4, 3, 2, 1]);
    assert_eq!(ids(2, None), [4, 3]);
    assert_eq!(ids(2, Some(3)), [2, 1]);
    assert_eq!(ids(2, Some(1)), [0; 0]);
    assert_eq!(ids(usize::MAX, Some(u64::MAX)), [4, 3, 2, 1]);
    let second = &store.history(1, Some(3)).unwrap()[0];
    assert_eq!(
        (second.marks.as_slice(), second.trial, second.ends_trial),
        (&["done".into()][..], Some(9), Some(1))
    );
    assert_eq!((second.message.as_str(), second.changes, second.layer), ("because", 1, Layer::Api));
    assert_eq!(second.author, home::author());
    assert_eq!(store.commit_by_id(0).unwrap(), None);
    assert_eq!(store.commit_by_id(5).unwrap(), None);
}

#[test]
fn every_change_made_behind_the_back_of_the_store_shows() {
    let check = |sql: &str, commit: u64| {
        let home = Home::new();
        drop(four_commits(&home));
        assert_eq!(home.open().store.verify_history().unwrap().commits, 4);
        home.tamper(sql);
        let shown = home.open().store.verify_history().expect_err(sql);
        assert_eq!(shown.commit, commit, "{sql}: {shown}");
    };
    let columns = [
        "id = 20",
        "time_ms = 9",
        "layer = 'generated'",
        "uid = 0",
        "pid = 1",
        "program = 'other'",
        "message = ''",
        "marks = '[]'",
        "trial = NULL",
        "trial = 10",
        "ends_trial = NULL",
        "change_count = 2",
        "hash = x'00'",
        "changes = '[]'",
        "changes = replace(changes, '2', '3')",
        "changes = 'no json'",
    ];
    for column in columns {
        check(&format!("UPDATE commits SET {column} WHERE id = 2"), 2);
    }
    let rows = [
        ("DELETE FROM commits WHERE id = 1", 1),
        ("DELETE FROM commits WHERE id = 2", 2),
        ("DELETE FROM commits WHERE id = 4", 4),
        ("INSERT INTO commits SELECT 5, time_ms, layer, uid, pid, program, message, marks, trial, ends_trial,
          change_count, hash, changes FROM commits WHERE id = 4", 5),
        ("UPDATE settings SET value = '30' WHERE key = 'a.b'", 3),
        ("UPDATE settings SET value = 'no json' WHERE key = 'a.b'", 3),
        ("UPDATE settings SET commit_id = 1 WHERE key = 'a.b'", 3),
        ("UPDATE settings SET key = 'a.x' WHERE key = 'a.c'", 2),
        ("UPDATE settings SET layer = 'user-data' WHERE key = 'a.c'", 2),
        ("DELETE FROM settings WHERE key = 'a.e'", 4),
        ("INSERT INTO settings VALUES ('api', 'a.d', '1', 4)", 4),
        ("UPDATE marks SET commit_id = 3", 2),
        ("DELETE FROM marks", 2),
        ("INSERT INTO marks VALUES ('other', 3)", 3),
        ("UPDATE trials SET deadline_ms = 10", 2),
        ("INSERT INTO trials VALUES (3, 10)", 3),
        ("INSERT INTO anchor VALUES (1, 0, x'00')", 1),
        ("INSERT INTO anchor VALUES (1, 1, x'00')", 2),
    ];
    for (sql, commit) in rows {
        check(sql, commit);
    }
}

#[test]
fn a_number_is_not_used_twice_when_the_newest_commits_are_cut_off() {
    let home = Home::new();
    drop(four_commits(&home));
    home.tamper("DELETE FROM commits WHERE id = 4");
    let Opened { mut store, snapshot, .. } = home.open();
    let (commit, _) = store.commit(&snapshot, request([])).unwrap();
    assert_eq!(commit.id, 5);
    assert_eq!(store.verify_history().unwrap_err().commit, 4);
}

#[test]
fn an_unreadable_commit_fails_what_needs_it_and_nothing_else() {
    let home = Home::new();
    drop(four_commits(&home));
    home.tamper("UPDATE commits SET changes = 'no json' WHERE id = 2");
    let Opened { mut store, snapshot, .. } = home.open();
    assert!(matches!(store.commit_by_id(2), Err(StoreError::BadCommit { id: 2, .. })));
    assert!(matches!(store.restore_edits(&snapshot, 1), Err(StoreError::BadCommit { id: 2, .. })));
    assert!(store.restore_edits(&snapshot, 2).is_ok() && store.revert_edits(&snapshot, 4).is_ok());
    assert_eq!(store.history(10, None).unwrap().len(), 4);
    store.commit(&snapshot, request([])).unwrap();
}

#[test]
fn history_forgets_its_oldest_commits_and_still_verifies() {
    let by_count = HistoryLimits { commits: 70, ..HistoryLimits::default() };
    let by_bytes = HistoryLimits { bytes: 70 * 1200, ..HistoryLimits::default() };
    for limits in [by_count, by_bytes] {
        let mut home = Home::new();
        home.options.history = limits;
        let Opened { mut store, mut snapshot, .. } = home.open();
        let value = |n: u64| json!(format!("{n:0>900}"));
        for n in 1..=300 {
            let edit = set(Layer::Api, &format!("a.k{}", n % 3), value(n));
            snapshot = store.commit(&snapshot, request([edit])).unwrap().1;
            let size: usize =
                (1..=n).rev().map_while(|n| store.commit_by_id(n).unwrap()).map(|c| size(&c)).sum();
            assert!(size as u64 <= limits.bytes, "{limits:?} {size} bytes after commit {n}");
            if n == 150 {
                drop(store);
                store = home.open().store;
            }
        }
        let verified = store.verify_history().unwrap();
        assert_eq!(verified.last, 300);
        assert!((30..=70).contains(&verified.commits), "{limits:?} {verified:?}");
        let oldest = verified.first;
        assert_eq!(store.commit_by_id(oldest - 1).unwrap(), None);
        let forgotten = [
            store.revert_edits(&snapshot, oldest - 1).err(),
            store.restore_edits(&snapshot, oldest - 2).err(),
        ];
        for error in forgotten {
            assert!(matches!(error, Some(StoreError::Forgotten { .. })), "{error:?}");
        }
        let edits = store.restore_edits(&snapshot, oldest - 1).unwrap();
        let mut restored: Vec<Value> = edits.into_iter().filter_map(|edit| edit.value).collect();
        restored.sort_by_key(ToString::to_string);
        assert_eq!(restored, [value(oldest - 3), value(oldest - 2), value(oldest - 1)]);
        drop(store);
        home.tamper("UPDATE anchor SET hash = x'00'");
        assert_eq!(home.open().store.verify_history().unwrap_err().commit, oldest);
    }
}

/// What a commit counts towards the bytes of the history, but for its fixed share.
fn size(commit: &datastore::Commit) -> usize {
    serde_json::to_string(&commit.changes).unwrap().len() + commit.message.len() + 128
}

#[test]
fn a_commit_larger_than_the_history_may_be_stays_as_the_only_one() {
    let mut home = Home::new();
    home.options.history = HistoryLimits { bytes: 1000, ..HistoryLimits::default() };
    let Opened { mut store, mut snapshot, .. } = home.open();
    for n in 1..5 {
        let edit = set(Layer::Api, "a.b", json!([n, "x".repeat(2000)]));
        snapshot = store.commit(&snapshot, request([edit])).unwrap().1;
        assert_eq!(store.history(10, None).unwrap().len(), 1);
    }
    assert_eq!(store.verify_history().unwrap().first, 4);
    let Opened { snapshot: reopened, .. } = {
        drop(store);
        home.open()
    };
    assert_eq!(reopened, snapshot);
}

#[test]
fn a_revert_leaves_alone_what_was_changed_since() {
    let home = Home::new();
    let (store, snapshot) = four_commits(&home);
    let revert = store.revert_edits(&snapshot, 1).unwrap();
    assert_eq!((revert.edits, revert.conflicts), (vec![], vec![key("a.b")]));
    let revert = store.revert_edits(&snapshot, 3).unwrap();
    assert_eq!((revert.edits, revert.conflicts), (vec![set(Layer::Api, "a.b", json!(1))], vec![]));
    for id in [0, 5] {
        assert!(matches!(store.revert_edits(&snapshot, id), Err(StoreError::NoCommit { head: 4, .. })));
    }
    assert!(matches!(store.restore_edits(&snapshot, 5), Err(StoreError::NoCommit { head: 4, .. })));
}

#[test]
fn a_trial_outlives_a_restart_until_it_is_confirmed_or_undone() {
    let home = Home::new();
    let (store, _) = four_commits(&home);
    drop(store);
    let Opened { mut store, snapshot, .. } = home.open();
    assert_eq!(store.trials().unwrap(), [Trial { commit: 2, deadline_ms: 9 }]);
    let refused = store.commit(&snapshot, request([]).ends_trial(1));
    assert!(matches!(refused, Err(StoreError::NoTrial { id: 1 })), "its trial is over");
    let edits = store.revert_edits(&snapshot, 2).unwrap().edits;
    let (_, snapshot) = store.commit(&snapshot, request(edits).ends_trial(2).trial(u64::MAX)).unwrap();
    assert_eq!(snapshot.leaf(&key("a.c")), None);
    assert_eq!(store.trials().unwrap(), [Trial { commit: 5, deadline_ms: u64::MAX }]);
    store.confirm(5).unwrap();
    assert!(matches!(store.confirm(5), Err(StoreError::NoTrial { id: 5 })));
    drop(store);
    let store = home.open().store;
    assert_eq!(store.trials().unwrap(), []);
    store.verify_history().unwrap();
}
