//! What is known of an image before its packages are installed.

use crate::Crate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an image may be made of, and how it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Materials {
    /// What the image is called, such as `visco-metal-dev-x86_64`.
    pub name: String,
    /// Its version with the build, such as `1.2.3-0123abcd`.
    pub version: String,
    /// Whose packages these are, and the namespace of their package URLs.
    pub vendor: String,
    /// What the names of all its RPMs begin with.
    pub rpm_prefix: String,
    /// The URL below which documents are named.
    pub namespace: String,
    /// When it was made, seconds after 1970.
    pub made_at: i64,
    /// What was repackaged; several may be in one RPM.
    pub debian: Vec<Debian>,
    /// What was linked into the programs of each RPM.
    pub crates: BTreeMap<String, Vec<Crate>>,
}

/// A pinned Debian package that an RPM was made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Debian {
    /// The RPM's name.
    pub rpm: String,
    pub name: String,
    pub version: String,
    /// `source` for a source package.
    pub architecture: String,
    pub sha256: String,
    /// The source package that it was built from, with its version; empty for one that is a source package itself.
    pub source: String,
    pub source_version: String,
}

impl Materials {
    /// What the name of the image's SPDX document is.
    pub fn document_file(&self) -> String {
        format!("{}-{}-sbom.spdx.json", self.name, self.version)
    }
}
