//! The power is cut at every write and every sync of the life of a store, its making and its pruning included.
//! Whatever the disk then holds: the store opens and shows exactly the state before or after the commit that was
//! under way, and nothing that was acknowledged is lost.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod home;

use datastore::{CommitRequest, HistoryLimits, Layer, OpenOptions, Opened, Snapshot, Store, StoreError};
use home::{request, set, unset};
use powercut::{Loss, PowerCut};
use serde_json::json;
use std::path::Path;

/// What each commit does. The third writes more pages than one.
fn script() -> Vec<CommitRequest> {
    let large = (0..60)
        .map(|n| set(Layer::Generated, &format!("big.n{n}"), json!("x".repeat(150))))
        .collect::<Vec<_>>();
    vec![
        request([set(Layer::Default, "a.b", json!(1)), set(Layer::Default, "a.c", json!([1, 2]))]),
        request([set(Layer::UserData, "a.b", json!("user"))]).mark("user-data"),
        request(large),
        request([set(Layer::Api, "a.b", json!(true))]).trial(99),
        request([unset(Layer::Api, "a.b"), unset(Layer::Generated, "big.n7")]).ends_trial(4),
        request([set(Layer::Api, "a.d", json!({"x": null}))]).mark("user-data"),
        request([unset(Layer::Default, "a.c")]),
    ]
}

fn open(disk: &PowerCut) -> Result<Opened, StoreError> {
    // So small that the last commits forget the first ones.
    let history = HistoryLimits { commits: 5, ..HistoryLimits::default() };
    let vfs = Some(disk.vfs().to_owned());
    Store::open_with(Path::new("/settings.db"), &OpenOptions { vfs, history, ..OpenOptions::default() })
}

/// Runs the script until something fails. Gives the states it saw: that of the opened store, then one for each
/// acknowledged commit.
fn run(disk: &PowerCut) -> (Vec<Snapshot>, Result<(), StoreError>) {
    let mut states = Vec::new();
    let result = (|| {
        let Opened { mut store, mut snapshot, .. } = open(disk)?;
        states.push(snapshot.clone());
        for (at, request) in script().into_iter().enumerate() {
            match at {
                2 | 6 => store.checkpoint()?,
                4 => {
                    drop(store);
                    store = open(disk)?.store;
                }
                _ => {}
            }
            snapshot = store.commit(&snapshot, request)?.1;
            states.push(snapshot.clone());
        }
        Ok(())
    })();
    (states, result)
}

/// Checks a disk after a cut, when `acknowledged` of the commits were.
fn check(image: &powercut::Image, states: &[Snapshot], acknowledged: usize, at: &str) {
    let disk = PowerCut::from_image(image.clone());
    let opened = open(&disk).unwrap_or_else(|e| panic!("{at}: {e}"));
    let Opened { mut store, snapshot, quarantined, .. } = opened;
    let possible = &states[acknowledged..states.len().min(acknowledged + 2)];
    assert!(possible.contains(&snapshot), "{at}: a state that never was, commit {}", snapshot.head());
    assert_eq!(quarantined, [], "{at}");
    let verified = store.verify_history().unwrap_or_else(|e| panic!("{at}: {e}"));
    assert_eq!(verified.last, snapshot.head(), "{at}");
    let mark =
        [None, Some(2), Some(6)][usize::from(snapshot.head() >= 2) + usize::from(snapshot.head() >= 6)];
    assert_eq!(store.mark("user-data").unwrap(), mark, "{at}");
    let trials: Vec<u64> = store.trials().unwrap().iter().map(|trial| trial.commit).collect();
    assert_eq!(trials, if snapshot.head() == 4 { vec![4] } else { vec![] }, "{at}");
    let next = store.commit(&snapshot, request([set(Layer::Api, "after", json!("the cut"))]));
    let (_, after) = next.unwrap_or_else(|e| panic!("{at}: {e}"));
    drop(store);
    assert_eq!(open(&disk).unwrap().snapshot, after, "{at}");
}

fn losses(seed: u64) -> Vec<Loss> {
    let random = (0..4).flat_map(|n| [Loss::Tail(seed * 4 + n), Loss::Scattered(seed * 4 + n)]);
    [Loss::All, Loss::Nothing].into_iter().chain(random).collect()
}

/// The states of an undisturbed run and the operations it takes.
fn undisturbed() -> (Vec<Snapshot>, usize) {
    let disk = PowerCut::new();
    let (states, result) = run(&disk);
    result.unwrap();
    assert_eq!(states.len(), script().len() + 1);
    (states, disk.operations())
}

#[test]
fn the_power_may_be_cut_at_every_operation() {
    let (states, operations) = undisturbed();
    let (mut images, mut again) = (0, 0);
    for cut in 0..operations {
        let disk = PowerCut::new();
        disk.cut_after(cut);
        let (seen, _) = run(&disk);
        assert!(disk.is_cut(), "the run is the same every time");
        let acknowledged = seen.len().saturating_sub(1);
        assert_eq!(seen, states[..seen.len()]);
        for loss in losses(cut as u64) {
            let image = disk.image(loss);
            check(&image, &states, acknowledged, &format!("cut after {cut} of {operations}, {loss:?}"));
            images += 1;
        }
        // And once more, while what the cut left is being recovered.
        let image = disk.image(Loss::Scattered(cut as u64));
        let recovery = {
            let disk = PowerCut::from_image(image.clone());
            drop(open(&disk));
            disk.operations()
        };
        for second in 0..recovery {
            let disk = PowerCut::from_image(image.clone());
            disk.cut_after(second);
            drop(open(&disk));
            for loss in [Loss::All, Loss::Scattered(second as u64)] {
                let at = format!("cut after {cut}, then after {second} of {recovery}, {loss:?}");
                check(&disk.image(loss), &states, acknowledged, &at);
                again += 1;
            }
        }
    }
    println!("{operations} cuts, {images} images; {again} images of a second cut");
    assert!(operations > 100, "the script became trivial: {operations} operations");
}

#[test]
fn a_failed_operation_loses_nothing_and_the_commit_can_be_repeated() {
    let (states, operations) = undisturbed();
    let mut repeated = 0;
    for at in 0..operations {
        let disk = PowerCut::new();
        disk.fail_once_after(at);
        let Ok(Opened { mut store, mut snapshot, .. }) = open(&disk) else {
            assert!(open(&disk).is_ok(), "operation {at}: opening can be repeated");
            continue;
        };
        for request in script() {
            if let Ok((_, after)) = store.commit(&snapshot, request.clone()) {
                snapshot = after;
            } else {
                repeated += 1;
                snapshot =
                    store.commit(&snapshot, request).unwrap_or_else(|e| panic!("operation {at}: {e}")).1;
            }
        }
        assert_eq!(Some(&snapshot), states.last(), "operation {at}");
        store.verify_history().unwrap();
        drop(store);
        disk.fail_once_after(usize::MAX);
        assert_eq!(open(&disk).unwrap().snapshot, snapshot, "operation {at}");
    }
    assert!(repeated > 20, "only {repeated} commits failed");
}
