//! What the store holds, as the API shows it.

use datastore::{Author, Change, Commit, CommitSummary, Leaf};
use jiff::Timestamp;

/// A time in milliseconds since 1970 as RFC 3339. One that no calendar has is shown as the number it is.
pub(crate) fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

pub(crate) fn summary(commit: CommitSummary) -> wire::CommitSummary {
    let Author { uid, pid, program } = commit.author;
    wire::CommitSummary {
        id: commit.id,
        time: time(commit.time_ms),
        layer: commit.layer.name().to_owned(),
        author: wire::Author { uid, pid, program },
        message: commit.message,
        marks: commit.marks,
        trial: commit.trial.map(|deadline| time(deadline.cast_signed())),
        ends_trial: commit.ends_trial,
        change_count: commit.changes,
    }
}

pub(crate) fn commit(commit: Commit) -> wire::Commit {
    let Commit { id, time_ms, layer, author, message, marks, trial, ends_trial, changes } = commit;
    let count = changes.len() as u64;
    let head =
        CommitSummary { id, time_ms, layer, author, message, marks, trial, ends_trial, changes: count };
    wire::Commit { summary: summary(head), changes: changes.into_iter().map(change).collect() }
}

fn change(change: Change) -> wire::Change {
    let Change { layer, key, old, new } = change;
    wire::Change { layer: layer.name().to_owned(), key: key.to_string(), old, new }
}

pub(crate) fn origin_value(leaf: &Leaf, by: Option<wire::CommitSummary>) -> wire::OriginValue {
    wire::OriginValue {
        layer: leaf.layer.name().to_owned(),
        value: (*leaf.value).clone(),
        commit: leaf.commit,
        by,
    }
}
