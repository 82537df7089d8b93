//! `Debian.lock`: which packages exactly.

use serde::{Deserialize, Serialize};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const HEAD: &str = "# Every Debian package and source package that a build uses, exactly.\n\
    # Made by `./make update-lock` from sdk/packages.txt and packages/*/Cargo.toml; not edited by hand.\n\n";

/// What the lock pins.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// What the SDK image is made of.
    pub sdk: SdkPins,
    /// Binary packages, by name.
    #[serde(rename = "package", default)]
    pub packages: Vec<Pin>,
    /// Source packages, by name.
    #[serde(rename = "source", default)]
    pub sources: Vec<SourcePin>,
}

/// The packages of the SDK image, by name, each pinned among [`Lock::packages`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SdkPins {
    /// Those without which `dpkg` cannot configure any other.
    pub base: Vec<String>,
    /// All of them.
    pub packages: Vec<String>,
}

/// One binary package.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pin {
    /// Its name.
    pub name: String,
    /// Its version, with the epoch.
    pub version: String,
    /// `amd64`, or `all`.
    pub architecture: String,
    /// The name of its file in the archive and in the lookaside.
    pub file: String,
    /// Bytes of that file.
    pub size: u64,
    /// SHA-256 of that file, in hexadecimal.
    pub sha256: String,
    /// The source package it was built from.
    pub source: String,
    /// The version of that.
    pub source_version: String,
}

/// One source package.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SourcePin {
    /// Its name.
    pub name: String,
    /// Its version, with the epoch.
    pub version: String,
    /// Its files.
    pub files: Vec<SourceFile>,
}

/// One file of a source package.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Its name.
    pub file: String,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// A lock that cannot be used.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum LockError {
    #[snafu(display("read {}: run './make update-lock' to make it", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("understand {}", path.display()))]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[snafu(display("{name} is pinned twice"))]
    Twice { name: String },
    #[snafu(display("{name} is in the SDK and not pinned: run './make update-lock'"))]
    Unpinned { name: String },
    #[snafu(display("{file} is no plain file name"))]
    FileName { file: String },
    #[snafu(display("the SHA-256 of {file} is not 64 hexadecimal digits: '{sha256}'"))]
    Digest { file: String, sha256: String },
}

impl Lock {
    /// Reads a lock.
    pub fn load(path: &Path) -> Result<Self, LockError> {
        let text = std::fs::read_to_string(path).context(ReadSnafu { path })?;
        let lock: Self = toml::from_str(&text).map_err(Box::new).context(ParseSnafu { path })?;
        lock.check()?;
        Ok(lock)
    }

    /// The pin of a binary package.
    pub fn package(&self, name: &str) -> Option<&Pin> {
        self.packages.iter().find(|pin| pin.name == name)
    }

    /// The pin of a source package.
    pub fn source(&self, name: &str) -> Option<&SourcePin> {
        self.sources.iter().find(|pin| pin.name == name)
    }

    /// The lock as the text of its file.
    pub fn to_text(&self) -> String {
        let body = toml::to_string_pretty(self).expect("a lock is only text and numbers");
        format!("{HEAD}{body}")
    }

    /// Every file that the lock pins: its name and SHA-256.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let packages = self.packages.iter().map(|pin| (pin.file.as_str(), pin.sha256.as_str()));
        let sources = self.sources.iter().flat_map(|pin| &pin.files);
        packages.chain(sources.map(|file| (file.file.as_str(), file.sha256.as_str())))
    }

    fn check(&self) -> Result<(), LockError> {
        let mut names = BTreeSet::new();
        for name in self.packages.iter().map(|pin| &pin.name) {
            ensure!(names.insert(name), TwiceSnafu { name });
        }
        for name in self.sdk.base.iter().chain(&self.sdk.packages) {
            names.get(name).context(UnpinnedSnafu { name })?;
        }
        for (file, sha256) in self.files() {
            // The name becomes a path below the lookaside.
            let plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\0']);
            ensure!(plain, FileNameSnafu { file });
            let digest = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
            ensure!(digest, DigestSnafu { file, sha256 });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(name: &str, file: &str) -> Pin {
        Pin {
            name: name.into(),
            version: "1:2-3".into(),
            architecture: "amd64".into(),
            file: file.into(),
            size: 7,
            sha256: "0".repeat(64),
            source: name.into(),
            source_version: "2-3".into(),
        }
    }

    fn reload(lock: &Lock) -> Result<Lock, LockError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Debian.lock");
        std::fs::write(&path, lock.to_text()).unwrap();
        Lock::load(&path)
    }

    #[test]
    fn a_lock_that_is_written_is_read_back() {
        let sources = vec![SourcePin {
            name: "s".into(),
            version: "1".into(),
            files: vec![SourceFile { file: "s.dsc".into(), size: 1, sha256: "f".repeat(64) }],
        }];
        let sdk = SdkPins { base: vec!["a".into()], packages: vec!["a".into(), "b".into()] };
        let lock = Lock { sdk, packages: vec![pin("a", "a.deb"), pin("b", "b.deb")], sources };
        assert_eq!(reload(&lock).unwrap(), lock);
        assert_eq!(lock.files().count(), 3);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let lock = |packages: Vec<Pin>, sdk: &[&str]| {
            let sdk = SdkPins { base: vec![], packages: sdk.iter().map(ToString::to_string).collect() };
            reload(&Lock { sdk, packages, sources: vec![] }).unwrap_err().to_string()
        };
        assert_eq!(lock(vec![pin("a", "a"), pin("a", "b")], &[]), "a is pinned twice");
        assert_eq!(
            lock(vec![pin("a", "a")], &["c"]),
            "c is in the SDK and not pinned: run './make update-lock'"
        );
        assert_eq!(lock(vec![pin("a", "../a")], &[]), "../a is no plain file name");
        let short = Pin { sha256: "12".into(), ..pin("a", "a") };
        assert_eq!(lock(vec![short], &[]), "the SHA-256 of a is not 64 hexadecimal digits: '12'");
    }
}
