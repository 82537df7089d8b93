//! Which set GRUB starts, and what it leaves on the disk.

use boot_selector::{Copy, Disk, Firmware, Layout, Machine, Set};
use partitions::{Attributes, Health, SectorSize};

/// What a case expects of one start.
struct Expected {
    /// The set that boots.
    boots: Option<Set>,
    /// The attributes of A and of B afterwards.
    after: (Attributes, Attributes),
}

const NEVER: Attributes = bits(0, 0, false);

const fn bits(priority: u8, tries: u8, successful: bool) -> Attributes {
    Attributes::NONE.with_priority(priority).with_tries_left(tries).with_successful(successful)
}

const fn good(priority: u8) -> Attributes {
    bits(priority, 0, true)
}

const fn trying(priority: u8, tries: u8) -> Attributes {
    bits(priority, tries, false)
}

/// Starts a disk once and compares. Returns what differs.
fn differences(disk: &Disk, machine: Machine, expected: &Expected) -> Vec<String> {
    let output = machine.start(disk);
    let mut found = Vec::new();
    let mut differs = |what: &str, seen: String, expected: String| {
        if seen != expected {
            found.push(format!("{what}: seen {seen}, expected {expected}"));
        }
    };
    let menu = output.lines.iter().skip_while(|line| !line.contains("BOOTED"));
    let booted: Vec<_> = menu.map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let wanted = expected.boots.map_or_else(Vec::new, |set| menu_lines(disk, set));
    differs("booted", format!("{booted:?}"), format!("{wanted:?}"));
    let after = (disk.attributes(Set::A), disk.attributes(Set::B));
    differs("attributes", format!("{after:?}"), format!("{:?}", expected.after));
    if expected.boots.is_none() {
        let complaint = output.with("no partition set of hd0 is bootable").count();
        differs("complaints", complaint.to_string(), "1".to_owned());
    }
    if !found.is_empty() {
        found.push(format!("the console:\n{}", output.lines.join("\n")));
    }
    found
}

/// What the menu of a set says when GRUB has told it all it should.
fn menu_lines(disk: &Disk, set: Set) -> Vec<String> {
    let private = disk.grub_private_device();
    vec![
        format!("BOOTED {set:?} {}", disk.grub_device(set)),
        format!("boot_uuid {}", disk.uuid(set)),
        format!("private_dev {private}").trim().to_owned(),
    ]
}

/// Stops at the failure's message, so that nobody waits for the restart that follows it.
const BIOS: Machine = Machine { firmware: Firmware::Bios, read_only: false, until: Some("trying again in") };

