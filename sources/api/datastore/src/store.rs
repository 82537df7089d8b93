//! The durable store: one SQLite file that one process has open.

use crate::commit::Row;
use crate::error::{NoTrialSnafu, ReadSnafu, StaleSnafu, WriteSnafu};
use crate::history::Kept;
use crate::open::Held;
use crate::{Author, Change, Commit, CommitRequest, Edit, Layer, OpenOptions, Opened, Quarantined};
use crate::{HistoryLimits, Snapshot, StoreError, Trial};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::Value;
use settings::Key;
use snafu::{ResultExt, ensure};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The open store. Only one process has it open.
#[derive(Debug)]
pub struct Store {
    pub(crate) db: Connection,
    pub(crate) limits: HistoryLimits,
    pub(crate) kept: Kept,
    /// The newest commit.
    pub(crate) head: u64,
    /// Its hash, or that of the newest one that was forgotten.
    pub(crate) hash: Vec<u8>,
    /// Leaves that are on disk but in no snapshot.
    pub(crate) held: Vec<Held>,
}

impl Store {
    /// Opens the store, making an empty one if there is none.
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// Makes edits durable in one transaction with their history row. Edits that change nothing are left out; the
    /// commit is made all the same. Gives the commit and the state after it. When it fails, nothing has changed:
    /// it may be tried again.
    pub fn commit(
        &mut self,
        before: &Snapshot,
        request: CommitRequest,
    ) -> Result<(Commit, Snapshot), StoreError> {
        ensure!(before.head() == self.head, StaleSnafu { found: before.head(), head: self.head });
        if let Some(id) = request.ends_trial {
            ensure!(self.trials()?.iter().any(|trial| trial.commit == id), NoTrialSnafu { id });
        }
        let changes = self.changes(before, request.edits);
        let commit = Commit {
            id: self.head + 1,
            time_ms: request.time_ms,
            layer: changes.iter().map(|c| c.layer).max().unwrap_or(Layer::Default),
            author: request.author,
            message: request.message,
            marks: request.marks,
            trial: request.trial,
            ends_trial: request.ends_trial,
            changes,
        };
        self.write(&commit).context(WriteSnafu)?;
        let rewritten = |held: &Held| {
            commit.changes.iter().any(|c| held.leaf.as_ref() == Some(&(c.layer, c.key.clone())))
        };
        self.held.retain(|held| !rewritten(held));
        let after = before.after(&commit.changes, commit.id);
        Ok((commit, after))
    }

    /// Replaces the whole default layer, as one commit if anything differs.
    pub fn replace_defaults(
        &mut self,
        before: Snapshot,
        leaves: Vec<(Key, Value)>,
        author: Author,
        time_ms: i64,
    ) -> Result<Snapshot, StoreError> {
        let held = self.held.iter().filter_map(|held| held.leaf.as_ref());
        let held = held.filter(|(layer, _)| *layer == Layer::Default).map(|(_, key)| key.clone());
        let mut wanted: BTreeMap<Key, Option<Value>> = before
            .layer(Layer::Default)
            .map(|(key, _)| key.clone())
            .chain(held)
            .map(|key| (key, None))
            .collect();
        wanted.extend(leaves.into_iter().map(|(key, value)| (key, Some(value))));
        let edits: Vec<Edit> = wanted
            .into_iter()
            .map(|(key, value)| Edit { layer: Layer::Default, key, value })
            .filter(|edit| self.differs(&before, edit))
            .collect();
        if edits.is_empty() {
            return Ok(before);
        }
        let request = CommitRequest::new(edits, author).message("defaults of the image").time_ms(time_ms);
        self.commit(&before, request).map(|(_, after)| after)
    }

    /// The commit that a mark was made with.
    pub fn mark(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.db
            .query_row("SELECT commit_id FROM marks WHERE name = ?1", [name], |row| row.get::<_, i64>(0))
            .optional()
            .context(ReadSnafu)
            .map(|id| id.map(i64::cast_unsigned))
    }

