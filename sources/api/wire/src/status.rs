//! The state of the server.

use crate::Trial;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The state of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Status {
    /// Version of the server.
    pub version: String,
    /// The variant.
    pub variant: String,
    /// How long the server has been running, in seconds.
    pub uptime_s: u64,
    /// The newest commit; 0 before the first.
    pub commit: u64,
    /// What was done once and for all, with the commit that did it.
    pub marks: BTreeMap<String, u64>,
    /// Stored values that are left out because they could not be read or are not valid.
    pub quarantined: Vec<Quarantined>,
    /// How many transactions are pending.
    pub pending_transactions: u64,
    /// How many jobs wait or run.
    pub jobs_active: u64,
    /// How many of the remembered jobs failed.
    pub jobs_failed: u64,
    /// Commits that are undone by themselves unless confirmed.
    pub trials: Vec<Trial>,
    /// What deserves a look, a sentence each.
    pub warnings: Vec<String>,
}

/// A stored value that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Quarantined {
    /// The layer, as stored.
    pub layer: String,
    /// The key, as stored.
    pub key: String,
    /// Why it is left out.
    pub why: String,
}
