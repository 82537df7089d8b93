//! The document.

use crate::{Time, Verb};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// What a host knows of its update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = UpdateStatus)]
pub struct Status {
    /// How far the update is.
    pub update_state: State,
    /// Versions that this host may go to, newest first. Those whose wave has not opened are left out.
    pub available_updates: Vec<String>,
    /// What `prepare` would write: chosen when the host last looked.
    pub chosen_update: Option<Image>,
    /// SHA-256 of the manifest it was chosen from, in hexadecimal: what is written is what was chosen, or nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen_update_manifest: Option<String>,
    /// The running system.
    pub active_partition: Option<Partition>,
    /// The update on the inactive set, once it is complete.
    pub staging_partition: Option<Partition>,
    /// The newest command that has ended.
    pub most_recent_command: Option<CommandResult>,
    /// How far the command is that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// When the wave of this host opens for the newest update, and how that was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen_update_turn: Option<Turn>,
    /// What became of the newest update that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update: Option<LastUpdate>,
    /// What a boot told last of the update before it: the same is told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concluded: Option<Concluded>,
    /// Versions that fell back. They are not chosen until they are forgotten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bad_versions: Vec<BadVersion>,
    /// When the host last looked for updates and succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_check: Option<Time>,
}

/// How far an update is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[schema(as = UpdateState)]
pub enum State {
    /// None is known.
    #[default]
    Idle,
    /// One is chosen, and not on the disk yet.
    Available,
    /// One is complete on the inactive set.
    Staged,
    /// One boots next.
    Ready,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Available, Self::Staged, Self::Ready];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Which system an image holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = UpdateImage)]
pub struct Image {
    /// The architecture, such as `x86_64`.
    pub arch: String,
    /// The version, such as `1.2.3`.
    pub version: String,
    /// The variant, such as `metal-dev`.
    pub variant: String,
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.variant, self.version)
    }
}

/// A set of partitions and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UpdatePartition)]
pub struct Partition {
    /// What it holds.
    pub image: Image,
    /// Whether it boots next.
    pub next_to_boot: bool,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UpdateCommandResult)]
pub struct CommandResult {
    /// The command.
    pub cmd_type: Verb,
    /// Whether it succeeded.
    pub cmd_status: CommandStatus,
    /// When it ended. No two commands have the same, so that a client can tell a new one.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Time,
    /// Its exit status; the number of the signal where one ended it.
    pub exit_status: Option<i32>,
    /// Why it failed, in one line.
    pub stderr: Option<String>,
}

/// Whether a command succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UpdateCommandStatus)]
pub enum CommandStatus {
    /// It did.
    Success,
    /// It did not.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// How far the command is that runs. Bytes are of the phase, blocks of the image it works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UpdateProgress)]
pub struct Progress {
    /// The command.
    pub command: Verb,
    /// What it does just now, such as `root fetch`.
    pub phase: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub started: Time,
    /// When this was written; at most once in a second.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Time,
    /// Bytes done.
    #[serde(default)]
    pub bytes_done: u64,
    /// Bytes to do; 0 where that is not known.
    #[serde(default)]
    pub bytes_total: u64,
    /// Blocks of 4 KiB that are right on the inactive set.
    #[serde(default)]
    pub blocks_done: u64,
    /// Blocks of the image; 0 where that is not known.
    #[serde(default)]
    pub blocks: u64,
    /// Bytes per second, over the last seconds.
    #[serde(default)]
    pub rate: u64,
    /// Seconds until the phase ends, at that rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// Who does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Worker>,
}

/// The process that does the work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UpdateWorker)]
pub struct Worker {
    /// Its process identifier.
    pub pid: u32,
    /// The boot it belongs to, as `/proc/sys/kernel/random/boot_id` names it.
    pub boot: String,
}

/// When the wave of this host opens, and how that was computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UpdateTurn)]
pub struct Turn {
    /// The version it is about.
    pub version: String,
    /// Whether it has opened.
    pub open: bool,
    /// When it opens; nothing where the update has no waves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub opens: Option<Time>,
    /// How that was computed, in one sentence.
    pub explanation: String,
}

/// What became of an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastUpdate {
    /// The version.
    pub version: String,
    /// What became of it.
    pub result: Result,
    /// Why, in one line, where it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When that was found out.
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = UpdateResult)]
pub enum Result {
    /// It runs and has proved itself.
    Succeeded,
    /// It could not be written or activated.
    Failed,
    /// It was tried, did not prove itself, and the host went back.
    FellBack,
}

/// What a boot told of the update before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UpdateConcluded)]
pub struct Concluded {
    /// What became of the update.
    pub result: Result,
    /// When the update began to be written, which tells it from the same version written before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub update: Option<Time>,
    /// The boot that failed, as `/proc/sys/kernel/random/boot_id` names it, if it wrote anything down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

/// A version that fell back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BadVersion {
    /// The version.
    pub version: String,
    /// Why it fell back, in one line.
    pub reason: String,
    /// When it first did.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
}

impl Status {
    /// Whether a version fell back and was not forgotten.
    pub fn is_bad(&self, version: &str) -> bool {
        self.bad_versions.iter().any(|bad| bad.version == version)
    }

    /// Remembers a version as bad. The newest reason counts.
    pub(crate) fn remember(&mut self, version: &str, reason: &str, now: Time) {
        match self.bad_versions.iter_mut().find(|bad| bad.version == version) {
            Some(bad) => reason.clone_into(&mut bad.reason),
            None => self.bad_versions.push(BadVersion {
                version: version.to_owned(),
                reason: reason.to_owned(),
                since: now,
            }),
        }
    }

    /// Forgets that a version fell back. Gives whether it was remembered.
    pub fn forget(&mut self, version: &str) -> bool {
        let before = self.bad_versions.len();
        self.bad_versions.retain(|bad| bad.version != version);
        self.bad_versions.len() < before
    }
}
