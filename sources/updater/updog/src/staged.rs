//! What the set that does not run holds, or is being filled with.

use crate::UPDATES;
use host::{FileError, Host};
use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};
use signpost::SetName;
use snafu::{ResultExt, Snafu};
use std::collections::BTreeMap;
use tracing::warn;

/// The schema that is written.
const SCHEMA: u32 = 1;

/// What the set that does not run holds: `staged.json` in [`UPDATES`]. Replaced whole, on the disk before the step it
/// speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Version of this document's shape.
    pub schema: u32,
    /// How far it is.
    pub state: StagedState,
    /// The set: `A` or `B`.
    pub set: String,
    /// Variant of what is staged.
    pub variant: String,
    /// Its architecture.
    pub arch: String,
    /// Its version.
    #[serde(with = "text")]
    pub version: Version,
    /// When its writing began, which tells it from the same version written before.
    pub begun: Timestamp,
    /// The version that staged it.
    #[serde(with = "text")]
    pub from: Version,
    /// SHA-256 of the manifest it was chosen from.
    pub manifest: String,
    /// SHA-256 of each target it is made of, by name.
    pub images: BTreeMap<String, String>,
    /// The migrations from `from` to `version`, in the order they are run.
    pub chain: Vec<String>,
}

/// How far a staged update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StagedState {
    /// The set is being written, or was when something went wrong.
    Writing,
    /// The set is written and checked.
    Complete,
}

/// A document that could not be read or written.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum StagedError {
    #[snafu(display("read what is staged"))]
    ReadStaged { source: FileError },
    #[snafu(display("write what is staged"))]
    WriteStaged { source: FileError },
}

impl Staged {
    pub(crate) const SCHEMA: u32 = SCHEMA;

    /// Reads what is staged. A document that cannot be understood, or is of a newer schema, is as good as none: the
    /// set it spoke of is written anew.
    pub fn load(host: &Host) -> Result<Option<Self>, StagedError> {
        let Some(text) = host.read(path()).context(ReadStagedSnafu)? else { return Ok(None) };
        match serde_json::from_slice::<Self>(&text) {
            Ok(staged) if staged.schema == SCHEMA => Ok(Some(staged)),
            Ok(staged) => {
                warn!(
                    schema = staged.schema,
                    "what is staged was written by a newer release, and is not used"
                );
                Ok(None)
            }
            Err(error) => {
                warn!(%error, "what is staged cannot be read, and is not used");
                Ok(None)
            }
        }
    }

    /// Writes what is staged; it is on the disk when this returns.
    pub fn save(&self, host: &Host) -> Result<(), StagedError> {
        let mut text = serde_json::to_vec_pretty(self).expect("all keys are texts");
        text.push(b'\n');
        host.replace(path(), &text, 0o600).map(drop).context(WriteStagedSnafu)
    }

    /// Whether this is the same content in the same set, however far it is.
    pub(crate) fn is_same_content(&self, other: &Self) -> bool {
        (&self.set, &self.images) == (&other.set, &other.images)
    }

    /// Whether it speaks of that set.
    pub fn is_in(&self, set: SetName) -> bool {
        self.set == set.to_string()
    }
}

fn path() -> String {
    format!("{UPDATES}/staged.json")
}

/// Versions as their text.
mod text {
    use semver::Version;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(version)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_understood_is_as_good_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        assert_eq!(Staged::load(&host).unwrap(), None);
        let staged = Staged {
            schema: SCHEMA,
            state: StagedState::Writing,
            set: SetName::B.to_string(),
            variant: "v".into(),
            arch: "a".into(),
            version: Version::new(1, 1, 0),
            begun: Timestamp::UNIX_EPOCH,
            from: Version::new(1, 0, 0),
            manifest: "00".into(),
            images: BTreeMap::new(),
            chain: Vec::new(),
        };
        staged.save(&host).unwrap();
        assert_eq!(Staged::load(&host).unwrap(), Some(staged.clone()));
        Staged { schema: 2, ..staged }.save(&host).unwrap();
        assert_eq!(Staged::load(&host).unwrap(), None);
        host.replace(path(), b"{", 0o600).unwrap();
        assert_eq!(Staged::load(&host).unwrap(), None);
    }
}
