//! Releases for a host in a directory: images, their targets, and the host.

#![allow(dead_code, reason = "not every test needs all of it")]

use crate::fake_host::{FakeHost, Shape};
use data_encoding::HEXLOWER;
use lz4_flex::frame::FrameEncoder;
use partitions::Attributes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use test_repository::{Place, Publisher};
use verity::{Salt, Tree};

pub(crate) const VARIANT: &str = "metal-dev";
pub(crate) const ARCH: &str = std::env::consts::ARCH;
pub(crate) const GOOD: Attributes = Attributes::NONE.with_priority(1).with_successful(true);
const BLOCK: usize = 4096;

/// The images of a version: mostly the same in all of them.
#[derive(Clone)]
pub(crate) struct Release {
    pub(crate) version: String,
    pub(crate) root: Vec<u8>,
    pub(crate) boot: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}

impl Release {
    /// Every tenth block differs from that of other releases.
    pub(crate) fn new(version: &str) -> Self {
        let blocks = |name: &str, count: usize| -> Vec<u8> {
            let block = |i: usize| {
                let of = if i.is_multiple_of(10) { version } else { "all" };
                noise(&format!("{name} {of} {i}"))
            };
            (0..count).flat_map(block).collect()
        };
        let (root, boot) = (blocks("root", 400), blocks("boot", 100));
        let mut hash = Vec::new();
        tree(&root).write_to(&mut hash, [7; 16]).unwrap();
        Self { version: version.into(), root, boot, hash }
    }

    fn prefix(&self) -> String {
        format!("visco-{VARIANT}-{ARCH}-{}-0a1b2c3d", self.version)
    }

    /// The documented names of its images.
    pub(crate) fn images(&self) -> [(String, &[u8]); 3] {
        let p = self.prefix();
        [
            (format!("{p}-boot.ext4.lz4"), &self.boot),
            (format!("{p}-root.ext4.lz4"), &self.root),
            (format!("{p}-root.verity.lz4"), &self.hash),
        ]
    }

    /// Its entry in the manifest, as documented.
    pub(crate) fn entry(&self, max: &str) -> Value {
        let [boot, root, hash] = self.images().map(|(name, _)| name);
        json!({
            "variant": VARIANT, "arch": ARCH, "version": self.version, "max_version": max, "waves": {},
            "images": { "boot": boot, "root": root, "hash": hash },
        })
    }

    /// What is ours in the manifest.
    pub(crate) fn details(&self) -> Value {
        let p = self.prefix();
        let image = |name: &str, data: &[u8]| {
            let tree = tree(data);
            json!({
                "size": data.len(), "sha256": HEXLOWER.encode(&Sha256::digest(data)), "root_hash": tree.root_hash().to_string(),
                "salt": HEXLOWER.encode(tree.salt().bytes()), "seekable": format!("{p}-{name}.ext4.zst"),
                "seek_table": format!("{p}-{name}.ext4.seek"),
            })
        };
        let mut boot = image("boot", &self.boot);
        boot["tree"] = format!("{p}-boot.verity").into();
        json!({
            "boot": boot, "root": image("root", &self.root),
            "hash": { "size": self.hash.len(), "sha256": HEXLOWER.encode(&Sha256::digest(&self.hash)) },
        })
    }

    /// Adds its images to a repository; with frames, if they are to be fetched in parts.
    pub(crate) fn publish(&self, mut publisher: Publisher, frames: bool) -> Publisher {
        for (name, data) in self.images() {
            publisher = publisher.with_file(&name, lz4(data));
        }
        if !frames {
            return publisher;
        }
        let p = self.prefix();
        for (name, data) in [("root", &self.root), ("boot", &self.boot)] {
            let mut image = Vec::new();
            let options = seekable::Options { frame_blocks: 4, level: 1, ..seekable::Options::default() };
            let table = seekable::compress(data.as_slice(), &mut image, &options).unwrap();
            publisher = publisher
                .with_file(&format!("{p}-{name}.ext4.zst"), image)
                .with_file(&format!("{p}-{name}.ext4.seek"), table.to_bytes());
        }
        let mut boot = Vec::new();
        tree(&self.boot).write_to(&mut boot, [8; 16]).unwrap();
        publisher.with_file(&format!("{p}-boot.verity"), boot)
    }
}

/// A host of version 1.0.0, and a repository that offers some.
pub(crate) struct Scene {
    pub(crate) place: Place,
    pub(crate) fake: FakeHost,
    pub(crate) running: Release,
}

