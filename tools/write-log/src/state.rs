//! A disk as a power cut could leave it.

use crate::log::{Log, SECTOR};
use partitions::Disk;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// What tells the content of a region from that of the same region in other states of one log.
///
/// It is made of what was written over the first content: two states with equal fingerprints hold the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub(crate) u128);

/// Where the content of a sector is: a place of the log, or nowhere, where it is zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) place: Option<u64>,
    pub(crate) mark: u128,
}

/// A disk as a power cut could leave it; it reads like one.
#[derive(Debug)]
pub struct State<'a> {
    pub(crate) log: &'a Log,
    pub(crate) base: &'a File,
    pub(crate) len: u64,
    pub(crate) durable: &'a BTreeMap<u64, Source>,
    /// What no flush had promised and is there all the same.
    pub(crate) lucky: BTreeMap<u64, Source>,
    pub(crate) regions: &'a [Range<u64>],
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) position: u64,
}

impl State<'_> {
    /// The fingerprint of a region that the replay was made with.
    pub fn fingerprint(&self, region: &Range<u64>) -> Fingerprint {
        let index = self.regions.iter().position(|known| known == region);
        self.fingerprints[index.expect("the replay was told of this region")]
    }

    /// The bytes of a region.
    pub fn region(&self, region: &Range<u64>) -> io::Result<Vec<u8>> {
        let len = usize::try_from(region.end - region.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        self.fill(region.start, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `buffer` from a place of the disk.
    pub fn fill(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.base.read_exact_at(buffer, offset)?;
        let end = offset + buffer.len() as u64;
        let sectors = offset / SECTOR..end.div_ceil(SECTOR);
        for written in [self.durable, &self.lucky] {
            for (sector, source) in written.range(sectors.clone()) {
                self.overlay(*sector, *source, offset, buffer)?;
            }
        }
        Ok(())
    }

    /// Puts the part of a sector that belongs into a buffer there.
    fn overlay(&self, sector: u64, source: Source, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = (sector * SECTOR).max(offset);
        let end = ((sector + 1) * SECTOR).min(offset + buffer.len() as u64);
        let index = |place: u64| usize::try_from(place - offset).expect("a buffer is in memory");
        let part = &mut buffer[index(start)..index(end)];
        let Some(place) = source.place else {
            part.fill(0);
            return Ok(());
        };
        self.log.read(place + (start - sector * SECTOR), part)
    }
}

impl Read for State<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.position);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.fill(self.position, &mut buffer[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for State<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(distance) => self.len.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl Disk for State<'_> {
    fn len_bytes(&mut self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.fill(offset, buffer)
    }

    /// A state is only looked at.
    fn write_at(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
