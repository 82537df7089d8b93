//! Whatever a disk holds, reading it does not panic; what is damaged in one copy is read from the other.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod disk;

use disk::MemoryDisk;
use partitions::{
    Attributes, Damage, Disk, Guid, Health, MIB, Partition, Plan, ReadError, SectorSize, Table, kind, read,
};
use proptest::prelude::*;

const SECTORS: u64 = 4 * 2048;

fn table() -> Table {
    let mut table = Table::new(Guid::custom([0xd1; 16]), SectorSize::B512, SECTORS).unwrap();
    for number in 1..=2 {
        let id = Guid::custom([number; 16]);
        let start_mib = number.into();
        let attributes = Attributes::NONE.with_priority(number);
        let label = kind::label::BOOT_A;
        table.add(&Partition { kind: kind::BOOT, id, label, start_mib, size_mib: 1, attributes }).unwrap();
    }
    table
}

fn disk_bytes() -> Vec<u8> {
    let mut disk = MemoryDisk::zeroed(SECTORS * 512);
    Plan::create(&table(), &[0; 440]).execute(&mut disk).unwrap();
    disk.bytes()
}

const PRIMARY_HEADER: usize = 512;
const PRIMARY_END: usize = 34 * 512;

/// The backup copy's header, and where the copy starts.
fn backup(bytes: &[u8]) -> (usize, usize) {
    (bytes.len() - 512, bytes.len() - 33 * 512)
}

