//! Reads the tree and hands it to the rules.

use crate::crates::{Crate, PURE};
use crate::{Finding, crates, docs, documentation, outside, source, templates};
use serde::Deserialize;
use settings::Schema;
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Largest file of the tree, in bytes: what is larger is made by a task, not kept.
const FILE_BYTES: u64 = 1024 * 1024;

/// Why the tree could not be read.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("run {program}"))]
    Run { program: &'static str, source: std::io::Error },
    #[snafu(display("{program} ended with {status}: {stderr}"))]
    Exit { program: &'static str, status: std::process::ExitStatus, stderr: String },
    #[snafu(display("read what cargo metadata printed"))]
    Metadata { source: serde_json::Error },
    #[snafu(display("{} is not below the root", path.display()))]
    Outside { path: PathBuf },
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("read the manifest {}", path.display()))]
    Manifest { path: PathBuf, source: toml::de::Error },
}

/// The error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// All findings in the tree at `root`, in the order of their places.
pub fn check(root: &Path) -> Result<Vec<Finding>, Error> {
    let (files, mut findings) = read_files(root)?;
    let crates = read_crates(root)?;

    findings.extend(crates::arrows(&crates));
    for subject in &crates {
        findings.extend(crates::manifest(subject));
        findings.extend(crates::purity(subject));
    }
    findings.extend(documentation::undocumented(Schema::all().groups()));
    findings.extend(stale_templates(&files));
    for (file, text) in &files {
        findings.extend(check_file(file, text, &files, &crates));
    }
    findings.sort();
    Ok(findings)
}

fn check_file(file: &str, text: &str, files: &BTreeMap<String, String>, crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.ends_with(".rs") {
        findings.extend(crates::module_name(file));
        findings.extend(source::head(file, text));
        findings.extend(source::program_size(file, text));
        findings.extend(source::unfinished(file, text));
        if is_pure(file, crates) {
            findings.extend(source::purity(file, text));
        }
    }
    if file.ends_with(".md") {
        let is_there = |path: &str| {
            let folder = format!("{}/", path.trim_end_matches('/'));
            path.is_empty() || files.contains_key(path) || files.keys().any(|file| file.starts_with(&folder))
        };
        findings.extend(docs::links(file, text, is_there));
    }
    if file == "SPECIFICATION.md" {
        let names_test = |krate: &str, test: &str| names_test(krate, test, files, crates);
        let names_scenario = |name: &str| {
            let quoted = format!("\"{name}\"");
            files.iter().any(|(file, text)| file.starts_with("tools/bench/src/") && text.contains(&quoted))
        };
        findings.extend(docs::promises(file, text, names_test, names_scenario));
    }
    if file.starts_with("sources/templates/") {
        findings.extend(templates::unescaped(file, text));
    }
    if is_fragment(file) {
        findings.extend(templates::missing(file, text, &template_names(files)));
    }
    findings.extend(outside::machine_paths(file, text));
    findings.extend(outside::registries(file, text));
    findings
}

fn is_fragment(file: &str) -> bool {
    file.contains("/fragments/") && file.ends_with(".toml")
}

fn template_names(files: &BTreeMap<String, String>) -> Vec<&str> {
    files.keys().filter_map(|file| file.strip_prefix("sources/templates/")).collect()
}

fn stale_templates(files: &BTreeMap<String, String>) -> Vec<Finding> {
    let fragments = files.iter().filter(|(file, _)| is_fragment(file));
    let fragments: Vec<&str> = fragments.map(|(_, text)| text.as_str()).collect();
    templates::stale(templates::ABSENT, &template_names(files), &fragments)
}

/// A file that is too large to keep.
fn oversized(file: &str, bytes: u64) -> Option<Finding> {
    (bytes > FILE_BYTES)
        .then(|| Finding::new(file, 1, format!("{bytes} bytes; keep files to 1 MiB, make larger ones")))
}

fn is_pure(file: &str, crates: &[Crate]) -> bool {
    let pure = crates.iter().filter(|subject| PURE.contains(&subject.name.as_str()));
    pure.into_iter().any(|subject| file.starts_with(&format!("{}src/", subject.folder)))
}

fn names_test(krate: &str, test: &str, files: &BTreeMap<String, String>, crates: &[Crate]) -> bool {
    let Some(subject) =
        crates.iter().find(|subject| subject.name.replace('-', "_") == krate.replace('-', "_"))
    else {
        return false;
    };
    let function = format!("fn {test}(");
    files.iter().any(|(file, text)| file.starts_with(&subject.folder) && text.contains(&function))
}

