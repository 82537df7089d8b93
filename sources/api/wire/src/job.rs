//! Apply jobs: what became of the files and services that a change touched.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Waits for the job before it.
    Queued,
    /// Runs.
    Running,
    /// Did everything.
    Succeeded,
    /// Did not do everything; the report or the error says what.
    Failed,
}

/// One run of the applier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// The commits it applies, oldest first. Commits made while a job runs share the next one.
    #[serde(default)]
    pub commits: Vec<u64>,
    /// How far it is.
    pub state: JobState,
    /// The keys it applies; absent when it applies everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// What it did, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ApplyReport>,
    /// Why there is no report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What an applier did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ApplyReport {
    /// The files, in the order in which they were written.
    pub files: Vec<FileResult>,
    /// The services, in the order in which they were restarted.
    pub services: Vec<ServiceResult>,
}

/// What became of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// It has new content.
    Written,
    /// It already was as it should be.
    Unchanged,
    /// It would get new content; this was a dry run.
    Planned,
    /// It could not be rendered or written, and is as it was.
    Failed,
}

/// One configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FileResult {
    /// Its name in the table of configuration files.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// What became of it.
    pub state: FileState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceResult {
    /// Its name in the table of services.
    pub name: String,
    /// Its restart commands, in order.
    pub commands: Vec<CommandResult>,
}

/// One restart command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CommandResult {
    /// The command line.
    pub command: String,
    /// Whether it was only recorded or planned, not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recorded: bool,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl JobState {
    /// Whether a job in this state has ended.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl ApplyReport {
    /// Whether everything went well.
    pub fn succeeded(&self) -> bool {
        let commands = || self.services.iter().flat_map(|s| &s.commands);
        self.files.iter().all(|f| f.error.is_none()) && commands().all(|c| c.error.is_none())
    }
}
