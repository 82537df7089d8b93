//! An HTTP/1.1 server of a folder on this machine, for guests that fetch their updates from it: byte ranges, and on
//! demand connections that break.
//!
//! A thread for each connection; QEMU's user network makes the loopback of this machine the guest's [`GUEST_HOST`].

use percent_encoding::percent_decode_str;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The address of this machine's loopback in a guest with QEMU's user network.
pub const GUEST_HOST: &str = "10.0.2.2";
/// How much is sent at once.
const CHUNK: usize = 64 << 10;
/// Longest head of a request.
const HEAD_LIMIT: u64 = 64 << 10;
/// How long a connection may be idle.
const IDLE_LIMIT: Duration = Duration::from_mins(2);

/// A connection that is to break while it sends a file.
#[derive(Debug)]
struct Break {
    /// A part of the paths it happens to.
    path: String,
    /// How many bytes of a body are sent before.
    after: u64,
    /// How often it still happens.
    times: u32,
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its path, as it was asked for.
    pub path: String,
    /// The status it was answered with.
    pub status: u16,
    /// How many bytes of the body were sent.
    pub bytes: u64,
    /// Whether the connection was broken before the end of the body.
    pub is_broken: bool,
}

/// A server that runs; dropping it ends it.
#[derive(Debug)]
pub struct FileServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    broken: Mutex<Option<Break>>,
    served: Mutex<Vec<Served>>,
    is_over: AtomicBool,
}

impl FileServer {
    /// Serves a folder on a port of the loopback that the kernel chooses.
    pub fn start(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            folder: folder.into(),
            broken: Mutex::default(),
            served: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &of_thread));
        Ok(Self { address, shared })
    }

    /// Where a guest finds it.
    pub fn guest_url(&self) -> String {
        format!("http://{GUEST_HOST}:{}", self.address.port())
    }

    /// Breaks the next `times` connections that send a file whose path has `part` in it, after so many bytes of a body.
    pub fn break_off(&self, part: &str, after: u64, times: u32) {
        *lock(&self.shared.broken) = Some(Break { path: part.to_owned(), after, times });
    }

    /// The requests that were answered, in the order in which they ended.
    pub fn served(&self) -> Vec<Served> {
        lock(&self.shared.served).clone()
    }

    /// How many bytes of bodies were sent.
    pub fn bytes_served(&self) -> u64 {
        lock(&self.shared.served).iter().map(|served| served.bytes).sum()
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // The thread that accepts sees it with the next connection, which is this one.
        drop(TcpStream::connect(self.address));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            if let Err(error) = converse(&stream, &shared) {
                tracing::debug!(%error, "a connection has ended");
            }
        });
    }
}

/// Answers the requests of one connection.
fn converse(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_LIMIT))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        if shared.is_over.load(Ordering::Relaxed) || !shared.answer(&request, &mut &*stream)? {
            break;
        }
    }
    stream.shutdown(std::net::Shutdown::Both)
}

#[derive(Debug, Default)]
struct Request {
    method: String,
    path: String,
    range: Option<String>,
}

/// The head of the next request; a body is not expected. Nothing where the client has closed the connection.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = reader.take(HEAD_LIMIT);
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut request = Request { method, path, range: None };
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(Some(request)) };
        if name.eq_ignore_ascii_case("range") {
            request.range = Some(value.trim().to_owned());
        }
    }
}

/// What a request gets.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Status(u16),
    Whole,
    Part(Range<u64>),
}

/// What a request for a file of this length gets.
fn choose(range: Option<&str>, len: u64) -> Answer {
    let Some(range) = range.and_then(|range| range.strip_prefix("bytes=")) else { return Answer::Whole };
    // Several ranges may be answered with the whole, and what is no range must be (RFC 9110, section 14.2).
    let Some((first, last)) = range.split_once('-') else { return Answer::Whole };
    let number = |text: &str| text.parse::<u64>().ok();
    let range = match (first, last) {
        ("", last) => number(last).map(|count| len.saturating_sub(count)..len),
        (first, "") => number(first).map(|first| first..len),
        (first, last) => {
            number(first).zip(number(last)).map(|(first, last)| first..last.saturating_add(1).min(len))
        }
    };
    match range {
        None => Answer::Whole,
        Some(range) if range.is_empty() => Answer::Status(416),
        Some(range) => Answer::Part(range),
    }
}

/// The file of a path below a folder.
fn file_of(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = path.split(['?', '#']).next()?.strip_prefix('/')?;
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let is_inside = Path::new(&*path).components().all(|part| matches!(part, Component::Normal(_)));
    is_inside.then(|| folder.join(&*path))
}

impl Shared {
    /// Answers a request; tells whether the connection can go on.
    fn answer(&self, request: &Request, stream: &mut impl Write) -> io::Result<bool> {
        let mut served = Served { path: request.path.clone(), status: 200, bytes: 0, is_broken: false };
        let sent = self.send(request, &mut served, stream);
        let goes_on = sent.map(|()| !served.is_broken);
        lock(&self.served).push(served);
        goes_on
    }

