//! Repositories of tiny images, made by the program and read as hosts read them.

// A test that cannot go on has failed; its helpers are no different.
#![allow(clippy::unwrap_used)]

mod support;

use jiff::{SignedDuration, Timestamp};
use pubsys::{
    Build, Change, Content, Existing, LocalKey, Location, NewRelease, NewTarget, Product, Publication,
    Publisher, Refresh, RootVersion, Terms, execute, prepare, publish_change, publish_release, stage,
    validate,
};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use support::{Lab, load, targets};
use tough::ExpirationEnforcement;
use update_metadata::{ExpirationPolicy, Release, UpdateId, WavePolicy};

fn demo() -> Product {
    Product { variant: "demo".into(), arch: "x86_64".into() }
}

fn id(version: &str) -> UpdateId {
    UpdateId { variant: "demo".into(), arch: "x86_64".into(), version: version.parse().unwrap() }
}

fn terms() -> Terms {
    let expiration =
        "snapshot_expiration = '2 weeks'\ntargets_expiration = '2 weeks'\ntimestamp_expiration = '1 week'";
    Terms {
        start: Timestamp::now(),
        expiration: ExpirationPolicy::parse(expiration).unwrap(),
        base: None,
        output: None,
    }
}

/// A release of the build in a folder, for everybody at once.
fn new_release(images: &Path, edges: &str) -> NewRelease {
    NewRelease {
        images: images.to_owned(),
        build: Build::load(images).unwrap(),
        waves: WavePolicy::parse("waves = []").unwrap(),
        release: Release::parse(&format!("version = '1.0.0'\n[migrations]\n{edges}")).unwrap(),
        migrations: images.to_owned(),
        release_notes: None,
        max_version: None,
        extra: Vec::new(),
        from_scratch: false,
        compression: seekable::Options::default(),
    }
}

#[tokio::test]
async fn a_release_is_published_as_documented() {
    let lab = Lab::new();
    lab.build("demo", "1.0.0", 1);
    let notes = ["repo", "--release-notes", "https://example.com/1.0.0"];
    assert_eq!(lab.ok(&notes), lab.path("build/repos/default/visco-1.0.0-abc").display().to_string());
    let existing = lab.load(&lab.root(1)).await;
    let update = existing.manifest.update(&id("1.0.0")).unwrap();
    assert_eq!(update.images.root, "visco-demo-x86_64-1.0.0-abc-root.ext4.lz4");
    assert_eq!(update.release_notes.as_deref(), Some("https://example.com/1.0.0"));
    assert_eq!(update.waves.bounds().map(|bound| bound.seed).collect::<Vec<_>>()[..3], [0, 20, 102]);
    let details = update.image_details.as_ref().unwrap();
    assert_eq!((details.root.size, details.boot.size), (200 * 4096, 50 * 4096));
    assert_eq!(details.root.salt.bytes(), b"salt");
    let built =
        fs::read_to_string(lab.path("build/images/x86_64-demo/latest/artifact-metadata.json")).unwrap();
    assert!(built.contains(&details.root.root_hash.to_string()), "the root hash is the one of the build");
    assert!(existing.target(details.boot.tree.as_ref().unwrap()).is_some());
    for end in ["-boot.ext4.lz4", "-root.ext4.lz4", "-root.verity.lz4", "-root.ext4.zst", "-root.ext4.seek"] {
        assert_eq!(targets(&lab.latest(), end).len(), 1, "{end}");
    }
    // The repository says when it was signed, and that every role ends by the policy.
    let [_, snapshot, targets, timestamp] = existing.expiries();
    assert!(snapshot.version == targets.version && targets.version == timestamp.version);
    let signed = i64::try_from(timestamp.version).unwrap();
    assert_eq!(timestamp.expires.as_second() - signed, 7 * 86_400);
    assert_eq!(snapshot.expires.as_second() - signed, 14 * 86_400);
    let said = lab.ok(&["validate-repo"]);
    assert!(said.contains("demo x86_64: valid; 1 updates") && said.contains("9 targets"), "{said}");
    let said = lab.ok(&["validate-repo", "--validate-targets", "false"]);
    assert!(said.contains("targets not fetched"), "{said}");
}

