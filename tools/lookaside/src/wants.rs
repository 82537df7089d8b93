//! What a checkout asks for by name.

use crate::Tree;
use manifests::ExternalFile;
use snafu::{ResultExt, Snafu};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Inputs by name, before a lock makes them exact.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Wants {
    /// Debian packages of the SDK image; what they need comes with them.
    pub sdk: BTreeSet<String>,
    /// Debian packages that packages are made of, each alone.
    pub packages: BTreeSet<String>,
    /// Debian source packages.
    pub sources: BTreeSet<String>,
    /// Files from elsewhere.
    pub external: Vec<ExternalFile>,
    /// Whether a package builds Rust code.
    pub crates: bool,
}

/// A checkout that cannot be read.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum WantsError {
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(transparent)]
    Manifests { source: manifests::TreeError },
}

impl Wants {
    /// Reads what the checkout asks for.
    pub fn load(tree: &Tree) -> Result<Self, WantsError> {
        let path = tree.sdk_packages();
        let text = std::fs::read_to_string(&path).context(ReadSnafu { path })?;
        let mut wants = Self { sdk: names(&text), ..Self::default() };
        for package in manifests::Tree::load(tree.root())?.packages() {
            wants.packages.extend(package.debian_packages.iter().cloned());
            wants.sources.extend(package.debian_sources.iter().cloned());
            wants.external.extend(package.external_files.iter().cloned());
            wants.crates |= package.crates;
        }
        Ok(wants)
    }
}

/// One name a line; `#` starts a comment.
fn names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_checkout_asks_for_is_gathered() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text.replace("SHA", &"ab".repeat(64))).unwrap();
        };
        write("sdk/packages.txt", "gcc # the compiler\n\n# more\nrpm\n");
        write(
            "packages/a/Cargo.toml",
            "[package]\nname = 'a'\n[package.metadata.build-package]\ndebian-packages = ['xx', 'yy']\ncrates = true\n\
             external-files = [{ url = 'http://e.test/f-1.tar.gz', sha512 = 'SHA' }]",
        );
        write(
            "packages/b/Cargo.toml",
            "[package]\nname = 'b'\n[package.metadata.build-package]\ndebian-packages = ['yy']\ndebian-sources = ['ss']\n\
             source-groups = ['host']",
        );
        write("packages/README.md", "");
        write("variants/README.md", "");
        let wants = Wants::load(&Tree::new(dir.path(), None)).unwrap();
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert_eq!(wants.sdk, set(&["gcc", "rpm"]));
        assert_eq!(wants.packages, set(&["xx", "yy"]));
        assert_eq!(wants.sources, set(&["ss"]));
        assert!(wants.crates);
        assert_eq!(wants.external[0].name, "f-1.tar.gz");
    }
}
