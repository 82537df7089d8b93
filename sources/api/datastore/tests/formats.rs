//! Every on-disk format that was ever released opens. Its fixture stays for ever and is never made anew: after a
//! change of the format, `cargo test -p datastore -- --ignored` writes the one of the new format beside it.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod home;

use datastore::{Layer, Opened, Store, Trial};
use home::{Home, request, set, unset};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

const NEWEST: u32 = 1;

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{format}.db"))
}

#[test]
fn format_1_opens_with_all_it_holds() {
    let home = Home::new();
    fs::create_dir(home.path().parent().unwrap()).unwrap();
    fs::copy(fixture(1), home.path()).unwrap();
    let Opened { mut store, snapshot, quarantined, set_aside } = home.open();
    assert_eq!((quarantined, set_aside), (vec![], None));
    let leaves: Vec<_> = Layer::ALL
        .iter()
        .flat_map(|layer| {
            snapshot.layer(*layer).map(|(k, l)| (l.layer.name(), k.as_str(), l.value.to_string(), l.commit))
        })
        .collect();
    let expected = [
        ("default", "settings.kernel.sysctl.\"net.ipv4.ip_forward\"", "\"1\"", 1),
        ("default", "settings.motd", "\"hello\"", 1),
        ("user-data", "settings.ntp.time-servers", "[\"a\",\"b\"]", 2),
        ("api", "settings.motd", "\"h\u{ef}\"", 3),
    ];
    assert_eq!(leaves.iter().map(|(l, k, v, c)| (*l, *k, v.as_str(), *c)).collect::<Vec<_>>(), expected);
    assert_eq!((snapshot.head(), store.verify_history().unwrap().commits), (4, 4));
    assert_eq!(store.mark("user-data").unwrap(), Some(2));
    assert_eq!(store.trials().unwrap(), [Trial { commit: 3, deadline_ms: 1000 }]);
    let commit = store.commit_by_id(4).unwrap().unwrap();
    assert_eq!(commit.changes[0].old, Some(json!(7)));
    assert_eq!(store.restore_edits(&snapshot, 2).unwrap().len(), 2);
    store.commit(&snapshot, request([set(Layer::Api, "settings.motd", json!("new"))])).unwrap();
    store.verify_history().unwrap();
}

#[test]
#[ignore = "writes the fixture of a new format, once"]
fn write_the_fixture_of_the_newest_format() {
    assert!(!fixture(NEWEST).exists(), "a released format does not change");
    let Opened { mut store, snapshot, .. } = Store::open(&fixture(NEWEST)).unwrap();
    let sysctl = set(Layer::Default, "settings.kernel.sysctl.\"net.ipv4.ip_forward\"", json!("1"));
    let motd = set(Layer::Default, "settings.motd", json!("hello"));
    let (_, snapshot) = store.commit(&snapshot, request([sysctl, motd])).unwrap();
    let ntp = set(Layer::UserData, "settings.ntp.time-servers", json!(["a", "b"]));
    let wave = set(Layer::Generated, "settings.updates.seed", json!(7));
    let (_, snapshot) = store.commit(&snapshot, request([ntp, wave]).mark("user-data")).unwrap();
    let motd = set(Layer::Api, "settings.motd", json!("h\u{ef}"));
    let (_, snapshot) = store.commit(&snapshot, request([motd]).trial(1000)).unwrap();
    store.commit(&snapshot, request([unset(Layer::Generated, "settings.updates.seed")])).unwrap();
}
