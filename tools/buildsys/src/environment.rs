//! What a build is told through the environment, and which of it makes Cargo run a build again.

use manifests::{Arch, UnknownArch};
use snafu::{OptionExt, ResultExt, Snafu};
use std::path::PathBuf;

/// Reads one variable; nothing if it is unset.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Variables on which every build depends.
const SHARED: &[&str] = &[
    "BUILDSYS_ARCH",
    "BUILDSYS_FORCE",
    "BUILDSYS_LOGS_DIR",
    "BUILDSYS_PACKAGES_DIR",
    "BUILDSYS_ROOT_DIR",
    "BUILDSYS_SDK_IMAGE",
    "BUILDSYS_STATE_DIR",
];

/// Variables on which the build of a package depends besides: never the variant, never a version.
const OF_PACKAGES: &[&str] = &["BUILDSYS_LOOKASIDE_DIR"];

/// Variables on which the build of a variant depends besides.
const OF_VARIANTS: &[&str] = &[
    "BUILDSYS_NAME",
    "BUILDSYS_OUTPUT_DIR",
    "BUILDSYS_PRETTY_NAME",
    "BUILDSYS_TOOLS_DIR",
    "BUILDSYS_VARIANT",
    "BUILDSYS_VERSION_BUILD",
    "BUILDSYS_VERSION_IMAGE",
    "PUBLISH_REPO_ROOT_JSON",
];

/// What is wrong with the environment.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("{name} is not set; builds are started by ./make, which sets it"))]
    Unset { name: &'static str },
    #[snafu(display("read BUILDSYS_ARCH"))]
    ReadArch { source: UnknownArch },
}

/// What every build is told.
#[derive(Clone, Debug)]
pub struct Shared {
    /// What is built for.
    pub arch: Arch,
    /// The root of the tree.
    pub root: PathBuf,
    /// Where builds keep what only they read.
    pub state: PathBuf,
    /// Where the RPMs are, in a folder for each package.
    pub packages: PathBuf,
    /// Where the output of builds is kept for people.
    pub logs: PathBuf,
    /// Name and tag of the SDK image.
    pub sdk: String,
    /// Anything: build even if nothing changed, and again if this changes. The layers of docker are not used.
    pub force: Option<String>,
    /// The folder of the crate.
    pub crate_folder: PathBuf,
}

/// What the build of a package is told.
#[derive(Clone, Debug)]
pub struct OfPackage {
    /// What every build is told.
    pub shared: Shared,
    /// Where fetched files are.
    pub lookaside: PathBuf,
}

/// What the build of a variant is told.
#[derive(Clone, Debug)]
pub struct OfVariant {
    /// What every build is told.
    pub shared: Shared,
    /// Where the images go, in a folder for each version.
    pub output: PathBuf,
    /// Where the programs are that work on images.
    pub tools: PathBuf,
    /// First part of the names of files.
    pub name: String,
    /// Name of the system for people.
    pub pretty_name: String,
    /// Version of the system.
    pub version: String,
    /// What tells two builds of one version apart.
    pub build: String,
    /// The root of trust of the updates of its hosts.
    pub root_json: PathBuf,
}

impl Shared {
    fn read(lookup: Lookup) -> Result<Self, Error> {
        Ok(Self {
            arch: need(lookup, "BUILDSYS_ARCH")?.parse().context(ReadArchSnafu)?,
            root: need(lookup, "BUILDSYS_ROOT_DIR")?.into(),
            state: need(lookup, "BUILDSYS_STATE_DIR")?.into(),
            packages: need(lookup, "BUILDSYS_PACKAGES_DIR")?.into(),
            logs: need(lookup, "BUILDSYS_LOGS_DIR")?.into(),
            sdk: need(lookup, "BUILDSYS_SDK_IMAGE")?,
            force: lookup("BUILDSYS_FORCE").filter(|value| !value.is_empty()),
            crate_folder: need(lookup, "CARGO_MANIFEST_DIR")?.into(),
        })
    }
}

impl OfPackage {
    /// Variables whose change makes Cargo ask for the package again.
    pub fn tracked() -> impl Iterator<Item = &'static str> {
        SHARED.iter().chain(OF_PACKAGES).copied()
    }

    /// Reads the environment.
    pub fn read(lookup: Lookup) -> Result<Self, Error> {
        Ok(Self { shared: Shared::read(lookup)?, lookaside: need(lookup, "BUILDSYS_LOOKASIDE_DIR")?.into() })
    }
}

impl OfVariant {
    /// Variables whose change makes Cargo ask for the variant again.
    pub fn tracked() -> impl Iterator<Item = &'static str> {
        SHARED.iter().chain(OF_VARIANTS).copied()
    }

    /// Reads the environment.
    pub fn read(lookup: Lookup) -> Result<Self, Error> {
        Ok(Self {
            shared: Shared::read(lookup)?,
            output: need(lookup, "BUILDSYS_OUTPUT_DIR")?.into(),
            tools: need(lookup, "BUILDSYS_TOOLS_DIR")?.into(),
            name: need(lookup, "BUILDSYS_NAME")?,
            pretty_name: need(lookup, "BUILDSYS_PRETTY_NAME")?,
            version: need(lookup, "BUILDSYS_VERSION_IMAGE")?,
            build: need(lookup, "BUILDSYS_VERSION_BUILD")?,
            root_json: need(lookup, "PUBLISH_REPO_ROOT_JSON")?.into(),
        })
    }
}

fn need(lookup: Lookup, name: &'static str) -> Result<String, Error> {
    lookup(name).filter(|value| !value.is_empty()).context(UnsetSnafu { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(name: &str) -> Option<String> {
        match name {
            "BUILDSYS_FORCE" => None,
            "BUILDSYS_ARCH" => Some("x86_64".into()),
            _ => Some(format!("/{name}")),
        }
    }

    #[test]
    fn packages_depend_on_neither_variant_nor_version() {
        let tracked: Vec<_> = OfPackage::tracked().collect();
        for name in OF_VARIANTS {
            assert!(!tracked.contains(name), "{name}");
        }
        let used = std::cell::RefCell::new(Vec::new());
        let lookup = |name: &str| {
            used.borrow_mut().push(name.to_owned());
            all(name)
        };
        OfPackage::read(&lookup).unwrap();
        for name in used.into_inner().iter().filter(|name| name.starts_with("BUILDSYS_")) {
            assert!(tracked.contains(&name.as_str()), "{name} is read and not tracked");
        }
    }

    #[test]
    fn every_variable_that_is_not_set_is_named() {
        for missing in
            OfVariant::tracked().filter(|name| !matches!(*name, "BUILDSYS_FORCE" | "BUILDSYS_VARIANT"))
        {
            let lookup = |name: &str| if name == missing { None } else { all(name) };
            let why = OfVariant::read(&lookup).unwrap_err().to_string();
            assert!(why.starts_with(&format!("{missing} is not set;")), "{why}");
        }
    }

    #[test]
    fn an_unknown_architecture_is_refused() {
        let lookup = |name: &str| if name == "BUILDSYS_ARCH" { Some("amd64".into()) } else { all(name) };
        let error = OfPackage::read(&lookup).unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains("'amd64'; did you mean 'x86_64'?"), "{why}");
    }
}