/// The text of every file that git keeps or would keep, and what is wrong with the rest. A file that is not text
/// is there with no text, so that links to it resolve.
fn read_files(root: &Path) -> Result<(BTreeMap<String, String>, Vec<Finding>), Error> {
    let listed = output(root, "git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    let mut files = BTreeMap::new();
    let mut findings = Vec::new();
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let path = root.join(name);
        let Ok(metadata) = path.metadata() else { continue }; // deleted, and not yet committed as such
        if let Some(finding) = oversized(name, metadata.len()) {
            findings.push(finding);
            continue;
        }
        let bytes = std::fs::read(&path).context(ReadSnafu { path })?;
        files.insert(name.to_owned(), String::from_utf8(bytes).unwrap_or_default());
    }
    Ok((files, findings))
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

fn read_crates(root: &Path) -> Result<Vec<Crate>, Error> {
    let printed =
        output(root, "cargo", &["metadata", "--no-deps", "--format-version=1", "--locked", "--offline"])?;
    let metadata: Metadata = serde_json::from_str(&printed).context(MetadataSnafu)?;
    metadata.packages.into_iter().map(|package| read_crate(package, &metadata.workspace_root)).collect()
}

fn read_crate(package: Package, root: &Path) -> Result<Crate, Error> {
    let path = package.manifest_path;
    let folder = path.parent().and_then(|folder| folder.strip_prefix(root).ok());
    let folder = format!("{}/", folder.context(OutsideSnafu { path: &path })?.display());
    let text = std::fs::read_to_string(&path).context(ReadSnafu { path: &path })?;
    let manifest = text.parse().context(ManifestSnafu { path })?;
    let dependencies = package.dependencies.into_iter();
    let dependencies =
        dependencies.filter(|one| one.kind.as_deref() != Some("dev")).map(|one| one.name).collect();
    Ok(Crate { name: package.name, folder, manifest, dependencies })
}

fn output(root: &Path, program: &'static str, arguments: &[&str]) -> Result<String, Error> {
    let output =
        Command::new(program).args(arguments).current_dir(root).output().context(RunSnafu { program })?;
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), ExitSnafu { program, status: output.status, stderr });
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_tree_keeps_its_invariants() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let findings = check(&root).unwrap_or_else(|error| panic!("{}", chain(&error)));
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }

    #[test]
    fn files_have_at_most_a_mebibyte() {
        for (bytes, right) in [(0, true), (1 << 20, true), ((1 << 20) + 1, false), (u64::MAX, false)] {
            assert_eq!(oversized("a", bytes).is_none(), right, "{bytes}");
        }
    }

    #[test]
    fn a_test_is_found_by_crate_and_name() {
        let files = BTreeMap::from([("a/b-c/src/x.rs".to_owned(), "fn holds() {}".to_owned())]);
        let subject = Crate {
            name: "b-c".into(),
            folder: "a/b-c/".into(),
            manifest: toml::Table::new(),
            dependencies: vec![],
        };
        for (krate, test, found) in
            [("b_c", "holds", true), ("b-c", "holds", true), ("b-c", "hold", false), ("x", "holds", false)]
        {
            assert_eq!(
                names_test(krate, test, &files, std::slice::from_ref(&subject)),
                found,
                "{krate}::{test}"
            );
        }
    }

    #[test]
    fn files_fall_under_the_rules_of_their_place() {
        let files = BTreeMap::from([("sources/templates/motd".to_owned(), String::new())]);
        for (file, text, findings) in [
            ("a/src/key.rs", "fn a() {}\n", 0),
            ("a/src/lib.rs", "mod a;\n", 1),
            ("a/src/utils.rs", concat!("fn a() { todo", "!() }\n"), 2),
            ("README.md", "[t](sources/templates) [no](gone.md)\n", 1),
            ("sources/templates/motd", "{{{a}}}\n", 1),
            ("d/fragments/a.toml", "template-path = \"gone\"\n", 1),
            ("a.md", concat!("/home", "/me/a crates", ".io\n"), 2),
            ("SPECIFICATION.md", "| Promise | Proof |\n|---|---|\n| a | `x::y` |\n", 1),
        ] {
            assert_eq!(check_file(file, text, &files, &[]).len(), findings, "{file}");
        }
    }
}
