//! The document: what is read, what is refused, what is kept.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use proptest::prelude::*;
use serde_json::{Value, json};
use update_metadata::{Digest, Manifest, UpdateId};

/// As older publishers write it.
const DOCUMENTED: &str = r#"{
  "updates": [
    {
      "variant": "demo-k8s-9.9", "arch": "aarch64",
      "version": "4.2.0", "max_version": "4.2.0",
      "waves": { "0": "2031-03-02T08:00:00Z", "409": "2031-03-03T08:00:00Z" },
      "images": {
        "boot": "demo-demo-k8s-9.9-aarch64-4.2.0-0a1b2c3d-boot.ext4.lz4",
        "root": "demo-demo-k8s-9.9-aarch64-4.2.0-0a1b2c3d-root.ext4.lz4",
        "hash": "demo-demo-k8s-9.9-aarch64-4.2.0-0a1b2c3d-root.verity.lz4"
      }
    }
  ],
  "migrations": {
    "(4.1.0, 4.1.1)": [],
    "(4.1.1, 4.2.0)": ["migrate_v4.2.0_rename-foo.lz4", "migrate_v4.2.0_add-bar.lz4"]
  }
}"#;

fn id(variant: &str, arch: &str, version: &str) -> UpdateId {
    UpdateId { variant: variant.into(), arch: arch.into(), version: version.parse().unwrap() }
}

fn parse(document: &Value) -> Manifest {
    Manifest::parse(document.to_string().as_bytes()).unwrap()
}

/// The documented manifest with everything of ours in it.
fn ours() -> Value {
    let mut document: Value = serde_json::from_str(DOCUMENTED).unwrap();
    let image = |name: &str| {
        json!({
            "size": 4096, "sha256": "0f".repeat(32), "root_hash": "a1".repeat(32), "salt": "00ff",
            "seekable": format!("{name}.zst"), "seek_table": format!("{name}.seek"), "tree": "boot.verity",
        })
    };
    document["schema"] = json!(1);
    let update = &mut document["updates"][0];
    update["image_details"] = json!({
        "boot": image("boot"), "root": image("root"), "hash": {"size": 8192, "sha256": "5a".repeat(32)},
    });
    update["image_details"]["root"].as_object_mut().unwrap().remove("tree");
    update["release_notes"] = json!("https://example.org/notes/4.2.0");
    update["withdrawn"] = json!("loses its network");
    update["paused"] = json!(true);
    update["paused_at"] = json!("2031-03-02T10:00:00Z");
    document
}

#[test]
fn the_documented_shape_is_read_and_written_back() {
    let manifest = Manifest::parse(DOCUMENTED.as_bytes()).unwrap();
    let update = manifest.update(&id("demo-k8s-9.9", "aarch64", "4.2.0")).unwrap();
    assert_eq!(update.images.hash, "demo-demo-k8s-9.9-aarch64-4.2.0-0a1b2c3d-root.verity.lz4");
    assert_eq!(update.waves.bounds().map(|bound| bound.seed).collect::<Vec<_>>(), [0, 409]);
    assert!(update.is_offered() && update.image_details.is_none());
    let edges: Vec<_> = manifest.migrations.keys().map(ToString::to_string).collect();
    assert_eq!(edges, ["(4.1.0, 4.1.1)", "(4.1.1, 4.2.0)"]);

    let written: Value = serde_json::from_str(&manifest.to_json()).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(DOCUMENTED).unwrap());
}

#[test]
fn what_is_ours_is_read_and_written_back() {
    let manifest = parse(&ours());
    let update = &manifest.updates[0];
    let details = update.image_details.as_ref().unwrap();
    assert_eq!(details.boot.sha256, Digest([0x0f; 32]));
    assert_eq!(details.root.salt.bytes(), [0x00, 0xff]);
    assert_eq!((details.boot.tree.as_deref(), &details.root.tree), (Some("boot.verity"), &None));
    assert!(!update.is_offered());
    assert_eq!(serde_json::from_str::<Value>(&manifest.to_json()).unwrap(), ours());
}

#[test]
fn unknown_fields_survive_an_edit() {
    let mut document = ours();
    document["status"] = json!({"of": ["old", 1.5]});
    document["updates"][0]["status"] = json!("Ready");
    document["updates"][0]["image_details"]["root"]["codec"] = json!(7);
    let mut manifest = parse(&document);
    let at = "2031-03-02T10:00:00Z".parse().unwrap();
    manifest.resume(&id("demo-k8s-9.9", "aarch64", "4.2.0"), at).unwrap();
    let update = document["updates"][0].as_object_mut().unwrap();
    update.remove("paused");
    update.remove("paused_at");
    let written: Value = serde_json::from_str(&manifest.to_json()).unwrap();
    // Resuming at the moment of the pause leaves every turn where it was; the wave is cut there, though.
    let waves = written["updates"][0]["waves"].as_object().unwrap();
    document["updates"][0]["waves"].as_object().unwrap().iter().for_each(|it| assert_eq!(waves[it.0], *it.1));
    document["updates"][0]["waves"] = json!(waves);
    assert_eq!(written, document);
}

