//! Reading a table from whichever copy is whole.

use crate::bytes::{array_at, u32_at, u64_at};
use crate::entry::ENTRY_LEN;
use crate::table::{HEADER_LEN, PRIMARY_HEADER, REVISION, SIGNATURE, array_sectors};
use crate::{Disk, Entry, Guid, SectorSize, Table};
use snafu::{ResultExt, Snafu, ensure};
use std::io;

/// The most entries a table may have: eight times what every known program makes.
const MAX_COUNT: u32 = 1024;

/// A table and the state of its copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The table: the primary's, or the backup's if the primary is damaged.
    pub table: Table,
    /// The copy at the start of the disk.
    pub primary: Health,
    /// The copy at its end.
    pub backup: Health,
    /// How many sectors the disk has.
    pub(crate) sectors: u64,
}

impl Reading {
    /// Whether the disk has become longer than the one the table was made for.
    pub fn is_grown(&self) -> bool {
        self.sectors > self.table.sectors()
    }
}

/// The state of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Whole, and says what the table says.
    Good,
    /// Whole, and says something else: the backup, where a change was cut off before it reached the primary.
    Different,
    /// Not to be trusted.
    Damaged(Damage),
}

/// Why a copy is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum Damage {
    #[snafu(display("cannot be read: {reason}"))]
    Unreadable { reason: String },
    #[snafu(display("has no signature"))]
    NoSignature,
    #[snafu(display("its header claims {len} bytes"))]
    HeaderLen { len: u32 },
    #[snafu(display("its header does not match its checksum"))]
    HeaderChecksum,
    #[snafu(display("is of revision {revision:#x}, not 0x10000"))]
    Revision { revision: u32 },
    #[snafu(display("is at sector {lba} and claims to be at {claimed}"))]
    Misplaced { lba: u64, claimed: u64 },
    #[snafu(display("has {count} entries of {len} bytes; 1 to 1024 of 128 bytes are understood"))]
    Entries { count: u32, len: u32 },
    #[snafu(display("its header, entries and usable sectors are in each other's way"))]
    Layout,
    #[snafu(display("is for a disk of {needed} sectors; this one has {sectors}"))]
    BeyondEnd { needed: u64, sectors: u64 },
    #[snafu(display("its entries do not match their checksum"))]
    EntriesChecksum,
}

/// A disk whose table cannot be read.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ReadError {
    #[snafu(display("find out how long the disk is"))]
    Length { source: io::Error },
    #[snafu(display(
        "the disk has no partition table: the primary copy {primary}, the backup copy {backup}"
    ))]
    NoTable { primary: Damage, backup: Damage },
}

/// Reads the table of a disk, whose sectors may be of 512 or of 4096 bytes.
pub fn read(disk: &mut impl Disk) -> Result<Reading, ReadError> {
    const NOTHING: [Damage; 2] = [Damage::NoSignature, Damage::NoSignature];
    let len = disk.len_bytes().context(LengthSnafu)?;
    let mut why_not = NOTHING;
    for sector_size in SectorSize::ALL {
        match read_counted_in(disk, sector_size, len / sector_size.bytes()) {
            Ok(reading) => return Ok(reading),
            // Of two answers the one that saw something is of use.
            Err(damages) if damages != NOTHING => why_not = damages,
            Err(_) => {}
        }
    }
    let [primary, backup] = why_not;
    NoTableSnafu { primary, backup }.fail()
}

/// The table in sectors of this size, or what is wrong with both copies.
fn read_counted_in(
    disk: &mut impl Disk,
    sector_size: SectorSize,
    sectors: u64,
) -> Result<Reading, [Damage; 2]> {
    let mut place = Place { disk, sector_size, sectors };
    let primary = place.copy(PRIMARY_HEADER);
    let backup = place.backup();
    let is_good = |same: bool| if same { Health::Good } else { Health::Different };
    let (table, primary, backup) = match (primary, backup) {
        (Ok(table), Ok(mut other)) => {
            // Only the primary knows where its entries are.
            other.primary_entries = table.primary_entries;
            let backup = is_good(table == other);
            (table, Health::Good, backup)
        }
        (Ok(table), Err(damage)) => (table, Health::Good, Health::Damaged(damage)),
        (Err(damage), Ok(table)) => (table, Health::Damaged(damage), Health::Good),
        (Err(primary), Err(backup)) => return Err([primary, backup]),
    };
    Ok(Reading { table, primary, backup, sectors })
}

struct Place<'a, D> {
    disk: &'a mut D,
    sector_size: SectorSize,
    sectors: u64,
}

