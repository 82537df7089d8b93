//! Opening what an address names: a file, or the body of an answer.

use crate::{Limits, Proxy, Source};
use snafu::{OptionExt, ResultExt, Snafu};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, BodyReader};
use url::Url;

/// Something that could not be fetched. Addresses are named without query parameters.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum FetchError {
    #[snafu(display("{url} is not there{}", status.map(|s| format!(": the server answered {s}")).unwrap_or_default()))]
    NotFound { url: String, status: Option<u16> },
    #[snafu(display("get {url}: the server answered {status}"))]
    Status { url: String, status: u16 },
    #[snafu(display("get {url}"))]
    Get { url: String, source: Box<ureq::Error> },
    #[snafu(display("get {url}: the server is too slow, {bytes} bytes came in {} s", seconds.as_secs_f32()))]
    Slow { url: String, bytes: u64, seconds: Duration },
    #[snafu(display("get {url}: the connection broke after {position} bytes"))]
    Broken { url: String, position: u64, source: std::io::Error },
    #[snafu(display("get {url}: the answer ended after {position} bytes of {length}"))]
    Short { url: String, position: u64, length: u64 },
    #[snafu(display("get {url}: it is longer than {limit} bytes"))]
    TooLong { url: String, limit: u64 },
    #[snafu(display("get {url}: the server gives no ranges"))]
    NoRanges { url: String },
    #[snafu(display("get {url}: the server gave {got:?} for the bytes from {start}{}", end_text(*end)))]
    WrongRange { url: String, start: u64, end: Option<u64>, got: String },
    #[snafu(display("read {}", path.display()))]
    ReadFile { path: PathBuf, source: std::io::Error },
    #[snafu(display("{url} is not an address of a repository, which begins with file, http or https"))]
    Scheme { url: String },
    #[snafu(display("read the certificates in {}, which an https server is checked with", path.display()))]
    Certificates { path: PathBuf, source: std::io::Error },
    #[snafu(display("{} has no certificate to check an https server with", path.display()))]
    NoCertificates { path: PathBuf },
}

fn end_text(end: Option<u64>) -> String {
    end.map(|end| format!(" to {end}")).unwrap_or_default()
}

impl FetchError {
    /// Whether it may go better the next time.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status >= 500 || [408, 429].contains(status),
            Self::Get { source, .. } => !matches!(
                **source,
                ureq::Error::BadUri(_)
                    | ureq::Error::TooManyRedirects
                    | ureq::Error::Rustls(_)
                    | ureq::Error::Tls(_)
                    | ureq::Error::InvalidProxyUrl
            ),
            Self::Slow { .. } | Self::Broken { .. } | Self::Short { .. } => true,
            _ => false,
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The first byte.
    pub(crate) start: u64,
    /// The byte after the last; `None` for all there is.
    pub(crate) end: Option<u64>,
    /// Whether only an answer with exactly these bytes will do. Otherwise the start may be skipped here.
    pub(crate) exact: bool,
}

/// Bytes that come, from the first that was wanted.
pub(crate) struct Opened {
    pub(crate) reader: Reader,
    /// How many come, where that is known.
    pub(crate) length: Option<u64>,
}

pub(crate) enum Reader {
    File(File),
    Http(Box<BodyReader<'static>>),
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Http(body) => body.read(buffer),
        }
    }
}

/// Opens addresses. A clone shares connections, the pace and the query parameters.
#[derive(Clone)]
pub(crate) struct Fetcher(Arc<Inner>);

