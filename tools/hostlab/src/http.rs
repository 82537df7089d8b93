//! A keep-alive HTTP/1.1 client over a Unix socket that costs as little as possible itself.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, as text.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(socket: &Path) -> Result<Self> {
        Ok(Self { stream: UnixStream::connect(socket)?, buffer: Vec::with_capacity(64 << 10) })
    }

    /// Bounds how long one read or write may take.
    pub fn limit(&self, limit: Duration) -> Result<()> {
        self.stream.set_read_timeout(Some(limit))?;
        self.stream.set_write_timeout(Some(limit))
    }

    /// Sends a request and reads the whole answer.
    pub fn exchange(&mut self, method: &str, uri: &str, body: &str) -> Result<Answer> {
        let head = format!("{method} {uri} HTTP/1.1\r\nhost: localhost\r\n");
        let request = if body.is_empty() {
            format!("{head}\r\n")
        } else {
            format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        };
        self.stream.write_all(request.as_bytes())?;
        self.buffer.clear();
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let status =
            head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(ErrorKind::InvalidData)?;
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(Ok(0), |(_, length)| length.trim().parse::<usize>().map_err(Error::other))?;
        while self.buffer.len() < end + length {
            self.fill()?;
        }
        Ok(Answer { status, head, body: self.buffer[end..end + length].to_vec() })
    }

    /// As [`Connection::exchange`]; a status that is not a success is an error.
    pub fn succeed(&mut self, method: &str, uri: &str, body: &str) -> Result<Answer> {
        let answer = self.exchange(method, uri, body)?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        Err(Error::other(format!("{method} {uri} answered {}: {text}", answer.status)))
    }

    fn fill(&mut self) -> Result<()> {
        let mut chunk = [0; 16 << 10];
        match self.stream.read(&mut chunk)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
