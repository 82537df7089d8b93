//! The bytes of an address, over as many connections as it takes.

use crate::fetch::{BrokenSnafu, Fetcher, Opened, ShortSnafu, SlowSnafu, TooLongSnafu, Wanted};
use crate::{FetchError, Limits};
use snafu::{IntoError, ensure};
use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};
use tracing::debug;
use url::Url;

/// How much is read at a time: what a connection brings between two looks at the clock.
pub(crate) const PIECE: usize = 64 * 1024;

/// A transfer: goes on where it broke off, until it has failed too often in a row.
pub(crate) struct Transfer {
    fetcher: Fetcher,
    url: Url,
    wanted: Wanted,
    /// Most bytes that may come.
    limit: u64,
    /// How many of them still may.
    left: u64,
    opened: Option<Opened>,
    failures: u32,
    since_failure: u64,
    watch: Watch,
    ended: bool,
}

impl Transfer {
    /// All of an address, at most `limit` bytes. Nothing is opened before the first read.
    pub(crate) fn whole(fetcher: Fetcher, url: Url, limit: u64) -> Self {
        Self::new(fetcher, url, Wanted { start: 0, end: None, exact: false }, limit)
    }

    /// Exactly these bytes of an address, as a range.
    pub(crate) fn range(fetcher: Fetcher, url: Url, range: std::ops::Range<u64>) -> Self {
        let limit = range.end - range.start;
        Self::new(fetcher, url, Wanted { start: range.start, end: Some(range.end), exact: true }, limit)
    }

    fn new(fetcher: Fetcher, url: Url, wanted: Wanted, limit: u64) -> Self {
        let watch = Watch::default();
        Self {
            fetcher,
            url,
            wanted,
            limit,
            left: limit,
            opened: None,
            failures: 0,
            since_failure: 0,
            watch,
            ended: false,
        }
    }

    /// Reads some bytes; none at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FetchError> {
        let size = buffer.len().min(PIECE);
        while !self.ended {
            let limits = *self.fetcher.limits();
            match self.try_read(&mut buffer[..size], &limits) {
                Ok(count) => {
                    self.ended = count == 0;
                    self.since_failure += count as u64;
                    if self.since_failure >= limits.progress {
                        self.failures = 0;
                    }
                    self.fetcher.keep_pace(count);
                    return Ok(count);
                }
                Err(error) if error.is_passing() && self.failures < limits.attempts => {
                    self.pause(&error, &limits);
                }
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
        Ok(0)
    }

    fn pause(&mut self, error: &FetchError, limits: &Limits) {
        self.failures += 1;
        debug!(failures = self.failures, cause = %host::program::chain(error), "try again");
        self.opened = None;
        self.since_failure = 0;
        self.watch = Watch::default();
        std::thread::sleep(limits.pause_after(self.failures));
    }

    fn try_read(&mut self, buffer: &mut [u8], limits: &Limits) -> Result<usize, FetchError> {
        let start = Instant::now();
        let opened = if let Some(opened) = &mut self.opened {
            opened
        } else {
            let opened = self.fetcher.open(&self.url, self.wanted)?;
            let (left, limit) = (self.left, self.limit);
            ensure!(
                opened.length.is_none_or(|length| length <= left),
                TooLongSnafu { url: self.url.clone(), limit }
            );
            self.opened.insert(opened)
        };
        let size = opened
            .length
            .map_or(buffer.len(), |left| buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        if size == 0 {
            // All is there. Whatever this says, it lets the connection be used again.
            drop(opened.reader.read(&mut [0]));
            return Ok(0);
        }
        let result = opened.reader.read(&mut buffer[..size]);
        let position = self.wanted.start;
        let count = match result {
            Ok(0) => match opened.length {
                Some(left) => {
                    return ShortSnafu { url: self.url.clone(), position, length: position + left }.fail();
                }
                None => return Ok(0),
            },
            Ok(count) => count,
            Err(e) if is_timeout(&e) => {
                let (bytes, seconds) = (self.watch.bytes, self.watch.waited + start.elapsed());
                return SlowSnafu { url: self.url.clone(), bytes, seconds }.fail();
            }
            Err(e) => return Err(BrokenSnafu { url: self.url.clone(), position }.into_error(e)),
        };
        let came = count as u64;
        ensure!(came <= self.left, TooLongSnafu { url: self.url.clone(), limit: self.limit });
        if let Some((bytes, seconds)) = self.watch.note(came, start.elapsed(), limits) {
            return SlowSnafu { url: self.url.clone(), bytes, seconds }.fail();
        }
        opened.length = opened.length.map(|left| left - came);
        self.left -= came;
        self.wanted.start += came;
        Ok(count)
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
        || error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<ureq::Error>())
            .is_some_and(|inner| matches!(inner, ureq::Error::Timeout(_)))
}

/// Whether enough comes. Only the time spent waiting for the server counts.
#[derive(Default)]
struct Watch {
    bytes: u64,
    waited: Duration,
}

impl Watch {
    /// Notes what came in how long; what came in the whole span, when that was too little.
    fn note(&mut self, bytes: u64, waited: Duration, limits: &Limits) -> Option<(u64, Duration)> {
        self.bytes += bytes;
        self.waited += waited;
        if self.waited < limits.stall {
            return None;
        }
        let span = std::mem::take(self);
        (span.bytes < limits.least).then_some((span.bytes, span.waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_now_and_then_is_no_progress() {
        let limits = Limits { stall: Duration::from_secs(3), least: 100, ..Limits::default() };
        let second = Duration::from_secs(1);
        for (pieces, slow) in [
            (vec![1, 1], false),
            (vec![1, 1, 1], true),
            (vec![50, 40, 10], false),
            (vec![200, 0, 0, 1, 1, 1], true),
        ] {
            let mut watch = Watch::default();
            let found = pieces.iter().any(|bytes| watch.note(*bytes, second, &limits).is_some());
            assert_eq!(found, slow, "{pieces:?}");
        }
    }
}
