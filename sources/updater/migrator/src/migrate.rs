//! The whole of it: look, decide, perform.

use crate::error::{Error, NoVersionSnafu, ReadVersionSnafu};
use crate::execute::{execute, tidy};
use crate::plan::{Planned, Request, plan};
use crate::{Source, SourceError};
use host::{Host, OS_RELEASE};
use semver::Version;
use snafu::{OptionExt, ResultExt};

/// What became of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is no store yet.
    NoStore,
    /// The store has the version.
    SameVersion,
    /// The settings are those of the version now.
    Migrated {
        /// The version before.
        from: Version,
    },
}

/// The version of the image.
pub fn image_version(host: &Host) -> Result<Version, Error> {
    let release = host.os_release().context(ReadVersionSnafu)?;
    let version = release.as_ref().and_then(|release| release.field("VERSION_ID")?.parse().ok());
    version.context(NoVersionSnafu { path: OS_RELEASE })
}

/// Migrates the store of a host. `time_ms` is when, in milliseconds since 1970, for the history.
pub fn migrate<S: Source>(
    host: &Host,
    request: &Request,
    time_ms: i64,
    open: impl FnOnce() -> Result<S, SourceError>,
) -> Result<Outcome, Error> {
    match plan(host, request, open)? {
        Planned::NoStore => Ok(Outcome::NoStore),
        Planned::SameVersion { folder, remove } => {
            tidy(&folder, &remove);
            Ok(Outcome::SameVersion)
        }
        Planned::Migrate(plan) => {
            execute(&plan, host, time_ms)?;
            Ok(Outcome::Migrated { from: plan.source.version })
        }
    }
}
