//! Proving that nobody but the store wrote to the store.

use crate::commit::{COLUMNS, Row};
use crate::{Layer, Store};
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;
use settings::Key;
use snafu::Snafu;
use std::collections::BTreeMap;

/// A history whose every commit was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many commits.
    pub commits: u64,
    /// The oldest of them; 0 where there is none.
    pub first: u64,
    /// The newest of them; 0 where there is none.
    pub last: u64,
}

/// A history that something else than the store has changed.
#[derive(Clone, Debug, PartialEq, Eq, Snafu)]
#[snafu(display("commit {commit}: {why}"))]
pub struct Tampered {
    /// The commit that is not as it was made, or whose effects are not.
    pub commit: u64,
    /// What is wrong with it.
    pub why: String,
}

/// What the history says of the present: the newest commit of each leaf and mark, with what it wrote.
#[derive(Default)]
struct Newest {
    leaves: BTreeMap<(Layer, Key), (u64, Option<Value>)>,
    marks: BTreeMap<String, u64>,
    trials: BTreeMap<u64, u64>,
    oldest: u64,
}

impl Store {
    /// Recomputes the chain of hashes from the newest forgotten commit to the newest one, and compares what the
    /// commits wrote with what the tables hold. A leaf or mark that no commit of the history wrote cannot be
    /// checked any more. Takes time with the size of the history: tens of milliseconds at its default limits.
    pub fn verify_history(&self) -> Result<Verified, Tampered> {
        let mut newest = Newest::default();
        let verified = walk(&self.db, self.head, &mut newest)?;
        newest.check_leaves(&self.db)?;
        newest.check_marks(&self.db)?;
        newest.check_trials(&self.db)?;
        Ok(verified)
    }
}

fn tampered<T>(commit: u64, why: impl Into<String>) -> Result<T, Tampered> {
    Err(Tampered { commit, why: why.into() })
}

fn unreadable(commit: u64) -> impl Fn(rusqlite::Error) -> Tampered {
    move |e| Tampered { commit, why: format!("it cannot be read: {e}") }
}

fn walk(db: &Connection, head: u64, newest: &mut Newest) -> Result<Verified, Tampered> {
    let anchor = db
        .query_row("SELECT commit_id, hash FROM anchor", [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
        .optional()
        .map_err(unreadable(0))?;
    let (anchor, mut hash): (i64, Vec<u8>) = anchor.unwrap_or_default();
    let mut last = anchor.cast_unsigned();
    newest.oldest = last + 1;
    let query = format!("SELECT {COLUMNS}, hash FROM commits ORDER BY id");
    let mut rows = db.prepare(&query).map_err(unreadable(last + 1))?;
    let mut rows = rows.query([]).map_err(unreadable(last + 1))?;
    while let Some(row) = rows.next().map_err(unreadable(last + 1))? {
        let stored: Vec<u8> = row.get(12).map_err(unreadable(last + 1))?;
        let row = Row::read(row).map_err(unreadable(last + 1))?;
        let id = row.id.cast_unsigned();
        if id != last + 1 {
            return tampered(last + 1, format!("it is missing; the next one is commit {id}"));
        }
        hash = row.hash(&hash);
        if hash != stored {
            return tampered(id, "its hash does not fit its content and the commit before it");
        }
        newest.take(row).or_else(|why| tampered(id, why))?;
        last = id;
    }
    if last != head {
        return tampered(last + 1, format!("it is missing; the newest one was commit {head}"));
    }
    let commits = last - anchor.cast_unsigned();
    Ok(Verified { commits, first: if commits == 0 { 0 } else { newest.oldest }, last })
}

impl Newest {
    fn take(&mut self, row: Row) -> Result<(), String> {
        let commit = row.commit()?;
        let written = |change: crate::Change| ((change.layer, change.key), (commit.id, change.new));
        self.leaves.extend(commit.changes.into_iter().map(written));
        self.marks.extend(commit.marks.into_iter().map(|name| (name, commit.id)));
        self.trials.extend(commit.trial.map(|deadline| (commit.id, deadline)));
        Ok(())
    }

    fn check_leaves(&mut self, db: &Connection) -> Result<(), Tampered> {
        let mut rows = db
            .prepare("SELECT layer, key, value, commit_id FROM settings")
            .map_err(unreadable(self.oldest))?;
        let mut rows = rows.query([]).map_err(unreadable(self.oldest))?;
        while let Some(row) = rows.next().map_err(unreadable(self.oldest))? {
            let id: i64 = row.get(3).map_err(unreadable(self.oldest))?;
            let read = || Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let (layer, key, value): (String, String, String) =
                read().map_err(unreadable(id.cast_unsigned()))?;
            self.check_leaf(&layer, &key, &value, id.cast_unsigned())?;
        }
        let missing = self.leaves.iter().find(|(_, (_, value))| value.is_some());
        match missing {
            Some(((layer, key), (id, _))) => {
                tampered(*id, format!("it wrote {key} ({layer}), which is gone"))
            }
            None => Ok(()),
        }
    }

    /// Compares a stored leaf with the commit that wrote it, and takes that off the list.
    fn check_leaf(&mut self, layer: &str, key: &str, value: &str, id: u64) -> Result<(), Tampered> {
        let leaf = Layer::from_name(layer).zip(key.parse::<Key>().ok().filter(|k| k.as_str() == key));
        let written = leaf.and_then(|leaf| self.leaves.remove(&leaf));
        let Some((commit, written)) = written else {
            if id < self.oldest {
                return Ok(());
            }
            return tampered(id, format!("{key} ({layer}) names it, but it did not write that"));
        };
        if commit != id {
            return tampered(commit, format!("it wrote {key} ({layer}), which names commit {id} instead"));
        }
        let value = serde_json::from_str(value).ok();
        if value.is_none() || value != written {
            return tampered(id, format!("it wrote another value to {key} ({layer})"));
        }
        Ok(())
    }

    fn check_marks(&self, db: &Connection) -> Result<(), Tampered> {
        let mut marks =
            pairs::<String>(db, "SELECT name, commit_id FROM marks").map_err(unreadable(self.oldest))?;
        for (name, id) in &self.marks {
            if marks.remove(name) != Some(*id) {
                return tampered(*id, format!("its mark '{name}' is gone or names another commit"));
            }
        }
        match marks.iter().find(|(_, id)| **id >= self.oldest) {
            Some((name, id)) => tampered(*id, format!("it did not make the mark '{name}'")),
            None => Ok(()),
        }
    }

    fn check_trials(&self, db: &Connection) -> Result<(), Tampered> {
        let trials =
            pairs::<i64>(db, "SELECT commit_id, deadline_ms FROM trials").map_err(unreadable(self.oldest))?;
        for (id, deadline) in trials {
            let id = id.cast_unsigned();
            if self.trials.get(&id) != Some(&deadline) {
                return tampered(id, "it was not put on trial with the deadline that is stored");
            }
        }
        Ok(())
    }
}

fn pairs<K: rusqlite::types::FromSql + Ord>(
    db: &Connection,
    query: &str,
) -> Result<BTreeMap<K, u64>, rusqlite::Error> {
    let mut rows = db.prepare(query)?;
    let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
    rows.query_map([], pair)?.collect()
}
