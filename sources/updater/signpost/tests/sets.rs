//! Sets are found on a host in a directory, and commands reach its disk.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod fake_host;

use fake_host::{FakeHost, Shape};
use partitions::{Attributes, Health, SectorSize, kind};
use signpost::{Command, Lock, SetName, Sets};
use std::fs;
use std::os::unix::fs::FileExt;

const GOOD: Attributes = Attributes::NONE.with_priority(1).with_successful(true);

#[test]
fn the_running_set_is_the_one_the_root_lies_on() {
    for sector_size in [SectorSize::B512, SectorSize::B4096] {
        for runs_b in [false, true] {
            let fake =
                FakeHost::new(Shape { sector_size, runs_b, ..Shape::default() }, GOOD, Attributes::NONE);
            let sets = Sets::find(&fake.host()).unwrap();
            let inactive = sets.inactive.clone().unwrap();
            let (a, b) = if runs_b { (&inactive, &sets.active) } else { (&sets.active, &inactive) };
            assert_eq!((a.name, b.name), (SetName::A, SetName::B));
            assert_eq!(sets.disk, fake.disk());
            for (device, number, size) in [
                (&a.boot, 2, 1 << 20),
                (&a.root, 3, 2 << 20),
                (&a.hash, 4, 1 << 20),
                (&b.boot, 5, 1 << 20),
                (&b.root, 6, 2 << 20),
                (&b.hash, 7, 1 << 20),
                (&sets.private, 8, 1 << 20),
            ] {
                assert_eq!((device.number, device.size), (number, size));
                assert_eq!(device.path, fake.path(format!("dev/vda{number}")));
                assert_eq!(device.id, fake.reading().table.get(number).unwrap().id);
            }
        }
    }
}

#[test]
fn a_disk_with_one_set_has_no_inactive_one() {
    let fake = FakeHost::new(Shape { one_set: true, ..Shape::default() }, GOOD, Attributes::NONE);
    let sets = Sets::find(&fake.host()).unwrap();
    assert_eq!(sets.inactive, None);
    let lock = Lock::acquire(&fake.host()).unwrap();
    let error = sets.apply(&lock, Command::ClearInactive).unwrap_err();
    assert!(error.to_string().contains("one set of partitions"), "{error}");
    sets.apply(&lock, Command::MarkSuccessfulBoot).unwrap();
    assert!(sets.state().unwrap().has_boot_ever_succeeded());
}

/// The way of an update: what is on the disk after each step is what the next program reads.
#[test]
fn commands_reach_the_disk_and_write_only_what_changes() {
    for sector_size in [SectorSize::B512, SectorSize::B4096] {
        let fake = FakeHost::new(Shape { sector_size, ..Shape::default() }, GOOD, Attributes::NONE);
        let (host, sets) = (fake.host(), Sets::find(&fake.host()).unwrap());
        let lock = Lock::acquire(&host).unwrap();
        for (command, writes, boot_b) in [
            (Command::ClearInactive, false, Attributes::NONE),
            (Command::MarkInactiveValid, true, Attributes::NONE.with_tries_left(3)),
            (Command::MarkInactiveValid, false, Attributes::NONE.with_tries_left(3)),
            (Command::UpgradeToInactive, true, Attributes::NONE.with_tries_left(3).with_priority(2)),
            (Command::CancelUpgrade, true, Attributes::NONE.with_tries_left(3)),
            (Command::MarkSuccessfulBoot, true, Attributes::NONE.with_tries_left(3)),
            (Command::MarkSuccessfulBoot, false, Attributes::NONE.with_tries_left(3)),
        ] {
            let before = fs::read(fake.disk()).unwrap();
            let applied = sets.apply(&lock, command).unwrap();
            assert_eq!(applied.plan.is_empty(), !writes, "{command}");
            assert_eq!(fs::read(fake.disk()).unwrap() == before, !writes, "{command}");
            let reading = fake.reading();
            assert_eq!(reading.table.get(5).unwrap().attributes, boot_b, "{command}");
            assert_eq!((reading.primary, reading.backup), (Health::Good, Health::Good));
            assert_eq!(sets.state().unwrap(), applied.after);
        }
        let private = fake.reading().table.of_kind(kind::PRIVATE).next().unwrap().1.attributes;
        assert!(private.has_ever_succeeded());
    }
}