impl Scene {
    /// The host runs 1.0.0 from set A; the repository is what the publisher has.
    pub(crate) fn new(publisher: &Publisher) -> Self {
        Self::shaped(publisher, Shape::default())
    }

    pub(crate) fn shaped(publisher: &Publisher, shape: Shape) -> Self {
        let scene = Self {
            place: Place::of(publisher),
            fake: FakeHost::new(shape, GOOD, Attributes::NONE),
            running: Release::new("1.0.0"),
        };
        for (number, data) in [(2, &scene.running.boot), (3, &scene.running.root), (4, &scene.running.hash)] {
            scene.fill(number, data);
        }
        scene.file("usr/lib/os-release", &format!("VARIANT_ID={VARIANT}\nVERSION_ID=1.0.0\n"));
        let root = fs::read_to_string(scene.place.root_json()).unwrap();
        scene.file("usr/share/updog/root.json", &root);
        scene.configure(&scene.place.url(), "");
        scene
    }

    /// Writes the configuration; what it is told of twice counts the second time.
    pub(crate) fn configure(&self, url: &str, more: &str) {
        let keys = ["seed = 5", "version_lock = \"latest\"", "ignore_waves = false"];
        let key = |line: &str| line.split(' ').next().unwrap().to_owned();
        let kept = keys.iter().filter(|line| !more.lines().any(|other| key(other) == key(line)));
        let kept: Vec<_> = kept.copied().collect();
        let text = format!(
            "metadata_base_url = \"{url}/metadata\"\ntargets_base_url = \"{url}/targets\"\n{}\n{more}\n",
            kept.join("\n")
        );
        self.file("etc/updog.toml", &text);
    }

    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.fake.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn fill(&self, number: u32, data: &[u8]) {
        let mut file = fs::OpenOptions::new().write(true).open(self.partition(number)).unwrap();
        file.write_all(data).unwrap();
    }

    pub(crate) fn partition(&self, number: u32) -> std::path::PathBuf {
        self.fake.path(format!("dev/vda{number}"))
    }

    /// Whether set B has the images of a release.
    pub(crate) fn set_b_is(&self, release: &Release) -> bool {
        [(5, &release.boot), (6, &release.root), (7, &release.hash)].into_iter().all(|(number, data)| {
            let found = fs::read(self.partition(number)).unwrap();
            found[..data.len()] == **data
        })
    }

    /// Gives set B's BOOT partition these attributes.
    pub(crate) fn mark_b(&self, attributes: Attributes) {
        let reading = self.fake.reading();
        let mut table = reading.table.clone();
        table.set_attributes(5, attributes).unwrap();
        reading.plan(&table).execute(&mut self.fake.open_disk()).unwrap();
    }

    /// Attributes of set B's BOOT partition.
    pub(crate) fn set_b(&self) -> Attributes {
        self.fake.reading().table.get(5).unwrap().attributes
    }
}

/// A repository that offers a version, with two migrations on the way.
pub(crate) fn offering(release: &Release, frames: bool) -> Publisher {
    let mut entry = release.entry(&release.version);
    if frames {
        entry["image_details"] = release.details();
    }
    let publisher = release.publish(Publisher::new(), frames);
    with_manifest(publisher, &[entry])
}

/// A repository with these updates in its manifest.
pub(crate) fn with_manifest(publisher: Publisher, updates: &[Value]) -> Publisher {
    let rows = br#"{"visco-migration": 1, "rows": []}"#;
    let names = ["migrate_v1.1.0_a.lz4", "migrate_v1.1.0_b.lz4"];
    let manifest = json!({
        "schema": 1, "updates": updates,
        "migrations": { "(1.0.0, 1.1.0)": names, "(0.9.0, 1.0.0)": [], "(1.1.0, 1.2.0)": [] },
    });
    names
        .iter()
        .fold(publisher, |publisher, name| publisher.with_file(name, lz4(rows)))
        .with_file("manifest.json", serde_json::to_vec(&manifest).unwrap())
}

fn tree(data: &[u8]) -> Tree {
    Tree::build(data, Salt::new(b"salt").unwrap()).unwrap()
}

fn lz4(data: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::new(Vec::new());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A block that does not compress and is like no other.
fn noise(name: &str) -> Vec<u8> {
    (0..BLOCK / 32).flat_map(|i| Sha256::digest(format!("{name} {i}"))).collect()
}
