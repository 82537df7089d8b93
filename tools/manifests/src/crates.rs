//! What Cargo itself reads of a manifest, as far as builds of images look at it.

use crate::keys::{Error, NoTableSnafu, ParseManifestSnafu};
use serde::Deserialize;
use snafu::{OptionExt, ResultExt};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use toml::{Table, Value};

/// Folders of the packages that a crate names as dependencies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// Of `[build-dependencies]`: built before, and seen by the build.
    pub build: BTreeSet<PathBuf>,
    /// Of `[dependencies]`: needed at run time, built at some time.
    pub run: BTreeSet<PathBuf>,
}

/// A crate of the workspace of packages and variants.
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) dependencies: Dependencies,
    metadata: Option<Table>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    package: DocumentPackage,
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    build_dependencies: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct DocumentPackage {
    name: String,
    metadata: Option<Table>,
}

impl Crate {
    /// Reads the text of the manifest `file`.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, Error> {
        let document: Document = toml::from_str(text).context(ParseManifestSnafu { file })?;
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self {
            name: document.package.name,
            dependencies: Dependencies {
                build: paths(&folder, &document.build_dependencies),
                run: paths(&folder, &document.dependencies),
            },
            metadata: document.package.metadata,
            folder,
        })
    }

    /// Whether anything but Cargo has to do with it.
    pub(crate) fn has_metadata(&self) -> bool {
        self.metadata.is_some()
    }

    /// A table of the metadata, which must be there.
    pub(crate) fn table(&self, file: &Path, name: &'static str) -> Result<&Table, Error> {
        let found = self.metadata.as_ref().and_then(|metadata| metadata.get(name));
        found.and_then(Value::as_table).context(NoTableSnafu { file, table: name })
    }
}

/// Where the dependencies are that have a path; others are crates of a registry, which no image holds.
fn paths(folder: &Path, dependencies: &BTreeMap<String, Value>) -> BTreeSet<PathBuf> {
    let paths = dependencies.values().filter_map(|value| value.get("path")?.as_str());
    paths.map(|path| tidy(&folder.join(path))).collect()
}

/// The path without `.` and `..`, by its letters alone.
pub(crate) fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if tidied.file_name().is_some() => {
                tidied.pop();
            }
            other => tidied.push(other),
        }
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_tidied_by_their_letters() {
        for (path, right) in
            [("/a/b/../c", "/a/c"), ("a/./b", "a/b"), ("../a", "../a"), ("a/../../b", "../b"), ("/", "/")]
        {
            assert_eq!(tidy(Path::new(path)), Path::new(right), "{path}");
        }
    }

    #[test]
    fn dependencies_are_the_ones_with_a_path() {
        let text = "package.name = 'a'\n[dependencies]\nb = { path = '../b' }\nserde = '1'\n\
                    [build-dependencies]\nc-1_2 = { path = '../../packages/c-1_2' }";
        let read = Crate::parse(Path::new("packages/a/Cargo.toml"), text).unwrap();
        assert_eq!(read.dependencies.run, BTreeSet::from([PathBuf::from("packages/b")]));
        assert_eq!(read.dependencies.build, BTreeSet::from([PathBuf::from("packages/c-1_2")]));
    }
}