#[test]
fn a_damaged_copy_is_no_obstacle_and_is_mended() {
    // The primary header, the primary entries, the backup header at the end of the 12 MiB.
    for offset in [512 + 60, 1024 + 100, (12 << 20) - 512 + 60] {
        for heal in [false, true] {
            let fake = FakeHost::new(Shape::default(), GOOD, Attributes::NONE);
            fake.open_disk().write_all_at(&[0xff], offset).unwrap();
            let good = |fake: &FakeHost| {
                let reading = fake.reading();
                (reading.primary, reading.backup) == (Health::Good, Health::Good)
            };
            let sets = Sets::find(&fake.host()).unwrap();
            assert!(!good(&fake), "{offset}: something is damaged");
            let lock = Lock::acquire(&fake.host()).unwrap();
            if heal {
                assert!(!sets.rewrite_table(&lock).unwrap().is_empty());
                assert!(sets.rewrite_table(&lock).unwrap().is_empty());
            } else {
                sets.apply(&lock, Command::MarkSuccessfulBoot).unwrap();
            }
            assert!(good(&fake), "{offset}");
        }
    }
}

#[test]
fn a_host_that_is_not_as_it_should_be_is_told_so() {
    type Harm = fn(&FakeHost);
    let rows: [(&str, Harm); 7] = [
        ("names no root file system", |fake| fs::write(fake.path("proc/self/mountinfo"), "").unwrap()),
        ("254:300", |fake| fs::remove_dir_all(fake.path("sys/devices/virtual/block/dm-0/slaves")).unwrap()),
        ("lies on no partition", |fake| {
            for number in [3, 4] {
                let slaves = "sys/devices/virtual/block/dm-0/slaves";
                fs::remove_file(fake.path(format!("{slaves}/vda{number}"))).unwrap();
            }
        }),
        ("the kernel has partition 6", |fake| fake.kernel_partition(6, 2048, 4096)),
        ("no partition 7", |fake| {
            fs::remove_dir_all(fake.path("sys/devices/pci0000:00/virtio1/block/vda/vda7")).unwrap();
        }),
        ("the disk has no partition table", |fake| fake.open_disk().set_len(0).unwrap()),
        ("no number", |fake| fake.kernel_partition(3, 0, 0)),
    ];
    for (why, harm) in rows {
        let fake = FakeHost::new(Shape::default(), GOOD, Attributes::NONE);
        harm(&fake);
        if why == "no number" {
            fs::write(fake.path("sys/devices/pci0000:00/virtio1/block/vda/vda3/partition"), "x").unwrap();
        }
        let error = host::program::chain(&Sets::find(&fake.host()).unwrap_err());
        assert!(
            error.contains(why) || why == "no number" && error.contains("does not hold a number"),
            "{why}: {error}"
        );
    }
}

#[test]
fn a_disk_whose_table_was_replaced_is_not_written() {
    let fake = FakeHost::new(Shape::default(), GOOD, Attributes::NONE);
    let sets = Sets::find(&fake.host()).unwrap();
    let other = FakeHost::new(Shape { one_set: true, ..Shape::default() }, GOOD, Attributes::NONE);
    fs::copy(other.disk(), fake.disk()).unwrap();
    let lock = Lock::acquire(&fake.host()).unwrap();
    let error = host::program::chain(&sets.apply(&lock, Command::MarkSuccessfulBoot).unwrap_err());
    assert!(error.contains("not the one that was read before"), "{error}");
}