/// Puts a value into the primary header and makes its checksum right again.
fn with_field(at: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = disk_bytes();
    bytes[PRIMARY_HEADER + at..][..value.len()].copy_from_slice(value);
    bytes[PRIMARY_HEADER + 16..][..4].fill(0);
    let sum = crc32fast::hash(&bytes[PRIMARY_HEADER..PRIMARY_HEADER + 92]);
    bytes[PRIMARY_HEADER + 16..][..4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn a_header_that_lies_is_named_and_the_backup_taken() {
    let max = &u64::MAX.to_le_bytes()[..];
    let cases: [(usize, &[u8], Damage); 19] = [
        (0, b"X", Damage::NoSignature),
        (12, &91u32.to_le_bytes(), Damage::HeaderLen { len: 91 }),
        (12, &513u32.to_le_bytes(), Damage::HeaderLen { len: 513 }),
        (12, &93u32.to_le_bytes(), Damage::HeaderChecksum),
        (8, &[1], Damage::Revision { revision: 0x10001 }),
        (24, &[2], Damage::Misplaced { lba: 1, claimed: 2 }),
        (80, &0u32.to_le_bytes(), Damage::Entries { count: 0, len: 128 }),
        (80, &u32::MAX.to_le_bytes(), Damage::Entries { count: u32::MAX, len: 128 }),
        (80, &129u32.to_le_bytes(), Damage::Layout),
        (80, &127u32.to_le_bytes(), Damage::EntriesChecksum),
        (84, &256u32.to_le_bytes(), Damage::Entries { count: 128, len: 256 }),
        (72, &1u64.to_le_bytes(), Damage::Layout),
        (72, max, Damage::Layout),
        (40, &33u64.to_le_bytes(), Damage::Layout),
        (40, max, Damage::Layout),
        (48, max, Damage::Layout),
        (48, &0u64.to_le_bytes(), Damage::Layout),
        (32, &SECTORS.to_le_bytes(), Damage::BeyondEnd { needed: SECTORS + 1, sectors: SECTORS }),
        (32, &100u64.to_le_bytes(), Damage::Layout),
    ];
    for (at, value, damage) in cases {
        let reading = read(&mut MemoryDisk::with(&with_field(at, value))).unwrap();
        assert_eq!(reading.primary, Health::Damaged(damage), "{value:?} at {at}");
        assert_eq!((reading.table, reading.backup), (table(), Health::Good), "{value:?} at {at}");
    }
}

#[test]
fn a_disk_without_a_table_says_what_both_copies_lack() {
    let text = |bytes: Vec<u8>| match read(&mut MemoryDisk::with(&bytes)).unwrap_err() {
        ReadError::NoTable { primary, backup } => (primary, backup),
        error @ ReadError::Length { .. } => panic!("{error}"),
    };
    let nothing = (Damage::NoSignature, Damage::NoSignature);
    assert_eq!(text(vec![0; 1 << 20]), nothing);
    let mut both = disk_bytes();
    let (_, backup) = backup(&both);
    both[PRIMARY_HEADER + 60] ^= 1;
    both[backup] ^= 1;
    assert_eq!(text(both), (Damage::HeaderChecksum, Damage::EntriesChecksum));
    for len in [0, 1, 511, 512, 513, 1024, 4096, 8192] {
        assert!(read(&mut MemoryDisk::with(&vec![0; len])).is_err(), "{len} bytes");
    }
}

/// A disk of which some bytes cannot be read.
struct BadSectors(MemoryDisk, std::ops::Range<u64>);

impl Disk for BadSectors {
    fn len_bytes(&mut self) -> std::io::Result<u64> {
        self.0.len_bytes()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        let wanted = offset..offset + buffer.len() as u64;
        if wanted.start < self.1.end && self.1.start < wanted.end {
            return Err(std::io::Error::other("the medium is bad"));
        }
        self.0.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.0.sync()
    }
}

#[test]
fn a_copy_that_cannot_be_read_is_as_good_as_damaged() {
    let len = disk_bytes().len() as u64;
    let reason = "the medium is bad".to_owned();
    for (bad, primary_is_bad) in
        [(512..1024, true), (1024..1536, true), (len - 512..len, false), (len - 1024..len - 512, false)]
    {
        let mut disk = BadSectors(MemoryDisk::with(&disk_bytes()), bad.clone());
        let reading = read(&mut disk).unwrap();
        let damaged = if primary_is_bad { reading.primary } else { reading.backup };
        assert_eq!(reading.table, table());
        assert_eq!(damaged, Health::Damaged(Damage::Unreadable { reason: reason.clone() }), "{bad:?}");
    }
}

#[test]
fn an_image_file_is_a_disk() {
    let mut file = tempfile::tempfile().unwrap();
    file.set_len(SECTORS * 512).unwrap();
    Plan::create(&table(), &[0; 440]).execute(&mut file).unwrap();
    let reading = read(&mut file).unwrap();
    assert_eq!((reading.table, reading.primary, reading.backup), (table(), Health::Good, Health::Good));
}

#[test]
fn the_protective_record_covers_the_disk_and_keeps_the_boot_code() {
    let mbr = table().protective_mbr(&[0x5a; 440]);
    assert_eq!(mbr[..440], [0x5a; 440]);
    assert_eq!(mbr[440..446], [0; 6]);
    // Not bootable, type EE from sector 1 on, to the last sector.
    let size = u32::try_from(SECTORS - 1).unwrap().to_le_bytes();
    let record = [&[0, 0, 2, 0, 0xee, 255, 255, 255, 1, 0, 0, 0], &size[..]].concat();
    assert_eq!(mbr[446..462], record);
    assert_eq!(mbr[462..510], [0; 48]);
    assert_eq!(mbr[510..], [0x55, 0xaa]);
    let huge = Table::new(Guid::NIL, SectorSize::B512, 1 << 40).unwrap();
    assert_eq!(huge.protective_mbr(&[0; 440])[458..462], [255; 4]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Up to three flips in one copy are always found by its checksums.
    #[test]
    fn damage_in_one_copy_costs_nothing(
        in_primary: bool,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..=3),
    ) {
        let mut bytes = disk_bytes();
        let (_, backup_start) = backup(&bytes);
        let copy = if in_primary { PRIMARY_HEADER..PRIMARY_END } else { backup_start..bytes.len() };
        for (place, flip) in flips {
            bytes[copy.start + place.index(copy.len())] ^= flip;
        }
        let reading = read(&mut MemoryDisk::with(&bytes)).unwrap();
        prop_assert_eq!(&reading.table, &table());
        let mut disk = MemoryDisk::with(&bytes);
        reading.heal().execute(&mut disk).unwrap();
        let healed = read(&mut disk).unwrap();
        prop_assert_eq!((healed.primary, healed.backup), (Health::Good, Health::Good));
    }

    /// Headers with right checksums over random fields, on disks of odd lengths, lead to no panic, neither when
    /// read nor when healed.
    #[test]
    fn no_header_panics(
        fields in proptest::collection::vec((0..92usize, any::<u64>()), 1..=6),
        small: bool,
        cut in 0..2048usize,
    ) {
        let mut bytes = disk_bytes();
        for header in [PRIMARY_HEADER, backup(&bytes).0] {
            for (at, value) in &fields {
                let value = if small { value % 100 } else { *value }.to_le_bytes();
                let len = value.len().min(92 - at);
                bytes[header + at..][..len].copy_from_slice(&value[..len]);
            }
            bytes[header..][..16].copy_from_slice(b"EFI PART\0\0\x01\0\x5c\0\0\0");
            bytes[header + 16..][..4].fill(0);
            let sum = crc32fast::hash(&bytes[header..header + 92]);
            bytes[header + 16..][..4].copy_from_slice(&sum.to_le_bytes());
        }
        bytes.truncate(bytes.len() - cut);
        bytes.resize(usize::try_from(4 * MIB).unwrap(), 0);
        let mut disk = MemoryDisk::with(&bytes);
        if let Ok(reading) = read(&mut disk) {
            let plan = reading.heal();
            plan.execute(&mut disk).unwrap();
            let healed = read(&mut disk).unwrap();
            prop_assert!(healed.table.partitions().eq(reading.table.partitions()), "{}", plan);
        }
    }
}

#[test]
fn bytes_that_look_like_nothing_never_panic() {
    proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..20_000), at in 0..4usize)| {
        let mut bytes = bytes;
        if let Some(place) = bytes.get_mut(at * 512..at * 512 + 8) {
            place.copy_from_slice(b"EFI PART");
        }
        let _ = read(&mut MemoryDisk::with(&bytes));
    });
}
