//! SHA-256 of what is read or written.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use update_metadata::Digest;

/// Length and digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Measure {
    pub(crate) len: u64,
    pub(crate) sha256: Digest,
}

/// A reader or a writer through which everything is measured.
pub(crate) struct Hashing<T> {
    inner: T,
    sha256: Sha256,
    len: u64,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, sha256: Sha256::new(), len: 0 }
    }

    pub(crate) fn finish(self) -> Measure {
        Measure { len: self.len, sha256: Digest(self.sha256.finalize().into()) }
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.len += bytes.len() as u64;
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.passed(&buffer[..len]);
        Ok(len)
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.inner.write(bytes)?;
        self.passed(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

pub(crate) fn of_bytes(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

pub(crate) fn of_file(path: &Path) -> io::Result<Measure> {
    let mut file = Hashing::new(File::open(path)?);
    // Larger pieces than `io::copy` takes.
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(file.finish())
}
