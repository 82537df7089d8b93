//! What `tough` fetches metadata through: it keeps what passed, and the error as it was.

use crate::FetchError;
use crate::body::{PIECE, Transfer};
use crate::fetch::Fetcher;
use futures_core::Stream;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tough::{Bytes, Transport, TransportError, TransportErrorKind, TransportStream, async_trait};
use url::Url;

/// The longest metadata file that is read; `tough` has narrower limits for each.
const LONGEST: u64 = 64 << 20;

/// Fetches metadata for `tough`.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    fetcher: Fetcher,
    seen: Arc<Mutex<Seen>>,
}

/// What was fetched, by file name, and how the last one failed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Bytes of each file, as they came. Only what `tough` accepted may be used.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Why the last file could not be fetched.
    pub(crate) failure: Option<FetchError>,
}

impl Metadata {
    pub(crate) fn new(fetcher: Fetcher) -> Self {
        Self { fetcher, seen: Arc::default() }
    }

    /// What was fetched so far.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Transport for Metadata {
    /// Never fails by itself: `tough` takes a root that cannot be *opened* for one that is not there, so a server
    /// that answers with an error could hide a new root. What goes wrong is an error of the stream.
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).failure = None;
        let name = url.path_segments().and_then(|mut path| path.next_back()).unwrap_or_default().to_owned();
        let transfer = Transfer::whole(self.fetcher.clone(), url.clone(), LONGEST);
        let pieces = Pieces { transfer, url, name, bytes: Vec::new(), seen: Arc::clone(&self.seen) };
        Ok(Box::pin(Blocking(Mutex::new(pieces))))
    }
}

/// A stream that reads when it is polled. It blocks, which is right on a runtime that has nothing else to do.
struct Blocking(Mutex<Pieces>);

struct Pieces {
    transfer: Transfer,
    url: Url,
    name: String,
    bytes: Vec<u8>,
    seen: Arc<Mutex<Seen>>,
}

impl Stream for Blocking {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Poll::Ready(pieces.next().transpose())
    }
}

impl Pieces {
    fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        let mut buffer = vec![0; PIECE];
        let read = self.transfer.read(&mut buffer);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(0) => {
                seen.files.insert(std::mem::take(&mut self.name), std::mem::take(&mut self.bytes));
                Ok(None)
            }
            Ok(count) => {
                buffer.truncate(count);
                self.bytes.extend_from_slice(&buffer);
                Ok(Some(buffer.into()))
            }
            Err(error) => {
                let kind = match error {
                    FetchError::NotFound { .. } => TransportErrorKind::FileNotFound,
                    _ => TransportErrorKind::Other,
                };
                let failure = TransportError::new_with_cause(kind, &self.url, error.to_string());
                seen.failure = Some(error);
                Err(failure)
            }
        }
    }
}
