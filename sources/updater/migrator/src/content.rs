//! What is in a migration.

use crate::Source;
use crate::error::{
    DecompressSnafu, Error, NeitherKindSnafu, ReadDocumentSnafu, ReadMigrationSnafu, TooLongSnafu,
};
use lz4_flex::frame::FrameDecoder;
use migrations::Document;
use snafu::{ResultExt, ensure};
use std::fmt;
use std::io::{self, Read};

/// Largest migration, compressed or not: several times a static program. It is held in memory.
const MAX_SIZE: u64 = 64 << 20;

/// A migration, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Migration {
    /// Its name in the repository.
    pub name: String,
    /// What it does.
    pub content: Content,
}

/// What a migration does.
#[derive(Clone, PartialEq)]
pub enum Content {
    /// Rows.
    Rows(Document),
    /// A program under the documented protocol.
    Program(Vec<u8>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({self})")
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(document) if document.rows.len() == 1 => f.write_str("1 row"),
            Self::Rows(document) => write!(f, "{} rows", document.rows.len()),
            Self::Program(program) => write!(f, "a program of {} KiB", program.len().div_ceil(1024)),
        }
    }
}

impl Migration {
    /// Reads a migration of a source: an LZ4 frame with nothing after it, of a document or a program.
    pub fn read(source: &impl Source, name: String) -> Result<Self, Error> {
        let compressed = source.read(&name, MAX_SIZE).context(ReadMigrationSnafu { name: &name })?;
        let content = Self::parse(&name, &compressed)?;
        Ok(Self { name, content })
    }

    fn parse(name: &str, compressed: &[u8]) -> Result<Content, Error> {
        let plain = decompress(compressed).context(DecompressSnafu { name })?;
        ensure!(plain.len() as u64 <= MAX_SIZE, TooLongSnafu { name, limit: MAX_SIZE });
        if plain.starts_with(b"\x7fELF") {
            return Ok(Content::Program(plain));
        }
        ensure!(plain.trim_ascii_start().starts_with(b"{"), NeitherKindSnafu { name });
        Document::from_target(&plain).map(Content::Rows).context(ReadDocumentSnafu { name })
    }
}

/// Decompresses one whole frame, and a byte more than is allowed.
fn decompress(compressed: &[u8]) -> io::Result<Vec<u8>> {
    let mut rest = compressed;
    let mut plain = Vec::new();
    FrameDecoder::new(&mut rest).take(MAX_SIZE + 1).read_to_end(&mut plain)?;
    if plain.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "there is nothing in it"));
    }
    if !rest.is_empty() && plain.len() as u64 <= MAX_SIZE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "something follows the end of its frame"));
    }
    Ok(plain)
}

/// Reads every migration between two versions.
pub(crate) fn read_all(source: &impl Source, names: Vec<String>) -> Result<Vec<Migration>, Error> {
    names.into_iter().map(|name| Migration::read(source, name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::program::chain;
    use lz4_flex::frame::FrameEncoder;
    use std::io::Write;

    fn lz4(content: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::new(Vec::new());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn documents_and_programs_are_told_apart() {
        let document = lz4(b" {\"visco-migration\": 1, \"rows\": []}");
        assert_eq!(Migration::parse("m", &document).unwrap(), Content::Rows(Document::default()));
        let program = Migration::parse("m", &lz4(b"\x7fELF...")).unwrap();
        assert_eq!(program, Content::Program(b"\x7fELF...".to_vec()));
        assert_eq!(program.to_string(), "a program of 1 KiB");
    }

    #[test]
    fn anything_else_is_refused() {
        let whole = lz4(&b"\x7fELF".repeat(100_000));
        let rows: [(&[u8], &str); 8] = [
            (b"", "decompress m: there is nothing in it"),
            (b"\x7fELF", "decompress m: "),
            (&whole[..whole.len() / 2], "decompress m: "),
            (&whole[..whole.len() - 5], "decompress m: "),
            (&[whole.as_slice(), b"x"].concat(), "decompress m: something follows the end of its frame"),
            (&lz4(b""), "decompress m: there is nothing in it"),
            (&lz4(b"#!/bin/sh"), "m is neither a document (JSON) nor a program (ELF)"),
            (&lz4(b"{\"visco-migration\": 9}"), "read the document m: 'visco-migration': 9 is a form"),
        ];
        for (content, expected) in rows {
            let error = chain(&Migration::parse("m", content).unwrap_err());
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
