//! What a publisher changes in a manifest. Every edit is made whole or not at all.

use crate::chain::{ChainError, chain};
use crate::edge::Edge;
use crate::manifest::{Manifest, Migrations, SCHEMA, Update};
use crate::waves::Waves;
use jiff::Timestamp;
use semver::Version;
use snafu::{OptionExt, Snafu, ensure};
use std::fmt;

/// What tells an update from the others of its repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpdateId {
    /// As the host's `VARIANT_ID`.
    pub variant: String,
    /// The architecture.
    pub arch: String,
    /// The version.
    pub version: Version,
}

/// An edit that cannot be made.
#[derive(Debug, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum EditError {
    #[snafu(display("the manifest has {id} already"))]
    Exists { id: UpdateId },
    #[snafu(display("the manifest has no {id}"))]
    Missing { id: UpdateId },
    #[snafu(display(
        "add {id} with a maximum of {asked}: other updates have {current}; lower it for all of them instead"
    ))]
    LowersMax { id: Box<UpdateId>, asked: Version, current: Version },
    #[snafu(display("{id} was withdrawn"))]
    IsWithdrawn { id: UpdateId },
    #[snafu(display("{id} is paused already"))]
    IsPaused { id: UpdateId },
    #[snafu(display("{id} is not paused"))]
    IsNotPaused { id: UpdateId },
    #[snafu(display("resume {id} at {at}, before it was paused, at {paused_at}"))]
    ResumeEarly { id: UpdateId, at: Timestamp, paused_at: Timestamp },
    #[snafu(display("resume {id}: its waves would be after the last year there is"))]
    ResumeLate { id: UpdateId },
}

impl UpdateId {
    pub(crate) fn is_of(&self, update: &Update) -> bool {
        self.variant == update.variant && self.arch == update.arch && self.version == update.version
    }

    fn is_sibling_of(&self, update: &Update) -> bool {
        self.variant == update.variant && self.arch == update.arch
    }
}

impl fmt::Display for UpdateId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} for {}", self.variant, self.version, self.arch)
    }
}

impl Manifest {
    /// An empty manifest of the newest schema.
    pub fn new() -> Self {
        Self { schema: Some(SCHEMA), ..Self::default() }
    }

    /// Adds an update. Its maximum, and that of every other of its variant and architecture, becomes `max_version`;
    /// without one, the higher of its own version and the maximum there is (update reference, 3.5). What the update
    /// itself says of a maximum does not count.
    pub fn add_update(&mut self, mut update: Update, max_version: Option<Version>) -> Result<(), EditError> {
        let id = update.id();
        ensure!(self.update(&id).is_none(), ExistsSnafu { id });
        let siblings = || self.updates.iter().filter(|other| id.is_sibling_of(other));
        let current = siblings().map(|other| &other.max_version).max();
        let max_version = match (max_version, current) {
            (Some(asked), Some(current)) if asked < *current => {
                return LowersMaxSnafu { id: Box::new(id.clone()), asked, current: current.clone() }.fail();
            }
            (Some(asked), _) => asked,
            (None, Some(current)) => current.max(&update.version).clone(),
            (None, None) => update.version.clone(),
        };
        update.max_version = max_version.clone();
        self.updates.push(update);
        self.schema = Some(SCHEMA);
        self.set_max_of_siblings(&id, &max_version);
        Ok(())
    }

    /// Marks an update as one that nobody shall run any more: hosts that run it step down.
    ///
    /// Clients that do not know the mark go by the maximum. If the update is above all that are left, the maximum is
    /// lowered to the highest of these, to `0.0.0` if none is left.
    pub fn withdraw(&mut self, id: &UpdateId, reason: &str) -> Result<(), EditError> {
        self.update_mut(id)?.withdrawn = Some(reason.to_owned());
        let siblings = self.updates.iter().filter(|other| id.is_sibling_of(other));
        let left = siblings.filter(|other| other.withdrawn.is_none()).map(|other| &other.version).max();
        let left = left.cloned().unwrap_or_else(|| Version::new(0, 0, 0));
        if id.version > left {
            for sibling in self.updates.iter_mut().filter(|other| id.is_sibling_of(other)) {
                sibling.max_version = sibling.max_version.clone().min(left.clone());
            }
        }
        Ok(())
    }

