//! The log, in the format of the kernel's `dm-log-writes` (Documentation/admin-guide/device-mapper/log-writes.rst), as
//! QEMU's `block/blklogwrites.c` writes it: a super block, then for each entry a sector that describes it and, where it
//! wrote something, what it wrote.

use snafu::{ResultExt, Snafu, ensure};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The unit of a log and of what a disk writes as a whole, in bytes.
pub const SECTOR: u64 = 512;
/// The same, for buffers.
pub(crate) const SECTOR_LEN: usize = 512;
/// The first eight bytes.
const MAGIC: u64 = 0x006a_7366_7773_6872;
/// The one version there is.
const VERSION: u64 = 1;
/// Flags of an entry: the disk was told to keep what it had; it was told to keep this write; it may forget; a note.
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;

/// Why a log could not be read.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum LogError {
    #[snafu(display("open the log {}", path.display()))]
    Open { path: PathBuf, source: io::Error },
    #[snafu(display("read the log {} at byte {position}", path.display()))]
    Read { path: PathBuf, position: u64, source: io::Error },
    #[snafu(display("{} is no log of writes: it begins with {magic:#x}, version {version}", path.display()))]
    Foreign { path: PathBuf, magic: u64, version: u64 },
    #[snafu(display("the log {} counts in sectors of {bytes} bytes, not of {SECTOR}", path.display()))]
    SectorSize { path: PathBuf, bytes: u32 },
    #[snafu(display("the log {} ends after {found} of its {said} entries", path.display()))]
    Short { path: PathBuf, found: u64, said: u64 },
}

/// What an entry did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Wrote what is in the log from this byte on.
    Write {
        /// Place of the first byte in the log.
        data: u64,
    },
    /// Said that what was there is not needed; it reads as zeros.
    Discard,
    /// Nothing but a promise ([`Entry::is_flush`]).
    Nothing,
}

/// One request to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// First sector of the disk.
    pub sector: u64,
    /// How many sectors.
    pub sectors: u64,
    /// What it did.
    pub kind: Kind,
    /// Whether everything before lasts from here on.
    pub is_flush: bool,
    /// Whether this write itself lasts from here on.
    pub is_forced: bool,
}

/// A log, opened.
#[derive(Debug)]
pub struct Log {
    file: File,
    entries: Vec<Entry>,
}

impl Log {
    /// Reads the descriptions of all entries. A log whose machine was killed ends with its last whole entry.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let file = File::open(path).context(OpenSnafu { path })?;
        let len = file.metadata().context(OpenSnafu { path })?.len();
        let said = super_block(&file, path)?;
        let mut entries = Vec::new();
        let mut position = SECTOR;
        while let Some((entry, next)) = entry(&file, position, len).context(ReadSnafu { path, position })? {
            position = next;
            entries.push(entry);
        }
        let found = entries.len() as u64;
        ensure!(found >= said, ShortSnafu { path, found, said });
        Ok(Self { file, entries })
    }

    /// The entries, in the order in which the machine made them.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Fills `buffer` from a place of the log.
    pub(crate) fn read(&self, place: u64, buffer: &mut [u8]) -> io::Result<()> {
        // The last sectors of a log may be zeros that nobody wrote.
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], place + filled as u64)? {
                0 => {
                    buffer[filled..].fill(0);
                    return Ok(());
                }
                count => filled += count,
            }
        }
        Ok(())
    }
}

/// Checks the super block; gives the number of entries that it promises.
fn super_block(file: &File, path: &Path) -> Result<u64, LogError> {
    let mut block = [0; 28];
    file.read_exact_at(&mut block, 0).context(ReadSnafu { path, position: 0_u64 })?;
    let (magic, version) = (number(&block, 0), number(&block, 8));
    ensure!(magic == MAGIC && version == VERSION, ForeignSnafu { path, magic, version });
    let bytes = u32::from_le_bytes([block[24], block[25], block[26], block[27]]);
    ensure!(u64::from(bytes) == SECTOR, SectorSizeSnafu { path, bytes });
    Ok(number(&block, 16))
}

