//! `Release.toml`: which version a tree builds, and the migrations up to it.

use crate::manifest::{Migrations, migrations};
use crate::text;
use semver::Version;
use serde::{Deserialize, Serialize};
use snafu::{ResultExt, Snafu};

/// The document (update reference, 1.5 and 3.5). Fields it does not know are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// What the tree builds.
    #[serde(with = "text")]
    pub version: Version,
    /// The whole migration graph.
    #[serde(default, deserialize_with = "migrations")]
    pub migrations: Migrations,
}

/// A document that is no `Release.toml`.
#[derive(Debug, Snafu)]
#[snafu(display("read the release document"))]
pub struct ReleaseError {
    source: toml::de::Error,
}

impl Release {
    /// Reads a document.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        toml::from_str(text).context(ReleaseSnafu)
    }
}