    /// Replaces the waves of an update. If it is paused, the new waves have stood still from `at` on only: what was
    /// before is no part of them.
    pub fn set_waves(&mut self, id: &UpdateId, waves: Waves, at: Timestamp) -> Result<(), EditError> {
        let update = self.update_mut(id)?;
        update.waves = waves;
        if update.paused {
            update.paused_at = Some(at);
        }
        Ok(())
    }

    /// Offers an update to nobody until [`Manifest::resume`]. Clients that do not know the mark go on.
    pub fn pause(&mut self, id: &UpdateId, at: Timestamp) -> Result<(), EditError> {
        let update = self.update_mut(id)?;
        ensure!(update.withdrawn.is_none(), IsWithdrawnSnafu { id: id.clone() });
        ensure!(!update.paused, IsPausedSnafu { id: id.clone() });
        update.paused = true;
        update.paused_at = Some(at);
        Ok(())
    }

    /// Offers a paused update again. The waves go on where they were: what was left of them moves by the length of
    /// the pause, so that nobody's turn comes all at once. Without a time of the pause they stay as they are.
    pub fn resume(&mut self, id: &UpdateId, at: Timestamp) -> Result<(), EditError> {
        let update = self.update_mut(id)?;
        ensure!(update.paused, IsNotPausedSnafu { id: id.clone() });
        if let Some(paused_at) = update.paused_at {
            ensure!(at >= paused_at, ResumeEarlySnafu { id: id.clone(), at, paused_at });
            update.waves =
                update.waves.with_pause(paused_at, at).context(ResumeLateSnafu { id: id.clone() })?;
        }
        update.paused = false;
        update.paused_at = None;
        Ok(())
    }

    /// Sets the highest version the publisher stands behind, of every update or of those of one variant or one
    /// architecture. Returns how many updates that are.
    pub fn set_max_version(&mut self, variant: Option<&str>, arch: Option<&str>, version: &Version) -> usize {
        let is_meant = |update: &&mut Update| {
            variant.is_none_or(|variant| update.variant == variant)
                && arch.is_none_or(|arch| update.arch == arch)
        };
        self.updates.iter_mut().filter(is_meant).map(|update| update.max_version = version.clone()).count()
    }

    /// Replaces the migration graph. Returns the edges that are no longer there: hosts whose way leads over one of
    /// them cannot update any more.
    pub fn set_migrations(&mut self, migrations: Migrations) -> Vec<Edge> {
        let before = std::mem::replace(&mut self.migrations, migrations);
        before.into_keys().filter(|edge| !self.migrations.contains_key(edge)).collect()
    }

    /// Offered updates whose hosts have no way to the newest there is for them, nor, then, a way back.
    pub fn cut_off(&self) -> Vec<(UpdateId, ChainError)> {
        let offered = || self.updates.iter().filter(|update| update.is_offered());
        let newest = |id: &UpdateId| {
            let siblings = offered().filter(|other| id.is_sibling_of(other));
            siblings.map(|other| &other.version).max().expect("the update is its own sibling")
        };
        let way =
            |id: UpdateId| chain(&self.migrations, &id.version, newest(&id)).err().map(|error| (id, error));
        offered().map(Update::id).filter_map(way).collect()
    }

    fn update_mut(&mut self, id: &UpdateId) -> Result<&mut Update, EditError> {
        let update = self.updates.iter_mut().find(|update| id.is_of(update));
        update.context(MissingSnafu { id: id.clone() })
    }

    fn set_max_of_siblings(&mut self, id: &UpdateId, max_version: &Version) {
        for update in self.updates.iter_mut().filter(|update| id.is_sibling_of(update)) {
            update.max_version = max_version.clone();
        }
    }
}