struct Inner {
    limits: Limits,
    ca_bundle: PathBuf,
    proxy: Option<Proxy>,
    plain: OnceLock<Agent>,
    secure: OnceLock<(Agent, Option<Agent>)>,
    query: Mutex<BTreeMap<String, String>>,
    pace: Option<Pace>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl Fetcher {
    pub(crate) fn new(source: &Source) -> Self {
        Self(Arc::new(Inner {
            limits: source.limits,
            ca_bundle: source.ca_bundle.clone(),
            proxy: source.proxy.clone(),
            plain: OnceLock::new(),
            secure: OnceLock::new(),
            query: Mutex::new(source.query.iter().cloned().collect()),
            pace: source.bandwidth.map(Pace::new),
        }))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Sets a query parameter of all requests from now on, unless none are sent.
    pub(crate) fn say(&self, key: &str, value: &str) {
        let mut query = self.0.query.lock().unwrap_or_else(PoisonError::into_inner);
        if !query.is_empty() {
            query.insert(key.to_owned(), value.to_owned());
        }
    }

    /// Waits until `bytes` more may be taken.
    pub(crate) fn keep_pace(&self, bytes: usize) {
        if let Some(pace) = &self.0.pace {
            pace.wait(bytes);
        }
    }

    /// Opens what an address names; one try.
    pub(crate) fn open(&self, url: &Url, wanted: Wanted) -> Result<Opened, FetchError> {
        match url.scheme() {
            "file" => open_file(url, wanted),
            "http" | "https" => self.open_http(url, wanted),
            _ => SchemeSnafu { url: url.clone() }.fail(),
        }
    }

    fn open_http(&self, url: &Url, wanted: Wanted) -> Result<Opened, FetchError> {
        let mut address = url.clone();
        {
            let query = self.0.query.lock().unwrap_or_else(PoisonError::into_inner);
            if !query.is_empty() {
                address.query_pairs_mut().extend_pairs(query.iter());
            }
        }
        let mut request = self.agent(url)?.get(address.as_str());
        if wanted.start > 0 || wanted.end.is_some() {
            let last = wanted.end.map(|end| (end - 1).to_string()).unwrap_or_default();
            request = request.header(header::RANGE, format!("bytes={}-{last}", wanted.start));
        }
        match request.call() {
            Ok(response) => answer(url, wanted, response),
            Err(ureq::Error::Timeout(_)) => {
                SlowSnafu { url: url.clone(), bytes: 0_u64, seconds: self.0.limits.stall }.fail()
            }
            Err(source) => Err(FetchError::Get { url: url.to_string(), source: Box::new(source) }),
        }
    }

    /// The agent for an address; those for `https` are made when first needed, since reading the certificates takes
    /// longer than a whole check of a repository in a folder.
    fn agent(&self, url: &Url) -> Result<&Agent, FetchError> {
        let inner = &*self.0;
        if url.scheme() == "http" {
            return Ok(inner.plain.get_or_init(|| config(&inner.limits, None, None)));
        }
        let (direct, proxied) = if let Some(agents) = inner.secure.get() {
            agents
        } else {
            let tls = tls(&inner.ca_bundle)?;
            let direct = config(&inner.limits, Some(tls.clone()), None);
            let proxied =
                inner.proxy.as_ref().map(|p| config(&inner.limits, Some(tls), Some(p.proxy.clone())));
            inner.secure.get_or_init(|| (direct, proxied))
        };
        let through = inner.proxy.as_ref().is_some_and(|proxy| proxy.is_for(url));
        Ok(if through { proxied.as_ref().unwrap_or(direct) } else { direct })
    }
}

fn config(limits: &Limits, tls: Option<TlsConfig>, proxy: Option<ureq::Proxy>) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        // Lengths and digests are those of the bytes as they are.
        .accept_encoding("identity")
        .user_agent("updog")
        .proxy(proxy)
        .max_redirects(5)
        .timeout_resolve(Some(limits.stall))
        .timeout_connect(Some(limits.stall))
        .timeout_recv_response(Some(limits.stall))
        .timeout_per_read(Some(limits.stall))
        .timeout_per_write(Some(limits.stall));
    if let Some(tls) = tls {
        config = config.tls_config(tls);
    }
    config.build().new_agent()
}

fn tls(ca_bundle: &PathBuf) -> Result<TlsConfig, FetchError> {
    let pem = std::fs::read(ca_bundle).context(CertificatesSnafu { path: ca_bundle })?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    snafu::ensure!(!certificates.is_empty(), NoCertificatesSnafu { path: ca_bundle });
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(certificates))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build())
}

fn open_file(url: &Url, wanted: Wanted) -> Result<Opened, FetchError> {
    let path = url.to_file_path().ok().context(SchemeSnafu { url: url.clone() })?;
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return NotFoundSnafu { url: url.clone(), status: None }.fail();
        }
        Err(source) => return Err(FetchError::ReadFile { path, source }),
    };
    let length = file.metadata().context(ReadFileSnafu { path: &path })?.len();
    file.seek(SeekFrom::Start(wanted.start)).context(ReadFileSnafu { path: &path })?;
    let end = wanted.end.map_or(length, |end| end.min(length));
    Ok(Opened { reader: Reader::File(file), length: Some(end.saturating_sub(wanted.start)) })
}