fn report(failures: &[String]) {
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
#[ignore = "needs qemu and the grub package"]
fn the_rule() {
    use Set::{A, B};
    let other_bits = Attributes::from_bits(1 << 63 | 1 << 57 | 1 << 2 | 1);
    let with_others = |attributes: Attributes| Attributes::from_bits(attributes.bits() | other_bits.bits());
    let rows = [
        ("a fresh image", good(1), NEVER, Some(A), good(1), NEVER),
        ("only B", NEVER, good(1), Some(B), NEVER, good(1)),
        ("B is newer and good", good(1), good(2), Some(B), good(1), good(2)),
        ("A is newer and good", good(2), good(1), Some(A), good(2), good(1)),
        ("an update pays a try", good(1), trying(2, 1), Some(B), good(1), trying(2, 0)),
        ("an update pays one of three", good(1), trying(2, 3), Some(B), good(1), trying(2, 2)),
        ("the most tries there can be", good(1), trying(2, 15), Some(B), good(1), trying(2, 14)),
        ("an exhausted update is passed over", good(1), trying(2, 0), Some(A), good(1), trying(2, 0)),
        ("an update in A", trying(2, 1), good(1), Some(A), trying(2, 0), good(1)),
        ("success keeps its tries", good(1), bits(2, 3, true), Some(B), good(1), bits(2, 3, true)),
        ("of equals the first, both good", good(1), good(1), Some(A), good(1), good(1)),
        ("of equals the first, one trying", trying(1, 2), good(1), Some(A), trying(1, 1), good(1)),
        ("of equals the first that can", trying(1, 0), good(1), Some(B), trying(1, 0), good(1)),
        ("priority counts, not success", trying(2, 1), good(15), Some(B), trying(2, 1), good(15)),
        ("the greatest priority", good(14), trying(15, 1), Some(B), good(14), trying(15, 0)),
        ("priority 0 never boots, good", good(0), trying(1, 1), Some(B), good(0), trying(1, 0)),
        ("priority 0 never boots, trying", trying(0, 3), good(1), Some(B), trying(0, 3), good(1)),
        ("nothing is bootable: no bits", NEVER, NEVER, None, NEVER, NEVER),
        ("nothing is bootable: priority 0", good(0), trying(0, 1), None, good(0), trying(0, 1)),
        ("nothing is bootable: exhausted", trying(1, 0), trying(2, 0), None, trying(1, 0), trying(2, 0)),
        (
            "bits of others stay",
            with_others(good(1)),
            with_others(trying(2, 2)),
            Some(B),
            with_others(good(1)),
            with_others(trying(2, 1)),
        ),
    ];
    let failures: Vec<_> = rows
        .into_iter()
        .filter_map(|(name, a, b, boots, a_after, b_after)| {
            let disk = Disk::new(Layout::default(), a, b);
            let before = disk.table_bytes();
            let mut found = differences(&disk, BIOS, &Expected { boots, after: (a_after, b_after) });
            if (a, b) == (a_after, b_after) && disk.table_bytes() != before {
                found.push("the table was written, and nothing in it changed".to_owned());
            }
            let health = disk.reading();
            if health.primary != Health::Good || health.backup != Health::Good {
                found.push(format!("the copies are {:?} and {:?}", health.primary, health.backup));
            }
            (!found.is_empty()).then(|| format!("{name}: {}", found.join("\n")))
        })
        .collect();
    report(&failures);
}

#[test]
#[ignore = "needs qemu and the grub package"]
fn the_order_in_the_table_decides_between_equals() {
    let layout = Layout { swapped: true, ..Layout::default() };
    let disk = Disk::new(layout, good(1), good(1));
    let expected = Expected { boots: Some(Set::B), after: (good(1), good(1)) };
    report(&differences(&disk, BIOS, &expected));
}

#[test]
#[ignore = "needs qemu and the grub package"]
fn a_disk_without_a_private_partition_boots() {
    let layout = Layout { private: false, ..Layout::default() };
    let disk = Disk::new(layout, good(1), trying(2, 1));
    let expected = Expected { boots: Some(Set::B), after: (good(1), trying(2, 0)) };
    report(&differences(&disk, BIOS, &expected));
}

#[test]
#[ignore = "needs qemu and the grub package"]
fn either_copy_is_enough() {
    type Harm = fn(&Disk);
    // Name, what is done to the disk, whether an ordinary boot writes both copies anew, whether one that counts a try
    // does.
    let rows: [(&str, Harm, bool); 12] = [
        ("no harm", |_| (), true),
        ("primary header damaged", |disk| disk.damage_header(Copy::Primary), true),
        ("primary header erased", |disk| disk.erase_header(Copy::Primary), true),
        ("primary entries damaged", |disk| disk.damage_entries(Copy::Primary), true),
        ("primary entries erased", |disk| disk.erase_entries(Copy::Primary), true),
        (
            "primary erased",
            |disk| {
                disk.erase_header(Copy::Primary);
                disk.erase_entries(Copy::Primary);
            },
            true,
        ),
        ("backup header damaged", |disk| disk.damage_header(Copy::Backup), false),
        ("backup header erased", |disk| disk.erase_header(Copy::Backup), false),
        ("backup entries damaged", |disk| disk.damage_entries(Copy::Backup), false),
        ("backup older than the primary", |disk| disk.rewrite(Copy::Backup, good(2), NEVER), false),
        ("grown", Disk::grow, true),
        (
            "grown, primary header damaged",
            |disk| {
                disk.damage_header(Copy::Primary);
                disk.grow();
            },
            true,
        ),
    ];
    let mut failures = Vec::new();
    for (name, harm, healed_without_a_try) in rows {
        for (b, after, always_healed) in [(good(2), good(2), false), (trying(2, 2), trying(2, 1), true)] {
            let disk = Disk::new(Layout::default(), good(1), b);
            harm(&disk);
            let before = disk.table_bytes();
            let mut found =
                differences(&disk, BIOS, &Expected { boots: Some(Set::B), after: (good(1), after) });
            let reading = disk.reading();
            let is_healed = reading.primary == Health::Good && reading.backup == Health::Good;
            if is_healed != (always_healed || healed_without_a_try) {
                found.push(format!("the copies are {:?} and {:?}", reading.primary, reading.backup));
            }
            if !always_healed && !healed_without_a_try && disk.table_bytes() != before {
                found.push("the table was written without need".to_owned());
            }
            if !found.is_empty() {
                failures.push(format!("{name}, B {b:?}: {}", found.join("\n")));
            }
        }
    }
    report(&failures);
}

#[test]
#[ignore = "needs qemu and the grub package"]
fn a_whole_primary_is_believed_before_a_newer_backup() {
    // A change that was cut off between the copies has not happened.
    let disk = Disk::new(Layout::default(), good(1), NEVER);
    disk.rewrite(Copy::Backup, good(1), trying(2, 1));
    let expected = Expected { boots: Some(Set::A), after: (good(1), NEVER) };
    report(&differences(&disk, BIOS, &expected));
}

#[test]
#[ignore = "needs qemu and the grub package"]
fn without_a_whole_copy_the_machine_restarts() {
    let disk = Disk::new(Layout::default(), good(1), NEVER);
    disk.damage_header(Copy::Primary);
    disk.damage_entries(Copy::Backup);
    let before = disk.table_bytes();
    let output = Machine { until: None, ..BIOS }.start(&disk);
    let lines = output.lines.join("\n");
    assert_eq!(output.with("neither copy of the partition table of hd0 is valid").count(), 1, "{lines}");
    assert_eq!(output.with("BOOTED").count(), 0, "{lines}");
    assert!(output.restarted, "{lines}");
    assert_eq!(disk.table_bytes(), before, "nothing is written over what may yet be saved");
}

#[test]
#[ignore = "needs qemu and the grub package"]
fn without_a_bootable_set_the_machine_restarts() {
    let disk = Disk::new(Layout::default(), trying(1, 0), NEVER);
    let output = Machine { until: None, ..BIOS }.start(&disk);
    assert!(output.restarted, "{}", output.lines.join("\n"));
    assert_eq!(output.with("grub>").count(), 0, "no prompt");
}

#[test]
#[ignore = "needs qemu and the grub package"]
fn tries_run_out_and_the_old_set_comes_back() {
    let disk = Disk::new(Layout::default(), good(1), trying(2, 2));
    let rows = [(Set::B, 1), (Set::B, 0), (Set::A, 0), (Set::A, 0)];
    let failures: Vec<_> = rows
        .into_iter()
        .flat_map(|(set, left)| {
            differences(&disk, BIOS, &Expected { boots: Some(set), after: (good(1), trying(2, left)) })
        })
        .collect();
    report(&failures);
}

#[test]
#[ignore = "needs qemu and the grub package"]
fn a_try_that_cannot_be_counted_is_not_taken() {
    let machine = Machine { read_only: true, ..BIOS };
    let disk = Disk::new(Layout::default(), good(1), trying(2, 1));
    let expected = Expected { boots: Some(Set::A), after: (good(1), trying(2, 1)) };
    report(&differences(&disk, machine, &expected));

    let disk = Disk::new(Layout::default(), NEVER, trying(2, 1));
    let expected = Expected { boots: None, after: (NEVER, trying(2, 1)) };
    report(&differences(&disk, machine, &expected));
}

#[test]
#[ignore = "needs qemu, OVMF and the grub package"]
fn uefi_and_sectors_of_4096_bytes() {
    let machine = Machine { firmware: Firmware::Uefi, ..BIOS };
    let expected = Expected { boots: Some(Set::B), after: (good(1), trying(2, 1)) };
    let mut failures = Vec::new();
    for sector_size in [SectorSize::B512, SectorSize::B4096] {
        for is_damaged in [false, true] {
            let layout = Layout { sector_size, ..Layout::default() };
            let disk = Disk::new(layout, good(1), trying(2, 2)).with_efi();
            if is_damaged {
                // The signature stays: firmware does not start from a disk whose table it cannot see.
                disk.damage_header(Copy::Backup);
            }
            let mut found = differences(&disk, machine, &expected);
            let reading = disk.reading();
            if reading.primary != Health::Good || reading.backup != Health::Good {
                found.push(format!("the copies are {:?} and {:?}", reading.primary, reading.backup));
            }
            if !found.is_empty() {
                failures.push(format!("{sector_size:?}, damaged {is_damaged}: {}", found.join("\n")));
            }
        }
    }
    report(&failures);
}
