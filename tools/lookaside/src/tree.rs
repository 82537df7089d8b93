//! Where things are in a checkout.

use std::path::{Path, PathBuf};

/// The root of a checkout, and the places below it that the lookaside knows.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
    lookaside: PathBuf,
}

impl Tree {
    /// The tree at `root`, with its lookaside at `lookaside`, or `build/lookaside` below the root.
    pub fn new(root: impl Into<PathBuf>, lookaside: Option<PathBuf>) -> Self {
        let root = root.into();
        let lookaside = lookaside.unwrap_or_else(|| root.join("build/lookaside"));
        Self { root, lookaside }
    }

    /// The root itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lock of Debian packages.
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("Debian.lock")
    }

    /// What the SDK image is made of: one name of a Debian package a line.
    pub fn sdk_packages(&self) -> PathBuf {
        self.root.join("sdk/packages.txt")
    }

    /// The folder of the packages of the host.
    pub fn packages(&self) -> PathBuf {
        self.root.join("packages")
    }

    /// `apt-get`'s own state.
    pub fn apt(&self) -> PathBuf {
        self.root.join("build/apt")
    }

    /// Debian packages and the files of source packages.
    pub fn debian(&self) -> PathBuf {
        self.lookaside.join("debian")
    }

    /// An external file, by its digest.
    pub fn external(&self, sha512: &str, file: &str) -> PathBuf {
        self.lookaside.join("sources").join(sha512).join(file)
    }

    /// The folder of vendored crates, one archive for each `Cargo.lock`.
    pub fn crates(&self) -> PathBuf {
        self.lookaside.join("crates")
    }
}
