//! Going back: the edits that undo one commit, or all commits since one. Making them a commit is the caller's.

use crate::commit::{COLUMNS, Row};
use crate::error::{BadCommitSnafu, ForgottenSnafu, NoCommitSnafu, ReadSnafu};
use crate::{Change, Edit, Layer, Snapshot, Store, StoreError};
use serde_json::Value;
use settings::Key;
use snafu::{ResultExt, ensure};
use std::collections::BTreeMap;

/// What undoes one commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Revert {
    /// The edits that do.
    pub edits: Vec<Edit>,
    /// Leaves that stay as they are: a later commit changed them, or they are of the default layer, which belongs
    /// to the image.
    pub conflicts: Vec<Key>,
}

impl Store {
    /// What undoes one commit and nothing that came after it. Leaves that still have, in their layer, the value
    /// the commit gave them go back to the value before it; others are conflicts.
    pub fn revert_edits(&self, snapshot: &Snapshot, commit_id: u64) -> Result<Revert, StoreError> {
        let commit = self.known_commit(commit_id)?;
        let mut revert = Revert::default();
        for Change { layer, key, old, new } in commit.changes {
            let now = snapshot.in_layer(layer, &key).map(|leaf| &*leaf.value);
            if layer == Layer::Default || now != new.as_ref() {
                revert.conflicts.push(key);
            } else if old != new {
                revert.edits.push(Edit { layer, key, value: old });
            }
        }
        revert.conflicts.sort();
        revert.conflicts.dedup();
        Ok(revert)
    }

    /// What brings all layers but the default one back to their state right after a commit; commit 0 is the state
    /// before the first one.
    pub fn restore_edits(&self, snapshot: &Snapshot, commit_id: u64) -> Result<Vec<Edit>, StoreError> {
        ensure!(commit_id <= self.head, NoCommitSnafu { id: commit_id, head: self.head });
        let oldest = self.oldest()?;
        ensure!(commit_id + 1 >= oldest, ForgottenSnafu { id: commit_id, oldest });
        let mut past: BTreeMap<(Layer, Key), Option<Value>> = BTreeMap::new();
        let query = format!("SELECT {COLUMNS} FROM commits WHERE id > ?1 ORDER BY id DESC");
        let mut rows = self.db.prepare_cached(&query).context(ReadSnafu)?;
        let mut rows = rows.query([commit_id.cast_signed()]).context(ReadSnafu)?;
        while let Some(row) = rows.next().context(ReadSnafu)? {
            let row = Row::read(row).context(ReadSnafu)?;
            let id = row.id.cast_unsigned();
            let changes = row.changes().map_err(|why| BadCommitSnafu { id, why }.build())?;
            past.extend(changes.into_iter().map(|change| ((change.layer, change.key), change.old)));
        }
        let differs = |edit: &Edit| {
            snapshot.in_layer(edit.layer, &edit.key).map(|leaf| &*leaf.value) != edit.value.as_ref()
        };
        let edits = past.into_iter().filter(|((layer, _), _)| *layer != Layer::Default);
        let edits = edits.map(|((layer, key), value)| Edit { layer, key, value });
        Ok(edits.filter(differs).collect())
    }
}
