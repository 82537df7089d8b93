//! Where user data is fetched from.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use snafu::{ResultExt, Snafu, ensure};
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use user_data::{Document, Fault, MAX_SIZE, Syntax};

/// How long a web server may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long fetching a document may take in all.
const FETCH_LIMIT: Duration = Duration::from_secs(30);
/// How many documents are fetched at a time.
const AT_A_TIME: usize = 4;

/// One source of user data, as named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `-`: standard input.
    Stdin,
    /// `file:///PATH`, or just a path.
    File(PathBuf),
    /// `http://...` or `https://...`.
    Web(String),
    /// `base64:DATA`: the data itself.
    Inline(String),
}

/// A source that cannot be used.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum SourceError {
    #[snafu(display("the name of the source is empty"))]
    EmptyName,
    #[snafu(display("'{name}' needs an absolute path, like file:///tmp/settings.toml"))]
    RelativePath { name: String },
    #[snafu(display("'base64:' is followed by no data"))]
    NoData,
    #[snafu(display(
        "'{name}' has a scheme that is not supported; use a path, '-', file://, http://, https:// or base64:"
    ))]
    Scheme { name: String },
    #[snafu(display("read {name}"))]
    Read { name: String, source: std::io::Error },
    #[snafu(display("fetch {name}"))]
    Fetch { name: String, source: Box<ureq::Error> },
    #[snafu(display("fetch {name}: the server answered {status}"))]
    FetchStatus { name: String, status: u16 },
    #[snafu(display("{name} is not base64"))]
    Base64 { name: String, source: base64::DecodeError },
    #[snafu(display("standard input is named as a source twice"))]
    StdinTwice,
    #[snafu(transparent)]
    Document { source: Fault },
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(name: &str) -> Result<Self, SourceError> {
        ensure!(!name.is_empty(), EmptyNameSnafu);
        if name == "-" {
            return Ok(Self::Stdin);
        }
        if let Some(data) = name.strip_prefix("base64:") {
            ensure!(!data.is_empty(), NoDataSnafu);
            return Ok(Self::Inline(data.to_owned()));
        }
        match name.split_once("://") {
            None => Ok(Self::File(name.into())),
            Some(("file", path)) => {
                ensure!(path.starts_with('/'), RelativePathSnafu { name });
                Ok(Self::File(path.into()))
            }
            Some(("http" | "https", _)) => Ok(Self::Web(name.to_owned())),
            Some(_) => SchemeSnafu { name }.fail(),
        }
    }
}

impl Source {
    /// What the source is called in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Web(url) => url.clone(),
            Self::Inline(_) => "the base64 data".to_owned(),
        }
    }

    /// Fetches and reads the document; blocks.
    pub fn load(&self) -> Result<Document, SourceError> {
        let name = self.name();
        let content = match self {
            Self::Stdin => read(&name, std::io::stdin().lock())?,
            Self::File(path) => read(&name, std::fs::File::open(path).context(ReadSnafu { name: &name })?)?,
            Self::Web(url) => fetch(url)?,
            Self::Inline(data) => BASE64_STANDARD.decode(data).context(Base64Snafu { name: &name })?,
        };
        Ok(Document::read(&name, &content, Syntax::TomlOrJson)?)
    }
}

/// Loads all sources, a few at a time. The documents come in the order of the sources; the first source that
/// fails is the error.
pub fn load_all(sources: &[Source]) -> Result<Vec<Document>, SourceError> {
    ensure!(sources.iter().filter(|source| **source == Source::Stdin).count() < 2, StdinTwiceSnafu);
    if let [source] = sources {
        return Ok(vec![source.load()?]);
    }
    let mut documents = Vec::new();
    for some in sources.chunks(AT_A_TIME) {
        let loaded = std::thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|source| scope.spawn(|| source.load())).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()
        })?;
        documents.extend(loaded);
    }
    Ok(documents)
}