/// What an answer gives. A server that does not allow its folders to be listed answers 403 where nothing is.
fn answer(url: &Url, wanted: Wanted, response: Response<Body>) -> Result<Opened, FetchError> {
    let status = response.status();
    let ranged = wanted.start > 0 || wanted.end.is_some();
    match status {
        StatusCode::OK if wanted.exact => NoRangesSnafu { url: url.clone() }.fail(),
        StatusCode::OK => {
            let length = response.body().content_length();
            let mut reader = Reader::Http(Box::new(response.into_body().into_reader()));
            skip(url, &mut reader, wanted.start)?;
            Ok(Opened { reader, length: length.map(|length| length.saturating_sub(wanted.start)) })
        }
        StatusCode::PARTIAL_CONTENT if ranged => {
            let range = content_range(url, wanted, &response)?;
            let length = response.body().content_length().unwrap_or(range.end - range.start);
            if length != range.end - range.start {
                let got = format!("{length} bytes");
                return WrongRangeSnafu { url: url.clone(), start: wanted.start, end: wanted.end, got }
                    .fail();
            }
            let reader = Reader::Http(Box::new(response.into_body().into_reader()));
            Ok(Opened { reader, length: Some(length) })
        }
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
            NotFoundSnafu { url: url.clone(), status: status.as_u16() }.fail()
        }
        StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT => {
            let got = status.to_string();
            WrongRangeSnafu { url: url.clone(), start: wanted.start, end: wanted.end, got }.fail()
        }
        _ => StatusSnafu { url: url.clone(), status: status.as_u16() }.fail(),
    }
}

/// The range that an answer says it has, which must begin at the byte that was wanted, and end where that was said.
fn content_range(url: &Url, wanted: Wanted, response: &Response<Body>) -> Result<Range<u64>, FetchError> {
    let header = response.headers().get(header::CONTENT_RANGE);
    let got = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default();
    parse_content_range(&got)
        .filter(|(range, total)| match wanted.end {
            Some(end) => range.start == wanted.start && range.end == end,
            None => range.start == wanted.start && total.is_none_or(|total| range.end == total),
        })
        .map(|(range, _)| range)
        .context(WrongRangeSnafu { url: url.clone(), start: wanted.start, end: wanted.end, got })
}

/// `bytes FIRST-LAST/TOTAL` (RFC 9110, section 14.4): the range, and the total where it is known.
fn parse_content_range(text: &str) -> Option<(Range<u64>, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    let end = last.checked_add(1)?;
    (first < end && total.is_none_or(|total| end <= total)).then_some((first..end, total))
}

/// Reads over the bytes that are there already: this server gives no ranges.
fn skip(url: &Url, reader: &mut Reader, count: u64) -> Result<(), FetchError> {
    let skipped = std::io::copy(&mut reader.take(count), &mut std::io::sink());
    let skipped = skipped.context(BrokenSnafu { url: url.clone(), position: 0_u64 })?;
    snafu::ensure!(skipped == count, ShortSnafu { url: url.clone(), position: skipped, length: count });
    Ok(())
}

/// Hands out bytes at a steady rate, to all transfers together.
struct Pace {
    bytes_a_second: NonZeroU64,
    next: Mutex<Instant>,
}

impl Pace {
    fn new(bytes_a_second: NonZeroU64) -> Self {
        Self { bytes_a_second, next: Mutex::new(Instant::now()) }
    }

    fn wait(&self, bytes: usize) {
        let until = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let nanos = u128::from(bytes as u64) * 1_000_000_000 / u128::from(self.bytes_a_second.get());
            *next =
                (*next).max(Instant::now()) + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            *next
        };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read_strictly() {
        for (text, expected) in [
            ("bytes 0-0/1", Some((0..1, Some(1)))),
            ("bytes 5-9/10", Some((5..10, Some(10)))),
            ("bytes 5-9/*", Some((5..10, None))),
            ("bytes 5-9/9", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("bytes 5-/10", None),
            ("5-9/10", None),
            ("bytes 0-18446744073709551615/*", None),
            ("", None),
        ] {
            assert_eq!(parse_content_range(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_pace_is_kept_over_many_small_pieces() {
        let pace = Pace::new(NonZeroU64::new(100_000).unwrap());
        let start = Instant::now();
        for _ in 0..20 {
            pace.wait(500);
        }
        assert!(start.elapsed() >= Duration::from_millis(95), "{:?}", start.elapsed());
    }
}