    fn send(&self, request: &Request, served: &mut Served, stream: &mut impl Write) -> io::Result<()> {
        let file = file_of(&self.folder, &request.path).filter(|path| path.is_file());
        let len = file.as_ref().map_or(Ok(0), |path| path.metadata().map(|metadata| metadata.len()))?;
        let answer = match &file {
            _ if !["GET", "HEAD"].contains(&request.method.as_str()) => Answer::Status(405),
            None => Answer::Status(404),
            Some(_) => choose(request.range.as_deref(), len),
        };
        let range = match answer {
            Answer::Status(status) => {
                served.status = status;
                let text = format!("{status}\n");
                return write!(stream, "HTTP/1.1 {status} -\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            }
            Answer::Whole => {
                write!(stream, "HTTP/1.1 200 OK\r\naccept-ranges: bytes\r\ncontent-length: {len}\r\n\r\n")?;
                0..len
            }
            Answer::Part(range) => {
                served.status = 206;
                write!(
                    stream,
                    "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {}-{}/{len}\r\ncontent-length: {}\r\n\r\n",
                    range.start,
                    range.end - 1,
                    range.end - range.start
                )?;
                range
            }
        };
        if request.method == "HEAD" {
            return Ok(());
        }
        self.send_body(&file.expect("only a file is sent"), &range, served, stream)
    }

    fn send_body(
        &self,
        path: &Path,
        range: &Range<u64>,
        served: &mut Served,
        stream: &mut impl Write,
    ) -> io::Result<()> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(range.start))?;
        let wanted = range.end - range.start;
        let broken_after = self.broken_after(&served.path, wanted);
        served.is_broken = broken_after.is_some();
        let mut body = file.take(broken_after.unwrap_or(wanted));
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = body.read(&mut chunk)?;
            if count == 0 {
                return Ok(());
            }
            stream.write_all(&chunk[..count])?;
            served.bytes += count as u64;
        }
    }

    /// After how many bytes an answer is to break off, if it is one of those.
    fn broken_after(&self, path: &str, wanted: u64) -> Option<u64> {
        let mut broken = lock(&self.broken);
        let broken = broken
            .as_mut()
            .filter(|broken| broken.times > 0 && wanted > broken.after && path.contains(&broken.path))?;
        broken.times -= 1;
        Some(broken.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks a server; gives status, head and body.
    fn ask(server: &FileServer, path: &str, range: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(server.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n{range}\r\n").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        (head[9..12].parse().unwrap(), head, answer[end..].to_vec())
    }

    fn server() -> (tempfile::TempDir, FileServer) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/b c"), "0123456789").unwrap();
        let server = FileServer::start(folder.path()).unwrap();
        (folder, server)
    }

    #[test]
    fn ranges_are_answered_as_http_says() {
        let rows = [
            (None, Answer::Whole),
            (Some("bytes=2-4"), Answer::Part(2..5)),
            (Some("bytes=2-"), Answer::Part(2..10)),
            (Some("bytes=-3"), Answer::Part(7..10)),
            (Some("bytes=8-99"), Answer::Part(8..10)),
            (Some("bytes=-99"), Answer::Part(0..10)),
            (Some("bytes=10-"), Answer::Status(416)),
            (Some("bytes=5-4"), Answer::Status(416)),
            (Some("bytes=0-1,3-4"), Answer::Whole),
            (Some("bytes=x-4"), Answer::Whole),
            (Some("lines=1-2"), Answer::Whole),
        ];
        for (range, expected) in rows {
            assert_eq!(choose(range, 10), expected, "{range:?}");
        }
    }

    #[test]
    fn a_path_leads_below_the_folder_or_nowhere() {
        let folder = Path::new("/f");
        assert_eq!(file_of(folder, "/a/b%20c?x=1"), Some(PathBuf::from("/f/a/b c")));
        for path in ["/../x", "/a/../../x", "/%2e%2e/x", "//etc/passwd", "a", "/%ff"] {
            assert_eq!(file_of(folder, path), None, "{path}");
        }
    }

    #[test]
    fn files_and_parts_of_them_are_served() {
        let (_folder, server) = server();
        assert_eq!(ask(&server, "/a/b%20c", "").2, b"0123456789");
        let (status, head, body) = ask(&server, "/a/b%20c", "Range: bytes=3-5\r\n");
        assert_eq!((status, &body[..]), (206, &b"345"[..]));
        assert!(head.contains("content-range: bytes 3-5/10\r\n"), "{head}");
        assert_eq!(ask(&server, "/a", "").0, 404);
        assert_eq!(server.bytes_served(), 13);
        assert!(server.guest_url().starts_with("http://10.0.2.2:"));
    }

    #[test]
    fn connections_break_as_often_as_they_should_and_only_of_longer_answers() {
        let (_folder, server) = server();
        server.break_off("b%20", 4, 2);
        let asked = ["", "Range: bytes=0-1\r\n", "", ""];
        let said = asked.map(|range| ask(&server, "/a/b%20c", range).2);
        assert_eq!(said, [&b"0123"[..], b"01", b"0123", b"0123456789"]);
        let broken: Vec<bool> = server.served().iter().map(|served| served.is_broken).collect();
        assert_eq!(broken, [true, false, true, false]);
    }
}
