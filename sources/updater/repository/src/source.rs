//! Where a repository is, and how patient to be with it.

use crate::Proxy;
use jiff::Timestamp;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

/// Where a repository is and how to reach it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The root of trust, a `root.json` of the image.
    pub root_json: PathBuf,
    /// Base address of the metadata: `file`, `http` or `https`.
    pub metadata_url: String,
    /// Base address of the targets: `file`, `http` or `https`.
    pub targets_url: String,
    /// The folder in which the trust store is, made where it is missing.
    pub trust: PathBuf,
    /// The certificates that a server's is checked with, in PEM.
    pub ca_bundle: PathBuf,
    /// The proxy for `https`.
    pub proxy: Option<Proxy>,
    /// When the image was built: the clock cannot be earlier.
    pub built: Option<Timestamp>,
    /// Bytes a second to take at most, over all transfers of a load and what follows.
    pub bandwidth: Option<NonZeroU64>,
    /// Query parameters added to every request (update, section 1.8); empty where the host sends no metrics.
    pub query: Vec<(String, String)>,
    /// How patient to be.
    pub limits: Limits,
}

impl Source {
    /// A source without proxy, limit of bandwidth and query parameters.
    pub fn new(
        root_json: impl Into<PathBuf>,
        metadata_url: &str,
        targets_url: &str,
        trust: impl Into<PathBuf>,
    ) -> Self {
        Self {
            root_json: root_json.into(),
            metadata_url: metadata_url.to_owned(),
            targets_url: targets_url.to_owned(),
            trust: trust.into(),
            ca_bundle: "/etc/pki/tls/certs/ca-bundle.crt".into(),
            proxy: None,
            built: None,
            bandwidth: None,
            query: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// How patient to be with a server. There is no limit on the time of a whole transfer: one that makes progress may go
/// on, however slow the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Failures in a row, without [`Limits::progress`] in between, after which a transfer is given up.
    pub attempts: u32,
    /// The pause after the first failure in a row; it doubles with each. The first try has none before it.
    pub pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// How long a connection, the head of an answer or the next byte may take, and the span of time in which
    /// [`Limits::least`] bytes have to come.
    pub stall: Duration,
    /// Bytes that have to come in each span of [`Limits::stall`], so that a byte now and then is no progress.
    pub least: u64,
    /// Bytes after which earlier failures are forgotten.
    pub progress: u64,
}

impl Default for Limits {
    /// Half a minute as most clients have; 256 bytes a second are less than any line that could bring an image in a
    /// week; six failures in a row last about 20 s, longer than a load balancer takes to notice a dead server.
    fn default() -> Self {
        Self {
            attempts: 6,
            pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            least: 256 * 30,
            progress: 64 * 1024,
        }
    }
}

impl Limits {
    /// The pause after the `failures`-th failure in a row.
    pub fn pause_after(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.pause.saturating_mul(factor).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end() {
        let limits = Limits::default();
        for (failures, millis) in [(1, 200), (2, 400), (3, 800), (6, 6400), (7, 10_000), (40, 10_000)] {
            assert_eq!(limits.pause_after(failures), Duration::from_millis(millis), "{failures}");
        }
    }
}
