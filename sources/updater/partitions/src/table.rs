//! A table: what both copies on the disk say.

use crate::bytes::put;
use crate::entry::ENTRY_LEN;
use crate::{Attributes, Entry, Guid, Label, LabelError};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::ops::Range;

/// A mebibyte, to whose multiples partitions are aligned.
pub const MIB: u64 = 1024 * 1024;

/// Room for code at the start of the master boot record (UEFI specification 2.10, table 5.3).
pub const BOOT_CODE_LEN: usize = 440;

/// Entries of a new table: 16 KiB of them, the least that the UEFI specification (2.10, section 5.3.1) asks for.
const NEW_COUNT: usize = 128;

pub(crate) const SIGNATURE: [u8; 8] = *b"EFI PART";
pub(crate) const REVISION: u32 = 0x0001_0000;
pub(crate) const HEADER_LEN: u32 = 92;
pub(crate) const PRIMARY_HEADER: u64 = 1;

/// The unit in which a disk counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectorSize {
    /// 512 bytes: nearly every disk.
    B512,
    /// 4096 bytes: disks that do not pretend to have less.
    B4096,
}

impl SectorSize {
    pub(crate) const ALL: [Self; 2] = [Self::B512, Self::B4096];

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::B512 => 512,
            Self::B4096 => 4096,
        }
    }

    /// In bytes, as the length of a buffer.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::B512 => 512,
            Self::B4096 => 4096,
        }
    }
}

/// A partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub(crate) disk: Guid,
    pub(crate) sector_size: SectorSize,
    /// Where the primary copy has its entries.
    pub(crate) primary_entries: u64,
    /// Where the backup copy has its header: the last sector of the disk that the table was made for.
    pub(crate) last: u64,
    pub(crate) first_usable: u64,
    pub(crate) last_usable: u64,
    pub(crate) slots: Vec<Option<Entry>>,
}

/// A partition to be added to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition<'a> {
    /// Its type; see [`crate::kind`].
    pub kind: Guid,
    /// Its own identifier.
    pub id: Guid,
    /// Its name.
    pub label: &'a str,
    /// Where it starts.
    pub start_mib: u64,
    /// How long it is.
    pub size_mib: u64,
    /// How it boots, among others.
    pub attributes: Attributes,
}

/// A table that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum TableError {
    #[snafu(display("a disk of {sectors} sectors has no room for a partition table; it needs {needed}"))]
    DiskTooSmall { sectors: u64, needed: u64 },
    #[snafu(display("all {count} entries of the partition table are in use"))]
    Full { count: usize },
    #[snafu(display("name partition {number}"))]
    BadLabel { number: u32, source: LabelError },
    #[snafu(display("partition {number} '{label}' has the type of an unused entry, {}", Guid::NIL))]
    NoKind { number: u32, label: String },
    #[snafu(display("partition {number} '{label}' has no size"))]
    Empty { number: u32, label: String },
    #[snafu(display(
        "partition {number} '{label}' at {start_mib} MiB with {size_mib} MiB is outside sectors {} to {} that the \
         table leaves to partitions", usable.start, usable.end - 1
    ))]
    Outside { number: u32, label: String, start_mib: u64, size_mib: u64, usable: Range<u64> },
    #[snafu(display("partition {number} '{label}' overlaps partition {other} '{other_label}'"))]
    Overlap { number: u32, label: String, other: u32, other_label: String },
    #[snafu(display("partition {number} '{label}' has the id of partition {other}, {id}"))]
    SameId { number: u32, label: String, other: u32, id: Guid },
    #[snafu(display("the partition table has no partition {number}"))]
    NoSuchNumber { number: u32 },
}

impl Table {
    /// An empty table for a disk of so many sectors.
    pub fn new(disk: Guid, sector_size: SectorSize, sectors: u64) -> Result<Self, TableError> {
        let array = array_sectors(NEW_COUNT, sector_size);
        // Two copies of header and entries, the boot record, and a sector to use.
        let needed = 2 * (array + 1) + 2;
        ensure!(sectors >= needed, DiskTooSmallSnafu { sectors, needed });
        let primary_entries = PRIMARY_HEADER + 1;
        let last = sectors - 1;
        let slots = vec![None; NEW_COUNT];
        let (first_usable, last_usable) = (primary_entries + array, last - array - 1);
        Ok(Self { disk, sector_size, primary_entries, last, first_usable, last_usable, slots })
    }

