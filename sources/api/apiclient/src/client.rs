//! Requests over the socket.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use snafu::{ResultExt, Snafu};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use wire::{Committed, ErrorBody, Job, routes};

/// What may not stand in a query as it is (RFC 3986, sections 2.3 and 3.4).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',');
/// How long to wait between two attempts to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);
/// How long one request for a job asks the server to wait, in seconds.
const JOB_WAIT: u64 = 30;

/// A request that got no answer, or one that reports an error.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ClientError {
    #[snafu(display(
        "no API server listens on {}; start it ('systemctl start apiserver'), or name its socket with --socket-path",
        socket.display()
    ))]
    NoServer { socket: PathBuf },
    #[snafu(display(
        "this user may not use the API socket {}; use root, or a user in the group that owns the socket",
        socket.display()
    ))]
    NotAllowed { socket: PathBuf },
    #[snafu(display("connect to the API server on {}", socket.display()))]
    Connect { socket: PathBuf, source: std::io::Error },
    #[snafu(display("{method} {uri}"))]
    Exchange { method: Method, uri: String, source: hyper::Error },
    #[snafu(display("{method} '{uri}' is not a request"))]
    Request { method: Method, uri: String, source: hyper::http::Error },
    #[snafu(display("{message}"))]
    Refused { status: StatusCode, message: String, body: Option<Box<ErrorBody>> },
    #[snafu(display("understand the answer to {method} {uri}"))]
    Answer { method: Method, uri: String, source: serde_json::Error },
    #[snafu(display("{method} {uri} gave no {header} header"))]
    NoHeader { method: Method, uri: String, header: &'static str },
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The answer to a request, unless it reports an error.
    pub fn checked(self, method: &Method, uri: &str) -> Result<Self, ClientError> {
        if self.status.as_u16() < 400 {
            return Ok(self);
        }
        Err(refused(method, uri, self.status, &self.body))
    }
}

/// A client of one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    patience: Duration,
}

/// Server-sent events, as they arrive.
pub struct Events {
    body: Incoming,
    /// What arrived of the next event.
    partial: Vec<u8>,
    method: Method,
    uri: String,
}

impl Client {
    /// A client of the server that listens at `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), patience: Duration::ZERO }
    }

    /// Tries to connect for some time before giving up, for programs that run while the server starts.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a request and gives the answer, whatever its status.
    pub async fn send(&self, method: Method, uri: &str, body: Option<Bytes>) -> Result<Answer, ClientError> {
        let (parts, body) = self.exchange(&method, uri, body).await?.into_parts();
        let body = body.collect().await.context(ExchangeSnafu { method, uri })?.to_bytes();
        tracing::debug!(uri, status = parts.status.as_u16(), "answered");
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Opens a stream of server-sent events.
    pub async fn events(&self, uri: &str) -> Result<Events, ClientError> {
        let method = Method::GET;
        let (parts, body) = self.exchange(&method, uri, None).await?.into_parts();
        if parts.status.as_u16() < 400 {
            return Ok(Events { body, partial: Vec::new(), method, uri: uri.to_owned() });
        }
        let body = body.collect().await.with_context(|_| ExchangeSnafu { method: method.clone(), uri })?;
        Err(refused(&method, uri, parts.status, &body.to_bytes()))
    }

    async fn exchange(
        &self,
        method: &Method,
        uri: &str,
        body: Option<Bytes>,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = self.connect().await?;
        let exchange = || ExchangeSnafu { method: method.clone(), uri };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(|_| exchange())?;
        // It ends with the exchange; what it has to report, the exchange reports.
        tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::builder().method(method).uri(uri).header(HOST, "localhost");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .with_context(|_| RequestSnafu { method: method.clone(), uri })?;
        sender.send_request(request).await.with_context(|_| exchange())
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let started = Instant::now();
        loop {
            let error = match UnixStream::connect(&self.socket).await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            let absent = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
            if absent && started.elapsed() < self.patience {
                tokio::time::sleep(CONNECT_PAUSE).await;
                continue;
            }
            let socket = self.socket.clone();
            return Err(match error.kind() {
                _ if absent => ClientError::NoServer { socket },
                ErrorKind::PermissionDenied => ClientError::NotAllowed { socket },
                _ => ClientError::Connect { socket, source: error },
            });
        }
    }

    /// Sends a request; an answer that reports an error is one.
    pub async fn request(
        &self,
        method: Method,
        uri: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, ClientError> {
        let answer = self.send(method.clone(), uri, body).await?;
        answer.checked(&method, uri)
    }

    /// Gets a document.
    pub async fn get<T: DeserializeOwned>(&self, uri: &str) -> Result<T, ClientError> {
        let answer = self.request(Method::GET, uri, None).await?;
        serde_json::from_slice(&answer.body).context(AnswerSnafu { method: Method::GET, uri })
    }

    /// Writes settings (without an outer `settings`) into a transaction; `query` is the whole query string.
    pub async fn patch_settings(&self, query: &str, settings: &Value) -> Result<(), ClientError> {
        let uri = format!("{}?{query}", routes::SETTINGS);
        self.request(Method::PATCH, &uri, Some(json(settings))).await.map(drop)
    }

    /// Writes `key=value` pairs into a transaction.
    pub async fn patch_pairs(&self, query: &str, pairs: &[String]) -> Result<(), ClientError> {
        let uri = format!("{}?{query}", routes::KEYPAIR);
        let body = serde_json::json!({ "request_payload": pairs });
        self.request(Method::PATCH, &uri, Some(json(&body))).await.map(drop)
    }

    /// Checks settings (without an outer `settings`) as if they were set, without storing them.
    pub async fn validate(&self, settings: &Value) -> Result<(), ClientError> {
        self.request(Method::POST, routes::SETTINGS_VALIDATE, Some(json(settings))).await.map(drop)
    }

    /// Commits a transaction through `route`, which may apply it too.
    pub async fn commit(&self, route: &str, query: &str) -> Result<Committed, ClientError> {
        self.post_commit(&format!("{route}?{query}")).await
    }

    /// Sends a request that makes a commit.
    pub async fn post_commit(&self, uri: &str) -> Result<Committed, ClientError> {
        let answer = self.request(Method::POST, uri, None).await?;
        let keys = serde_json::from_slice(&answer.body).context(AnswerSnafu { method: Method::POST, uri })?;
        let number =
            |header| answer.headers.get(header).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let commit = number(routes::COMMIT_HEADER).ok_or_else(|| ClientError::NoHeader {
            method: Method::POST,
            uri: uri.to_owned(),
            header: routes::COMMIT_HEADER,
        })?;
        Ok(Committed { commit, keys, job: number(routes::JOB_HEADER) })
    }

    /// Waits until a job has ended.
    pub async fn wait_for_job(&self, id: u64) -> Result<Job, ClientError> {
        loop {
            let job: Job = self.get(&format!("{}/{id}?wait={JOB_WAIT}", routes::JOBS)).await?;
            if job.state.is_final() {
                return Ok(job);
            }
        }
    }
}

impl Events {
    /// The data of the next event; `None` once the server has ended the stream.
    pub async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            if let Some(event) = take_event(&mut self.partial) {
                return Ok(Some(event));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame =
                frame.with_context(|_| ExchangeSnafu { method: self.method.clone(), uri: &self.uri })?;
            if let Ok(data) = frame.into_data() {
                self.partial.extend_from_slice(&data);
            }
        }
    }
}

