//! Rules about crates: their manifests and the arrows between them.

use crate::Finding;

/// A crate of the workspace, as far as the rules look at it.
#[derive(Debug, Clone)]
pub(crate) struct Crate {
    pub(crate) name: String,
    /// Its folder, relative to the root, with `/` at the end.
    pub(crate) folder: String,
    pub(crate) manifest: toml::Table,
    /// Names of what it depends on outside its tests.
    pub(crate) dependencies: Vec<String>,
}

impl Crate {
    fn finding(&self, text: String) -> Finding {
        Finding::new(&format!("{}Cargo.toml", self.folder), 1, text)
    }
}

/// No crate below `from` depends on one below `to`, save the named ones.
struct NoArrow {
    from: &'static str,
    to: &'static str,
    save_from: &'static [&'static str],
    save_to: &'static [&'static str],
    why: &'static str,
}

const NO_ARROWS: &[NoArrow] = &[
    NoArrow {
        from: "sources/models/",
        to: "",
        save_from: &[],
        save_to: &["modeled-types", "settings", "defaults", "migrations", "user-data"],
        why: "models depend on nothing of ours but models",
    },
    NoArrow {
        from: "sources/host/",
        to: "",
        save_from: &[],
        save_to: &[],
        why: "the door to the machine knows nothing of what goes through it",
    },
    NoArrow {
        from: "sources/",
        to: "sources/api/datastore/",
        save_from: &["apiserver", "migrator"],
        save_to: &[],
        why: "only the server, and before it the migrator, open the datastore",
    },
    NoArrow {
        from: "sources/updater/",
        to: "sources/api/",
        save_from: &["migrator"],
        save_to: &[],
        why: "the updater knows nothing of the API",
    },
    NoArrow {
        from: "sources/bootstrap/",
        to: "sources/api/apiserver/",
        save_from: &[],
        save_to: &[],
        why: "the steps of the boot reach the server through its socket",
    },
    NoArrow {
        from: "sources/api/",
        to: "sources/api/apiserver/",
        save_from: &[],
        save_to: &[],
        why: "client and server share `wire`, nothing else",
    },
    NoArrow {
        from: "sources/",
        to: "sources/updater/",
        save_from: &[
            "updater",
            "thar-be-updates",
            "updog",
            "install",
            "repository",
            "test-repository",
            "migrator",
            "signpost",
            "seekable",
            "partitions",
            "verity",
            "update-metadata",
            "update-status",
        ],
        save_to: &["update-metadata", "update-status", "partitions", "seekable", "verity"],
        why: "settings and updates meet in a program, never in a library",
    },
    NoArrow {
        from: "sources/",
        to: "tools/",
        save_from: &[],
        save_to: &[],
        why: "what runs on the host does not need what runs beside it",
    },
];

/// Crates that decide and never act.
pub(crate) const PURE: &[&str] = &[
    "modeled-types",
    "settings",
    "defaults",
    "migrations",
    "netdog",
    "schnauzer",
    "update-metadata",
    "update-status",
    "user-data",
    "corndog",
    "certdog",
    "prairiedog",
    "host-containers",
];

/// Crates that touch the machine or the network.
const IO_CRATES: &[&str] = &[
    "axum",
    "host",
    "hyper",
    "hyper-util",
    "libc",
    "mio",
    "nix",
    "reqwest",
    "rusqlite",
    "rustix",
    "tempfile",
    "tokio",
    "tough",
    "tracing-subscriber",
    "ureq",
    "walkdir",
];

/// Names that say nothing about their subject.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "misc", "core"];

/// Arrows between our crates that must not be there.
pub(crate) fn arrows(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for from in crates {
        for name in &from.dependencies {
            let Some(to) = crates.iter().find(|to| to.name == *name && to.name != from.name) else {
                continue;
            };
            let broken = NO_ARROWS.iter().filter(|rule| {
                from.folder.starts_with(rule.from)
                    && to.folder.starts_with(rule.to)
                    && !rule.save_from.contains(&from.name.as_str())
                    && !rule.save_to.contains(&to.name.as_str())
            });
            findings.extend(broken.map(|rule| {
                from.finding(format!("{} must not depend on {}: {}", from.name, to.name, rule.why))
            }));
        }
    }
    findings
}

/// Dependencies of a pure crate that touch the machine.
pub(crate) fn purity(subject: &Crate) -> Vec<Finding> {
    if !PURE.contains(&subject.name.as_str()) {
        return Vec::new();
    }
    let impure = subject.dependencies.iter().filter(|name| IO_CRATES.contains(&name.as_str()));
    impure
        .map(|name| {
            subject.finding(format!(
                "{} is pure and must not depend on {name}: take the value, leave the reading to the caller",
                subject.name
            ))
        })
        .collect()
}

