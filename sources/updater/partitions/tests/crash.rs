//! A power cut at any moment of a change leaves the old table or the new one, and a disk that can be healed.
//!
//! A change is cut at each of its syncs with every subset of the 512-byte pieces kept that were not yet durable;
//! that covers a cut after every write, writes torn at sectors, and writes that reach the disk out of order.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod disk;

use disk::MemoryDisk;
use partitions::{Attributes, Disk, Guid, Health, MIB, Partition, Plan, SectorSize, Table, kind, read};

const SIZES: [SectorSize; 2] = [SectorSize::B512, SectorSize::B4096];

/// Partitions of both sets in sectors of their own: four entries are in 512 bytes.
fn table(size: SectorSize) -> Table {
    let mut table = Table::new(Guid::custom([0xd1; 16]), size, 32 * MIB / size.bytes()).unwrap();
    for number in 1..=13 {
        let kind = if number % 5 == 3 { kind::BOOT } else { kind::ROOT };
        let id = Guid::custom([number; 16]);
        let start_mib = number.into();
        let attributes = Attributes::from_bits(4).with_priority(1).with_successful(number == 3);
        table.add(&Partition { kind, id, label: "label", start_mib, size_mib: 1, attributes }).unwrap();
    }
    table
}

fn flipped(table: &Table) -> Table {
    let mut changed = table.clone();
    for (number, priority, tries) in [(3, 1, 0), (8, 2, 3), (12, 0, 0)] {
        let attributes = table.get(number).unwrap().attributes;
        let attributes = attributes.with_priority(priority).with_tries_left(tries).with_ever_succeeded(true);
        changed.set_attributes(number, attributes).unwrap();
    }
    changed
}

fn disk_with(table: &Table) -> MemoryDisk {
    let mut disk = MemoryDisk::zeroed(table.sectors() * table.sector_size().bytes());
    Plan::create(table, &[0xb0; 440]).execute(&mut disk).unwrap();
    disk.settled()
}

/// States a disk may be in before a change, all of which hold `table`.
fn starts(table: &Table) -> Vec<(&'static str, MemoryDisk)> {
    let sector = table.sector_size().bytes();
    let whole = || disk_with(table);
    let damaged = |at: u64| whole().flipped(at, 0x40);
    let end = table.sectors() * sector;
    let mut other = table.clone();
    other.set_attributes(8, Attributes::NONE.with_priority(7)).unwrap();
    let mut cut_off = whole();
    let backup_only = Plan { steps: read(&mut whole()).unwrap().plan(&other).steps[..3].to_vec() };
    backup_only.execute(&mut cut_off).unwrap();
    let (primary_header, primary_entries) = (sector + 50, 2 * sector + 600);
    let (backup_header, backup_entries) = (end - sector + 40, end - sector - 16000);
    let (little, much) = (2 * sector, 128 * sector);
    vec![
        ("whole", whole()),
        ("primary header damaged", damaged(primary_header)),
        ("primary entries damaged", damaged(primary_entries)),
        ("backup header damaged", damaged(backup_header)),
        ("backup entries damaged", damaged(backup_entries)),
        ("backup of a change that was cut off", cut_off.settled()),
        ("grown", whole().grown(much)),
        ("grown by less than a copy is long", whole().grown(little)),
        ("grown, primary entries damaged", damaged(primary_entries).grown(much)),
        ("grown by little, primary entries damaged", damaged(primary_entries).grown(little)),
        ("grown, primary header damaged", damaged(primary_header).grown(much)),
        ("grown, backup damaged", damaged(backup_header).grown(much)),
    ]
}

/// Performs a plan, and cuts the power everywhere in it.
fn check_cuts(name: &str, start: &MemoryDisk, plan: &Plan, before: &Table, after: &Table) {
    let mut disk = start.clone();
    plan.execute(&mut disk).unwrap();
    let mut survivors = 0;
    for (stage, cut) in disk.cuts.iter().enumerate() {
        for mut survivor in cut.survivors() {
            let seen = read(&mut survivor).unwrap_or_else(|e| panic!("{name}, stage {stage}: {e}\n{plan}"));
            assert!(seen.table == *before || seen.table == *after, "{name}, stage {stage}: {seen:?}\n{plan}");
            seen.heal().execute(&mut survivor).unwrap();
            let healed = read(&mut survivor).unwrap();
            assert_eq!((&healed.primary, &healed.backup), (&Health::Good, &Health::Good), "{name}");
            assert!(healed.heal().is_empty(), "{name}");
            assert!(healed.table.partitions().eq(seen.table.partitions()), "{name}");
            survivors += 1;
        }
    }
    assert!(plan.is_empty() || survivors > disk.cuts.len(), "{name}: the cuts lost nothing");
    let end = read(&mut disk).unwrap();
    assert_eq!(end.table, *after, "{name}");
    assert_eq!((end.primary, end.backup), (Health::Good, Health::Good), "{name}");
}

#[test]
fn a_change_is_all_or_nothing_at_every_cut() {
    for size in SIZES {
        let before = table(size);
        let after = flipped(&before);
        for (name, start) in starts(&before) {
            let seen = read(&mut start.clone()).unwrap();
            assert_eq!(seen.table, before, "{name}");
            check_cuts(name, &start, &seen.plan(&after), &before, &after);
        }
    }
}

#[test]
fn healing_keeps_the_table_at_every_cut() {
    for size in SIZES {
        let before = table(size);
        for (name, start) in starts(&before) {
            let seen = read(&mut start.clone()).unwrap();
            let mut disk = start.clone();
            seen.heal().execute(&mut disk).unwrap();
            let after = read(&mut disk).unwrap().table;
            let sectors = disk.len_bytes().unwrap() / size.bytes();
            assert_eq!(after.sectors(), sectors, "{name}: the backup is at the end");
            assert!(after.partitions().eq(before.partitions()), "{name}");
            check_cuts(name, &start, &seen.heal(), &before, &after);
        }
    }
}

#[test]
fn nothing_is_written_when_nothing_changes() {
    for size in SIZES {
        let table = table(size);
        for (name, start) in starts(&table) {
            let seen = read(&mut start.clone()).unwrap();
            let writes = |plan: &Plan| {
                let mut disk = start.clone();
                plan.execute(&mut disk).unwrap();
                disk.writes
            };
            let damaged = [&seen.primary, &seen.backup].iter().filter(|copy| ***copy != Health::Good).count();
            assert_eq!(writes(&seen.plan(&table)), 2 * damaged, "{name}");
            assert_eq!(seen.heal().is_empty(), damaged == 0 && !seen.is_grown(), "{name}");
        }
    }
}

#[test]
fn a_plan_prints_its_steps_in_their_safe_order() {
    let table = table(SectorSize::B512);
    let plan = read(&mut disk_with(&table)).unwrap().plan(&flipped(&table));
    let expected = "write the backup entries: 16384 bytes at 33537536\n\
                    write the backup header: 512 bytes at 33553920\n\
                    sync\n\
                    write the primary entries: 16384 bytes at 1024\n\
                    write the primary header: 512 bytes at 512\n\
                    sync\n";
    assert_eq!(plan.to_string(), expected);
}
