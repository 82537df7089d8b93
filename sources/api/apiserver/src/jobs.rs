//! Apply jobs: one applier at a time. What is asked for while one runs becomes one next job.

use crate::events::Events;
use crate::metrics::Metrics;
use host::{Command, Host};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use wire::{ApplyReport, Event, Job, JobState};

/// How many jobs are remembered.
const REMEMBERED: usize = 100;
/// How long one applier may run. Longer than the slowest restart of a container runtime with its containers.
const TIME_LIMIT: Duration = Duration::from_mins(10);
/// The applier, found in `/usr/bin` of the host.
const APPLIER: &str = "thar-be-settings";

/// The jobs of this server.
#[derive(Clone, Debug)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    jobs: Mutex<VecDeque<Job>>,
    queued: Notify,
    /// Rises with every change of a job, so that waiting clients look again.
    changed: watch::Sender<u64>,
    events: Events,
    metrics: Arc<Metrics>,
}

impl Jobs {
    /// No jobs yet, and the task that will run them.
    pub fn new(host: Host, events: Events, metrics: Arc<Metrics>) -> (Self, impl Future<Output = ()> + Send) {
        let (changed, _) = watch::channel(0);
        let jobs =
            Self(Arc::new(Inner { jobs: Mutex::default(), queued: Notify::new(), changed, events, metrics }));
        let runner = jobs.clone();
        let run = async move {
            loop {
                runner.0.queued.notified().await;
                while let Some(job) = runner.next() {
                    runner.run(&host, job).await;
                }
            }
        };
        (jobs, run)
    }

    /// Has keys applied, or everything, once the job that runs has ended. Gives the job that will do it: a new one,
    /// or the one that waits already.
    pub fn start(&self, commit: Option<u64>, keys: Option<Vec<String>>) -> u64 {
        let mut jobs = self.lock();
        let waiting = jobs.back_mut().filter(|job| job.state == JobState::Queued);
        let id = if let Some(job) = waiting {
            job.commits.extend(commit);
            job.keys = job.keys.take().zip(keys).map(|(ours, theirs)| united(ours, theirs));
            job.id
        } else {
            let id = jobs.back().map_or(1, |job| job.id + 1);
            if jobs.len() >= REMEMBERED {
                // All but the last two have ended.
                jobs.pop_front();
            }
            let commits = commit.into_iter().collect();
            jobs.push_back(Job { id, commits, state: JobState::Queued, keys, report: None, error: None });
            id
        };
        let told = jobs.back().map(event);
        drop(jobs);
        self.tell(told);
        self.0.queued.notify_one();
        id
    }

    /// All jobs that are remembered, oldest first.
    pub fn list(&self) -> Vec<Job> {
        self.lock().iter().cloned().collect()
    }

    /// One job.
    pub fn get(&self, id: u64) -> Option<Job> {
        self.lock().iter().find(|job| job.id == id).cloned()
    }

    /// One job, once it has ended or `limit` has passed.
    pub async fn wait(&self, id: u64, limit: Duration) -> Option<Job> {
        let mut changed = self.0.changed.subscribe();
        let ended = async {
            loop {
                match self.get(id) {
                    Some(job) if !job.state.is_final() => {}
                    other => return other,
                }
                if changed.changed().await.is_err() {
                    return self.get(id);
                }
            }
        };
        match tokio::time::timeout(limit, ended).await {
            Ok(job) => job,
            Err(_) => self.get(id),
        }
    }