#[test]
fn what_is_missing_has_its_default() {
    let mut document: Value = serde_json::from_str(DOCUMENTED).unwrap();
    document.as_object_mut().unwrap().remove("migrations");
    document["updates"][0].as_object_mut().unwrap().remove("waves");
    let manifest = parse(&document);
    assert!(manifest.migrations.is_empty() && manifest.updates[0].waves.is_empty());
}

#[test]
fn a_bad_manifest_is_refused_with_the_place() {
    let twice = DOCUMENTED.replace("\"0\": \"2031-03-02T08:00:00Z\"", "\"409\": \"2031-03-02T08:00:00Z\"");
    let check = |text: &str, expected: &str| {
        let error = Manifest::parse(text.as_bytes()).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let found = format!("{error}: {source}");
        assert!(found.contains(expected), "{found}\n  has no {expected}");
    };
    check(&twice, "updates[0]: waves: seed 409 is given twice at line 6 column");
    for (from, to, expected) in [
        ("\"409\"", "\"+409\"", "updates[0]: waves: '+409' is not a seed"),
        ("\"409\"", "\"4294967296\"", "waves: '4294967296' is not a seed"),
        ("2031-03-03T08", "2031-13-03T08", "updates[0]: waves: seed 409: "),
        ("(4.1.0, 4.1.1)", "(4.1.1,4.2.0)", "migrations: edge (4.1.1, 4.2.0) is given twice at line 16"),
        (
            "(4.1.0, 4.1.1)",
            "(4.1.1, 4.1.0)",
            "(4.1.1, 4.1.0) does not lead from a version to a later one at line",
        ),
        ("(4.1.0, 4.1.1)", "4.1.0 4.1.1", "'4.1.0 4.1.1' is not of the form '(FROM, TO)'"),
        ("\"max_version\": \"4.2.0\"", "\"max_version\": \"4.2\"", "updates[0]: unexpected end of input"),
        ("\"version\": \"4.2.0\",", "", "updates[0]: missing field `version` at line"),
        ("\"images\"", "\"pictures\"", "updates[0]: missing field `images`"),
        ("\"updates\"", "\"update\"", "missing field `updates`"),
        ("\"updates\": [", "\"schema\": 2, \"updates\": [", "schema 2; this program knows none above 1"),
        ("{\n  \"updates\"", "[\n  \"updates\"", "expected"),
    ] {
        assert!(DOCUMENTED.contains(from), "{from}");
        check(&DOCUMENTED.replacen(from, to, 1), expected);
    }

    let mut document = ours();
    document["updates"][0]["image_details"]["root"]["sha256"] = json!("0f");
    check(&document.to_string(), "updates[0]: a SHA-256 digest has 64 hexadecimal digits; '0f' has not");

    let mut document = ours();
    let update = document["updates"][0].clone();
    let mut other = update.clone();
    other["arch"] = json!("x86_64");
    document["updates"] = json!([update, other, update]);
    check(
        &document.to_string(),
        "the manifest of updates has demo-k8s-9.9 4.2.0 for aarch64 twice: updates[0] and updates[2]",
    );
}

/// Documents that are nearly right.
fn documents() -> impl Strategy<Value = String> {
    let version = || prop_oneof![Just("1.0.0"), Just("1.1.0-rc.1"), Just("2.0.0+x"), Just("v1.0.0")];
    let seed = prop_oneof![Just("0"), Just("00"), Just("2048"), Just("4294967295"), Just("-1")];
    let time = prop_oneof![
        Just("2031-03-02T08:00:00Z"),
        Just("2031-03-02T08:00:00.123456789+01:00"),
        Just("-009999-06-01T00:00:00Z"),
        Just("2031-03-02"),
    ];
    let update = (version(), version(), proptest::collection::vec((seed, time), 0..3), any::<bool>());
    let updates = proptest::collection::vec(update, 0..3);
    let migrations = proptest::collection::vec((version(), version()), 0..3);
    (updates, migrations).prop_map(|(updates, migrations)| {
        let updates: Vec<String> = updates
            .iter()
            .map(|(version, max, waves, paused)| {
                let waves: Vec<_> = waves.iter().map(|(seed, time)| format!(r#""{seed}": "{time}""#)).collect();
                format!(
                    r#"{{"variant": "v", "arch": "a", "version": "{version}", "max_version": "{max}",
                        "waves": {{{}}}, "images": {{"boot": "b", "root": "r", "hash": "h"}}, "paused": {paused}}}"#,
                    waves.join(", ")
                )
            })
            .collect();
        let edges: Vec<_> = migrations.iter().map(|(from, to)| format!(r#""({from}, {to})": ["m"]"#)).collect();
        format!(r#"{{"updates": [{}], "migrations": {{{}}}}}"#, updates.join(", "), edges.join(", "))
    })
}

proptest! {
    #[test]
    fn what_is_accepted_prints_back_the_same(text in documents()) {
        if let Ok(manifest) = Manifest::parse(text.as_bytes()) {
            prop_assert_eq!(Manifest::parse(manifest.to_json().as_bytes()).unwrap(), manifest);
        }
    }

    #[test]
    fn no_bytes_panic(text in ".*") {
        let _ = Manifest::parse(text.as_bytes());
    }

    #[test]
    fn a_torn_manifest_is_refused(cut in 1..DOCUMENTED.len()) {
        prop_assert!(Manifest::parse(&DOCUMENTED.as_bytes()[..DOCUMENTED.len() - cut]).is_err());
    }
}