impl<D: Disk> Place<'_, D> {
    /// The backup, where the primary's header says it is, even if nothing else of that can be trusted: after the
    /// disk has grown it is not at the end. What is found there has checksums of its own.
    fn backup(&mut self) -> Result<Table, Damage> {
        let end = self.sectors.saturating_sub(1);
        let hint = self.sector(PRIMARY_HEADER).ok().filter(|sector| sector.starts_with(&SIGNATURE));
        let hinted = hint.map(|sector| u64_at(&sector, 32)).filter(|at| (2..end).contains(at));
        if let Some(Ok(table)) = hinted.map(|at| self.copy(at)) {
            return Ok(table);
        }
        if end <= PRIMARY_HEADER { NoSignatureSnafu.fail() } else { self.copy(end) }
    }

    /// The copy whose header is at `lba`.
    fn copy(&mut self, lba: u64) -> Result<Table, Damage> {
        let header = self.sector(lba)?;
        check_header(&header, lba)?;
        let array = array_sectors_of(&header, self.sector_size)?;
        let table = self.layout(&header, lba, array)?;
        let entries_at = u64_at(&header, 72);
        let bytes = self.sectors_at(entries_at, array)?;
        let used = &bytes[..table.slots.len() * ENTRY_LEN];
        ensure!(crc32fast::hash(used) == u32_at(&header, 88), EntriesChecksumSnafu);
        let slots = used.chunks_exact(ENTRY_LEN).map(Entry::from_disk).collect();
        Ok(Table { slots, ..table })
    }

    /// A table with the places that a header names, which fit together and the disk, and no partitions yet.
    fn layout(&self, header: &[u8], lba: u64, array: u64) -> Result<Table, Damage> {
        let (other, first_usable, last_usable, entries) =
            (u64_at(header, 32), u64_at(header, 40), u64_at(header, 48), u64_at(header, 72));
        let is_primary = lba == PRIMARY_HEADER;
        let last = if is_primary { other } else { lba };
        let primary_entries = if is_primary { entries } else { PRIMARY_HEADER + 1 };
        let needed = last.saturating_add(1);
        ensure!(needed <= self.sectors, BeyondEndSnafu { needed, sectors: self.sectors });
        let fits = primary_entries > PRIMARY_HEADER
            && first_usable >= primary_entries.saturating_add(array)
            && first_usable <= last_usable
            && last_usable.saturating_add(array) < last
            && (is_primary || other == PRIMARY_HEADER && entries > last_usable && entries <= last - array);
        ensure!(fits, LayoutSnafu);
        let slots = vec![None; u32_at(header, 80) as usize];
        let disk = Guid::from_disk(array_at(header, 56));
        let sector_size = self.sector_size;
        Ok(Table { disk, sector_size, primary_entries, last, first_usable, last_usable, slots })
    }

    fn sector(&mut self, lba: u64) -> Result<Vec<u8>, Damage> {
        self.sectors_at(lba, 1)
    }

    fn sectors_at(&mut self, lba: u64, count: u64) -> Result<Vec<u8>, Damage> {
        let end = lba.saturating_add(count);
        ensure!(end <= self.sectors, BeyondEndSnafu { needed: end, sectors: self.sectors });
        let bytes = self.sector_size.bytes();
        let len = usize::try_from(count * bytes).expect("the array of entries is limited");
        let mut buffer = vec![0; len];
        match self.disk.read_at(lba * bytes, &mut buffer) {
            Ok(()) => Ok(buffer),
            Err(e) => UnreadableSnafu { reason: e.to_string() }.fail(),
        }
    }
}

/// What a header says of itself.
fn check_header(header: &[u8], lba: u64) -> Result<(), Damage> {
    ensure!(header.starts_with(&SIGNATURE), NoSignatureSnafu);
    let len = u32_at(header, 12);
    let in_bounds = len >= HEADER_LEN && len as usize <= header.len();
    ensure!(in_bounds, HeaderLenSnafu { len });
    let mut summed = header[..len as usize].to_vec();
    summed[16..20].fill(0);
    ensure!(crc32fast::hash(&summed) == u32_at(header, 16), HeaderChecksumSnafu);
    let revision = u32_at(header, 8);
    ensure!(revision == REVISION, RevisionSnafu { revision });
    let claimed = u64_at(header, 24);
    ensure!(claimed == lba, MisplacedSnafu { lba, claimed });
    Ok(())
}

/// How many sectors the entries take that a header speaks of.
fn array_sectors_of(header: &[u8], sector_size: SectorSize) -> Result<u64, Damage> {
    let (count, len) = (u32_at(header, 80), u32_at(header, 84));
    let understood = (1..=MAX_COUNT).contains(&count) && len as usize == ENTRY_LEN;
    ensure!(understood, EntriesSnafu { count, len });
    Ok(array_sectors(count as usize, sector_size))
}
