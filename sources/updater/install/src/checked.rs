//! A target, which must be what its signed metadata say.

use crate::Full;
use sha2::{Digest, Sha256};
use std::io::{self, ErrorKind, Read};

/// Passes bytes on, and turns the end into an error unless they were the right ones. So whoever has read to the end
/// has read the target; whoever has not, has read nothing that may be trusted.
pub(crate) struct Checked<R> {
    inner: R,
    sum: Sha256,
    read: u64,
    expected: Full,
}

impl<R: Read> Checked<R> {
    pub(crate) fn new(inner: R, expected: Full) -> Self {
        Self { inner, sum: Sha256::new(), read: 0, expected }
    }

    /// Bytes that have passed.
    pub(crate) fn read_so_far(&self) -> u64 {
        self.read
    }

    fn at_end(&self) -> io::Result<()> {
        let Full { len, sha256 } = self.expected;
        if self.read < len {
            let text = format!("the target ends after {} of its {len} bytes", self.read);
            return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
        }
        if self.sum.clone().finalize()[..] != sha256 {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "the target's digest is not the one that is signed",
            ));
        }
        Ok(())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let len = self.inner.read(buffer)?;
        if len == 0 {
            self.at_end()?;
        }
        self.sum.update(&buffer[..len]);
        self.read += len as u64;
        if self.read > self.expected.len {
            let text = format!("the target goes on after its {} bytes", self.expected.len);
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        Ok(len)
    }
}
