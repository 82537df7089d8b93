//! The changes of a published manifest that have a command.

use crate::release::{Edit, EditSnafu, ReleaseError};
use jiff::Timestamp;
use semver::Version;
use snafu::ResultExt;
use update_metadata::{Manifest, UpdateId, Waves};

/// Nothing changes: the metadata are signed anew.
#[derive(Clone, Copy, Debug)]
pub struct Refresh;

/// Other waves.
#[derive(Clone, Debug)]
pub struct SetWaves {
    /// Of which update.
    pub id: UpdateId,
    /// Which.
    pub waves: Waves,
    /// From when on.
    pub at: Timestamp,
}

/// Nobody else takes it for now.
#[derive(Clone, Debug)]
pub struct Pause {
    /// Which update.
    pub id: UpdateId,
    /// From when on.
    pub at: Timestamp,
}

/// The waves go on where they stopped.
#[derive(Clone, Debug)]
pub struct Resume {
    /// Which update.
    pub id: UpdateId,
    /// From when on.
    pub at: Timestamp,
}

/// Nobody shall run it any more.
#[derive(Clone, Debug)]
pub struct Withdraw {
    /// Which update.
    pub id: UpdateId,
    /// Why, for people.
    pub reason: String,
}

/// The highest version to be offered.
#[derive(Clone, Debug)]
pub struct SetMaxVersion {
    /// Of which variant.
    pub variant: String,
    /// Of which architecture.
    pub arch: String,
    /// Which.
    pub version: Version,
}

impl Edit for Refresh {
    fn apply(&self, _: &mut Manifest) -> Result<(), ReleaseError> {
        Ok(())
    }
}

impl Edit for SetWaves {
    fn apply(&self, manifest: &mut Manifest) -> Result<(), ReleaseError> {
        manifest.set_waves(&self.id, self.waves.clone(), self.at).map_err(Box::new).context(EditSnafu)
    }
}

impl Edit for Pause {
    fn apply(&self, manifest: &mut Manifest) -> Result<(), ReleaseError> {
        manifest.pause(&self.id, self.at).map_err(Box::new).context(EditSnafu)
    }
}

impl Edit for Resume {
    fn apply(&self, manifest: &mut Manifest) -> Result<(), ReleaseError> {
        manifest.resume(&self.id, self.at).map_err(Box::new).context(EditSnafu)
    }
}

impl Edit for Withdraw {
    fn apply(&self, manifest: &mut Manifest) -> Result<(), ReleaseError> {
        manifest.withdraw(&self.id, &self.reason).map_err(Box::new).context(EditSnafu)
    }
}

impl Edit for SetMaxVersion {
    fn apply(&self, manifest: &mut Manifest) -> Result<(), ReleaseError> {
        manifest.set_max_version(Some(&self.variant), Some(&self.arch), &self.version);
        Ok(())
    }
}
