//! Counters and times, as Prometheus reads them.

use axum::http::StatusCode;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wire::routes;

/// Paths that are counted by themselves; all others share [`OTHER`], so that no client can make us hold more.
const PATHS: &[&str] = &[
    routes::ROOT,
    routes::SETTINGS,
    routes::OS,
    routes::KEYPAIR,
    routes::SETTINGS_VALIDATE,
    routes::SETTINGS_ORIGIN,
    routes::TX,
    routes::TX_LIST,
    routes::TX_DIFF,
    routes::TX_COMMIT,
    routes::TX_APPLY,
    routes::TX_COMMIT_AND_APPLY,
    routes::AFFECTED_SERVICES,
    routes::SETTING_GENERATORS,
    routes::TEMPLATES,
    routes::SERVICES,
    routes::CONFIGURATION_FILES,
    routes::COMMITS,
    routes::COMMITS_VERIFY,
    routes::JOBS,
    routes::STATUS,
    routes::EVENTS,
    routes::SCHEMA,
    routes::EXPLAIN,
    routes::METRICS,
    routes::OPENAPI,
    routes::REBOOT,
    routes::REFRESH_UPDATES,
    routes::PREPARE_UPDATE,
    routes::ACTIVATE_UPDATE,
    routes::DEACTIVATE_UPDATE,
    routes::FORGET_UPDATE,
    routes::UPDATES_STATUS,
];
const JOB: usize = PATHS.len();
const COMMIT: usize = JOB + 1;
const OTHER: usize = JOB + 2;
/// Status classes from 2xx to 5xx.
const CLASSES: usize = 4;

/// Upper bounds of the request times, in microseconds: a cached read, a filtered read, a durable commit, a slow
/// disk, a wait.
const REQUEST_BOUNDS_US: [u64; 6] = [50, 250, 1_000, 10_000, 100_000, 1_000_000];
/// Upper bounds of the commit times, in microseconds.
const COMMIT_BOUNDS_US: [u64; 6] = [250, 1_000, 5_000, 25_000, 100_000, 1_000_000];

#[derive(Debug)]
struct Histogram {
    bounds_us: [u64; 6],
    /// One more than there are bounds: what is beyond the last.
    counts: [AtomicU64; 7],
    sum_us: AtomicU64,
}

/// What is counted.
#[derive(Debug)]
pub struct Metrics {
    requests: Vec<[AtomicU64; CLASSES]>,
    request_time: Histogram,
    commit_time: Histogram,
    /// Jobs that did everything.
    pub jobs_succeeded: AtomicU64,
    /// Jobs that did not.
    pub jobs_failed: AtomicU64,
    /// Connections that are open.
    pub connections: AtomicU64,
}

/// What is counted elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// The newest commit.
    pub commit: u64,
    /// Keys that have a value.
    pub keys: u64,
    /// Transactions that are pending.
    pub pending: u64,
    /// Stored values that are left out.
    pub quarantined: u64,
}

impl Histogram {
    fn new(bounds_us: [u64; 6]) -> Self {
        Self { bounds_us, counts: Default::default(), sum_us: AtomicU64::new(0) }
    }

    fn count(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = self.bounds_us.partition_point(|&bound| bound < us);
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    fn render(&self, name: &str, what: &str, text: &mut String) {
        let mut line = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        line(format!("# HELP {name} {what}"));
        line(format!("# TYPE {name} histogram"));
        let mut total = 0;
        for (bound, count) in self.bounds_us.iter().zip(&self.counts) {
            total += count.load(Ordering::Relaxed);
            line(format!("{name}_bucket{{le=\"{}\"}} {total}", seconds(*bound)));
        }
        total += self.counts[self.bounds_us.len()].load(Ordering::Relaxed);
        line(format!("{name}_bucket{{le=\"+Inf\"}} {total}"));
        line(format!("{name}_sum {}", seconds(self.sum_us.load(Ordering::Relaxed))));
        line(format!("{name}_count {total}"));
    }
}

fn seconds(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: (0..=OTHER).map(|_| Default::default()).collect(),
            request_time: Histogram::new(REQUEST_BOUNDS_US),
            commit_time: Histogram::new(COMMIT_BOUNDS_US),
            jobs_succeeded: AtomicU64::new(0),
            jobs_failed: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// Counts a request that was answered.
    pub fn request(&self, route: Route, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2).min(CLASSES - 1);
        self.requests[route.0][class].fetch_add(1, Ordering::Relaxed);
        self.request_time.count(took);
    }

