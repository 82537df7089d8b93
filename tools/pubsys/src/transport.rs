//! How files of a repository are fetched.

use futures_core::Stream;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tough::{
    Bytes, FilesystemTransport, Transport, TransportError, TransportErrorKind, TransportStream, async_trait,
};
use url::Url;

/// How long a server may take to be found and to begin its answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one file may take: a root image has some hundred megabytes.
const FILE_LIMIT: Duration = Duration::from_hours(1);
/// Bytes that are handed on at once, and how many of these may wait.
const PIECE: usize = 64 * 1024;
const WAITING: usize = 8;

/// Fetches by `file`, `http` and `https`.
#[derive(Clone, Debug)]
pub struct Fetcher {
    agent: ureq::Agent,
}

impl Default for Fetcher {
    fn default() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_recv_body(Some(FILE_LIMIT))
            .http_status_as_error(false)
            .build();
        Self { agent: config.new_agent() }
    }
}

#[async_trait]
impl Transport for Fetcher {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        match url.scheme() {
            "file" => FilesystemTransport.fetch(url).await,
            "http" | "https" => self.fetch_from_server(url).await,
            _ => Err(TransportError::new(TransportErrorKind::UnsupportedUrlScheme, url)),
        }
    }
}

impl Fetcher {
    async fn fetch_from_server(&self, url: Url) -> Result<TransportStream, TransportError> {
        let other = |url: &Url, cause: Box<dyn std::error::Error + Send + Sync>| {
            TransportError::new_with_cause(TransportErrorKind::Other, url, cause)
        };
        let (agent, address) = (self.agent.clone(), url.clone());
        let answer = tokio::task::spawn_blocking(move || agent.get(address.as_str()).call()).await;
        let answer = answer.map_err(|e| other(&url, e.into()))?.map_err(|e| other(&url, e.into()))?;
        match answer.status().as_u16() {
            200 => {}
            // A store of objects answers 403 for what is not there, where it may not be listed.
            403 | 404 | 410 => return Err(TransportError::new(TransportErrorKind::FileNotFound, url)),
            status => return Err(other(&url, format!("the server answers with status {status}").into())),
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        let mut body = answer.into_body().into_reader();
        tokio::task::spawn_blocking(move || {
            loop {
                let mut piece = vec![0; PIECE];
                let read = body.read(&mut piece);
                let (item, last) = match read {
                    Ok(0) => return,
                    Ok(len) => {
                        piece.truncate(len);
                        (Ok(Bytes::from(piece)), false)
                    }
                    Err(e) => (Err(TransportError::new_with_cause(TransportErrorKind::Other, &url, e)), true),
                };
                // Nobody listens any more when enough was read, or too much.
                if sender.blocking_send(item).is_err() || last {
                    return;
                }
            }
        });
        Ok(Box::pin(Body(receiver)))
    }
}

/// The body of an answer, piece by piece.
struct Body(mpsc::Receiver<Result<Bytes, TransportError>>);

impl Stream for Body {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
