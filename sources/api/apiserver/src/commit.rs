//! Committing: a transaction, or the way back.

use crate::error::violation;
use crate::{ApiError, App, Peer, document};
use datastore::{Commit, CommitRequest, Edit, Layer, Revert, TransactionName};
use jiff::Timestamp;
use settings::{Key, Violation};
use std::time::{Duration, Instant};
use wire::{Committed, Event};

/// What a commit is made with, besides its edits.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// Why.
    pub message: String,
    /// Names to mark as done together with it.
    pub marks: Vec<String>,
    /// Puts it on trial for so long.
    pub trial: Option<Duration>,
    /// The commit whose trial ends with this one, which undoes it.
    pub ends_trial: Option<u64>,
}

/// Where to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// To the state without one commit.
    Revert(u64),
    /// To the state right after a commit.
    Restore(u64),
}

impl App {
    /// Has what was committed applied.
    pub fn apply(&self, committed: Committed) -> Committed {
        let job = self.jobs.start(Some(committed.commit), Some(committed.keys.clone()));
        Committed { job: Some(job), ..committed }
    }

    /// Commits a transaction. On failure the transaction stays as it was.
    pub async fn commit(
        &self,
        tx: &TransactionName,
        peer: Peer,
        options: CommitOptions,
    ) -> Result<Committed, ApiError> {
        let _one_at_a_time = self.committing.lock().await;
        let edits = self.edits(tx);
        if edits.is_empty() && options.marks.is_empty() {
            return Err(ApiError::NothingPending { transaction: tx.as_str().to_owned() });
        }
        let committed = self.commit_edits(edits.clone(), peer, options).await?;
        self.pending().settle(tx, &edits);
        Ok(committed)
    }

    /// Commits the way back.
    pub async fn go_back(
        &self,
        to: Back,
        peer: Peer,
        mut options: CommitOptions,
    ) -> Result<Committed, ApiError> {
        let _one_at_a_time = self.committing.lock().await;
        let snapshot = self.snapshot();
        let edits = self.with_store(move |store| match to {
            Back::Revert(id) => store.revert_edits(&snapshot, id),
            Back::Restore(id) => {
                let edits = store.restore_edits(&snapshot, id)?;
                Ok(Revert { edits, conflicts: Vec::new() })
            }
        });
        let Revert { edits, conflicts } = edits.await?.map_err(ApiError::Store)?;
        let conflict = |what: String, violations| Err(ApiError::Conflict { what, violations });
        if !conflicts.is_empty() {
            let rule = "was changed later, or comes from the image";
            let violations = conflicts.iter().map(|key| violation(key.as_str(), rule)).collect();
            return conflict("the commit cannot be undone as a whole".to_owned(), violations);
        }
        if edits.is_empty() {
            return conflict("there is nothing to undo".to_owned(), Vec::new());
        }
        if edits.iter().any(|edit| edit.layer != Layer::Api) && !peer.is_privileged() {
            let what = "only root may change layers other than 'api'".to_owned();
            return Err(ApiError::Forbidden { what });
        }
        let outdated: Vec<Violation> = edits.iter().filter_map(|edit| self.outdated(edit)).collect();
        if !outdated.is_empty() {
            return conflict("the values of then are no longer valid".to_owned(), outdated);
        }
        if options.message.is_empty() {
            options.message = match to {
                Back::Revert(id) => format!("undo commit {id}"),
                Back::Restore(id) => format!("back to commit {id}"),
            };
        }
        self.commit_edits(edits, peer, options).await
    }

    /// Undoes as much of a commit on trial as nobody has changed since, and ends its trial. Gives nothing where
    /// the trial was ended in the meantime.
    pub(crate) async fn end_trial(&self, id: u64) -> Result<Option<Committed>, ApiError> {
        let _one_at_a_time = self.committing.lock().await;
        if !self.trials.contains(id) {
            return Ok(None);
        }
        let snapshot = self.snapshot();
        let revert = self.with_store(move |store| store.revert_edits(&snapshot, id)).await?;
        let Revert { edits, conflicts } = revert.map_err(ApiError::Store)?;
        if !conflicts.is_empty() {
            let keys: Vec<&str> = conflicts.iter().map(Key::as_str).collect();
            tracing::warn!(commit = id, ?keys, "keys that were changed later keep their values");
        }
        let options = CommitOptions {
            message: format!("undo commit {id}, which nobody confirmed in time"),
            ends_trial: Some(id),
            ..CommitOptions::default()
        };
        self.commit_edits(edits, Peer::own(), options).await.map(Some)
    }

    /// Ends the trial of a commit: it stays.
    pub async fn confirm(&self, id: u64) -> Result<(), ApiError> {
        let _one_at_a_time = self.committing.lock().await;
        self.with_store(move |store| store.confirm(id)).await?.map_err(ApiError::Store)?;
        self.trials.end(id);
        self.events.tell(Event::TrialEnded { commit: id, confirmed: true, undone_by: None });
        Ok(())
    }

    fn outdated(&self, edit: &Edit) -> Option<Violation> {
        let value = edit.value.clone()?;
        self.schema.check(&edit.key, value).err()
    }

    /// Checks edits as a whole, makes them durable, and shows them to readers. The caller holds `committing`.
    async fn commit_edits(
        &self,
        edits: Vec<Edit>,
        peer: Peer,
        options: CommitOptions,
    ) -> Result<Committed, ApiError> {
        let before = self.snapshot();
        self.check_rules(&edits)?;
        let mut keys: Vec<String> = edits.iter().map(|edit| edit.key.to_string()).collect();
        keys.sort_unstable();
        keys.dedup();
        let now = Timestamp::now().as_millisecond();
        let started = Instant::now();
        let (commit, after) = self
            .with_store(move |store| {
                let mut request =
                    CommitRequest::new(edits, peer.author()).message(options.message).time_ms(now);
                request.marks = options.marks;
                request.ends_trial = options.ends_trial;
                request.trial = options.trial.map(|limit| deadline_ms(now, limit));
                store.commit(&before, request)
            })
            .await?
            .map_err(ApiError::Store)?;
        self.metrics.commit(started.elapsed());
        self.publish(after);
        self.after_commit(&commit, options.trial, &keys).await?;
        Ok(Committed { commit: commit.id, keys, job: None })
    }

    /// What else changes with a commit: marks, trials, quarantine; and those who listen are told.
    async fn after_commit(
        &self,
        commit: &Commit,
        trial: Option<Duration>,
        keys: &[String],
    ) -> Result<(), ApiError> {
        self.marks().extend(commit.marks.iter().map(|mark| (mark.clone(), commit.id)));
        if let (Some(limit), Some(deadline_ms)) = (trial, commit.trial) {
            self.trials.begin(commit.id, deadline_ms, Instant::now() + limit);
        }
        let summary = document::commit(commit.clone()).summary;
        self.events.tell(Event::Commit { commit: summary, keys: keys.to_vec() });
        if let Some(ended) = commit.ends_trial {
            self.trials.end(ended);
            let undone_by = Some(commit.id);
            self.events.tell(Event::TrialEnded { commit: ended, confirmed: false, undone_by });
        }
        if !self.quarantined().is_empty() {
            let left = self.with_store(|store| store.quarantined().cloned().collect()).await?;
            *self.quarantined() = left;
        }
        Ok(())
    }
}

fn deadline_ms(now: i64, limit: Duration) -> u64 {
    now.cast_unsigned() + u64::try_from(limit.as_millis()).unwrap_or(u64::MAX / 2)
}
