//! A manifest never panics the parser. One that is accepted prints back to itself, and every question that hosts ask
//! it has an answer: whose turn is when, which update, which migrations, and what a publisher's edit makes of it.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use update_metadata::{Edge, Host, Manifest, SEEDS, VersionLock, chain, choose};

fuzz_target!(|text: &[u8]| {
    let Ok(manifest) = Manifest::parse(text) else { return };
    let printed = manifest.to_json();
    assert_eq!(
        Manifest::parse(printed.as_bytes()).as_ref().ok(),
        Some(&manifest),
        "it is printed as {printed}"
    );

    for update in &manifest.updates {
        let turns = [0, 1, 20, 21, SEEDS - 1, SEEDS, u32::MAX].map(|seed| update.waves.ready_at(seed));
        assert!(turns.is_sorted(), "a later seed has an earlier turn: {turns:?}");
        decide(&manifest, update);
    }
    for (from, to) in manifest.migrations.keys().zip(manifest.migrations.keys().rev()) {
        walk(&manifest, from, to);
    }
    pause_all(manifest);
});

fn decide(manifest: &Manifest, update: &update_metadata::Update) {
    let locks = [VersionLock::Latest, VersionLock::Exactly(update.version.clone())];
    for (version_lock, ignore_waves) in locks.into_iter().zip([true, false]) {
        let host = Host {
            variant: update.variant.clone(),
            arch: update.arch.clone(),
            version: update.max_version.clone(),
            seed: 7,
            version_lock,
            ignore_waves,
            forced: None,
        };
        let decision = choose(manifest, &host, Timestamp::UNIX_EPOCH, &BTreeSet::new());
        assert!(decision.update().is_none_or(|update| update.is_offered()), "{decision}");
    }
}

fn walk(manifest: &Manifest, from: &Edge, to: &Edge) {
    let there = chain(&manifest.migrations, from.from(), to.to());
    let back = chain(&manifest.migrations, to.to(), from.from());
    match (there, back) {
        (Ok(mut there), Ok(back)) => {
            there.migrations.reverse();
            assert_eq!(there.migrations, back.migrations);
        }
        (Err(_), Err(_)) => {}
        (there, back) => panic!("one way only: {there:?}, {back:?}"),
    }
}

fn pause_all(mut manifest: Manifest) {
    let ids: Vec<_> =
        manifest.updates.iter().filter(|update| update.is_offered()).map(|it| it.id()).collect();
    // Each pause asks every seed for its turn.
    for id in ids.iter().take(3) {
        manifest.pause(id, Timestamp::UNIX_EPOCH).expect("it is offered");
        // May lead out of time, and then changes nothing.
        if manifest.resume(id, Timestamp::MAX).is_ok() {
            assert!(manifest.update(id).is_some_and(|update| update.is_offered()));
        }
    }
    assert!(Manifest::parse(manifest.to_json().as_bytes()).is_ok());
}
