//! Which set boots next, for an update that is staged. No network.

use crate::error::{NotCompleteSnafu, NothingStagedSnafu, SetsSnafu, StagedRunsSnafu, StateSnafu};
use crate::{Error, Staged, StagedState, migrations};
use host::Host;
use semver::Version;
use signpost::{Command, Lock, SetName, Sets};
use snafu::{OptionExt, ResultExt, ensure};
use tracing::info;

/// What boots next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activated {
    /// The version in the set that does not run; none if it is not known.
    pub version: Option<Version>,
    /// The set that boots next; none if none would.
    pub next: Option<SetName>,
    /// Whether anything had to be changed.
    pub changed: bool,
}

/// Makes the staged update the next to boot, if it is not. Before that, what its first boot needs is opened as that boot will.
pub fn activate(host: &Host, lock: &Lock) -> Result<Activated, Error> {
    let sets = Sets::find(host).context(SetsSnafu)?;
    let staged = Staged::load(host)?.context(NothingStagedSnafu)?;
    ensure!(!staged.is_in(sets.active.name), StagedRunsSnafu { staged: staged.set });
    ensure!(
        staged.state == StagedState::Complete,
        NotCompleteSnafu { version: staged.version, set: staged.set }
    );
    migrations::dry_load(host, migrations::CURRENT.as_ref(), &staged.from, &staged.version)?;
    let version = Some(staged.version);
    let state = sets.state().context(StateSnafu)?;
    if state.is_other_on_trial() {
        return Ok(Activated { version, next: state.next(), changed: false });
    }
    apply(&sets, lock, Command::UpgradeToInactive, version)
}

/// Makes the running set the next to boot again. What is staged stays, and can be activated again.
pub fn revert(host: &Host, lock: &Lock) -> Result<Activated, Error> {
    let sets = Sets::find(host).context(SetsSnafu)?;
    let staged = Staged::load(host)?.filter(|staged| !staged.is_in(sets.active.name));
    apply(&sets, lock, Command::CancelUpgrade, staged.map(|staged| staged.version))
}

fn apply(sets: &Sets, lock: &Lock, command: Command, version: Option<Version>) -> Result<Activated, Error> {
    let applied = sets.apply(lock, command)?;
    let (changed, next) = (applied.before != applied.after, applied.after.next());
    info!(%command, changed, next = next.map(tracing::field::display), "boot choice");
    Ok(Activated { version, next, changed })
}
