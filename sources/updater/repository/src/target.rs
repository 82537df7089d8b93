//! Targets: what is named by the checked metadata, with length and digest.

use crate::body::{PIECE, Transfer};
use crate::error::{
    DigestSnafu, Error, FetchTargetSnafu, LengthSnafu, NoTargetSnafu, SinkSnafu, TargetNameSnafu,
    TargetTooLongSnafu,
};
use crate::{FetchError, Repository};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::io::{Read, Write};
use std::ops::Range;
use url::Url;

/// What the metadata say of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its bytes.
    pub length: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// A part of a target that could not be had.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum RangeError {
    /// The server answers with the whole; there is no use in asking it again.
    #[snafu(display("read a part of {name}: the server gives no ranges"))]
    Unsupported { name: String },
    #[snafu(display("read the bytes {} to {} of {name}, which has {length}", range.start, range.end))]
    Outside { name: String, range: Range<u64>, length: u64 },
    #[snafu(display("read a part of {name}"))]
    Part { name: String, source: FetchError },
    #[snafu(transparent)]
    Whole { source: Error },
}

/// A target as a stream. What has passed may only be used after [`TargetReader::finish`] said that it was right.
pub struct TargetReader {
    name: String,
    target: Target,
    transfer: Transfer,
    digest: Sha256,
    position: u64,
}

/// A part of a target as a stream.
pub struct RangeReader {
    first: Vec<u8>,
    given: usize,
    transfer: Option<Transfer>,
}

impl Repository {
    /// What the metadata say of a target.
    pub fn target(&self, name: &str) -> Option<Target> {
        self.targets.get(name).copied()
    }

    /// Reads a target whole, at most `limit` bytes; they are right.
    pub fn read_target(&self, name: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let mut reader = self.open_target(name)?;
        let length = reader.target.length;
        ensure!(length <= limit, TargetTooLongSnafu { name, length, limit });
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        reader.copy_to(&mut bytes)?;
        reader.finish()?;
        Ok(bytes)
    }

    /// Copies a target as it comes. What was written is of no use unless this returns without an error.
    pub fn copy_target(&self, name: &str, sink: &mut impl Write) -> Result<(), Error> {
        let mut reader = self.open_target(name)?;
        reader.copy_to(sink)?;
        reader.finish()
    }

    /// A target as a stream, whose end says whether it was right.
    pub fn open_target(&self, name: &str) -> Result<TargetReader, Error> {
        let target = self.target(name).context(NoTargetSnafu { name })?;
        let transfer = Transfer::whole(self.fetcher.clone(), self.target_url(name, &target)?, target.length);
        let name = name.to_owned();
        Ok(TargetReader { name, target, transfer, digest: Sha256::new(), position: 0 })
    }

    /// A part of a target as a stream, once its first bytes are there. It has as many bytes as the range, or ends with
    /// an error; nothing else of it is checked.
    pub fn open_range(&self, name: &str, range: Range<u64>) -> Result<RangeReader, RangeError> {
        let target = self.target(name).context(NoTargetSnafu { name })?;
        let length = target.length;
        ensure!(range.start <= range.end && range.end <= length, OutsideSnafu { name, range, length });
        if range.is_empty() {
            return Ok(RangeReader { first: Vec::new(), given: 0, transfer: None });
        }
        let mut transfer = Transfer::range(self.fetcher.clone(), self.target_url(name, &target)?, range);
        let mut first = vec![0; PIECE];
        match transfer.read(&mut first) {
            Ok(count) => {
                first.truncate(count);
                Ok(RangeReader { first, given: 0, transfer: Some(transfer) })
            }
            Err(FetchError::NoRanges { .. }) => UnsupportedSnafu { name }.fail(),
            Err(source) => Err(RangeError::Part { name: name.into(), source }),
        }
    }

    /// Where a target is: below the base address, the digest before its name.
    pub(crate) fn target_url(&self, name: &str, target: &Target) -> Result<Url, Error> {
        let bad = |part: &str| part.is_empty() || part == "." || part == "..";
        ensure!(!name.split('/').any(bad), TargetNameSnafu { name });
        let mut url = self.targets_url.clone();
        let mut parts = url.path_segments_mut().ok().context(TargetNameSnafu { name })?;
        parts.pop_if_empty().extend(self.target_file(name, target).split('/'));
        drop(parts);
        Ok(url)
    }

    /// The name of a target's file.
    pub(crate) fn target_file(&self, name: &str, target: &Target) -> String {
        if self.consistent { format!("{}.{name}", HEXLOWER.encode(&target.sha256)) } else { name.to_owned() }
    }
}

impl TargetReader {
    /// What the metadata say of it.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Reads what is left and says whether all of it was what the metadata say.
    pub fn finish(mut self) -> Result<(), Error> {
        self.copy_to(&mut std::io::sink())?;
        let Self { name, target, digest, position, .. } = self;
        ensure!(position == target.length, LengthSnafu { name, got: position, expected: target.length });
        let got: [u8; 32] = digest.finalize().into();
        ensure!(
            got == target.sha256,
            DigestSnafu { name, got: HEXLOWER.encode(&got), expected: HEXLOWER.encode(&target.sha256) }
        );
        Ok(())
    }

    fn copy_to(&mut self, sink: &mut impl Write) -> Result<(), Error> {
        let mut buffer = vec![0; PIECE];
        loop {
            match self.next(&mut buffer)? {
                0 => return Ok(()),
                count => sink.write_all(&buffer[..count]).context(SinkSnafu { name: &self.name })?,
            }
        }
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let count = self.transfer.read(buffer).context(FetchTargetSnafu { name: &self.name })?;
        self.digest.update(&buffer[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl RangeReader {
    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, FetchError> {
        let held = &self.first[self.given..];
        if held.is_empty() {
            return self.transfer.as_mut().map_or(Ok(0), |transfer| transfer.read(buffer));
        }
        let count = held.len().min(buffer.len());
        buffer[..count].copy_from_slice(&held[..count]);
        self.given += count;
        Ok(count)
    }
}

impl Read for RangeReader {
    /// What went wrong is inside the error of a read, as a [`FetchError`].
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.next(buffer).map_err(std::io::Error::other)
    }
}

impl Read for TargetReader {
    /// What went wrong is inside the error of a read, as an [`Error`].
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.next(buffer).map_err(std::io::Error::other)
    }
}
