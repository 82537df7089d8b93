//! Events: what the stream of `/events` tells.

use crate::{CommitSummary, JobState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that happened. In the stream, the name of the event is its `kind`, the data this document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Event {
    /// A commit was made.
    Commit {
        /// The commit.
        commit: CommitSummary,
        /// The keys it was about.
        keys: Vec<String>,
    },
    /// A job is in a new state.
    Job {
        /// The job.
        id: u64,
        /// Its state.
        state: JobState,
        /// The commits it applies.
        commits: Vec<u64>,
    },
    /// The trial of a commit has ended.
    TrialEnded {
        /// The commit.
        commit: u64,
        /// Whether it stays.
        confirmed: bool,
        /// The commit that undid it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undone_by: Option<u64>,
    },
    /// The client read too slowly and missed events.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl Event {
    /// The name of the event in the stream.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Commit { .. } => "commit",
            Self::Job { .. } => "job",
            Self::TrialEnded { .. } => "trial-ended",
            Self::Lagged { .. } => "lagged",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_is_its_tag() {
        let events = [
            Event::Job { id: 1, state: JobState::Running, commits: vec![2] },
            Event::TrialEnded { commit: 1, confirmed: false, undone_by: Some(2) },
            Event::Lagged { missed: 3 },
        ];
        for event in events {
            let json = serde_json::to_value(&event).unwrap();
            assert_eq!(json["kind"], event.kind());
            assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
        }
    }
}
