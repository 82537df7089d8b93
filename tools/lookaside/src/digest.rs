//! Digests of files.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256, Sha512};
use snafu::{ResultExt, Snafu};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How much of a file is held in memory at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// A file that could not be digested.
#[derive(Debug, Snafu)]
#[snafu(display("read {}", path.display()))]
pub struct DigestError {
    path: PathBuf,
    source: std::io::Error,
}

/// The SHA-256 of a file, in lower-case hexadecimal.
pub fn sha256_of_file(path: &Path) -> Result<String, DigestError> {
    of_file::<Sha256>(path)
}

/// The SHA-512 of a file, in lower-case hexadecimal.
pub fn sha512_of_file(path: &Path) -> Result<String, DigestError> {
    of_file::<Sha512>(path)
}

fn of_file<D: Digest>(path: &Path) -> Result<String, DigestError> {
    let mut file = File::open(path).context(DigestSnafu { path })?;
    let mut digest = D::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).context(DigestSnafu { path })? {
            0 => return Ok(HEXLOWER.encode(digest.finalize().as_ref())),
            n => digest.update(&chunk[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-4, the example of one block.
        assert!(sha256_of_file(&path).unwrap().starts_with("ba7816bf8f01cfea414140de5dae2223"));
        assert!(sha512_of_file(&path).unwrap().starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = sha256_of_file(Path::new("/nonexistent/x")).unwrap_err();
        assert_eq!(error.to_string(), "read /nonexistent/x");
    }
}
