//! Commits: what is asked for, what is kept, and the hash that chains them.

use crate::{Edit, Layer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use settings::Key;
use sha2::{Digest, Sha256};

/// Who made a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// User id of the peer.
    pub uid: u32,
    /// Process id of the peer.
    pub pid: i32,
    /// The peer's program.
    pub program: String,
}

/// What to commit. Made with [`CommitRequest::new`], so that a new field breaks no caller.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    /// The edits; checked by the caller. Of several for one leaf the last one counts.
    pub edits: Vec<Edit>,
    /// Who makes it.
    pub author: Author,
    /// Why.
    pub message: String,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// Names to mark as done together with it.
    pub marks: Vec<String>,
    /// Puts it on trial: when it is to be undone unless confirmed, in milliseconds since 1970.
    pub trial: Option<u64>,
    /// The commit whose trial ends with this one, which undoes it.
    pub ends_trial: Option<u64>,
}

impl CommitRequest {
    /// Edits and who makes them; without a message, a time, marks or a trial.
    pub fn new(edits: Vec<Edit>, author: Author) -> Self {
        Self {
            edits,
            author,
            message: String::new(),
            time_ms: 0,
            marks: Vec::new(),
            trial: None,
            ends_trial: None,
        }
    }

    /// Says why.
    #[must_use]
    pub fn message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// Says when, in milliseconds since 1970.
    #[must_use]
    pub fn time_ms(self, time_ms: i64) -> Self {
        Self { time_ms, ..self }
    }

    /// Marks a name as done together with it.
    #[must_use]
    pub fn mark(mut self, name: impl Into<String>) -> Self {
        self.marks.push(name.into());
        self
    }

    /// Puts it on trial until `deadline_ms`, in milliseconds since 1970.
    #[must_use]
    pub fn trial(self, deadline_ms: u64) -> Self {
        Self { trial: Some(deadline_ms), ..self }
    }

    /// Ends the trial of an earlier commit, which this one undoes.
    #[must_use]
    pub fn ends_trial(self, commit: u64) -> Self {
        Self { ends_trial: Some(commit), ..self }
    }
}

/// One change of one leaf in one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The layer.
    pub layer: Layer,
    /// The leaf.
    pub key: Key,
    /// Its value in that layer before, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub old: Option<Value>,
    /// Its value in that layer after, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub new: Option<Value>,
}

/// A field that is there has a value, be it null; one that is not there has none.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// A commit of the history without its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitSummary {
    /// Number; they rise by one and are never used twice.
    pub id: u64,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// The topmost layer it changed.
    pub layer: Layer,
    /// Who made it.
    pub author: Author,
    /// Why.
    pub message: String,
    /// The names it marked as done.
    pub marks: Vec<String>,
    /// When it was to be undone unless confirmed, if it was put on trial.
    pub trial: Option<u64>,
    /// The commit whose trial it ended.
    pub ends_trial: Option<u64>,
    /// How many leaves it changed.
    pub changes: u64,
}

/// A commit of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Number; they rise by one and are never used twice.
    pub id: u64,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// The topmost layer it changed.
    pub layer: Layer,
    /// Who made it.
    pub author: Author,
    /// Why.
    pub message: String,
    /// The names it marked as done.
    pub marks: Vec<String>,
    /// When it was to be undone unless confirmed, if it was put on trial.
    pub trial: Option<u64>,
    /// The commit whose trial it ended.
    pub ends_trial: Option<u64>,
    /// What it changed.
    pub changes: Vec<Change>,
}

/// A commit that waits to be confirmed, and is to be undone if nobody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The commit.
    pub commit: u64,
    /// When to undo it, in milliseconds since 1970.
    pub deadline_ms: u64,
}

/// A commit as its row holds it. The hash is made of exactly these fields, so that checking it needs no parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) time_ms: i64,
    pub(crate) layer: String,
    pub(crate) uid: i64,
    pub(crate) pid: i64,
    pub(crate) program: String,
    pub(crate) message: String,
    pub(crate) marks: String,
    pub(crate) trial: Option<i64>,
    pub(crate) ends_trial: Option<i64>,
    pub(crate) change_count: i64,
    pub(crate) changes: String,
}