    /// Waits until no job waits or runs.
    pub async fn idle(&self) {
        let mut changed = self.0.changed.subscribe();
        while self.lock().iter().any(|job| !job.state.is_final()) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Marks the job that waits as running.
    fn next(&self) -> Option<Job> {
        let id = self.lock().iter().find(|job| job.state == JobState::Queued)?.id;
        self.update(id, |job| job.state = JobState::Running);
        self.get(id)
    }

    async fn run(&self, host: &Host, job: Job) {
        let (host, id) = (host.clone(), job.id);
        let ran = tokio::task::spawn_blocking(move || apply(&host, job.keys.as_deref())).await;
        let result = ran.unwrap_or_else(|e| Err(e.to_string()));
        if let Err(error) = &result {
            tracing::error!(job = id, error, "a job failed");
        }
        let succeeded = result.as_ref().is_ok_and(|(_, succeeded)| *succeeded);
        let metrics = &self.0.metrics;
        let counter = if succeeded { &metrics.jobs_succeeded } else { &metrics.jobs_failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.update(id, |job| {
            job.state = if succeeded { JobState::Succeeded } else { JobState::Failed };
            match result {
                Ok((report, _)) => job.report = Some(report),
                Err(error) => job.error = Some(error),
            }
        });
    }

    fn update(&self, id: u64, change: impl FnOnce(&mut Job)) {
        let mut jobs = self.lock();
        let told = jobs.iter_mut().find(|job| job.id == id).map(|job| {
            change(job);
            event(job)
        });
        drop(jobs);
        self.tell(told);
    }

    fn tell(&self, told: Option<Event>) {
        if let Some(event) = told {
            self.0.events.tell(event);
        }
        self.0.changed.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn event(job: &Job) -> Event {
    Event::Job { id: job.id, state: job.state, commits: job.commits.clone() }
}

fn united(mut ours: Vec<String>, theirs: Vec<String>) -> Vec<String> {
    ours.extend(theirs);
    ours.sort_unstable();
    ours.dedup();
    ours
}

/// Runs the applier. Gives its report and whether all went well.
fn apply(host: &Host, keys: Option<&[String]>) -> Result<(ApplyReport, bool), String> {
    let mut command = Command::new([APPLIER, "--json"]);
    match keys {
        Some(keys) => command.stdin = serde_json::to_vec(keys).expect("a list of text is JSON"),
        None => command.argv.push("--all".to_owned()),
    }
    command.timeout = TIME_LIMIT;
    let output = host.run(&command).map_err(|e| told(&e))?;
    let report = serde_json::from_slice::<ApplyReport>(&output.stdout).map_err(|_| {
        format!("the applier ended with {} and no report: {}", output.status, tail(&output.stderr))
    })?;
    let succeeded = report.succeeded() && output.status.success();
    Ok((report, succeeded))
}

/// A job that could not be run, as clients are told.
fn told(error: &host::CommandError) -> String {
    host::program::chain(error)
}

/// The last line of a text: where programs say what went wrong.
fn tail(text: &str) -> &str {
    text.trim_end().rsplit('\n').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_while_a_job_waits_joins_it() {
        let dir = tempfile::tempdir().unwrap();
        let (jobs, _never_run) = Jobs::new(Host::new(dir.path()), Events::default(), Arc::default());
        let keys = |names: &[&str]| Some(names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>());
        let first = jobs.start(Some(1), keys(&["b"]));
        assert_eq!(jobs.next().unwrap().state, JobState::Running);
        let second = jobs.start(Some(2), keys(&["c", "a"]));
        assert_ne!(first, second, "what runs cannot be joined");
        assert_eq!(jobs.start(Some(3), keys(&["b", "a"])), second);
        let job = jobs.get(second).unwrap();
        assert_eq!((job.commits, job.keys), (vec![2, 3], keys(&["a", "b", "c"])));
        assert_eq!(jobs.start(None, None), second);
        assert_eq!(jobs.get(second).unwrap().keys, None, "everything includes all keys");
        assert_eq!(jobs.start(Some(4), keys(&["z"])), second);
        assert_eq!(jobs.get(second).unwrap().keys, None);
    }

    #[test]
    fn ended_jobs_are_forgotten_oldest_first() {
        let dir = tempfile::tempdir().unwrap();
        let (jobs, _never_run) = Jobs::new(Host::new(dir.path()), Events::default(), Arc::default());
        for _ in 0..REMEMBERED + 5 {
            let id = jobs.start(None, None);
            jobs.update(id, |job| job.state = JobState::Succeeded);
        }
        assert_eq!(jobs.list().len(), REMEMBERED);
        assert_eq!(jobs.list()[0].id, 6);
    }
}