/// The entry at a place and where the next one is; nothing where there is no whole one.
fn entry(file: &File, position: u64, len: u64) -> io::Result<Option<(Entry, u64)>> {
    if position.checked_add(SECTOR).is_none_or(|end| end > len) {
        return Ok(None);
    }
    let mut block = [0; 32];
    file.read_exact_at(&mut block, position)?;
    let [sector, sectors, flags, noted] = [0, 8, 16, 24].map(|place| number(&block, place));
    if flags == 0 && sectors == 0 && noted == 0 {
        return Ok(None);
    }
    let data = position + SECTOR;
    let is_write = flags & (DISCARD | MARK) == 0 && sectors > 0;
    let data_len =
        if is_write { sectors.checked_mul(SECTOR) } else { noted.checked_next_multiple_of(SECTOR) };
    let Some(next) = data_len.and_then(|bytes| data.checked_add(bytes)).filter(|next| *next <= len) else {
        return Ok(None);
    };
    let kind = match flags {
        _ if is_write => Kind::Write { data },
        _ if flags & DISCARD != 0 => Kind::Discard,
        _ => Kind::Nothing,
    };
    let (is_flush, is_forced) = (flags & FLUSH != 0, flags & FUA != 0);
    Ok(Some((Entry { sector, sectors, kind, is_flush, is_forced }, next)))
}

fn number(block: &[u8], place: usize) -> u64 {
    u64::from_le_bytes(block[place..place + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;

    /// A log as QEMU writes it.
    pub(crate) fn log(entries: &[(u64, u64, u64, &[u8])], said: u64) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut block = vec![0; 512];
        block[..8].copy_from_slice(&MAGIC.to_le_bytes());
        block[8] = 1;
        block[16..24].copy_from_slice(&said.to_le_bytes());
        block[24..28].copy_from_slice(&512_u32.to_le_bytes());
        file.write_all(&block).unwrap();
        for (sector, sectors, flags, data) in entries {
            let mut block = vec![0; 512];
            for (place, value) in [(0, sector), (8, sectors), (16, flags)] {
                block[place..place + 8].copy_from_slice(&value.to_le_bytes());
            }
            file.write_all(&block).unwrap();
            file.write_all(data).unwrap();
        }
        file
    }

    #[test]
    fn entries_are_found_behind_each_other() {
        let file = log(
            &[(8, 2, 0, &[7; 1024]), (0, 0, FLUSH, &[]), (4, 9, DISCARD, &[]), (1, 1, FUA, &[1; 512])],
            4,
        );
        let log = Log::open(file.path()).unwrap();
        let kinds: Vec<_> = log.entries().iter().map(|entry| (entry.sector, entry.kind)).collect();
        let expected = [
            (8, Kind::Write { data: 1024 }),
            (0, Kind::Nothing),
            (4, Kind::Discard),
            (1, Kind::Write { data: 512 * 7 }),
        ];
        assert_eq!(kinds, expected);
        let promises: Vec<_> = log.entries().iter().map(|entry| (entry.is_flush, entry.is_forced)).collect();
        assert_eq!(promises, [(false, false), (true, false), (false, false), (false, true)]);
    }

    #[test]
    fn a_log_that_breaks_off_ends_with_its_last_whole_entry() {
        let file = log(&[(8, 1, 0, &[7; 512]), (9, 4, 0, &[7; 512])], 0);
        assert_eq!(Log::open(file.path()).unwrap().entries().len(), 1);
        let file = log(&[(8, 1, 0, &[7; 512])], 2);
        let why = Log::open(file.path()).unwrap_err().to_string();
        assert!(why.ends_with("ends after 1 of its 2 entries"), "{why}");
    }

    #[test]
    fn another_file_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[0; 4096]).unwrap();
        let why = Log::open(file.path()).unwrap_err().to_string();
        assert!(why.contains("is no log of writes"), "{why}");
    }
}
