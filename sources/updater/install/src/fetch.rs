//! Where the bytes come from that are not on the host.

use snafu::Snafu;
use std::io::Read;
use std::ops::Range;

/// A server, a folder, a test. It retries, limits its rate, and gives up where there is no progress; nothing it
/// answers is trusted.
pub trait Fetch: Sync {
    /// These bytes of the seekable image, which are never none. An answer of any other length is found out by the
    /// installer, so it need not be counted here. Several threads ask at once.
    fn range(&self, range: Range<u64>) -> Result<Box<dyn Read + Send + '_>, FetchError>;

    /// The full image from its start, compressed as it is published.
    fn full(&self) -> Result<Box<dyn Read + Send + '_>, FetchError>;
}

/// Bytes that were not to be had.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub))]
pub enum FetchError {
    /// The answer was the whole file. The full image is taken instead.
    #[snafu(display("the server does not send parts of files"))]
    NoRanges,
    /// Anything else; the install ends.
    #[snafu(display("ask for an image"))]
    Ask {
        /// What was tried and what came of it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
