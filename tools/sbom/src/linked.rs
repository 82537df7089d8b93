//! Crates linked into programs, as Cargo resolved them.

use serde::{Deserialize, Serialize};
use snafu::{OptionExt, ResultExt, Snafu};
use std::collections::{BTreeMap, BTreeSet};

/// A crate from a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// What its manifest says, empty if that is nothing.
    pub licence: String,
    /// SHA-256 of its archive.
    pub checksum: String,
}

/// What Cargo says of a workspace that does not tell what is linked.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum LinkedError {
    #[snafu(display("understand the answer of cargo metadata"))]
    ParseMetadata { source: serde_json::Error },
    #[snafu(display("read Cargo.lock"))]
    ParseLock { source: toml::de::Error },
    #[snafu(display("the workspace has no package {name}"))]
    NoSuchPackage { name: String },
    #[snafu(display("the answer of cargo metadata names {id} and does not describe it"))]
    NotDescribed { id: String },
}

/// A workspace with all its dependencies, resolved for one platform.
#[derive(Debug)]
pub struct Workspace {
    packages: BTreeMap<String, Package>,
    nodes: BTreeMap<String, Vec<Dependency>>,
    members: Vec<String>,
    /// By name and version.
    checksums: BTreeMap<(String, String), String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    /// None is what programs use, as opposed to what builds and tests use.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Package {
    fn runs_in_the_compiler(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }
}

impl Workspace {
    /// Reads what `cargo metadata --format-version 1 --filter-platform TARGET` says, and the `Cargo.lock`.
    pub fn parse(metadata: &str, cargo_lock: &str) -> Result<Self, LinkedError> {
        let metadata: Metadata = serde_json::from_str(metadata).context(ParseMetadataSnafu)?;
        let lock: Lock = toml::from_str(cargo_lock).context(ParseLockSnafu)?;
        let checksum = |Locked { name, version, checksum }| Some(((name, version), checksum?));
        Ok(Self {
            packages: metadata.packages.into_iter().map(|package| (package.id.clone(), package)).collect(),
            nodes: metadata.resolve.nodes.into_iter().map(|node| (node.id, node.deps)).collect(),
            members: metadata.workspace_members,
            checksums: lock.package.into_iter().filter_map(checksum).collect(),
        })
    }

    /// The names of the workspace's own packages.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.members.iter().filter_map(|id| Some(self.packages.get(id)?.name.as_str()))
    }

    /// The registry's crates in programs of the named members, sorted: not those that only run while they are built
    /// or tested.
    pub fn crates_linked_into(&self, members: &[&str]) -> Result<Vec<Crate>, LinkedError> {
        let mut pending = Vec::new();
        for name in members {
            let is_meant = |id: &&String| self.packages.get(*id).is_some_and(|package| package.name == *name);
            let id = self.members.iter().find(is_meant).context(NoSuchPackageSnafu { name: *name })?;
            pending.push(id.as_str());
        }
        let mut seen: BTreeSet<&str> = pending.iter().copied().collect();
        let mut crates = BTreeSet::new();
        while let Some(id) = pending.pop() {
            crates.extend(self.describe(self.packages.get(id).context(NotDescribedSnafu { id })?));
            for dependency in self.nodes.get(id).context(NotDescribedSnafu { id })? {
                let id = dependency.pkg.as_str();
                let package = self.packages.get(id).context(NotDescribedSnafu { id })?;
                let linked = dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
                if linked && !package.runs_in_the_compiler() && seen.insert(id) {
                    pending.push(id);
                }
            }
        }
        Ok(crates.into_iter().collect())
    }

    /// A package as a crate, if it is from a registry.
    fn describe(&self, package: &Package) -> Option<Crate> {
        package.source.as_ref()?;
        let Package { name, version, license, .. } = package;
        // A slash is how manifests used to say OR.
        let licence = license.as_deref().unwrap_or_default().replace('/', " OR ");
        let checksum = self.checksums.get(&(name.clone(), version.clone())).cloned().unwrap_or_default();
        Some(Crate { name: name.clone(), version: version.clone(), licence, checksum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const LOCK: &str =
        "package = [{ name = 'serde', version = '1', checksum = 'aa' }, { name = 'ours', version = '1' }]";

    fn package(id: &str, source: &str, kind: &str) -> Value {
        let source = (!source.is_empty()).then_some(source);
        json!({"id": id, "name": id, "version": "1", "license": "MIT/Zlib", "source": source, "targets": [{"kind": [kind]}]})
    }

    fn dependency(on: &str, kind: &Value) -> Value {
        json!({"pkg": on, "dep_kinds": [{"kind": kind, "target": null}]})
    }

    /// `ours` uses `lib` and `serde`, is built with `cc` and tested with `proptest`; `tool` uses `clap`.
    fn workspace() -> Workspace {
        let packages = [
            package("ours", "", "bin"),
            package("lib", "", "lib"),
            package("tool", "", "bin"),
            package("serde", "registry", "lib"),
            package("derive", "registry", "proc-macro"),
            package("syn", "registry", "lib"),
            package("cc", "registry", "lib"),
            package("proptest", "registry", "lib"),
            package("clap", "registry", "lib"),
        ];
        let normal = |on| dependency(on, &Value::Null);
        let nodes = json!([
            {"id": "ours", "deps": [normal("lib"), dependency("cc", &json!("build")), dependency("proptest", &json!("dev"))]},
            {"id": "lib", "deps": [normal("serde"), normal("derive")]},
            {"id": "tool", "deps": [normal("clap")]},
            {"id": "serde", "deps": [normal("serde")]},
            {"id": "derive", "deps": [normal("syn")]},
            {"id": "clap", "deps": []},
        ]);
        let metadata = json!({
            "packages": packages,
            "workspace_members": ["ours", "lib", "tool"],
            "resolve": {"nodes": nodes},
        });
        Workspace::parse(&metadata.to_string(), LOCK).unwrap()
    }

    #[test]
    fn only_what_a_program_uses_when_it_runs_is_linked() {
        let workspace = workspace();
        assert_eq!(workspace.members().collect::<Vec<_>>(), ["ours", "lib", "tool"]);
        let names = |members: &[&str]| -> Vec<String> {
            let crates = workspace.crates_linked_into(members).unwrap();
            crates.into_iter().map(|linked| linked.name).collect()
        };
        assert_eq!(names(&["ours"]), ["serde"]);
        assert_eq!(names(&["tool"]), ["clap"]);
        assert_eq!(names(&["ours", "tool"]), ["clap", "serde"]);
        let [serde] = &workspace.crates_linked_into(&["lib"]).unwrap()[..] else { panic!() };
        assert_eq!((serde.licence.as_str(), serde.checksum.as_str()), ("MIT OR Zlib", "aa"));
    }

    #[test]
    fn what_does_not_tell_is_refused() {
        assert!(workspace().crates_linked_into(&["serde"]).unwrap_err().to_string().contains("serde"));
        let gap = json!({"packages": [package("a", "", "bin")], "workspace_members": ["a"], "resolve": {"nodes": []}});
        let error = Workspace::parse(&gap.to_string(), "").unwrap().crates_linked_into(&["a"]).unwrap_err();
        assert!(error.to_string().contains("names a and does not"), "{error}");
        assert!(Workspace::parse("{}", "").is_err());
        assert!(Workspace::parse(&gap.to_string(), "package = 1").is_err());
    }
}
