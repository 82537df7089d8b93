//! Signs metadata of every kind, right and wrong.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A root: which keys have which role. A key is a number.
#[derive(Clone)]
pub struct Root {
    /// Keys of the root role, and how many have to sign.
    pub keys: Vec<u8>,
    pub threshold: u64,
    /// Keys of the other roles; one has to sign.
    pub online: Vec<u8>,
    /// Keys that sign this root.
    pub signers: Vec<u8>,
    /// Its version, where it is not its place.
    pub version: Option<u64>,
    pub expires: Timestamp,
}

impl Root {
    /// A root with a key of its own and an online key, signed by some.
    pub fn new(key: u8, online: u8, signers: &[u8]) -> Self {
        let expires = later(365 * 24);
        Self {
            keys: vec![key],
            threshold: 1,
            online: vec![online],
            signers: signers.to_vec(),
            version: None,
            expires,
        }
    }
}

/// Somebody who has a repository.
#[derive(Clone)]
pub struct Publisher {
    /// From version 1.
    pub roots: Vec<Root>,
    pub timestamp: u64,
    pub snapshot: u64,
    pub targets: u64,
    pub timestamp_expires: Timestamp,
    pub snapshot_expires: Timestamp,
    pub targets_expires: Timestamp,
    /// Who signs the roles but root.
    pub signers: Vec<u8>,
    /// Whether lengths and digests of metadata are in the files that name them.
    pub measured: bool,
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Hours from now; fewer than none are in the past.
pub fn later(hours: i64) -> Timestamp {
    let time = Timestamp::now() + SignedDuration::from_hours(hours);
    // Metadata have whole seconds.
    Timestamp::from_second(time.as_second()).unwrap()
}

impl Publisher {
    /// One root, one online key, everything in order.
    pub fn new() -> Self {
        Self {
            roots: vec![Root::new(1, 100, &[1])],
            timestamp: 10,
            snapshot: 10,
            targets: 10,
            timestamp_expires: later(7 * 24),
            snapshot_expires: later(14 * 24),
            targets_expires: later(14 * 24),
            signers: vec![100],
            measured: true,
            files: BTreeMap::from([(
                "manifest.json".into(),
                br#"{"updates": [], "migrations": {}}"#.to_vec(),
            )]),
        }
    }

    #[must_use]
    pub fn with_file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.into(), content.into());
        self
    }

    /// The next release: all versions but that of the root go up.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            timestamp: self.timestamp + 1,
            snapshot: self.snapshot + 1,
            targets: self.targets + 1,
            ..self.clone()
        }
    }

    /// Writes the repository: `metadata` and `targets`.
    pub fn write(&self, folder: &Path) {
        let (metadata, targets) = (folder.join("metadata"), folder.join("targets"));
        fs::create_dir_all(&metadata).unwrap();
        fs::create_dir_all(&targets).unwrap();
        for (number, root) in (1..).zip(&self.roots) {
            fs::write(metadata.join(format!("{number}.root.json")), Self::root_of(number, root)).unwrap();
        }
        for (name, content) in &self.files {
            fs::write(targets.join(format!("{}.{name}", sha256(content))), content).unwrap();
        }
        let targets = self.targets_json();
        let snapshot = self.signed(&json!({
            "_type": "snapshot", "spec_version": "1.0.0", "version": self.snapshot,
            "expires": self.snapshot_expires,
            "meta": { "targets.json": self.meta(self.targets, &targets) },
        }));
        let timestamp = self.signed(&json!({
            "_type": "timestamp", "spec_version": "1.0.0", "version": self.timestamp,
            "expires": self.timestamp_expires,
            "meta": { "snapshot.json": self.meta(self.snapshot, &snapshot) },
        }));
        fs::write(metadata.join(format!("{}.targets.json", self.targets)), targets).unwrap();
        fs::write(metadata.join(format!("{}.snapshot.json", self.snapshot)), snapshot).unwrap();
        fs::write(metadata.join("timestamp.json"), timestamp).unwrap();
    }

    fn targets_json(&self) -> Vec<u8> {
        let entry =
            |content: &[u8]| json!({ "length": content.len(), "hashes": { "sha256": sha256(content) } });
        let files: Map<_, _> =
            self.files.iter().map(|(name, content)| (name.clone(), entry(content))).collect();
        self.signed(&json!({
            "_type": "targets", "spec_version": "1.0.0", "version": self.targets,
            "expires": self.targets_expires, "targets": files,
        }))
    }

    fn meta(&self, version: u64, file: &[u8]) -> Value {
        if self.measured {
            json!({ "version": version, "length": file.len(), "hashes": { "sha256": sha256(file) } })
        } else {
            json!({ "version": version })
        }
    }

    fn root_of(number: u64, root: &Root) -> Vec<u8> {
        let role = |keys: &[u8], threshold: u64| {
            let ids: Vec<_> = keys.iter().map(|key| key_id(*key)).collect();
            json!({ "keyids": ids, "threshold": threshold })
        };
        let online = || role(&root.online, 1);
        let keys: Map<_, _> =
            root.keys.iter().chain(&root.online).map(|key| (key_id(*key), public(*key))).collect();
        let signed = json!({
            "_type": "root", "spec_version": "1.0.0", "consistent_snapshot": true,
            "version": root.version.unwrap_or(number), "expires": root.expires, "keys": keys,
            "roles": {
                "root": role(&root.keys, root.threshold),
                "timestamp": online(), "snapshot": online(), "targets": online(),
            },
        });
        sign(&signed, &root.signers)
    }

    fn signed(&self, signed: &Value) -> Vec<u8> {
        sign(signed, &self.signers)
    }
}

/// The keys of a document are sorted and nothing in it has to be escaped, so its text is its canonical form.
fn sign(signed: &Value, signers: &[u8]) -> Vec<u8> {
    let text = serde_json::to_vec(signed).unwrap();
    let signature =
        |key: &u8| json!({ "keyid": key_id(*key), "sig": HEXLOWER.encode(pair(*key).sign(&text).as_ref()) });
    let signatures: Vec<_> = signers.iter().map(signature).collect();
    serde_json::to_vec(&json!({ "signed": signed, "signatures": signatures })).unwrap()
}

fn pair(key: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[key; 32]).unwrap()
}

fn public(key: u8) -> Value {
    json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": HEXLOWER.encode(pair(key).public_key().as_ref()) } })
}

fn key_id(key: u8) -> String {
    sha256(&serde_json::to_vec(&public(key)).unwrap())
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}