    /// Adds a partition with the lowest free number, which it returns. It must lie in the usable part of the disk,
    /// overlap none and have an id of its own.
    pub fn add(&mut self, partition: &Partition<'_>) -> Result<u32, TableError> {
        let count = self.slots.len();
        let slot = self.slots.iter().position(Option::is_none).context(FullSnafu { count })?;
        let number = number_of(slot);
        let &Partition { kind, id, label, start_mib, size_mib, attributes } = partition;
        ensure!(kind != Guid::NIL, NoKindSnafu { number, label });
        ensure!(size_mib > 0, EmptySnafu { number, label });
        let per_mib = MIB / self.sector_size.bytes();
        let usable = self.usable();
        let start = start_mib.checked_mul(per_mib);
        let end = start_mib.checked_add(size_mib).and_then(|end_mib| end_mib.checked_mul(per_mib));
        let inside = start.zip(end).filter(|(start, end)| usable.start <= *start && *end <= usable.end);
        let (first, end) = inside.context(OutsideSnafu { number, label, start_mib, size_mib, usable })?;
        for (other, entry) in self.partitions() {
            let taken = entry.range();
            let other_label = || entry.label.to_string();
            ensure!(
                end <= taken.start || taken.end <= first,
                OverlapSnafu { number, label, other, other_label: other_label() }
            );
            ensure!(id != entry.id, SameIdSnafu { number, label, other, id });
        }
        let label: Label = label.parse().context(BadLabelSnafu { number })?;
        self.slots[slot] = Some(Entry { kind, id, first, last: end - 1, attributes, label });
        Ok(number)
    }

    /// Sets the attributes of a partition.
    pub fn set_attributes(&mut self, number: u32, attributes: Attributes) -> Result<(), TableError> {
        let entry = slot_of(number).and_then(|slot| self.slots.get_mut(slot)?.as_mut());
        entry.context(NoSuchNumberSnafu { number })?.attributes = attributes;
        Ok(())
    }

    /// The identifier of the disk.
    pub fn disk(&self) -> Guid {
        self.disk
    }

    /// The unit in which the table counts.
    pub fn sector_size(&self) -> SectorSize {
        self.sector_size
    }

    /// How many sectors the disk has that the table was made for.
    pub fn sectors(&self) -> u64 {
        self.last + 1
    }

    /// The sectors that partitions may have.
    pub fn usable(&self) -> Range<u64> {
        self.first_usable..self.last_usable + 1
    }

    /// The partitions with their numbers, which count from one.
    pub fn partitions(&self) -> impl Iterator<Item = (u32, &Entry)> {
        let numbered = self.slots.iter().enumerate();
        numbered.filter_map(|(slot, entry)| Some((number_of(slot), entry.as_ref()?)))
    }

    /// The partition of this number.
    pub fn get(&self, number: u32) -> Option<&Entry> {
        self.slots.get(slot_of(number)?)?.as_ref()
    }

    /// The first partition with this identifier.
    pub fn with_id(&self, id: Guid) -> Option<(u32, &Entry)> {
        self.partitions().find(|(_, entry)| entry.id == id)
    }

    /// The first partition with this name.
    pub fn with_label(&self, label: &str) -> Option<(u32, &Entry)> {
        self.partitions().find(|(_, entry)| entry.label == *label)
    }

    /// The partitions of this type, in the order of their numbers: set A's is the first, set B's the second.
    pub fn of_kind(&self, kind: Guid) -> impl Iterator<Item = (u32, &Entry)> {
        self.partitions().filter(move |(_, entry)| entry.kind == kind)
    }

    /// Where on the disk a partition is, in bytes.
    pub fn byte_range(&self, entry: &Entry) -> Range<u64> {
        let Range { start, end } = entry.range();
        let bytes = self.sector_size.bytes();
        start.saturating_mul(bytes)..end.saturating_mul(bytes)
    }