/// The columns of [`Row`], in its order.
pub(crate) const COLUMNS: &str =
    "id, time_ms, layer, uid, pid, program, message, marks, trial, ends_trial, change_count, changes";

/// Those but the changes, which may be long.
pub(crate) const HEAD_COLUMNS: &str =
    "id, time_ms, layer, uid, pid, program, message, marks, trial, ends_trial, change_count";

impl Row {
    pub(crate) fn of(commit: &Commit) -> Self {
        let json = "keys, names and JSON values always serialize";
        Self {
            id: commit.id.cast_signed(),
            time_ms: commit.time_ms,
            layer: commit.layer.name().to_owned(),
            uid: commit.author.uid.into(),
            pid: commit.author.pid.into(),
            program: commit.author.program.clone(),
            message: commit.message.clone(),
            marks: serde_json::to_string(&commit.marks).expect(json),
            trial: commit.trial.map(u64::cast_signed),
            ends_trial: commit.ends_trial.map(u64::cast_signed),
            change_count: i64::try_from(commit.changes.len()).expect("they fit into memory"),
            changes: serde_json::to_string(&commit.changes).expect(json),
        }
    }

    /// Reads the columns of [`COLUMNS`].
    pub(crate) fn read(row: &rusqlite::Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self { changes: row.get(11)?, ..Self::read_head(row)? })
    }

    /// Reads the columns of [`HEAD_COLUMNS`].
    pub(crate) fn read_head(row: &rusqlite::Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            id: row.get(0)?,
            time_ms: row.get(1)?,
            layer: row.get(2)?,
            uid: row.get(3)?,
            pid: row.get(4)?,
            program: row.get(5)?,
            message: row.get(6)?,
            marks: row.get(7)?,
            trial: row.get(8)?,
            ends_trial: row.get(9)?,
            change_count: row.get(10)?,
            changes: String::new(),
        })
    }

    pub(crate) fn summary(self) -> Result<CommitSummary, String> {
        Ok(CommitSummary {
            id: self.id.cast_unsigned(),
            time_ms: self.time_ms,
            layer: Layer::from_name(&self.layer)
                .ok_or_else(|| format!("there is no layer '{}'", self.layer))?,
            author: Author {
                uid: self.uid.try_into().map_err(|_| format!("{} is no user id", self.uid))?,
                pid: self.pid.try_into().map_err(|_| format!("{} is no process id", self.pid))?,
                program: self.program,
            },
            message: self.message,
            marks: serde_json::from_str(&self.marks).map_err(|e| format!("its marks: {e}"))?,
            trial: self.trial.map(i64::cast_unsigned),
            ends_trial: self.ends_trial.map(i64::cast_unsigned),
            changes: self.change_count.cast_unsigned(),
        })
    }

    pub(crate) fn changes(&self) -> Result<Vec<Change>, String> {
        serde_json::from_str(&self.changes).map_err(|e| format!("its changes: {e}"))
    }

    pub(crate) fn commit(self) -> Result<Commit, String> {
        let changes = self.changes()?;
        let CommitSummary { id, time_ms, layer, author, message, marks, trial, ends_trial, .. } =
            self.summary()?;
        Ok(Commit { id, time_ms, layer, author, message, marks, trial, ends_trial, changes })
    }

    /// The hash of a commit covers the hash of the one before it, so that no row can be changed unseen.
    pub(crate) fn hash(&self, previous: &[u8]) -> Vec<u8> {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(previous);
        for number in [self.id, self.time_ms, self.uid, self.pid, self.change_count] {
            field(&number.to_le_bytes());
        }
        for number in [self.trial, self.ends_trial] {
            // An absent number is empty, which no number is.
            field(number.map(i64::to_le_bytes).as_ref().map_or(&[], |bytes| bytes));
        }
        for text in [&self.layer, &self.program, &self.message, &self.marks, &self.changes] {
            field(text.as_bytes());
        }
        hash.finalize().to_vec()
    }

    /// What it counts towards [`crate::HistoryLimits::bytes`]; [`crate::history::SIZE`] says the same in SQL.
    pub(crate) fn size(&self) -> u64 {
        let texts = [&self.program, &self.message, &self.marks, &self.changes];
        crate::history::OVERHEAD + texts.iter().map(|text| text.len() as u64).sum::<u64>()
    }
}