#[tokio::test]
async fn a_second_version_comes_on_top() {
    let lab = Lab::published();
    let before = lab.snapshot();
    lab.build("demo", "1.1.0", 2);
    let error = lab.fails(&["repo"]);
    assert!(error.contains("hosts of 1.0.0 cannot come to 1.1.0: add \"(1.0.0, 1.1.0)\" = []"), "{error}");
    assert_eq!(lab.snapshot(), before, "a refusal leaves nothing behind");
    lab.release(&["1.0.0 1.1.0"]);
    lab.ok(&["repo"]);
    let existing = lab.load(&lab.root(1)).await;
    let versions: Vec<_> = existing
        .manifest
        .updates
        .iter()
        .map(|u| (u.version.to_string(), u.max_version.to_string()))
        .collect();
    assert_eq!(versions, [("1.0.0", "1.1.0"), ("1.1.0", "1.1.0")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    // The old repository is as it was, and shares its targets with the new one.
    for (path, content) in &before {
        assert!(path.ends_with("latest") || fs::read(path).unwrap() == *content, "{}", path.display());
    }
    let root = "visco-demo-x86_64-1.0.0-abc-root.ext4.lz4";
    let [old, new] =
        ["visco-1.0.0-abc", "visco-1.1.0-abc"].map(|name| lab.path("build/repos/default").join(name));
    let inode = |folder: &Path| fs::metadata(&targets(folder, root)[0]).unwrap().ino();
    assert_eq!(inode(&old), inode(&new));
    // A host that read the timestamp just before finds what it names.
    let version = load(&old, "demo", &lab.root(1)).await.unwrap().expiries()[1].version;
    assert!(new.join(format!("demo/x86_64/{version}.snapshot.json")).exists());
    assert!(lab.ok(&["validate-repo"]).contains("2 updates"));
}

#[tokio::test]
async fn versions_that_are_cut_off_are_refused_and_reported() {
    let lab = Lab::published();
    lab.release(&["1.0.0 1.1.0"]);
    lab.build("demo", "1.1.0", 2);
    lab.ok(&["repo"]);
    let said = lab.run(&["validate-repo", "--validate-targets", "false"]);
    assert!(said.status.success() && said.stderr.is_empty());
    lab.release(&["1.1.0 1.2.0"]);
    lab.build("demo", "1.2.0", 3);
    let error = lab.fails(&["repo"]);
    assert!(error.contains("hosts of 1.0.0 cannot come to 1.2.0: add \"(1.0.0, 1.1.0)\" = []"), "{error}");
    signed(&lab, |publication| publication.manifest.migrations.clear()).await;
    let said = lab.run(&["validate-repo", "--validate-targets", "false"]);
    let warning = String::from_utf8(said.stderr).unwrap();
    assert!(said.status.success() && warning.contains("do not lead its hosts"), "{warning}");
    assert!(warning.contains("update=demo 1.0.0 for x86_64"), "{warning}");
}

#[test]
fn the_same_version_is_refused() {
    let lab = Lab::published();
    let before = lab.snapshot();
    for args in [&["repo"][..], &["repo", "--outdir", "build/repos/default/again"]] {
        let error = lab.fails(args);
        assert!(error.contains("the manifest has demo 1.0.0 for x86_64 already"), "{error}");
    }
    assert_eq!(lab.snapshot(), before);
}

#[tokio::test]
async fn from_scratch_builds_upon_nothing() {
    let lab = Lab::published();
    let base = lab.latest().display().to_string();
    // The same version once more, and another one to which no step leads.
    for version in ["1.0.0", "1.1.0"] {
        lab.build("demo", version, 2);
        let folder = lab.path("out").join(version);
        let args = ["repo", "--from-scratch", "--outdir", folder.to_str().unwrap()];
        let output = lab.run(&[&args[..], &["--base", &base]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("'--from-scratch' cannot be used with '--base <WHERE>'"), "{error}");
        lab.ok(&args);
        let existing = load(&folder, "demo", &lab.root(1)).await.unwrap();
        let versions: Vec<_> = existing.manifest.updates.iter().map(|u| u.version.to_string()).collect();
        assert_eq!(versions, [version]);
        assert_eq!(existing.repository.all_targets().count(), 9);
    }
}

#[test]
fn a_mistyped_base_starts_no_repository() {
    let lab = Lab::published();
    lab.release(&["1.0.0 1.1.0"]);
    lab.build("demo", "1.1.0", 2);
    fs::create_dir(lab.path("empty")).unwrap();
    let before = lab.snapshot();
    for base in [lab.path("no-such"), lab.path("empty")] {
        let error = lab.fails(&["repo", "--base", base.to_str().unwrap()]);
        assert!(
            error.contains("there is no repository at") && error.contains("say --from-scratch"),
            "{error}"
        );
        assert_eq!(lab.snapshot(), before);
    }
}

#[test]
fn the_link_to_the_newest_stays_where_the_newest_goes_elsewhere() {
    let lab = Lab::published();
    let latest = fs::read_link(lab.latest()).unwrap();
    lab.ok(&["refresh-repo", "--outdir", "out/x"]);
    assert_eq!(fs::read_link(lab.latest()).unwrap(), latest);
    let names: Vec<_> = fs::read_dir(lab.path("out")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.contains(&"latest".into()), "{names:?}");
    lab.ok(&["refresh-repo", "--outdir", "build/repos/default/x"]);
    assert_eq!(fs::read_link(lab.latest()).unwrap(), Path::new("x"));
}

#[tokio::test]
async fn an_unchanged_image_is_compressed_once() {
    let lab = Lab::published();
    let cache = lab.path("build/repos/.cache");
    let entries = || {
        let entry = |entry: std::io::Result<fs::DirEntry>| {
            let path = entry.unwrap().path().join("image.zst");
            (path.metadata().unwrap().ino(), path)
        };
        fs::read_dir(&cache).unwrap().map(entry).collect::<std::collections::BTreeSet<_>>()
    };
    let first = entries();
    assert_eq!(first.len(), 2);
    lab.release(&["1.0.0 1.1.0"]);
    lab.build("demo", "1.1.0", 2);
    lab.ok(&["repo"]);
    let second = entries();
    assert!(second.len() == 3 && second.is_superset(&first), "only the root was compressed");
}

#[test]
fn a_damaged_cache_is_made_again() {
    let lab = Lab::new();
    let folder = lab.build("demo", "1.0.0", 1);
    let prepared = || {
        let prepared = prepare(
            &Build::load(&folder).unwrap(),
            &folder,
            &lab.path("cache"),
            &seekable::Options::default(),
        );
        prepared.unwrap().targets.into_iter().map(|target| target.path).collect::<Vec<_>>()
    };
    let made: Vec<_> = prepared().into_iter().filter(|path| path.starts_with(lab.path("cache"))).collect();
    assert_eq!(made.len(), 5);
    for path in made {
        let right = fs::read(&path).unwrap();
        let mut bad = right.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        for bad in [&bad[..], &bad[..middle]] {
            fs::write(&path, bad).unwrap();
            prepared();
            assert!(fs::read(&path).unwrap() == right, "{}", path.display());
        }
    }
}

#[test]
fn images_that_do_not_fit_are_refused() {
    let lab = Lab::new();
    let error = lab.fails(&["repo"]);
    assert!(error.contains("latest/artifact-metadata.json; build the image first"), "{error}");
    let folder = lab.build("demo", "1.0.0", 1);
    let error = lab.fails(&["repo", "--outdir", "build/repos/default/latest"]);
    assert!(error.contains("name another folder with --outdir"), "{error}");
    let other = lab.build("other", "1.0.0", 2);
    let name = |variant: &str, part: &str| format!("visco-{variant}-x86_64-1.0.0-abc-{part}.lz4");
    let hash = folder.join(name("demo", "root.verity"));
    let right = fs::read(&hash).unwrap();
    fs::copy(other.join(name("other", "root.verity")), &hash).unwrap();
    let error = lab.fails(&["repo"]);
    assert!(error.contains("root.verity.lz4 is not the hash tree of"), "{error}");
    fs::write(&hash, &right[..right.len() / 2]).unwrap();
    let error = lab.fails(&["repo"]);
    assert!(error.contains("unpack ") && error.contains("root.verity.lz4"), "{error}");
    fs::write(&hash, right).unwrap();
    let root = folder.join(name("demo", "root.ext4"));
    fs::write(&root, support::packed(&vec![1; 5000])).unwrap();
    let error = lab.fails(&["repo"]);
    assert!(error.contains("fill them up to a multiple of 4096"), "{error}");
    fs::remove_file(&root).unwrap();
    let error = lab.fails(&["repo"]);
    assert!(error.contains("there is no ") && error.contains("root.ext4.lz4"), "{error}");
    let error = lab.fails(&["repo", "--images", other.to_str().unwrap()]);
    assert!(error.contains("is a build of other x86_64, not of demo x86_64"), "{error}");
    assert!(!lab.latest().exists());
}

#[tokio::test]
async fn another_product_joins_the_folder() {
    let lab = Lab::published();
    lab.build("other", "1.0.0", 2);
    lab.ok(&["repo", "--variant", "other"]);
    let said = lab.ok(&["validate-repo"]);
    assert!(said.contains("demo x86_64: valid") && said.contains("other x86_64: valid"), "{said}");
    // The next version of one takes the other along.
    lab.release(&["1.0.0 1.1.0"]);
    lab.build("other", "1.1.0", 3);
    lab.ok(&["repo", "--variant", "other"]);
    let folder = fs::read_link(lab.latest()).unwrap();
    assert_eq!(folder, Path::new("visco-1.1.0-abc"));
    let said = lab.ok(&["validate-repo"]);
    assert!(
        said.contains("demo x86_64: valid; 1 updates") && said.contains("other x86_64: valid; 2"),
        "{said}"
    );
    lab.build("demo", "1.1.0", 4);
    lab.ok(&["repo"]);
    let said = lab.ok(&["validate-repo"]);
    assert!(
        said.contains("demo x86_64: valid; 2 updates") && said.contains("other x86_64: valid; 2"),
        "{said}"
    );
    // A folder that has metadata, and is not what is built upon, is left alone.
    lab.release(&["1.0.0 1.1.0", "1.1.0 1.2.0"]);
    lab.build("demo", "1.2.0", 5);
    let error = lab.fails(&["repo", "--outdir", "build/repos/default/visco-1.0.0-abc"]);
    assert!(error.contains("has metadata of demo x86_64 already"), "{error}");
}

#[tokio::test]
async fn a_release_is_withdrawn() {
    let lab = Lab::published();
    lab.release(&["1.0.0 1.1.0"]);
    lab.build("demo", "1.1.0", 2);
    lab.ok(&["repo"]);
    let error = lab.fails(&["withdraw", "1.2.0", "--reason", "x"]);
    assert!(error.contains("the manifest has no demo 1.2.0 for x86_64"), "{error}");
    let folder = lab.ok(&["withdraw", "1.1.0", "--reason", "disks are lost"]);
    assert!(folder.ends_with("-withdraw"), "{folder}");
    let existing = lab.load(&lab.root(1)).await;
    let update = existing.manifest.update(&id("1.1.0")).unwrap();
    assert_eq!(update.withdrawn.as_deref(), Some("disks are lost"));
    assert!(existing.manifest.updates.iter().all(|update| update.max_version.to_string() == "1.0.0"));
    lab.ok(&["validate-repo"]);
}

#[tokio::test]
async fn waves_are_set_paused_and_resumed() {
    let lab = Lab::published();
    let update = |existing: Existing| existing.manifest.update(&id("1.0.0")).unwrap().clone();
    let at_once = "tools/pubsys/policies/waves/everybody-at-once.toml";
    lab.ok(&["waves", "set", "1.0.0", "--wave-policy-path", at_once]);
    assert!(update(lab.load(&lab.root(1)).await).waves.is_empty());
    let ohno = "tools/pubsys/policies/waves/ohno-waves.toml";
    let begin = "2031-03-02T08:00:00Z";
    let args = ["waves", "set", "1.0.0", "--wave-policy-path", ohno, "--release-start-time", begin];
    // The time is that of the waves; metadata of the future would be as good.
    lab.ok(&args);
    let first = update(lab.load(&lab.root(1)).await).waves.bounds().next().unwrap();
    assert_eq!((first.seed, first.time.to_string()), (0, "2031-03-02T08:30:00Z".to_owned()));
    lab.ok(&["waves", "pause", "1.0.0", "--outdir", "build/repos/default/paused"]);
    assert!(update(lab.load(&lab.root(1)).await).paused);
    let error = lab.fails(&["waves", "pause", "1.0.0", "--outdir", "build/repos/default/twice"]);
    assert!(error.contains("is paused already"), "{error}");
    lab.ok(&["waves", "resume", "1.0.0", "--outdir", "build/repos/default/resumed"]);
    assert!(!update(lab.load(&lab.root(1)).await).paused);
}

#[test]
fn what_a_fleet_is_served_is_computed_from_two_releases() {
    let lab = Lab::published();
    let folder = lab.path("sources/models/migrations/v1.1.0");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("rename-it.toml"), "description = 'why'\nrows = []").unwrap();
    let migration = "migrate_v1.1.0_rename-it.lz4";
    lab.release(&[&format!("1.0.0 1.1.0 {migration}"), "1.1.0 1.2.0"]);
    // Some blocks in the first frame change, and then every block.
    let mut root = support::bytes(1, 200);
    root[5 * 4096..8 * 4096].fill(7);
    lab.build_of("demo", "1.1.0", root);
    lab.ok(&["repo"]);
    lab.build("demo", "1.2.0", 3);
    lab.ok(&["repo"]);
    let target = |end: &str| targets(&lab.latest(), end).remove(0);
    let len = |end: &str| fs::metadata(target(end)).unwrap().len();
    let table = |version: &str| {
        let table = fs::read(target(&format!("-{version}-abc-root.ext4.seek"))).unwrap();
        seekable::SeekTable::parse(&table).unwrap()
    };
    let (first_frame, frames) = (table("1.1.0").compressed_range(0).end, table("1.2.0").compressed_len());
    assert!(first_frame < frames / 2);
    let measures = |version: &str| {
        let ends = ["root.verity.lz4", "root.ext4.seek", "boot.verity", "boot.ext4.seek"];
        ends.iter().map(|end| len(&format!("-{version}-abc-{end}"))).sum::<u64>()
    };
    let migration = len(migration);
    for (from, to, expected) in [
        ("1.0.0", "1.1.0", first_frame + measures("1.1.0") + migration),
        ("1.1.0", "1.2.0", frames + measures("1.2.0")),
        ("1.2.0", "1.2.0", measures("1.2.0")),
    ] {
        let said = lab.ok(&["waves", "simulate", "--hosts", "5", "--from", from, "--to", to, "--json"]);
        let curve: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(curve["delta_bytes"], expected, "{from} to {to}");
    }
    let error = lab.fails(&["waves", "simulate", "--from", "1.0.0", "--to", "1.3.0"]);
    assert!(error.contains("the repository has no demo 1.3.0 for x86_64"), "{error}");
    for args in [&["--from", "1.0.0"][..], &["--from", "1.0.0", "--to", "1.1.0", "--delta-bytes", "1"]] {
        assert_eq!(lab.run(&[&["waves", "simulate"], args].concat()).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn every_policy_that_is_shipped_is_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for file in fs::read_dir(folder.join("waves")).unwrap() {
        let path = file.unwrap().path();
        let policy = WavePolicy::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        policy.waves(Timestamp::now()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    for file in fs::read_dir(folder.join("repo-expiration")).unwrap() {
        ExpirationPolicy::parse(&fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
    }
}

#[tokio::test]
async fn a_host_with_the_old_root_follows_a_rotation() {
    let lab = Lab::published();
    let first = lab.root(1);
    lab.ok(&["root", "rotate", "--fresh-key"]);
    assert!(lab.path("keys/default.1.pem").exists() && !lab.path("keys/default.next.pem").exists());
    // Before it is published, the published repository still is the old one, and is built upon.
    assert_eq!(lab.load(&first).await.root().signed.version.get(), 1);
    lab.ok(&["refresh-repo"]);
    for root in [&first, &lab.root(2)] {
        assert_eq!(lab.load(root).await.root().signed.version.get(), 2);
    }
    let said = lab.ok(&["validate-repo"]);
    assert!(said.contains("loads from each of 2 versions of the root role"), "{said}");
    // The key that was replaced signs nothing any more.
    let error = lab.fails(&["--default-key-path", "keys/default.1.pem", "refresh-repo", "--outdir", "out/x"]);
    assert!(error.contains("sign the metadata with the configured keys"), "{error}");
    // A stranger's root role leads nowhere.
    let stranger = Lab::new();
    stranger.ok(&["root", "create"]);
    assert!(load(&lab.latest(), "demo", &stranger.root(1)).await.is_err());
    let error = lab.fails(&["root", "create"]);
    assert!(error.contains("roles/default.root.json exists"), "{error}");
}

#[tokio::test]
async fn a_rotation_that_was_interrupted_is_finished() {
    let lab = Lab::published();
    let [key, kept, next] =
        ["default.pem", "default.1.pem", "default.next.pem"].map(|name| lab.path(format!("keys/{name}")));
    let [newest, second] =
        ["default.root.json", "default/2.root.json"].map(|name| lab.path(format!("roles/{name}")));
    let old_key = fs::read(&key).unwrap();
    let old_root = fs::read(&newest).unwrap();
    lab.ok(&["root", "rotate", "--fresh-key"]);
    let new_key = fs::read(&key).unwrap();
    let new_root = fs::read(&newest).unwrap();
    let (old_key, new_key) = (Some(&old_key), Some(&new_key));
    let (old_root, new_root) = (Some(&old_root), Some(&new_root));
    // What there is of each file after each of the writes, in the order of these names.
    let files = [&key, &kept, &next, &second, &newest];
    for (at, state) in [
        ("the old key has its second name", [old_key, old_key, None, None, old_root]),
        ("the new key is made", [old_key, old_key, new_key, None, old_root]),
        ("the new root is kept", [old_key, old_key, new_key, new_root, old_root]),
        ("the new root is the newest", [old_key, old_key, new_key, new_root, new_root]),
        // Programs before this one renamed the keys one after the other.
        ("no key was renamed", [old_key, None, new_key, new_root, new_root]),
        ("the old key was renamed", [None, old_key, new_key, new_root, new_root]),
    ] {
        for (path, content) in files.into_iter().zip(state) {
            drop(fs::remove_file(path));
            if let Some(content) = content {
                fs::write(path, content).unwrap();
            }
        }
        lab.ok(&["root", "rotate", "--fresh-key"]);
        assert_eq!(lab.publisher().chain().unwrap().len(), 2, "{at}");
        assert!(!next.exists() && Some(&fs::read(&kept).unwrap()) == old_key, "{at}");
        let public = LocalKey { path: key.clone() }.public().await.unwrap();
        assert!(lab.root(2).has_root_key(&public).unwrap(), "{at}");
    }
    lab.ok(&["refresh-repo"]);
    assert_eq!(lab.load(&lab.root(1)).await.root().signed.version.get(), 2);
    // A key that is kept under the name already is not overwritten.
    fs::write(lab.path("keys/default.2.pem"), "another").unwrap();
    let error = lab.fails(&["root", "rotate", "--fresh-key"]);
    assert!(error.contains("keys/default.2.pem has another key than"), "{error}");
    assert_eq!(lab.publisher().chain().unwrap().len(), 2);
}

#[tokio::test]
async fn old_root_roles_of_the_base_are_checked() {
    let lab = Lab::published();
    lab.ok(&["root", "rotate", "--fresh-key"]);
    lab.ok(&["refresh-repo"]);
    // A publisher that has the second version from elsewhere takes the first from the repository.
    let first = lab.path("roles/default/1.root.json");
    let right = fs::read(&first).unwrap();
    let second = fs::read(lab.path("roles/default/2.root.json")).unwrap();
    fs::remove_file(first).unwrap();
    let published = lab.latest().canonicalize().unwrap().join("demo/x86_64/1.root.json");
    let stranger = Lab::new();
    stranger.ok(&["root", "create"]);
    let foreign = fs::read(stranger.path("roles/default.root.json")).unwrap();
    let mut changed = String::from_utf8(right.clone()).unwrap();
    let at = changed.find("\"threshold\": 1").or_else(|| changed.find("\"threshold\":1")).unwrap();
    changed.insert_str(at, "\"x\": 1, ");
    for (bytes, part) in [
        (&b"no JSON"[..], "understand the root role"),
        (changed.as_bytes(), "is signed by its own keys"),
        (&second, "is version 2 of the root role, not version 1"),
        (&foreign, "did not sign the version after it"),
        (&vec![b' '; (1 << 20) + 1], "one has at most 1048576"),
    ] {
        fs::write(&published, bytes).unwrap();
        let error = lab.fails(&["refresh-repo", "--outdir", "build/repos/default/x"]);
        assert!(error.contains(part) && error.contains("1.root.json"), "{part}: {error}");
    }
    fs::write(&published, &right).unwrap();
    lab.ok(&["refresh-repo", "--outdir", "build/repos/default/x"]);
    assert_eq!(fs::read(lab.latest().join("demo/x86_64/1.root.json")).unwrap(), right);
}

#[tokio::test]
async fn as_many_keys_sign_as_the_threshold_says() {
    let lab = Lab::new();
    for name in ["a", "b", "c", "sign"] {
        lab.ok(&["key", "create", lab.path(format!("keys/{name}.pem")).to_str().unwrap()]);
    }
    let infra = |root: &[&str], threshold: u32| {
        let keys: Vec<_> = root.iter().map(|k| format!("{{ file = {{ path = 'keys/{k}.pem' }} }}")).collect();
        let text = format!(
            "[repo.default]\nroot_keys = [{}]\nroot_key_threshold = {threshold}\n\
             signing_keys = {{ file = {{ path = 'keys/sign.pem' }} }}\n",
            keys.join(", ")
        );
        fs::write(lab.path("Infra.toml"), text).unwrap();
    };
    infra(&["a", "b"], 3);
    assert!(lab.fails(&["root", "create"]).contains("3 root keys must sign, but there are only 2"));
    infra(&["a", "b"], 2);
    lab.ok(&["root", "create"]);
    assert_eq!(lab.root(1).role.signatures.len(), 2);
    lab.build("demo", "1.0.0", 1);
    lab.ok(&["repo"]);
    // b is lost: two of the old keys must sign, and one is not enough.
    infra(&["a", "c"], 2);
    let error = lab.fails(&["root", "rotate"]);
    assert!(
        error.contains("version 2 of the root role is not signed by enough keys of version 1"),
        "{error}"
    );
    lab.ok(&["root", "rotate", "--old-root-key", "keys/b.pem"]);
    lab.ok(&["refresh-repo"]);
    assert_eq!(lab.load(&lab.root(1)).await.root().signed.version.get(), 2);
    let error = lab.fails(&["root", "rotate", "--fresh-key"]);
    assert!(error.contains("are named in Infra.toml"), "{error}");
    fs::remove_file(lab.path("keys/sign.pem")).unwrap();
    assert!(lab.fails(&["refresh-repo"]).contains("there is no key"));
}

#[test]
fn keys_of_a_cloud_are_refused_by_name() {
    let lab = Lab::new();
    lab.build("demo", "1.0.0", 1);
    for kind in ["kms = { key_id = 'x' }", "ssm = { parameter = '/x' }"] {
        fs::write(lab.path("Infra.toml"), format!("[repo.default]\nsigning_keys = {{ {kind} }}")).unwrap();
        let error = lab.fails(&["repo"]);
        assert!(error.contains("which is not supported here; supported is a key file"), "{error}");
    }
}

#[tokio::test]
async fn a_root_role_from_elsewhere_is_pinned() {
    let elsewhere = Lab::new();
    elsewhere.ok(&["root", "ensure"]);
    let root = elsewhere.path("roles/default.root.json");
    let sha512 = {
        let output = std::process::Command::new("sha512sum").arg(&root).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    let lab = Lab::new();
    let infra = |sha512: &str| {
        let text = format!(
            "[repo.default]\nroot_role_url = 'file://{}'\nroot_role_sha512 = '{sha512}'\n",
            root.display()
        );
        fs::write(lab.path("Infra.toml"), text).unwrap();
    };
    infra(&"0".repeat(128));
    let error = lab.fails(&["root", "ensure"]);
    assert!(error.contains(&sha512) && !lab.path("roles").exists(), "{error}");
    infra(&sha512);
    for _ in 0..2 {
        lab.ok(&["root", "ensure"]);
    }
    assert_eq!(fs::read(lab.path("roles/default.root.json")).unwrap(), fs::read(&root).unwrap());
}

#[tokio::test]
async fn metadata_are_refreshed_and_expired_ones_only_on_purpose() {
    let lab = Lab::new();
    let folder = lab.build("demo", "1.0.0", 1);
    let publisher = lab.publisher();
    publisher.ensure_root().await.unwrap();
    // Eight days ago: the timestamp is over, the rest is not.
    let then = publisher.now - SignedDuration::from_hours(8 * 24);
    let past = Publisher { now: then, ..publisher.clone() };
    let terms = Terms { start: then, ..terms() };
    publish_release(&past, &new_release(&folder, ""), &terms).await.unwrap();
    let error = lab.fails(&["check-repo-expirations"]);
    assert!(error.contains("expired role=timestamp"), "{error}");
    for args in [&["refresh-repo"][..], &["validate-repo"], &["withdraw", "1.0.0", "--reason", "x"]] {
        let error = lab.fails(args);
        assert!(error.contains("load the repository at") && error.contains("expired"), "{args:?}: {error}");
    }
    lab.ok(&["refresh-repo", "--unsafe-refresh"]);
    let existing = lab.load(&lab.root(1)).await;
    assert!(existing.expiries()[3].version > u64::try_from(then.as_second()).unwrap());
    assert_eq!(existing.manifest.updates.len(), 1);
    let said = lab.ok(&["check-repo-expirations"]);
    assert!(said.contains("timestamp expires at"), "{said}");
    let error = lab.fails(&["check-repo-expirations", "--expiration-limit", "10 days"]);
    assert!(error.contains("expires too soon role=timestamp") && !error.contains("role=snapshot"), "{error}");
    let error = lab.fails(&["refresh-repo", "--release-start-time", "2001-01-01T00:00:00Z"]);
    assert!(error.contains("the metadata would expire at 2001-01-15T00:00:00Z"), "{error}");
}

#[tokio::test]
async fn nothing_is_signed_below_an_expired_root() {
    let lab = Lab::new();
    let folder = lab.build("demo", "1.0.0", 1);
    // Eight days ago, when the root role had a week to live.
    let then = lab.publisher().now - SignedDuration::from_hours(8 * 24);
    let past = Publisher { now: then, ..lab.publisher() };
    past.create_root("1 week".parse().unwrap()).await.unwrap();
    let expired = "version 1 of the root role expired at";
    let error = lab.fails(&["repo"]);
    assert!(error.contains(expired) && error.contains("pubsys root rotate"), "{error}");
    assert!(!lab.latest().exists());
    let terms = Terms { start: then, ..terms() };
    publish_release(&past, &new_release(&folder, ""), &terms).await.unwrap();
    let before = lab.snapshot();
    let error = lab.fails(&["refresh-repo", "--unsafe-refresh"]);
    assert!(error.contains(expired), "{error}");
    assert_eq!(lab.snapshot(), before);
    lab.ok(&["root", "rotate"]);
    lab.ok(&["refresh-repo", "--unsafe-refresh"]);
    assert_eq!(lab.load(&lab.root(1)).await.root().signed.version.get(), 2);
}

#[tokio::test]
async fn versions_grow_though_the_clock_goes_back() {
    let lab = Lab::published();
    let before = lab.load(&lab.root(1)).await.expiries()[3].version;
    let publisher = lab.publisher();
    let publisher = Publisher { now: publisher.now - SignedDuration::from_hours(48), ..publisher };
    let change =
        Change { product: demo(), verb: "refresh", expiration: ExpirationEnforcement::Safe, edit: &Refresh };
    publish_change(&publisher, &change, &terms()).await.unwrap();
    assert_eq!(lab.load(&lab.root(1)).await.expiries()[3].version, before + 1);
}

#[tokio::test]
async fn what_was_tampered_with_is_found() {
    for end in ["-boot.ext4.lz4", "-root.ext4.zst", "-root.ext4.seek", "-boot.verity", "manifest.json"] {
        let lab = Lab::published();
        let path = &targets(&lab.latest(), end)[0];
        let mut content = fs::read(path).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        fs::write(path, &content).unwrap();
        let error = lab.fails(&["validate-repo"]);
        assert!(error.contains("Hash mismatch") || error.contains("hash mismatch"), "{end}: {error}");
        fs::write(path, &content[..middle]).unwrap();
        lab.fails(&["validate-repo"]);
        fs::remove_file(path).unwrap();
        lab.fails(&["validate-repo"]);
    }
}

/// What a publisher who can sign, but lies or errs, would publish.
async fn signed(lab: &Lab, change: impl Fn(&mut Publication)) {
    let publisher = lab.publisher();
    let chain = publisher.chain().unwrap();
    let base = Location::in_folder(&lab.latest()).unwrap();
    let existing = publisher.existing(&base, &demo(), ExpirationEnforcement::Safe).await.unwrap().unwrap();
    let mut publication = Publication {
        product: demo(),
        roots: publisher.roots.clone(),
        chain,
        keys: publisher.signing_keys().unwrap(),
        manifest: existing.manifest.clone(),
        existing: Some(existing),
        base: Some(base),
        targets: Vec::new(),
        expirations: terms().expiration.expirations(publisher.now).unwrap(),
        now: publisher.now,
        output: lab.path("build/repos/default/lies"),
        repos: publisher.repos(),
    };
    change(&mut publication);
    stage(&publication).await.unwrap().commit().unwrap();
}

#[tokio::test]
async fn false_claims_are_found() {
    type Lie = fn(&mut update_metadata::Update);
    let lies: [(Lie, &str); 8] = [
        (|update| update.image_details.as_mut().unwrap().root.size += 1, "the size of"),
        (|update| update.image_details.as_mut().unwrap().boot.sha256.0[0] ^= 1, "the SHA-256 of"),
        (|update| update.image_details.as_mut().unwrap().boot.root_hash.0[0] ^= 1, "the root hash of"),
        (|update| update.image_details.as_mut().unwrap().hash.sha256.0[0] ^= 1, "the SHA-256 of"),
        (
            |update| update.image_details.as_mut().unwrap().root.salt = "00".parse().unwrap(),
            "the salt of visco-demo-x86_64-1.0.0-abc-root.verity.lz4 is 00; it is 73616c74",
        ),
        (
            |update| {
                let details = update.image_details.as_mut().unwrap();
                details.root.seekable.clone_from(&details.boot.seekable);
                details.root.seek_table.clone_from(&details.boot.seek_table);
            },
            "the size of visco-demo-x86_64-1.0.0-abc-boot.ext4.zst is 819200; it is 204800",
        ),
        (
            |update| {
                let details = update.image_details.as_mut().unwrap();
                details.root.seek_table.clone_from(&details.root.seekable);
            },
            "understand the seek table",
        ),
        (|update| update.images.root.push('x'), "which is not in the repository"),
    ];
    for (lie, part) in lies {
        let lab = Lab::published();
        signed(&lab, |publication| lie(&mut publication.manifest.updates[0])).await;
        let error = lab.fails(&["validate-repo"]);
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn a_published_target_never_changes() {
    let lab = Lab::published();
    let publisher = lab.publisher();
    let base = Location::in_folder(&lab.latest()).unwrap();
    let existing = publisher.existing(&base, &demo(), ExpirationEnforcement::Safe).await.unwrap().unwrap();
    let publication = Publication {
        product: demo(),
        roots: publisher.roots.clone(),
        chain: publisher.chain().unwrap(),
        keys: publisher.signing_keys().unwrap(),
        manifest: existing.manifest.clone(),
        existing: Some(existing),
        base: Some(base),
        targets: vec![NewTarget {
            name: "visco-demo-x86_64-1.0.0-abc-root.ext4.lz4".into(),
            content: Content::Bytes(b"other".to_vec()),
        }],
        expirations: terms().expiration.expirations(publisher.now).unwrap(),
        now: publisher.now,
        output: lab.path("build/repos/default/other"),
        repos: publisher.repos(),
    };
    let error = stage(&publication).await.unwrap_err().to_string();
    assert!(error.contains("is published with another content"), "{error}");
}

#[tokio::test]
async fn a_crash_at_any_step_leaves_the_old_repository_or_the_new_one() {
    let lab = Lab::published();
    lab.release(&["1.0.0 1.1.0"]);
    lab.build("demo", "1.1.0", 2);
    lab.build("other", "1.0.0", 3);
    lab.ok(&["repo", "--variant", "other"]);
    let root = lab.root(1);
    let publisher = lab.publisher();
    // Into a new folder, and on top of the one that is there.
    for in_place in [true, false] {
        let mut steps = usize::MAX;
        let mut at = 0;
        while at <= steps {
            let copy = lab.path("build/repos/copy");
            drop(fs::remove_dir_all(&copy));
            let original = lab.path("build/repos/default");
            let copied = std::process::Command::new("cp").arg("-a").arg(original).arg(&copy).status();
            assert!(copied.unwrap().success());
            let base = Location::in_folder(&copy.join("latest")).unwrap();
            let existing =
                publisher.existing(&base, &demo(), ExpirationEnforcement::Safe).await.unwrap().unwrap();
            let (mut manifest, old) = (existing.manifest.clone(), existing.manifest.clone());
            manifest.withdraw(&id("1.0.0"), "it is a test").unwrap();
            let name = if in_place { "visco-1.0.0-abc" } else { "new" };
            let publication = Publication {
                product: demo(),
                roots: publisher.roots.clone(),
                chain: publisher.chain().unwrap(),
                keys: publisher.signing_keys().unwrap(),
                existing: Some(existing),
                base: Some(base),
                manifest: manifest.clone(),
                targets: vec![NewTarget { name: "extra".into(), content: Content::Bytes(b"extra".to_vec()) }],
                expirations: terms().expiration.expirations(publisher.now).unwrap(),
                now: publisher.now,
                output: copy.join(name),
                repos: copy.clone(),
            };
            let staged = stage(&publication).await.unwrap();
            steps = staged.steps.len();
            execute(&staged.steps[..at]).unwrap();
            drop(staged);
            let found = load(&copy.join("latest"), "demo", &root).await.unwrap();
            let is_new = found.manifest == manifest;
            assert!(is_new || found.manifest == old, "torn after step {at} of {steps}");
            assert!(is_new || at < steps, "not there after the last step");
            assert!(!is_new || found.read_target("extra").await.is_ok(), "metadata before targets at {at}");
            load(&copy.join("latest"), "other", &root).await.unwrap();
            at += 1;
        }
    }
}

#[test]
fn two_publishers_do_not_meet() {
    let lab = Lab::published();
    let lock = fs::File::options().append(true).open(lab.path("build/repos/default/.lock")).unwrap();
    lock.lock().unwrap();
    let error = lab.fails(&["refresh-repo"]);
    assert!(error.contains("somebody else publishes"), "{error}");
}

#[test]
fn migrations_become_targets() {
    let lab = Lab::published();
    lab.build("demo", "1.1.0", 2);
    let [rows, program] = ["migrate_v1.1.0_rename-it.lz4", "migrate_v1.1.0_with-code.lz4"];
    lab.release(&[&format!("1.0.0 1.1.0 {rows} {program}")]);
    let error = lab.fails(&["repo"]);
    assert!(error.contains("sources/models/migrations/v1.1.0/rename-it.toml"), "{error}");
    let folder = lab.path("sources/models/migrations");
    fs::create_dir_all(folder.join("v1.1.0")).unwrap();
    let path = folder.join("v1.1.0/rename-it.toml");
    fs::write(&path, "rows = [{ no-such = 1 }]").unwrap();
    let error = lab.fails(&["repo"]);
    assert!(error.contains("understand ") && error.contains("rename-it.toml"), "{error}");
    fs::write(&path, "description = 'why'\nrows = []").unwrap();
    fs::write(folder.join("migrate_v1.1.0_with-code"), b"\x7fELF program").unwrap();
    lab.ok(&["repo"]);
    lab.ok(&["validate-repo"]);
    assert_eq!(targets(&lab.latest(), rows).len(), 1);
    // Published, they need not be there any more, but if they are they must be the same.
    lab.build("demo", "1.2.0", 3);
    lab.release(&[&format!("1.0.0 1.1.0 {rows} {program}"), "1.1.0 1.2.0"]);
    fs::remove_file(folder.join("migrate_v1.1.0_with-code")).unwrap();
    fs::write(&path, "description = 'another'\nrows = []").unwrap();
    let error = lab.fails(&["repo"]);
    assert!(error.contains("is published with another content"), "{error}");
    fs::write(&path, "description = 'why'\nrows = []").unwrap();
    lab.ok(&["repo"]);
    lab.build("demo", "1.3.0", 4);
    lab.release(&[&format!("1.0.0 1.1.0 {rows} {program}"), "1.1.0 1.2.0", "1.2.0 1.3.0 rename-it"]);
    assert!(lab.fails(&["repo"]).contains("is not the name of a migration"));
}

/// A server of files; its address.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                request.push(byte[0]);
            }
            let request = String::from_utf8_lossy(&request);
            let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
            let (status, body) = match fs::read(folder.join(path)) {
                _ if path.starts_with("broken") => ("500 Broken", Vec::new()),
                Ok(body) => ("200 OK", body),
                Err(_) => ("403 Forbidden", Vec::new()),
            };
            let len = body.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n");
            // A client that has enough goes away.
            drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
        }
    });
    format!("http://{address}")
}

#[test]
fn a_repository_on_a_server_is_built_upon() {
    let lab = Lab::published();
    let server = serve(lab.path("build/repos/default"));
    let infra = |path: &str| {
        let text = format!(
            "[repo.default]\nmetadata_base_url = '{server}/{path}'\ntargets_url = '{server}/{path}/targets'\n"
        );
        fs::write(lab.path("Infra.toml"), text).unwrap();
    };
    lab.release(&["1.0.0 1.1.0"]);
    lab.build("demo", "1.1.0", 2);
    infra("wrong");
    let error = lab.fails(&["repo"]);
    assert!(error.contains("there is no repository at") && error.contains("say --from-scratch"), "{error}");
    infra("broken");
    let error = lab.fails(&["repo"]);
    assert!(error.contains("status 500"), "{error}");
    // From scratch nobody asks the server.
    lab.ok(&["repo", "--from-scratch", "--outdir", "out/scratch"]);
    infra("visco-1.0.0-abc");
    let product = ["--variant", "demo", "--arch", "x86_64"];
    let said = lab.ok(&[&["validate-repo"][..], &product].concat());
    assert!(said.contains("1 updates") && said.contains("9 targets"), "{said}");
    assert!(lab.fails(&["validate-repo"]).contains("name a --variant and an --arch"));
    lab.ok(&["repo"]);
    // What is new is here; the rest is on the server. Together they are whole.
    assert!(targets(&lab.latest(), "1.0.0-abc-root.ext4.lz4").is_empty());
    let [from, to] =
        ["visco-1.1.0-abc", "visco-1.0.0-abc"].map(|name| lab.path("build/repos/default").join(name));
    let status = std::process::Command::new("cp").arg("-r").arg(from.join(".")).arg(&to).status().unwrap();
    assert!(status.success());
    let said = lab.ok(&[&["validate-repo"][..], &product].concat());
    assert!(said.contains("2 updates"), "{said}");
}

#[tokio::test]
async fn the_report_counts() {
    let lab = Lab::published();
    let location = Location::in_folder(&lab.latest()).unwrap();
    let roots: Vec<RootVersion> = lab.publisher().chain().unwrap();
    let report = validate(&location, &demo(), &roots, true).await.unwrap();
    assert_eq!((report.roots, report.targets, report.updates, report.details), (1, 9, 1, 1));
    let missing = Product { variant: "none".into(), arch: "x86_64".into() };
    let error = validate(&location, &missing, &roots, true).await.unwrap_err();
    assert!(host::program::chain(&error).contains("there is no repository at"), "{error}");
}

/// What `validate-python-tuf` says of what was published last, from a version of the root role.
fn python_tuf(lab: &Lab, root: &Path) -> (i32, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("validate-python-tuf");
    let said =
        std::process::Command::new(script).arg(lab.latest()).args(["demo", "x86_64"]).arg(root).output();
    let said = said.unwrap();
    let text = [said.stdout, said.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (said.status.code().unwrap(), text)
}

/// Needs the network once, to install python-tuf: `./make test-image -- repository`.
#[test]
#[ignore = "installs python-tuf from the network"]
fn python_tuf_reads_what_is_published() {
    let lab = Lab::new();
    // Of every kind of keys, and more than one must sign.
    lab.ok(&["key", "create", lab.path("keys/rsa.pem").to_str().unwrap()]);
    for (name, kind) in [("ed", &["ed25519"][..]), ("ec", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"])] {
        let path = lab.path(format!("keys/{name}.pem"));
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["genpkey", "-algorithm"]).args(kind).arg("-out").arg(path);
        assert!(openssl.stderr(std::process::Stdio::null()).status().unwrap().success());
    }
    let infra = |root: &str| {
        let key = |name: &str| format!("{{ file = {{ path = 'keys/{name}.pem' }} }}");
        let text = format!(
            "[repo.default]\nroot_keys = [{}, {}]\nroot_key_threshold = 2\nsigning_keys = [{}, {}]\n\
             pub_key_threshold = 2\n",
            key("rsa"),
            key(root),
            key("ed"),
            key("rsa")
        );
        fs::write(lab.path("Infra.toml"), text).unwrap();
    };
    infra("ed");
    lab.build("demo", "1.0.0", 1);
    lab.ok(&["root", "create"]);
    lab.ok(&["repo"]);
    let first = lab.path("roles/default/1.root.json");
    let (code, said) = python_tuf(&lab, &first);
    assert!(code == 0 && said.contains("9 targets of demo x86_64 are as signed"), "{said}");

    lab.release(&["1.0.0 1.1.0"]);
    lab.build("demo", "1.1.0", 2);
    lab.ok(&["repo"]);
    infra("ec");
    lab.ok(&["root", "rotate", "--old-root-key", "keys/ed.pem"]);
    lab.ok(&["withdraw", "1.1.0", "--reason", "a test"]);
    for root in [&first, &lab.path("roles/default.root.json")] {
        let (code, said) = python_tuf(&lab, root);
        assert!(code == 0 && said.contains("17 targets"), "{said}");
    }

    let target = &targets(&lab.latest(), "-1.1.0-abc-root.ext4.lz4")[0];
    let mut content = fs::read(target).unwrap();
    content[1000] ^= 1;
    fs::write(target, content).unwrap();
    let (code, said) = python_tuf(&lab, &first);
    assert!(code == 1 && said.contains("does not accept"), "{said}");
    let stranger = Lab::new();
    stranger.ok(&["root", "create"]);
    let (code, said) = python_tuf(&lab, &stranger.path("roles/default.root.json"));
    assert!(code == 1 && said.contains("was signed by"), "{said}");
}