    /// The protective master boot record (UEFI specification 2.10, section 5.2.3), which tells programs that know
    /// no better that the disk is full. It starts with the code that a BIOS runs; all zeros for none.
    pub fn protective_mbr(&self, boot_code: &[u8; BOOT_CODE_LEN]) -> [u8; 512] {
        const ONLY_RECORD: usize = 446;
        let mut mbr = [0; 512];
        put(&mut mbr, 0, boot_code);
        // Starting cylinder, head and sector for logical block 1; the type; the greatest end.
        put(&mut mbr, ONLY_RECORD, &[0, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff]);
        put(&mut mbr, ONLY_RECORD + 8, &1u32.to_le_bytes());
        let size = u32::try_from(self.last).unwrap_or(u32::MAX);
        put(&mut mbr, ONLY_RECORD + 12, &size.to_le_bytes());
        put(&mut mbr, 510, &[0x55, 0xaa]);
        mbr
    }

    /// The same table for a disk that now has so many sectors, at least as many as before.
    pub(crate) fn grown_to(&self, sectors: u64) -> Self {
        let mut grown = self.clone();
        if sectors > self.sectors() {
            grown.last = sectors - 1;
            grown.last_usable = grown.backup_entries() - 1;
        }
        grown
    }

    /// Where the backup copy has its entries.
    pub(crate) fn backup_entries(&self) -> u64 {
        self.last - array_sectors(self.slots.len(), self.sector_size)
    }

    /// The array of entries, filled up to whole sectors.
    pub(crate) fn array(&self) -> Vec<u8> {
        let sectors = array_sectors(self.slots.len(), self.sector_size);
        let len = usize::try_from(sectors).expect("the array was limited when it was made")
            * self.sector_size.len();
        let mut array = vec![0; len];
        for (bytes, slot) in array.chunks_exact_mut(ENTRY_LEN).zip(&self.slots) {
            if let Some(entry) = slot {
                bytes.copy_from_slice(&entry.to_disk());
            }
        }
        array
    }

    /// The sector of the header at `own` (UEFI specification 2.10, table 5.5) whose other copy is at `other`.
    pub(crate) fn header(&self, own: u64, other: u64, entries: u64, array: &[u8]) -> Vec<u8> {
        let mut sector = vec![0; self.sector_size.len()];
        let count = u32::try_from(self.slots.len()).expect("the count was limited when the table was made");
        put(&mut sector, 0, &SIGNATURE);
        put(&mut sector, 8, &REVISION.to_le_bytes());
        put(&mut sector, 12, &HEADER_LEN.to_le_bytes());
        put(&mut sector, 24, &own.to_le_bytes());
        put(&mut sector, 32, &other.to_le_bytes());
        put(&mut sector, 40, &self.first_usable.to_le_bytes());
        put(&mut sector, 48, &self.last_usable.to_le_bytes());
        put(&mut sector, 56, &self.disk.to_disk());
        put(&mut sector, 72, &entries.to_le_bytes());
        put(&mut sector, 80, &count.to_le_bytes());
        put(&mut sector, 84, &u32::try_from(ENTRY_LEN).expect("128 is small").to_le_bytes());
        let used = &array[..self.slots.len() * ENTRY_LEN];
        put(&mut sector, 88, &crc32fast::hash(used).to_le_bytes());
        let checksum = crc32fast::hash(&sector[..HEADER_LEN as usize]);
        put(&mut sector, 16, &checksum.to_le_bytes());
        sector
    }
}

/// How many sectors so many entries take.
pub(crate) fn array_sectors(count: usize, sector_size: SectorSize) -> u64 {
    (count * ENTRY_LEN).div_ceil(sector_size.len()) as u64
}

fn number_of(slot: usize) -> u32 {
    u32::try_from(slot + 1).expect("the count was limited when the table was made")
}

