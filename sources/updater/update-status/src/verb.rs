//! What may be asked in which state, and what comes of it.

use crate::{CommandResult, CommandStatus, Image, LastUpdate, State, Status, Time, Turn, UpdateResult};
use serde::{Deserialize, Serialize};
use snafu::Snafu;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use utoipa::ToSchema;

/// What a host may be asked to do about updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = UpdateCommand)]
pub enum Verb {
    /// Look for updates and choose one.
    Refresh,
    /// Write the chosen one to the inactive set.
    Prepare,
    /// Have the inactive set boot next.
    Activate,
    /// Have the active set boot next again.
    Deactivate,
}

/// A name that is not one of a verb.
#[derive(Debug, PartialEq, Eq, Snafu)]
#[snafu(display("'{name}' is none of refresh, prepare, activate, deactivate"))]
pub struct Unknown {
    name: String,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 4] = [Self::Refresh, Self::Prepare, Self::Activate, Self::Deactivate];

    /// Its name on command lines and in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Prepare => "prepare",
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Verb {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Self, Unknown> {
        let found = Self::ALL.into_iter().find(|verb| verb.name() == name);
        found.ok_or_else(|| Unknown { name: name.to_owned() })
    }
}

/// Why nothing is done. The exit statuses are those of the Bottlerocket documents (update, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum Refusal {
    #[snafu(display("another program is changing the update of this host; ask again when it has ended"))]
    Locked,
    #[snafu(display("{}", not_allowed(*verb, *state)))]
    NotAllowed { verb: Verb, state: State },
    #[snafu(display(
        "{verb} is not allowed while the host is about to go back to the other set; deactivate that first"
    ))]
    GoingBack { verb: Verb },
    #[snafu(display("no update is chosen; refresh first"))]
    NoneChosen,
    #[snafu(display("the inactive set holds no complete update; prepare one first"))]
    NoneStaged,
    #[snafu(display("no version of that name is remembered as one that fell back"))]
    NotRemembered,
}

impl Refusal {
    /// The exit status that tells it.
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Locked => 64,
            Self::NotAllowed { .. } | Self::GoingBack { .. } => 65,
            Self::NoneChosen => 66,
            Self::NoneStaged => 67,
            Self::NotRemembered => 68,
        }
    }
}

fn not_allowed(verb: Verb, state: State) -> String {
    let why = match (verb, state) {
        (Verb::Prepare, State::Ready) => "an update is active already and boots next; deactivate it first",
        (Verb::Prepare | Verb::Activate | Verb::Deactivate, State::Idle) => {
            "no update is known; refresh first"
        }
        (Verb::Activate, State::Available) => "the update is not on the disk yet; prepare it first",
        (Verb::Activate, State::Ready) => "an update is active already and boots next",
        (Verb::Deactivate, _) => "no update is active",
        _ => "it does not fit this state",
    };
    format!("{verb} is not allowed in the state {state}: {why}")
}

/// What a verb that succeeded found or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What there is, and what was chosen of it.
    Refreshed {
        /// Versions this host may go to, newest first.
        available: Vec<String>,
        /// The one that was chosen.
        chosen: Option<Image>,
        /// SHA-256 of the manifest that says so, in hexadecimal.
        manifest: String,
        /// When the wave of this host opens for the newest.
        turn: Option<Turn>,
    },
    /// The inactive set is complete.
    Prepared,
    /// The inactive set boots next.
    Activated,
    /// The active set boots next.
    Deactivated,
}

/// Why a verb did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its exit status, or the number of the signal that ended it.
    pub exit_status: Option<i32>,
    /// The reason, in one line.
    pub reason: String,
}