/// What every manifest has: a description, the workspace's edition, version and lints, the name of its folder.
pub(crate) fn manifest(subject: &Crate) -> Vec<Finding> {
    let mut findings = Vec::new();
    let package = subject.manifest.get("package").and_then(toml::Value::as_table);
    let described = package.and_then(|table| table.get("description")).and_then(toml::Value::as_str);
    if described.is_none_or(|text| text.trim().is_empty()) {
        findings.push(subject.finding("no `description`; say in a line what the crate is for".to_owned()));
    }
    for field in ["version", "edition", "rust-version", "license"] {
        if !package.is_some_and(|table| inherits(table.get(field))) {
            findings.push(
                subject
                    .finding(format!("`{field}` is not the workspace's; write `{field}.workspace = true`")),
            );
        }
    }
    if !inherits(subject.manifest.get("lints")) {
        findings.push(
            subject
                .finding("the lints are not the workspace's; write `[lints]` `workspace = true`".to_owned()),
        );
    }
    let folder = subject.folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if folder != subject.name {
        findings.push(
            subject.finding(format!("package {} is in folder {folder}; give both one name", subject.name)),
        );
    }
    if EMPTY_NAMES.contains(&subject.name.as_str()) {
        findings.push(
            subject
                .finding(format!("'{}' names no subject; name the crate by what it is about", subject.name)),
        );
    }
    findings
}

/// A module whose name says nothing about its subject. What the tests of a crate share is in `tests/common`, as
/// Cargo's own documents have it.
pub(crate) fn module_name(file: &str) -> Option<Finding> {
    if file.ends_with("/tests/common/mod.rs") {
        return None;
    }
    let path = file.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let name = path.rsplit('/').next()?;
    EMPTY_NAMES.contains(&name).then(|| {
        Finding::new(file, 1, format!("'{name}' names no subject; name the module by what it is about"))
    })
}

fn inherits(value: Option<&toml::Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn krate(folder: &str, dependencies: &[&str]) -> Crate {
        let name = folder.rsplit('/').next().unwrap().to_owned();
        let manifest = format!(
            "lints.workspace = true\n[package]\nname = '{name}'\ndescription = 'x'\nversion.workspace = true\n\
             edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n"
        );
        let dependencies = dependencies.iter().map(|name| (*name).to_owned()).collect();
        Crate { name, folder: format!("{folder}/"), manifest: manifest.parse().unwrap(), dependencies }
    }

    #[test]
    fn arrows_point_one_way() {
        for (from, to, allowed) in [
            ("sources/models/settings", "sources/models/modeled-types", true),
            ("sources/models/user-data", "sources/models/settings", true),
            ("sources/models/user-data", "sources/host", false),
            ("sources/models/settings", "sources/host", false),
            ("sources/host", "sources/models/settings", false),
            ("sources/api/apiserver", "sources/api/datastore", true),
            ("sources/updater/migrator", "sources/api/datastore", true),
            ("sources/api/apiclient", "sources/api/datastore", false),
            ("sources/api/wire", "sources/api/datastore", false),
            ("sources/bootstrap/sundog", "sources/api/datastore", false),
            ("sources/bootstrap/sundog", "sources/api/apiserver", false),
            ("sources/bootstrap/sundog", "sources/api/apiclient", true),
            ("sources/updater/updog", "sources/api/wire", false),
            ("sources/api/apiclient", "sources/api/apiserver", false),
            ("sources/api/apiserver", "sources/updater/updog", false),
            ("sources/api/apiserver", "tools/hostlab", false),
            ("tools/hostlab", "sources/api/datastore", true),
        ] {
            let target = krate(to, &[]);
            let findings = arrows(&[krate(from, &[&target.name]), target]);
            assert_eq!(findings.is_empty(), allowed, "{from} -> {to}: {findings:?}");
        }
    }

    #[test]
    fn pure_crates_have_no_io_dependency() {
        for (folder, dependency, allowed) in [
            ("sources/models/settings", "serde", true),
            ("sources/models/settings", "tokio", false),
            // It unpacks bytes in memory, and touches nothing.
            ("sources/models/user-data", "zstd", true),
            ("sources/models/user-data", "ureq", false),
            ("sources/bootstrap/schnauzer", "host", false),
            ("sources/api/datastore", "rusqlite", true),
        ] {
            assert_eq!(purity(&krate(folder, &[dependency])).is_empty(), allowed, "{folder} on {dependency}");
        }
    }

    #[test]
    fn manifests_inherit_and_describe() {
        assert_eq!(manifest(&krate("tools/tidy", &[])), []);
        for (field, value) in [("description", "' '"), ("version", "'1.0.0'"), ("edition", "'2021'")] {
            let mut subject = krate("tools/tidy", &[]);
            let value = format!("x = {value}").parse::<toml::Table>().unwrap()["x"].clone();
            subject.manifest["package"].as_table_mut().unwrap().insert(field.to_owned(), value);
            let findings = manifest(&subject);
            assert!(findings.len() == 1 && findings[0].text.contains(field), "{field}: {findings:?}");
        }
        let mut no_lints = krate("tools/tidy", &[]);
        no_lints.manifest.remove("lints");
        assert_eq!(manifest(&no_lints).len(), 1);
        let moved = Crate { folder: "tools/other/".to_owned(), ..krate("tools/tidy", &[]) };
        assert_eq!(manifest(&moved).len(), 1);
        assert_eq!(manifest(&krate("tools/common", &[])).len(), 1);
    }

    #[test]
    fn modules_are_named_by_subject() {
        for (file, allowed) in [
            ("a/src/key.rs", true),
            ("a/src/utils.rs", false),
            ("a/src/helpers/mod.rs", false),
            ("a/tests/common/mod.rs", true),
            ("a/src/common/mod.rs", false),
            ("core.md", true),
        ] {
            assert_eq!(module_name(file).is_none(), allowed, "{file}");
        }
    }
}