    /// Counts a commit.
    pub fn commit(&self, took: Duration) {
        self.commit_time.count(took);
    }

    /// The text of all of it.
    pub fn render(&self, gauges: Gauges) -> String {
        let mut text = String::from(
            "# HELP visco_api_requests_total Requests that were answered.\n\
             # TYPE visco_api_requests_total counter\n",
        );
        for (route, classes) in self.requests.iter().enumerate() {
            for (class, count) in classes.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let (route, class) = (Route(route).name(), class + 2);
                    writeln!(
                        text,
                        "visco_api_requests_total{{route=\"{route}\",status=\"{class}xx\"}} {count}"
                    )
                    .expect("text takes text");
                }
            }
        }
        self.request_time.render("visco_api_request_seconds", "Time to answer a request.", &mut text);
        self.commit_time.render("visco_api_commit_seconds", "Time to make a commit durable.", &mut text);
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        text.push_str(
            "# HELP visco_api_jobs_total Apply jobs that ended.\n# TYPE visco_api_jobs_total counter\n",
        );
        for (result, count) in
            [("succeeded", count(&self.jobs_succeeded)), ("failed", count(&self.jobs_failed))]
        {
            writeln!(text, "visco_api_jobs_total{{result=\"{result}\"}} {count}").expect("text takes text");
        }
        for (name, what, value) in [
            ("head_commit", "The newest commit.", gauges.commit),
            ("keys", "Keys that have a value.", gauges.keys),
            ("pending_transactions", "Transactions that are pending.", gauges.pending),
            ("quarantined", "Stored values that are left out.", gauges.quarantined),
            ("connections", "Connections that are open.", count(&self.connections)),
        ] {
            writeln!(
                text,
                "# HELP visco_api_{name} {what}\n# TYPE visco_api_{name} gauge\nvisco_api_{name} {value}"
            )
            .expect("text takes text");
        }
        text
    }
}

/// A path as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route(usize);

impl Route {
    /// The route of a path.
    pub fn of(path: &str) -> Self {
        let known = PATHS.iter().position(|known| *known == path);
        let below = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        Self(known.unwrap_or(match path {
            _ if below(routes::JOBS) => JOB,
            _ if below(routes::COMMITS) => COMMIT,
            _ => OTHER,
        }))
    }

    fn name(self) -> &'static str {
        match self.0 {
            JOB => routes::JOB,
            COMMIT => routes::COMMIT,
            OTHER => "other",
            known => PATHS[known],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_status_class() {
        let metrics = Metrics::default();
        for path in ["/settings", "/jobs/1", "/commits/7/revert", "/nonsense/1", "/nonsense/2"] {
            metrics.request(Route::of(path), StatusCode::NOT_FOUND, Duration::from_micros(60));
        }
        let text = metrics.render(Gauges { keys: 3, ..Gauges::default() });
        for line in [
            "visco_api_requests_total{route=\"/settings\",status=\"4xx\"} 1",
            "visco_api_requests_total{route=\"/jobs/{id}\",status=\"4xx\"} 1",
            "visco_api_requests_total{route=\"/commits/{id}\",status=\"4xx\"} 1",
            "visco_api_requests_total{route=\"other\",status=\"4xx\"} 2",
            "visco_api_request_seconds_bucket{le=\"0.00005\"} 0",
            "visco_api_request_seconds_bucket{le=\"0.00025\"} 5",
            "visco_api_request_seconds_count 5",
            "visco_api_keys 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }
}
