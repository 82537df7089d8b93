//! First-party sources: the folders a package names, as a Cargo workspace of their own.

use crate::context::{self, Context};
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Why sources could not be gathered.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("the package names the source group '{group}', and there is no folder {}", folder.display()))]
    MissingGroup { group: String, folder: PathBuf },
    #[snafu(transparent)]
    Context { source: context::Error },
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("parse {}", path.display()))]
    Parse {
        path: PathBuf,
        #[snafu(source(from(toml::de::Error, Box::new)))]
        source: Box<toml::de::Error>,
    },
}

/// Adds the source groups to a context: `sources/` of it is the root of a workspace that holds them and no other
/// crate. Tests stay outside, and so do the dependencies of tests, so that a change of them builds no package.
pub(crate) fn add(context: &mut Context, root: &Path, groups: &[String]) -> Result<(), Error> {
    if groups.is_empty() {
        return Ok(());
    }
    let mut members = BTreeSet::new();
    for group in groups {
        let folder = root.join("sources").join(group);
        ensure!(folder.is_dir(), MissingGroupSnafu { group, folder });
        for inner in context::list(&folder, &is_source)? {
            let (name, file) = (format!("sources/{group}/{inner}"), folder.join(&inner));
            if inner == "Cargo.toml" || inner.ends_with("/Cargo.toml") {
                members.insert(name.trim_end_matches("/Cargo.toml").to_owned());
                let manifest = without_tests(read_table(&file)?);
                context.add_text(format!("sources/{name}"), manifest.to_string())?;
            } else {
                context.add_file(format!("sources/{name}"), file)?;
            }
        }
    }
    let manifest = with_members(read_table(&root.join("Cargo.toml"))?, &members);
    context.add_text("sources/Cargo.toml", manifest.to_string())?;
    context.add_file("sources/Cargo.lock", root.join("Cargo.lock"))?;
    Ok(())
}

/// Whether a path inside a source group belongs to a build.
fn is_source(path: &str) -> bool {
    !path.split('/').any(|part| {
        part.starts_with('.') || matches!(part, "target" | "vendor" | "tests" | "benches" | "README.md")
    })
}

fn read_table(path: &Path) -> Result<Table, Error> {
    std::fs::read_to_string(path).context(ReadSnafu { path })?.parse().context(ParseSnafu { path })
}

/// The manifest of a crate without what only its tests need.
fn without_tests(mut manifest: Table) -> Table {
    for key in ["dev-dependencies", "test", "bench"] {
        manifest.remove(key);
    }
    manifest
}

/// The manifest of the workspace with other members.
fn with_members(mut manifest: Table, members: &BTreeSet<String>) -> Table {
    let mut workspace =
        manifest.remove("workspace").and_then(|value| value.try_into().ok()).unwrap_or_default();
    set_members(&mut workspace, members);
    manifest.insert("workspace".to_owned(), Value::Table(workspace));
    manifest
}

fn set_members(workspace: &mut Table, members: &BTreeSet<String>) {
    workspace.remove("exclude");
    workspace.remove("default-members");
    let members = members.iter().cloned().map(Value::String).collect();
    workspace.insert("members".to_owned(), Value::Array(members));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "Cargo.toml",
                "[workspace]\nmembers = ['sources/api/*', 'tools/*']\nexclude = ['packages']\n[profile.dev]\ndebug = 0",
            ),
            ("Cargo.lock", "version = 4"),
            ("sources/api/a/Cargo.toml", "package.name = 'a'\n[dev-dependencies]\ntempfile = '1'"),
            ("sources/api/a/src/main.rs", ""),
            ("sources/api/a/tests/a.rs", ""),
            ("sources/api/a/README.md", ""),
            ("sources/api/.swap", ""),
            ("sources/other/b/Cargo.toml", "package.name = 'b'"),
            ("sources/host/Cargo.toml", "package.name = 'host'"),
        ] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_build_sees_a_workspace_of_the_groups_alone() {
        let root = tree();
        let mut context = Context::default();
        add(&mut context, root.path(), &["api".into(), "host".into()]).unwrap();
        let names: Vec<_> = context.names().collect();
        assert_eq!(
            names,
            [
                "sources/Cargo.lock",
                "sources/Cargo.toml",
                "sources/sources/api/a/Cargo.toml",
                "sources/sources/api/a/src/main.rs",
                "sources/sources/host/Cargo.toml",
            ]
        );
        let out = root.path().join("out");
        context.lay_out(&out).unwrap();
        let manifest = read_table(&out.join("sources/Cargo.toml")).unwrap();
        let right: Table =
            "workspace.members = ['sources/api/a', 'sources/host']\nprofile.dev.debug = 0".parse().unwrap();
        assert_eq!(manifest, right);
        let member = read_table(&out.join("sources/sources/api/a/Cargo.toml")).unwrap();
        assert_eq!(member, "package.name = 'a'".parse().unwrap());
    }

    #[test]
    fn a_group_that_is_not_there_is_named() {
        let root = tree();
        let why = add(&mut Context::default(), root.path(), &["apy".into()]).unwrap_err().to_string();
        assert!(why.starts_with("the package names the source group 'apy', and there is no folder"), "{why}");
    }
}
