//! A server on the loopback interface that answers as a test says.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The path, without the parameters after it.
    pub path: String,
    /// What comes after the question mark.
    pub query: String,
    /// First byte, and last if there is one.
    pub range: Option<(usize, Option<usize>)>,
    /// How many requests for this path were before it.
    pub before: usize,
}

/// How it is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// As a good server does, ranges included.
    Good,
    /// The whole file, whatever was asked for.
    Whole,
    /// Only a status.
    Status(u16),
    /// The head says how long it is; the connection ends after so many bytes.
    Cut(usize),
    /// A few bytes, and then one after each pause.
    Drip(Duration),
    /// Nothing, for that long.
    Silence(Duration),
    /// Bytes without end.
    Endless,
    /// The bytes that were asked for, with this `Content-Range`.
    Range(String),
    /// These bytes instead of the file's.
    Other(Vec<u8>),
}

/// A server that ends with the test.
pub struct Server {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    answer: Box<dyn Fn(&Request) -> Answer + Send + Sync>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    ended: AtomicBool,
}

impl Server {
    /// Serves a folder; the test says how each request is answered.
    pub fn new(folder: &Path, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            answer: Box::new(answer),
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if server.ended.load(Ordering::SeqCst) {
                    return;
                }
                server.connections.fetch_add(1, Ordering::SeqCst);
                let server = Arc::clone(&server);
                // A client that goes away ends its connection, which is no failure of the test.
                thread::spawn(move || drop(server.talk(&stream)));
            }
        });
        Self { url, shared }
    }

    /// Serves a folder as a good server does.
    pub fn good(folder: &Path) -> Self {
        Self::new(folder, |_| Answer::Good)
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Over how many connections.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the listener, so that its thread ends.
        drop(TcpStream::connect(self.url.trim_start_matches("http://")));
    }
}

impl Shared {
    fn talk(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = self.read(&mut reader)? {
            let answer = (self.answer)(&request);
            let last = !matches!(
                answer,
                Answer::Good | Answer::Whole | Answer::Status(_) | Answer::Other(_) | Answer::Range(_)
            );
            self.answer(stream, &request, answer)?;
            if last {
                return Ok(());
            }
        }
        Ok(())
    }

    fn read(&self, reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        let mut range = None;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                let (from, to) = value.trim().split_once('-').unwrap();
                range = Some((from.parse().unwrap(), to.parse().ok()));
            }
        }
        let address = first.split(' ').nth(1).unwrap();
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let mut requests = self.requests.lock().unwrap();
        let before = requests.iter().filter(|request| request.path == path).count();
        let request = Request { path: path.to_owned(), query: query.to_owned(), range, before };
        requests.push(request.clone());
        Ok(Some(request))
    }

    fn answer(&self, mut stream: &TcpStream, request: &Request, answer: Answer) -> std::io::Result<()> {
        let content = match answer {
            Answer::Other(content) => return whole(stream, &content),
            Answer::Status(status) => {
                return write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            }
            Answer::Silence(pause) => {
                thread::sleep(pause);
                return Ok(());
            }
            Answer::Endless => return self.endless(stream),
            _ => fs::read(self.folder.join(request.path.trim_start_matches('/'))),
        };
        let Ok(content) = content else {
            return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        };
        let range =
            request.range.map(|(from, to)| from..to.map_or(content.len(), |to| (to + 1).min(content.len())));
        match (answer, range) {
            (Answer::Range(header), Some(range)) => part(stream, &content[range], &header),
            (Answer::Good, Some(range)) if range.start < range.end => {
                let header = format!("bytes {}-{}/{}", range.start, range.end - 1, content.len());
                part(stream, &content[range], &header)
            }
            (Answer::Cut(count), range) => {
                let (status, header, content) = match range {
                    Some(range) => {
                        let header = format!(
                            "Content-Range: bytes {}-{}/{}\r\n",
                            range.start,
                            range.end - 1,
                            content.len()
                        );
                        (206, header, &content[range])
                    }
                    None => (200, String::new(), &content[..]),
                };
                write!(stream, "HTTP/1.1 {status} X\r\n{header}Content-Length: {}\r\n\r\n", content.len())?;
                stream.write_all(&content[..count.min(content.len())])
            }
            (Answer::Drip(pause), _) => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len())?;
                for byte in content {
                    if self.ended.load(Ordering::SeqCst) {
                        break;
                    }
                    stream.write_all(&[byte])?;
                    thread::sleep(pause);
                }
                Ok(())
            }
            _ => whole(stream, &content),
        }
    }

    fn endless(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
        // Bounded all the same, in case the client never has enough.
        for _ in 0..32_768 {
            if self.ended.load(Ordering::SeqCst) {
                break;
            }
            stream.write_all(&[b' '; 8192])?;
        }
        Ok(())
    }
}

fn whole(mut stream: &TcpStream, content: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len())?;
    stream.write_all(content)
}

fn part(mut stream: &TcpStream, content: &[u8], range: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nContent-Range: {range}\r\nContent-Length: {}\r\n\r\n",
        content.len()
    )?;
    stream.write_all(content)
}
