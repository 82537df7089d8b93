//! Commits on trial: undone by themselves unless somebody confirms them in time.

use crate::{ApiError, App, document};
use datastore::Trial;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The longest trial.
pub(crate) const LONGEST: Duration = Duration::from_hours(24);
/// How long to wait after a trial could not be ended.
const RETRY: Duration = Duration::from_secs(10);

/// The commits on trial.
#[derive(Debug, Default)]
pub(crate) struct Trials {
    running: Mutex<BTreeMap<u64, Running>>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    deadline_ms: u64,
    /// The deadline as a clock measures it that nobody sets.
    deadline: Instant,
}

impl Trials {
    pub(crate) fn begin(&self, commit: u64, deadline_ms: u64, deadline: Instant) {
        self.lock().insert(commit, Running { deadline_ms, deadline });
        self.changed.notify_one();
    }

    pub(crate) fn end(&self, commit: u64) {
        self.lock().remove(&commit);
        self.changed.notify_one();
    }

    pub(crate) fn contains(&self, commit: u64) -> bool {
        self.lock().contains_key(&commit)
    }

    /// The trials that an earlier server left. Their time went on while there was none.
    pub(crate) fn resume(&self, trials: &[Trial]) {
        let now = Timestamp::now().as_millisecond().cast_unsigned();
        for trial in trials {
            // A clock that was set back must not keep a trial for ever.
            let left = Duration::from_millis(trial.deadline_ms.saturating_sub(now)).min(LONGEST);
            self.begin(trial.commit, trial.deadline_ms, Instant::now() + left);
        }
    }

    pub(crate) fn list(&self) -> Vec<wire::Trial> {
        let trial = |(commit, running): (&u64, &Running)| wire::Trial {
            commit: *commit,
            deadline: document::time(running.deadline_ms.cast_signed()),
        };
        self.lock().iter().map(trial).collect()
    }

    /// The trial that ends first.
    fn first(&self) -> Option<(u64, Instant)> {
        let first = |(commit, running): (&u64, &Running)| (*commit, running.deadline);
        // Of equal deadlines the newest commit goes first, so that commits are undone in reverse.
        self.lock().iter().map(first).min_by_key(|(commit, at)| (*at, std::cmp::Reverse(*commit)))
    }

    fn put_off(&self, commit: u64, until: Instant) {
        if let Some(running) = self.lock().get_mut(&commit) {
            running.deadline = until;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Ends trials when their time has come; never returns.
    pub async fn watch_trials(&self) {
        loop {
            let Some((commit, deadline)) = self.trials.first() else {
                self.trials.changed.notified().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep_until(deadline.into()) => self.undo_unconfirmed(commit).await,
                () = self.trials.changed.notified() => {}
            }
        }
    }

    async fn undo_unconfirmed(&self, commit: u64) {
        match self.end_trial(commit).await {
            Ok(Some(committed)) => {
                tracing::info!(commit, by = committed.commit, "undid a commit that nobody confirmed");
                if !committed.keys.is_empty() {
                    self.jobs.start(Some(committed.commit), Some(committed.keys));
                }
            }
            Ok(None) => {}
            Err(error @ (ApiError::Store(_) | ApiError::Internal { .. })) => {
                tracing::error!(commit, ?error, "a commit on trial could not be undone; trying again");
                self.trials.put_off(commit, Instant::now() + RETRY);
            }
            Err(error) => {
                // The state without it would break a rule, now and later: it has to stay.
                tracing::error!(commit, ?error, "a commit on trial cannot be undone; it stays");
                if let Err(error) = self.confirm(commit).await {
                    tracing::error!(commit, ?error, "the trial could not be ended");
                    self.trials.put_off(commit, Instant::now() + RETRY);
                }
            }
        }
    }
}
