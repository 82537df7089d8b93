//! Commits: making them, reading their history, going back.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The mark that a commit of user data leaves, so that user data is read once.
pub const MARK_USER_DATA: &str = "user-data";

/// What a commit made, from the headers and the body of its response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Committed {
    /// The number of the commit.
    pub commit: u64,
    /// The keys that were committed.
    pub keys: Vec<String>,
    /// The job that applies them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
}

/// Who made a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Author {
    /// User id.
    pub uid: u32,
    /// Process id; 0 where it is not known.
    pub pid: i32,
    /// Name of the program; empty where it is not known.
    pub program: String,
}

/// A commit of the history without its changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CommitSummary {
    /// Its number.
    pub id: u64,
    /// When it was made (RFC 3339, UTC).
    pub time: String,
    /// The topmost layer it changed.
    pub layer: String,
    /// Who made it.
    pub author: Author,
    /// Why; may be empty.
    pub message: String,
    /// What it marked as done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
    /// When it was to be undone unless confirmed, if it was put on trial (RFC 3339, UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<String>,
    /// The commit whose trial it ended by undoing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_trial: Option<u64>,
    /// How many values it changed.
    pub change_count: u64,
}

/// A commit of the history with its changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Commit {
    /// Who, when, why.
    #[serde(flatten)]
    pub summary: CommitSummary,
    /// What it changed.
    pub changes: Vec<Change>,
}

/// One change of one value in one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// The layer.
    pub layer: String,
    /// The key.
    pub key: String,
    /// The value before; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The value after; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// The result of checking the history against its chain of hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Verification {
    /// Whether nobody but the server has written to the store.
    pub intact: bool,
    /// How many commits were checked; 0 where the history is not intact.
    pub commits: u64,
    /// The oldest of them.
    pub first: u64,
    /// The newest of them.
    pub last: u64,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Tampered>,
}

/// The place where the history is not as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Tampered {
    /// The commit that is not as it was made, or whose effects are not.
    pub commit: u64,
    /// What is wrong with it.
    pub why: String,
}

/// A commit that is undone by itself unless somebody confirms it in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Trial {
    /// The commit.
    pub commit: u64,
    /// When it is undone (RFC 3339, UTC).
    pub deadline: String,
}