/// Reads to the end, but only so far past the limit as shows that it was passed.
fn read(name: &str, from: impl Read) -> Result<Vec<u8>, SourceError> {
    let mut content = Vec::new();
    from.take(MAX_SIZE as u64 + 1).read_to_end(&mut content).context(ReadSnafu { name })?;
    Ok(content)
}

fn fetch(url: &str) -> Result<Vec<u8>, SourceError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_LIMIT))
        .timeout_global(Some(FETCH_LIMIT))
        .http_status_as_error(false)
        .build()
        .into();
    let answer = agent
        .get(url)
        .call()
        .map_err(|e| SourceError::Fetch { name: url.to_owned(), source: Box::new(e) })?;
    let status = answer.status().as_u16();
    ensure!(status == 200, FetchStatusSnafu { name: url, status });
    read(url, answer.into_body().into_reader())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Write;
    use std::net::TcpListener;

    const TEXT: &str = "[settings]\nmotd = 'hi'\n";

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(content).unwrap();
        packed.finish().unwrap()
    }

    fn load(name: &str) -> Result<serde_json::Value, String> {
        let source: Source = name.parse().map_err(|e: SourceError| e.to_string())?;
        source.load().map(|document| document.settings).map_err(|e| host::program::chain(&e))
    }

    /// Answers one request on a port of its own.
    fn serve(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/user-data", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).unwrap();
            stream.write_all(&answer).unwrap();
        });
        url
    }

    fn http(status: &str, body: &[u8]) -> Vec<u8> {
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn a_document_comes_from_every_kind_of_source() {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain.toml");
        let packed = dir.path().join("packed.gz");
        std::fs::write(&plain, TEXT).unwrap();
        std::fs::write(&packed, gzip(TEXT.as_bytes())).unwrap();
        for name in [
            plain.display().to_string(),
            format!("file://{}", plain.display()),
            packed.display().to_string(),
            format!("base64:{}", BASE64_STANDARD.encode(TEXT)),
            format!("base64:{}", BASE64_STANDARD.encode(gzip(TEXT.as_bytes()))),
            serve(http("200 OK", TEXT.as_bytes())),
            serve(http("200 OK", &gzip(TEXT.as_bytes()))),
        ] {
            assert_eq!(load(&name), Ok(json!({"motd": "hi"})), "{name}");
        }
    }

    #[test]
    fn a_source_that_cannot_be_used_says_why() {
        let bomb = BASE64_STANDARD.encode(gzip(&vec![b'#'; 3 << 20]));
        let missing = serve(http("404 Not Found", b""));
        let endless = serve(http("200 OK", &vec![b'#'; 3 << 20]));
        for (name, expected) in [
            ("", "the name of the source is empty"),
            ("base64:", "'base64:' is followed by no data"),
            ("base64:?", "the base64 data is not base64: Invalid symbol 63, offset 0."),
            ("file://x.toml", "'file://x.toml' needs an absolute path, like file:///tmp/settings.toml"),
            (
                "s3://bucket/key",
                "'s3://bucket/key' has a scheme that is not supported; use a path, '-', \
                                 file://, http://, https:// or base64:",
            ),
            ("/no/such/file", "read /no/such/file: No such file or directory (os error 2)"),
            (&format!("base64:{bomb}"), "the base64 data: has more than 2 MiB decompressed"),
            (&missing, &format!("fetch {missing}: the server answered 404")),
            (&endless, &format!("{endless}: has more than 2 MiB")),
        ] {
            assert_eq!(load(name).unwrap_err(), expected);
        }
    }

    #[test]
    fn documents_keep_the_order_of_their_sources() {
        let text = |n: usize| BASE64_STANDARD.encode(format!("settings.motd = '{n}'"));
        let sources: Vec<Source> = (0..9).map(|n| Source::Inline(text(n))).collect();
        let documents = load_all(&sources).unwrap();
        let order: Vec<_> = documents.iter().map(|d| d.settings["motd"].as_str().unwrap()).collect();
        assert_eq!(order, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
        assert!(matches!(load_all(&[Source::Stdin, Source::Stdin]), Err(SourceError::StdinTwice)));
    }
}
