//! Driving a server with a number of clients for a time.

use hostlab::http::Connection;
use std::io::Result;
use std::path::Path;
use std::time::{Duration, Instant};

/// Latencies of one scenario.
#[derive(Debug)]
pub struct Latencies {
    sorted: Vec<Duration>,
    took: Duration,
}

impl Latencies {
    /// The latency that a share of the requests stays under (0.5 is the median).
    pub fn quantile(&self, share: f64) -> Duration {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = ((self.sorted.len() as f64 * share) as usize).min(self.sorted.len() - 1);
        self.sorted[at]
    }

    /// The median.
    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss)]
        let count = self.sorted.len() as f64;
        count / self.took.as_secs_f64()
    }
}

/// Repeats an action from `clients` connections for `time`, after a short warm-up.
pub fn repeat(
    socket: &Path,
    clients: usize,
    time: Duration,
    action: impl Fn(&mut Connection, u64) -> Result<()> + Sync,
) -> Result<Latencies> {
    let started = Instant::now();
    let results: Vec<Result<Vec<Duration>>> = std::thread::scope(|scope| {
        let running: Vec<_> =
            (0..clients).map(|_| scope.spawn(|| one_client(socket, time, &action))).collect();
        running.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    let took = started.elapsed();
    let mut sorted = Vec::new();
    for latencies in results {
        sorted.extend(latencies?);
    }
    sorted.sort_unstable();
    Ok(Latencies { sorted, took })
}

fn one_client(
    socket: &Path,
    time: Duration,
    action: &impl Fn(&mut Connection, u64) -> Result<()>,
) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(socket)?;
    for count in 0..20 {
        action(&mut connection, count)?;
    }
    let mut latencies = Vec::new();
    let end = Instant::now() + time;
    let mut count = 20;
    loop {
        let started = Instant::now();
        if started >= end && !latencies.is_empty() {
            return Ok(latencies);
        }
        action(&mut connection, count)?;
        latencies.push(started.elapsed());
        count += 1;
    }
}
