//! How far the work is, for whoever asks.

use host::Host;
use std::time::{Duration, Instant};
use update_status::{PROGRESS_FILE, Progress, Time, Verb, Worker};

/// How often it is written at most.
const PAUSE: Duration = Duration::from_secs(1);
/// Over how long the rate is taken, so that it is neither nervous nor slow.
const WINDOW: Duration = Duration::from_secs(5);

/// What is known of the work at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// What is being done.
    pub(crate) phase: String,
    /// Bytes fetched, and to fetch.
    pub(crate) bytes: (u64, u64),
    /// Blocks that are right, and of the update.
    pub(crate) blocks: (u64, u64),
}

/// Writes progress, at most once a second.
pub(crate) struct Reporter<'a> {
    host: &'a Host,
    progress: Progress,
    rate: Rate,
    written: Option<Instant>,
}

impl<'a> Reporter<'a> {
    /// Of work that began.
    pub(crate) fn new(host: &'a Host, progress: Progress) -> Self {
        Self { host, progress, rate: Rate::default(), written: None }
    }

    /// Takes note of where the work is.
    pub(crate) fn report(&mut self, counts: Counts) {
        let now = Instant::now();
        let new_phase = counts.phase != self.progress.phase;
        if !new_phase && self.written.is_some_and(|written| now.duration_since(written) < PAUSE) {
            return;
        }
        self.written = Some(now);
        let (done, total) = counts.bytes;
        let rate = self.rate.at(now, done);
        self.progress = Progress {
            phase: counts.phase,
            updated: jiff::Timestamp::now().into(),
            bytes_done: done,
            bytes_total: total,
            blocks_done: counts.blocks.0,
            blocks: counts.blocks.1,
            rate,
            seconds_left: total.saturating_sub(done).checked_div(rate),
            ..self.progress.clone()
        };
        let text = serde_json::to_vec(&self.progress).expect("progress is JSON");
        if let Err(error) = self.host.replace(PROGRESS_FILE, &text, 0o644) {
            // The work matters more than what is said of it.
            tracing::debug!(error = host::program::chain(&error), "progress was not written");
        }
    }
}

/// Work that begins.
pub(crate) fn beginning(verb: Verb, now: Time, worker: Option<Worker>) -> Progress {
    Progress {
        command: verb,
        phase: "begin".to_owned(),
        started: now,
        updated: now,
        bytes_done: 0,
        bytes_total: 0,
        blocks_done: 0,
        blocks: 0,
        rate: 0,
        seconds_left: None,
        worker,
    }
}

/// Bytes per second over the last seconds.
#[derive(Debug, Default)]
struct Rate {
    samples: std::collections::VecDeque<(Instant, u64)>,
}

impl Rate {
    fn at(&mut self, now: Instant, bytes: u64) -> u64 {
        if self.samples.back().is_some_and(|(_, before)| *before > bytes) {
            self.samples.clear();
        }
        self.samples.push_back((now, bytes));
        while self.samples.len() > 2 && self.samples[1].0 + WINDOW <= now {
            self.samples.pop_front();
        }
        let (first, before) = self.samples[0];
        let milliseconds = u64::try_from(now.duration_since(first).as_millis()).unwrap_or(u64::MAX);
        (bytes - before).saturating_mul(1000).checked_div(milliseconds).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let (start, mut rate) = (Instant::now(), Rate::default());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for (seconds, bytes, expected) in [
            (0, 100, 0),
            (1, 1100, 1000),
            (2, 2100, 1000),
            // Ten seconds of nothing: the window has passed.
            (12, 2100, 0),
            (13, 7100, 454),
            // A new count begins.
            (14, 0, 0),
            (15, 10, 10),
        ] {
            assert_eq!(rate.at(at(seconds), bytes), expected, "after {seconds} s");
        }
    }

    #[test]
    fn progress_is_written_once_a_second_and_at_every_new_phase() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        let now: Time = jiff::Timestamp::now().into();
        let mut reporter = Reporter::new(&host, beginning(Verb::Prepare, now, None));
        let written = || -> Option<Progress> {
            Some(serde_json::from_slice(&host.read(PROGRESS_FILE).unwrap()?).unwrap())
        };
        let counts =
            |phase: &str, done| Counts { phase: phase.into(), bytes: (done, 100), blocks: (done, 50) };
        reporter.report(counts("fetch", 10));
        assert_eq!(written().unwrap().bytes_done, 10);
        reporter.report(counts("fetch", 20));
        assert_eq!(written().unwrap().bytes_done, 10, "not again within the second");
        reporter.report(counts("verify", 30));
        let last = written().unwrap();
        assert_eq!(
            (last.phase.as_str(), last.bytes_done, last.blocks_done, last.blocks),
            ("verify", 30, 30, 50)
        );
        assert_eq!(last.started, now);
    }
}