    /// The commits on trial, oldest first.
    pub fn trials(&self) -> Result<Vec<Trial>, StoreError> {
        let read = || {
            let mut rows =
                self.db.prepare_cached("SELECT commit_id, deadline_ms FROM trials ORDER BY commit_id")?;
            let trial = |row: &rusqlite::Row<'_>| {
                let (commit, deadline): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok(Trial { commit: commit.cast_unsigned(), deadline_ms: deadline.cast_unsigned() })
            };
            rows.query_map([], trial)?.collect::<Result<Vec<_>, rusqlite::Error>>()
        };
        read().context(ReadSnafu)
    }

    /// Ends the trial of a commit for good, durably: it stays.
    pub fn confirm(&mut self, commit_id: u64) -> Result<(), StoreError> {
        let delete = "DELETE FROM trials WHERE commit_id = ?1";
        let ended = self.db.execute(delete, [commit_id.cast_signed()]).context(WriteSnafu)?;
        ensure!(ended == 1, NoTrialSnafu { id: commit_id });
        Ok(())
    }

    /// The leaves that are on disk but in no snapshot, until an edit of theirs is committed.
    pub fn quarantined(&self) -> impl Iterator<Item = &Quarantined> {
        self.held.iter().map(|held| &held.report)
    }

    /// Moves what commits left in the write-ahead log into the file, so that no commit has to. Worth calling when
    /// there is nothing else to do; never needed.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).context(WriteSnafu)
    }

    /// Closes it with everything in the one file, synced; its log is gone. A store that is dropped instead loses
    /// nothing either, but may keep its log.
    pub fn close(self) -> Result<(), StoreError> {
        let moved = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], moved).context(WriteSnafu)?;
        self.db.close().map_err(|(_, source)| StoreError::Write { source })
    }

    /// What the edits change, the last edit of a leaf standing for all of its edits.
    fn changes(&self, before: &Snapshot, edits: Vec<Edit>) -> Vec<Change> {
        let mut last: HashMap<(Layer, Key), usize> = HashMap::with_capacity(edits.len());
        for (at, edit) in edits.iter().enumerate() {
            last.insert((edit.layer, edit.key.clone()), at);
        }
        let edits = edits.into_iter().enumerate();
        let edits = edits.filter(|(at, edit)| last.get(&(edit.layer, edit.key.clone())) == Some(at));
        let change = |edit: Edit| {
            self.differs(before, &edit).then(|| {
                let old = before.in_layer(edit.layer, &edit.key).map(|leaf| (*leaf.value).clone());
                let old = old.or_else(|| self.held_at(edit.layer, &edit.key)?.value.clone());
                Change { layer: edit.layer, key: edit.key, old, new: edit.value }
            })
        };
        edits.filter_map(|(_, edit)| change(edit)).collect()
    }

    /// Whether an edit changes the state. One of a quarantined leaf always does: it takes the leaf off the disk.
    fn differs(&self, before: &Snapshot, edit: &Edit) -> bool {
        before.in_layer(edit.layer, &edit.key).map(|leaf| &*leaf.value) != edit.value.as_ref()
            || self.held_at(edit.layer, &edit.key).is_some()
    }

    fn held_at(&self, layer: Layer, key: &Key) -> Option<&Held> {
        self.held.iter().find(|held| held.leaf.as_ref().is_some_and(|(l, k)| *l == layer && k == key))
    }

    fn write(&mut self, commit: &Commit) -> Result<(), rusqlite::Error> {
        let row = Row::of(commit);
        let hash = row.hash(&self.hash);
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        insert_commit(&tx, &row, &hash)?;
        for change in &commit.changes {
            write_leaf(&tx, change, row.id)?;
        }
        for mark in &commit.marks {
            tx.prepare_cached("INSERT OR REPLACE INTO marks VALUES (?1, ?2)")?
                .execute(params![mark, row.id])?;
        }
        if let Some(deadline) = row.trial {
            tx.prepare_cached("INSERT INTO trials VALUES (?1, ?2)")?.execute([row.id, deadline])?;
        }
        if let Some(ended) = row.ends_trial {
            tx.prepare_cached("DELETE FROM trials WHERE commit_id = ?1")?.execute([ended])?;
        }
        let kept = self.kept.with(&row).prune(&tx, self.limits)?;
        tx.commit()?;
        (self.head, self.hash, self.kept) = (commit.id, hash, kept);
        Ok(())
    }
}

fn insert_commit(tx: &Transaction<'_>, row: &Row, hash: &[u8]) -> Result<(), rusqlite::Error> {
    tx.prepare_cached("INSERT INTO commits VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")?
        .execute(params![
            row.id,
            row.time_ms,
            row.layer,
            row.uid,
            row.pid,
            row.program,
            row.message,
            row.marks,
            row.trial,
            row.ends_trial,
            row.change_count,
            hash,
            row.changes
        ])?;
    Ok(())
}

fn write_leaf(tx: &Transaction<'_>, change: &Change, id: i64) -> Result<(), rusqlite::Error> {
    let (layer, key) = (change.layer.name(), change.key.as_str());
    match &change.new {
        Some(new) => tx
            .prepare_cached("INSERT OR REPLACE INTO settings VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![layer, key, new.to_string(), id])?,
        None => tx
            .prepare_cached("DELETE FROM settings WHERE layer = ?1 AND key = ?2")?
            .execute(params![layer, key])?,
    };
    Ok(())
}
