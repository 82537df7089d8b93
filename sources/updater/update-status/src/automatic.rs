//! What a host does about updates by itself.

use crate::{CommandStatus, State, Status, Time, Verb};
use modeled_types::{AutomaticUpdates, DailyWindow, UpdateCheckInterval};
use std::fmt;
use std::time::Duration;

/// How long after a failure the next thing is tried.
pub const RETRY: Duration = Duration::from_mins(15);

/// The settings that decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How much the host does by itself.
    pub automatic: AutomaticUpdates,
    /// How often it looks.
    pub check_interval: UpdateCheckInterval,
    /// When it may activate and reboot; always where there is none.
    pub apply_window: Option<DailyWindow>,
}

/// What a host does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing for now.
    Rest(&'static str),
    /// Runs a verb.
    Run(Verb),
    /// Reboots into the update.
    Reboot,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rest(why) => write!(f, "nothing to do: {why}"),
            Self::Run(verb) => write!(f, "{verb}"),
            Self::Reboot => f.write_str("reboot"),
        }
    }
}

/// What a host does next by itself.
pub fn decide(now: Time, policy: &Policy, status: &Status) -> Action {
    if policy.automatic == AutomaticUpdates::Off {
        return Action::Rest("settings.updates.automatic is 'off'");
    }
    if status.is_going_back() {
        return Action::Rest("the host is about to go back to the other set");
    }
    if failed_lately(now, status) {
        return Action::Rest("the last command failed a short while ago");
    }
    let applies = policy.automatic == AutomaticUpdates::Apply;
    let in_window = policy.apply_window.as_ref().is_none_or(|window| window.contains(now.minute_of_day()));
    let due = is_due(now, policy, status) || prepare_failed(status);
    match status.update_state {
        State::Ready if applies && in_window => Action::Reboot,
        State::Ready => Action::Rest("the update boots with the next reboot"),
        _ if due => Action::Run(Verb::Refresh),
        State::Idle => Action::Rest("no update is known, and it is not time to look again"),
        State::Available => Action::Run(Verb::Prepare),
        State::Staged if outdated(status) => Action::Run(Verb::Prepare),
        State::Staged if !offered(status) => Action::Rest("the update on the disk is no longer offered"),
        State::Staged if applies && in_window => Action::Run(Verb::Activate),
        State::Staged if applies => Action::Rest("the update is on the disk and waits for the window"),
        State::Staged => Action::Rest("the update is on the disk and waits to be applied"),
    }
}

/// Whether it is time to look. A clock that was set back must not stop the looking.
fn is_due(now: Time, policy: &Policy, status: &Status) -> bool {
    let interval = policy.check_interval.duration();
    status.last_check.is_none_or(|last| last > now || now >= last.after(interval))
}

/// Whether the last thing was an update that could not be written: it may not be offered any more.
fn prepare_failed(status: &Status) -> bool {
    status.most_recent_command.as_ref().is_some_and(|command| {
        command.cmd_type == Verb::Prepare && command.cmd_status == CommandStatus::Failed
    })
}

/// Whether something newer was chosen than what is on the disk.
fn outdated(status: &Status) -> bool {
    match (&status.chosen_update, &status.staging_partition) {
        (Some(chosen), Some(staged)) => *chosen != staged.image,
        _ => false,
    }
}

/// Whether what is on the disk is still among what the repository has for this host.
fn offered(status: &Status) -> bool {
    let staged = status.staging_partition.as_ref().map(|staged| &staged.image.version);
    staged.is_some_and(|version| status.available_updates.contains(version))
}

fn failed_lately(now: Time, status: &Status) -> bool {
    status.most_recent_command.as_ref().is_some_and(|command| {
        command.cmd_status == CommandStatus::Failed
            && command.timestamp <= now
            && now < command.timestamp.after(RETRY)
    })
}