/// Takes the first whole event that has data out of what arrived: lines up to an empty one, of which those that
/// begin with `data:` count (HTML standard, section 9.2.6).
fn take_event(partial: &mut Vec<u8>) -> Option<String> {
    loop {
        let end = partial.windows(2).position(|pair| pair == b"\n\n")?;
        let event: Vec<u8> = partial.drain(..end + 2).collect();
        let text = String::from_utf8_lossy(&event);
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        let data: Vec<&str> = data.map(|data| data.strip_prefix(' ').unwrap_or(data)).collect();
        if !data.is_empty() {
            return Some(data.join("\n"));
        }
    }
}

fn refused(method: &Method, uri: &str, status: StatusCode, body: &[u8]) -> ClientError {
    let text = || {
        let said = String::from_utf8_lossy(body);
        let colon = if body.is_empty() { "" } else { ": " };
        format!("{method} {uri} was answered with {status}{colon}{}", said.trim_end())
    };
    let body: Option<Box<ErrorBody>> = serde_json::from_slice(body).ok();
    let message = body.as_ref().map_or_else(text, |body| body.message.clone());
    ClientError::Refused { status, message, body }
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("JSON values serialise").into()
}

/// Writes a value so that it can stand in a query string.
pub fn encode_query(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_escaped_for_a_query() {
        assert_eq!(encode_query("settings.a.\"b.c/d\""), "settings.a.%22b.c%2Fd%22");
        assert_eq!(encode_query("a b,c&d=é"), "a%20b,c%26d%3D%C3%A9");
    }

    #[test]
    fn events_are_taken_whole_and_comments_passed_over() {
        let mut partial = b": hello\n\nevent: job\ndata: {\ndata: }\n\ndata: par".to_vec();
        assert_eq!(take_event(&mut partial).as_deref(), Some("{\n}"));
        assert_eq!(take_event(&mut partial), None);
        partial.extend_from_slice(b"tial\n\n");
        assert_eq!(take_event(&mut partial).as_deref(), Some("partial"));
    }

    #[tokio::test]
    async fn a_patient_client_waits_for_the_server_to_listen() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("api.sock");
        let impatient = Client::new(&socket).connect().await.unwrap_err();
        assert!(matches!(impatient, ClientError::NoServer { .. }), "{impatient}");
        let patient = Client::new(&socket).with_patience(Duration::from_secs(5));
        let waiting = tokio::spawn(async move { patient.connect().await.map(drop) });
        tokio::task::yield_now().await;
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        waiting.await.unwrap().unwrap();
        drop(listener);
    }
}