fn slot_of(number: u32) -> Option<usize> {
    number.checked_sub(1)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind;

    fn id(number: u8) -> Guid {
        Guid::custom([number; 16])
    }

    fn partition(number: u8, start_mib: u64, size_mib: u64) -> Partition<'static> {
        let attributes = Attributes::NONE;
        Partition { kind: kind::ROOT, id: id(number), label: "x", start_mib, size_mib, attributes }
    }

    #[test]
    fn a_partition_has_a_place_of_its_own() {
        for size in SectorSize::ALL {
            let mut table = Table::new(id(0), size, 64 * MIB / size.bytes()).unwrap();
            assert_eq!(table.add(&partition(1, 1, 4)), Ok(1));
            assert_eq!(table.add(&partition(2, 10, 53)), Ok(2));
            let long = "a label that is longer than a label may be";
            for (refused, why) in [
                (partition(3, 0, 1), "outside"),
                (partition(3, 63, 1), "outside"),
                (partition(3, 64, 1), "outside"),
                (partition(3, u64::MAX, 1), "outside"),
                (partition(3, u64::MAX / 2048, u64::MAX / 2048), "outside"),
                (partition(3, 4, 2), "overlaps partition 1"),
                (partition(3, 2, 1), "overlaps partition 1"),
                (partition(3, 1, 20), "overlaps partition 1"),
                (partition(3, 5, 6), "overlaps partition 2"),
                (partition(3, 5, 0), "no size"),
                (partition(2, 5, 1), "has the id of partition 2"),
                (Partition { kind: Guid::NIL, ..partition(3, 5, 1) }, "the type of an unused entry"),
                (Partition { label: long, ..partition(3, 5, 1) }, "name partition 3"),
            ] {
                let before = table.clone();
                let error = table.add(&refused).unwrap_err().to_string();
                assert!(error.contains(why), "{refused:?}: {error}");
                assert_eq!(table, before);
            }
            assert_eq!(table.add(&partition(3, 5, 5)), Ok(3));
            assert_eq!(table.byte_range(table.get(3).unwrap()), 5 * MIB..10 * MIB);
        }
    }

    #[test]
    fn a_table_needs_room_and_has_128_entries() {
        for (size, needed) in [(SectorSize::B512, 68), (SectorSize::B4096, 12)] {
            let error = Table::new(id(0), size, needed - 1).unwrap_err();
            assert_eq!(error, TableError::DiskTooSmall { sectors: needed - 1, needed });
            assert_eq!(Table::new(id(0), size, needed).unwrap().usable().count(), 1);
        }
        let mut table = Table::new(id(0), SectorSize::B512, 1024 * 2048).unwrap();
        for number in 1..=128 {
            assert_eq!(table.add(&partition(number, number.into(), 1)), Ok(number.into()));
        }
        assert_eq!(table.add(&partition(200, 200, 1)), Err(TableError::Full { count: 128 }));
    }

    #[test]
    fn partitions_are_found_by_what_they_are() {
        let mut table = Table::new(id(0), SectorSize::B512, 64 * 2048).unwrap();
        for (number, kind, label) in
            [(1, kind::BOOT, kind::label::BOOT_A), (2, kind::ROOT, ""), (3, kind::BOOT, kind::label::BOOT_B)]
        {
            table.add(&Partition { kind, label, ..partition(number, number.into(), 1) }).unwrap();
        }
        let number = |found: Option<(u32, &Entry)>| found.map(|(number, _)| number);
        assert_eq!(table.of_kind(kind::BOOT).map(|(number, _)| number).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(number(table.with_label("BOTTLEROCKET-BOOT-B")), Some(3));
        assert_eq!(number(table.with_label("BOTTLEROCKET-BOOT")), None);
        assert_eq!(number(table.with_id(id(2))), Some(2));
        assert_eq!(number(table.with_id(id(4))), None);
        assert_eq!(table.get(0), None);
        assert_eq!(table.get(4), None);
        assert_eq!(table.get(u32::MAX), None);
        let marked = Attributes::NONE.with_priority(2);
        table.set_attributes(3, marked).unwrap();
        assert_eq!(table.get(3).unwrap().attributes, marked);
        assert_eq!(table.set_attributes(4, marked), Err(TableError::NoSuchNumber { number: 4 }));
    }
}
