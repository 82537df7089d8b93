//! Reading the history, and keeping it within bounds.

use crate::commit::{COLUMNS, HEAD_COLUMNS, Row};
use crate::error::{BadCommitSnafu, ForgottenSnafu, NoCommitSnafu, ReadSnafu};
use crate::{Commit, CommitSummary, Store, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use snafu::{OptionExt, ResultExt, ensure};

/// What the history may take up. The oldest commits go first; the newest one always stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// How many commits: years of settings changed by hand, weeks of a machine that changes them by the minute.
    pub commits: u64,
    /// Bytes of their texts and values, with 128 added for each commit.
    pub bytes: u64,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { commits: 10_000, bytes: 16 << 20 }
    }
}

/// Bytes that a commit counts beside its texts.
pub(crate) const OVERHEAD: u64 = 128;

/// [`Row::size`] in SQL.
pub(crate) const SIZE: &str = "(128 + octet_length(program) + octet_length(message) + octet_length(marks) \
                               + octet_length(changes))";

/// How many commits one commit forgets at most, so that none takes long when the limits were lowered.
const MOST_FORGOTTEN: i64 = 1024;

/// How much of the history is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    commits: u64,
    bytes: u64,
}

impl Kept {
    pub(crate) fn count(db: &Connection) -> Result<Self, rusqlite::Error> {
        let query = format!("SELECT count(*), coalesce(sum({SIZE}), 0) FROM commits");
        let (commits, bytes): (i64, i64) = db.query_row(&query, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self { commits: commits.cast_unsigned(), bytes: bytes.cast_unsigned() })
    }

    pub(crate) fn with(self, row: &Row) -> Self {
        Self { commits: self.commits + 1, bytes: self.bytes + row.size() }
    }

    /// Forgets the oldest commits where there are too many. It forgets a few more than it must, so that most
    /// commits forget none.
    pub(crate) fn prune(
        mut self,
        tx: &Transaction<'_>,
        limits: HistoryLimits,
    ) -> Result<Self, rusqlite::Error> {
        if self.commits <= limits.commits && self.bytes <= limits.bytes {
            return Ok(self);
        }
        let (commits, bytes) = (limits.commits - limits.commits / 64, limits.bytes - limits.bytes / 64);
        let query = format!("SELECT id, {SIZE}, hash FROM commits ORDER BY id LIMIT {MOST_FORGOTTEN}");
        let mut oldest = tx.prepare_cached(&query)?;
        let mut oldest = oldest.query([])?;
        let mut last: Option<(i64, Vec<u8>)> = None;
        while self.commits > 1 && (self.commits > commits || self.bytes > bytes) {
            let Some(row) = oldest.next()? else { break };
            self.commits -= 1;
            self.bytes = self.bytes.saturating_sub(row.get::<_, i64>(1)?.cast_unsigned());
            last = Some((row.get(0)?, row.get(2)?));
        }
        drop(oldest);
        let Some((id, hash)) = last else { return Ok(self) };
        tx.prepare_cached("DELETE FROM commits WHERE id <= ?1")?.execute([id])?;
        // What is forgotten cannot be undone any more, so its trial is over.
        tx.prepare_cached("DELETE FROM trials WHERE commit_id <= ?1")?.execute([id])?;
        tx.prepare_cached("INSERT OR REPLACE INTO anchor VALUES (1, ?1, ?2)")?.execute(params![id, hash])?;
        Ok(self)
    }
}

impl Store {
    /// At most `limit` commits, newest first; with `before`, only those older than that one.
    pub fn history(&self, limit: usize, before: Option<u64>) -> Result<Vec<CommitSummary>, StoreError> {
        let before = before.map_or(i64::MAX, |id| i64::try_from(id).unwrap_or(i64::MAX));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = || {
            let query = format!("SELECT {HEAD_COLUMNS} FROM commits WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
            let mut rows = self.db.prepare_cached(&query)?;
            rows.query_map([before, limit], Row::read_head)?.collect::<Result<Vec<_>, _>>()
        };
        let rows = read().context(ReadSnafu)?;
        let summary = |row: Row| {
            let id = row.id.cast_unsigned();
            row.summary().map_err(|why| BadCommitSnafu { id, why }.build())
        };
        rows.into_iter().map(summary).collect()
    }

    /// One commit with its changes, if the history still has it.
    pub fn commit_by_id(&self, id: u64) -> Result<Option<Commit>, StoreError> {
        let Ok(number) = i64::try_from(id) else { return Ok(None) };
        let query = format!("SELECT {COLUMNS} FROM commits WHERE id = ?1");
        let row =
            self.db.prepare_cached(&query).and_then(|mut q| q.query_row([number], Row::read).optional());
        let commit = |row: Row| row.commit().map_err(|why| BadCommitSnafu { id, why }.build());
        row.context(ReadSnafu)?.map(commit).transpose()
    }

    /// The commit of that number, or why there is none.
    pub(crate) fn known_commit(&self, id: u64) -> Result<Commit, StoreError> {
        ensure!((1..=self.head).contains(&id), NoCommitSnafu { id, head: self.head });
        let oldest = self.oldest()?;
        self.commit_by_id(id)?.context(ForgottenSnafu { id, oldest })
    }

    /// The oldest commit that the history has.
    pub(crate) fn oldest(&self) -> Result<u64, StoreError> {
        let query = "SELECT coalesce(min(id), 0) FROM commits";
        let id: i64 = self.db.query_row(query, [], |row| row.get(0)).context(ReadSnafu)?;
        Ok(id.cast_unsigned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Author, CommitRequest, Edit, Layer, Opened};

    #[test]
    fn what_is_counted_along_the_way_is_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let Opened { mut store, mut snapshot, .. } = Store::open(&folder.path().join("settings.db")).unwrap();
        store.limits = HistoryLimits { commits: 20, bytes: 10_000 };
        for n in 0..100 {
            let (layer, key) = (Layer::Api, "a.b".parse().unwrap());
            let edit = Edit { layer, key, value: Some("\u{fc}".repeat(n * 5).into()) };
            let author = Author { uid: 1, pid: 2, program: "p".repeat(n) };
            let request = CommitRequest::new(vec![edit], author).message("\u{fc}".repeat(n % 7)).mark("m");
            snapshot = store.commit(&snapshot, request).unwrap().1;
            assert_eq!(store.kept, Kept::count(&store.db).unwrap(), "after commit {n}");
            assert!(store.kept.commits <= 20 && store.kept.bytes <= 10_000, "{:?}", store.kept);
        }
    }
}