impl Status {
    /// Whether a verb may be started: the table of the states, with what it needs besides.
    pub fn permit(&self, verb: Verb) -> Result<(), Refusal> {
        let state = self.update_state;
        match (verb, state) {
            (Verb::Refresh, _) | (Verb::Deactivate, State::Ready) => Ok(()),
            (Verb::Deactivate, _) if self.is_going_back() => Ok(()),
            (Verb::Prepare | Verb::Activate, _) if self.is_going_back() => Err(Refusal::GoingBack { verb }),
            (Verb::Prepare, State::Available | State::Staged) if self.chosen_update_manifest.is_some() => {
                Ok(())
            }
            (Verb::Prepare, State::Available | State::Staged) => Err(Refusal::NoneChosen),
            (Verb::Activate, State::Staged) if self.staging_partition.is_some() => Ok(()),
            (Verb::Activate, State::Staged) => Err(Refusal::NoneStaged),
            _ => Err(Refusal::NotAllowed { verb, state }),
        }
    }

    /// Whether the other set boots next although nothing new is on it: somebody goes back to it.
    pub(crate) fn is_going_back(&self) -> bool {
        self.update_state != State::Ready
            && self.active_partition.as_ref().is_some_and(|active| !active.next_to_boot)
    }

    /// Writes down what came of a verb. Where the sets are afterwards, [`Status::observe`] tells.
    pub fn done(&mut self, verb: Verb, now: Time, result: &Result<Outcome, Failure>) {
        let failed = result.as_ref().err();
        self.progress = None;
        self.most_recent_command = Some(CommandResult {
            cmd_type: verb,
            cmd_status: if failed.is_some() { CommandStatus::Failed } else { CommandStatus::Success },
            timestamp: self.unused(now),
            exit_status: failed.map_or(Some(0), |failure| failure.exit_status),
            stderr: failed.map(|failure| failure.reason.clone()),
        });
        match result {
            Ok(outcome) => self.reached(outcome, now),
            Err(failure) => self.missed(verb, failure, now),
        }
    }

    /// A time for a command: never that of the command before, however coarse the clock is or wherever it was set.
    fn unused(&self, now: Time) -> Time {
        match &self.most_recent_command {
            Some(before) if before.timestamp == now => now.after(Duration::from_nanos(1)),
            _ => now,
        }
    }

    fn reached(&mut self, outcome: &Outcome, now: Time) {
        match outcome {
            Outcome::Refreshed { available, chosen, manifest, turn } => {
                self.available_updates.clone_from(available);
                self.chosen_update.clone_from(chosen);
                self.chosen_update_manifest = chosen.as_ref().map(|_| manifest.clone());
                self.chosen_update_turn.clone_from(turn);
                self.last_check = Some(now);
                if self.update_state <= State::Available {
                    self.update_state = self.waiting();
                }
            }
            Outcome::Prepared | Outcome::Deactivated => self.update_state = State::Staged,
            Outcome::Activated => self.update_state = State::Ready,
        }
    }

    fn missed(&mut self, verb: Verb, failure: &Failure, now: Time) {
        let version = match verb {
            Verb::Refresh => {
                if self.update_state == State::Available {
                    // As documented; the list and the choice stay as they were, to be looked at.
                    self.update_state = State::Idle;
                }
                return;
            }
            Verb::Deactivate => return,
            Verb::Prepare => self.chosen_update.as_ref(),
            Verb::Activate => self.staging_partition.as_ref().map(|staged| &staged.image),
        };
        self.last_update = version.map(|image| LastUpdate {
            version: image.version.clone(),
            result: UpdateResult::Failed,
            reason: Some(failure.reason.clone()),
            time: now,
        });
    }

    /// The state of a host that has nothing on its inactive set.
    pub(crate) fn waiting(&self) -> State {
        if self.chosen_update.is_some() { State::Available } else { State::Idle }
    }

    /// What is to be said of work that nobody does any more: its process was killed, or the power was cut.
    pub fn abandoned(&mut self, now: Time) {
        if let Some(progress) = self.progress.take() {
            let reason = format!(
                "the program that did it ended in the phase '{}' without saying why: it was killed, or the host went \
                 down",
                progress.phase
            );
            self.done(progress.command, now, &Err(Failure { exit_status: None, reason }));
        }
    }
}
