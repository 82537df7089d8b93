//! A host with a datastore, and migrations to run on it.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use datastore::{Author, CommitRequest, Edit, Layer, Opened, Store};
use host::Host;
use lz4_flex::frame::FrameEncoder;
use migrations::to_target;
use migrator::{Error, Outcome, Planned, Request, Source, SourceError, Step, migrate, plan};
use semver::Version;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use tempfile::TempDir;
use update_metadata::{Edge, Migrations, chain};

/// A repository in memory.
#[derive(Clone, Default)]
pub struct Repository {
    pub edges: Migrations,
    pub targets: BTreeMap<String, Vec<u8>>,
}

impl Source for &Repository {
    fn chain(&self, from: &Version, to: &Version) -> Result<Vec<String>, SourceError> {
        Ok(chain(&self.edges, from, to)?.migrations)
    }

    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        let content = self.targets.get(name).ok_or_else(|| format!("there is no target {name}"))?;
        if content.len() as u64 > limit { Err("it is too long".into()) } else { Ok(content.clone()) }
    }
}

impl Repository {
    /// An edge with migrations, each a name and the rows of a document in TOML.
    pub fn edge(mut self, from: &str, to: &str, documents: &[(&str, &str)]) -> Self {
        let names = documents.iter().map(|(name, rows)| {
            let toml = format!("rows = [{rows}]");
            self.target(name, &to_target(&toml).unwrap_or_else(|fault| panic!("{toml}: {fault}")))
        });
        let names = names.collect();
        self.edges.insert(Edge::new(from.parse().unwrap(), to.parse().unwrap()).unwrap(), names);
        self
    }

    /// An edge with one program.
    pub fn program(mut self, from: &str, to: &str, name: &str, content: &[u8]) -> Self {
        let name = self.target(name, content);
        self.edges.insert(Edge::new(from.parse().unwrap(), to.parse().unwrap()).unwrap(), vec![name]);
        self
    }

    fn target(&mut self, name: &str, content: &[u8]) -> String {
        self.targets.insert(name.to_owned(), lz4(content));
        name.to_owned()
    }
}

pub fn lz4(content: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::new(Vec::new());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A host in a directory.
pub struct Lab {
    pub host: Host,
    _directory: TempDir,
}

pub const LINK: &str = "/var/lib/bottlerocket/datastore/current";

/// What every store of these tests holds in its layers.
pub fn settings() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        ("default", json!({"settings.motd": "default", "settings.ntp.time-servers": ["pool"]})),
        ("generated", json!({"settings.hostname": "made"})),
        ("user-data", json!({"settings.motd": "user", "settings.old.a": 1, "settings.gone": "away"})),
        ("api", json!({"settings.motd": "api", "settings.old.b": [true]})),
    ])
}

impl Lab {
    /// A host whose store is of a version, reached by the one link.
    pub fn new(version: &str) -> Self {
        let lab = Self::empty();
        let folder = format!("v{version}_0123456789abcdef");
        lab.link("current", &folder);
        lab.fill(&folder, &settings());
        lab
    }

    /// A host with the folder of all stores and nothing in it.
    pub fn empty() -> Self {
        let directory = TempDir::with_prefix("v").unwrap();
        let host = Host::new(directory.path());
        let lab = Self { host, _directory: directory };
        fs::create_dir_all(lab.folder()).unwrap();
        lab
    }

    pub fn folder(&self) -> PathBuf {
        self.host.path("/var/lib/bottlerocket/datastore")
    }

    pub fn link(&self, name: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.folder().join(name)).unwrap();
    }

    /// Makes a store with leaves in its layers.
    pub fn fill(&self, folder: &str, layers: &BTreeMap<&str, Value>) {
        let edits = layers.iter().flat_map(|(layer, leaves)| {
            let layer = Layer::from_name(layer).unwrap();
            let leaves = leaves.as_object().unwrap().iter();
            leaves.map(move |(key, value)| Edit {
                layer,
                key: key.parse().unwrap(),
                value: Some(value.clone()),
            })
        });
        self.commit_to(folder, edits.collect());
    }

    fn commit_to(&self, folder: &str, edits: Vec<Edit>) {
        let Opened { mut store, snapshot, .. } =
            Store::open(&self.folder().join(folder).join("settings.db")).unwrap();
        let author = Author { uid: 1000, pid: 7, program: "test".into() };
        store.commit(&snapshot, CommitRequest::new(edits, author)).unwrap();
    }

    /// Sets a key through the API, or unsets it.
    pub fn set(&self, key: &str, value: &Value) {
        let value = Some(value.clone()).filter(|value| !value.is_null());
        let edit = Edit { layer: Layer::Api, key: key.parse().unwrap(), value };
        self.commit_to("current", vec![edit]);
    }

    /// What the store holds that `current` leads to, its history checked.
    pub fn layers(&self) -> BTreeMap<&'static str, Value> {
        let Opened { store, snapshot, quarantined, .. } =
            Store::open(&self.folder().join("current/settings.db")).unwrap();
        assert_eq!(quarantined, []);
        store.verify_history().unwrap();
        let leaves = |layer| -> Value {
            let pairs =
                snapshot.layer(layer).map(|(key, leaf)| (key.as_str().to_owned(), (*leaf.value).clone()));
            Value::Object(pairs.collect())
        };
        Layer::ALL.into_iter().map(|layer| (layer.name(), leaves(layer))).collect()
    }

    pub fn request(&self, to: &str) -> Request {
        let random = fs::read_dir(self.folder()).unwrap().count() as u64;
        Request { link: LINK.into(), to: to.parse().unwrap(), random }
    }

    pub fn plan(&self, to: &str, repository: &Repository) -> Result<Planned, Error> {
        plan(&self.host, &self.request(to), || Ok(repository))
    }

    pub fn migrate(&self, to: &str, repository: &Repository) -> Result<Outcome, Error> {
        migrate(&self.host, &self.request(to), 1, || Ok(repository))
    }

    /// Names in the folder of all stores: those of stores without their random end, links with where they lead.
    pub fn names(&self) -> Vec<String> {
        let short = |name: String| {
            let version = name.split_once('_').map(|(version, _)| version.to_owned());
            version.unwrap_or(name)
        };
        let entries = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap());
        let mut names: Vec<String> = entries
            .map(|entry| {
                let name = short(entry.file_name().into_string().unwrap());
                match fs::read_link(entry.path()) {
                    Ok(target) => format!("{name} -> {}", short(target.display().to_string())),
                    Err(_) => name,
                }
            })
            .collect();
        names.sort();
        names
    }
}

/// The steps of a plan, shortly.
pub fn steps(planned: &Planned) -> Vec<Step> {
    match planned {
        Planned::Migrate(plan) => plan.steps(),
        other => panic!("no migration is planned: {other:?}"),
    }
}
