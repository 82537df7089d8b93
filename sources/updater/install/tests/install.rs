//! What is installed is the new image to the byte, and no more is fetched for it than has to be.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod lab;

use install::{
    ActiveImage, Before, Check, Error, Job, Partition, Phase, Progress, Reason, Report, Sum, Totals, install,
    prepare,
};
use lab::{Memory, Release, Server, image, tree};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use verity::{BLOCK, Tree};

/// The set that is running.
struct Old {
    image: Vec<u8>,
    tree: Option<Tree>,
}

impl Old {
    fn new(blocks: &[u64], salt: &str) -> Self {
        let image = image(blocks);
        let tree = Some(tree(&image, salt));
        Self { image, tree }
    }
}

fn run(
    release: &Release,
    old: Option<&Old>,
    before: Before,
    target: &mut Memory,
    server: &Server,
) -> Result<Report, Error> {
    let mut partition = old.map(|old| &*old.image);
    let active = partition.as_mut().map(|partition| ActiveImage {
        len: partition.len() as u64,
        partition,
        tree: old.and_then(|old| old.tree.clone()),
    });
    let image = if server.has_ranges { release.by_frames() } else { release.described() };
    install(Job { image, active, before }, target, server, &mut |_| {})
}

fn installed<'a>(release: &Release, target: &'a Memory) -> &'a [u8] {
    &target.bytes[..release.image.len()]
}

#[test]
fn blocks_come_from_where_they_are_cheapest() {
    let (kept, zero, copied, fetched) = (0, 0, 0, 0);
    let none = Totals { kept, zero, copied, fetched };
    for (name, old, new, totals) in [
        ("the same", &[1, 2, 3, 4][..], &[1, 2, 3, 4][..], Totals { copied: 4, ..none }),
        ("one changed", &[1, 2, 3, 4], &[1, 9, 3, 4], Totals { copied: 3, fetched: 1, ..none }),
        ("shifted", &[1, 2, 3, 4], &[8, 9, 1, 2, 3, 4], Totals { copied: 4, fetched: 2, ..none }),
        ("shuffled and twice", &[1, 2, 3, 4], &[4, 4, 2, 1, 3, 3, 1], Totals { copied: 7, ..none }),
        ("grown by zeros", &[1, 2], &[1, 0, 0, 0, 2], Totals { copied: 2, zero: 3, ..none }),
        ("shrunk", &[1, 2, 3, 4], &[3], Totals { copied: 1, ..none }),
        ("all new", &[1, 2], &[7, 8, 9], Totals { fetched: 3, ..none }),
        ("zeros alone", &[1, 2], &[0, 0], Totals { zero: 2, ..none }),
    ] {
        let release = Release::new(new, "salt", 2);
        for (salt, is_same) in [("salt", true), ("other salt", false)] {
            let (mut target, server) = (Memory::of_blocks(9), release.server());
            let old = Old::new(old, salt);
            let report = run(&release, Some(&old), Before::Unknown, &mut target, &server).unwrap();
            assert_eq!(report.totals, totals, "{name}, same salt: {is_same}");
            assert_eq!(report.fetched_len == 0, totals.fetched == 0, "{name}");
            assert!(installed(&release, &target) == release.image, "{name}");
            assert!(
                target.bytes[release.image.len()..].iter().all(|byte| *byte == 0xa5),
                "{name}: the rest stays"
            );
        }
    }
}

#[test]
fn a_plan_prints_what_becomes_of_each_block() {
    let release = Release::new(&[1, 2, 9, 0, 0, 3, 4, 4, 8], "salt", 2);
    let old = Old::new(&[5, 1, 2, 3, 4], "salt");
    let active = &mut &*old.image;
    let active = ActiveImage { partition: active, len: 0, tree: old.tree.clone() };
    let job = Job { image: release.described(), active: Some(active), before: Before::Unknown };
    let prepared = prepare(job, &mut Memory::of_blocks(9), &mut |_| {}).unwrap();
    let install::Decision::Blocks { plan, requests } = prepared.decision() else {
        panic!("{}", prepared.decision())
    };
    let expected = "copy blocks 0 to 2 from 1\n\
                    fetch blocks 2 to 3\n\
                    zero blocks 3 to 5\n\
                    copy blocks 5 to 7 from 3\n\
                    copy blocks 7 to 8 from 4\n\
                    fetch blocks 8 to 9\n";
    assert_eq!(plan.to_string(), expected);
    let len: u64 = requests.iter().map(install::Request::len).sum();
    let expected = format!(
        "block by block: 0 bytes kept, 8192 zero, 20480 copied, 8192 fetched, in 1 requests of {len} compressed bytes"
    );
    assert_eq!(prepared.decision().to_string(), expected);
}

#[test]
fn the_full_image_is_taken_when_that_is_better_or_all_there_is() {
    let old = Old::new(&(0..64).collect::<Vec<_>>(), "salt");
    let changed: Vec<u64> = (0..64).map(|block| if block % 4 == 0 { 1000 + block } else { block }).collect();
    let release = Release::new(&changed, "salt", 1);
    let other = Release::new(&changed[1..], "salt", 1);
    let wasteful = Release::new(&changed, "salt", 64);
    let dear = Reason::Dearer { frames_len: wasteful.table.compressed_len(), full_len: wasteful.full().len };
    for (name, release, table, has_ranges, reason) in [
        ("all is well", &release, Some(&release.table), true, None),
        ("no seekable image", &release, None, true, Some(Reason::NoFrames)),
        (
            "one of another length",
            &release,
            Some(&other.table),
            true,
            Some(Reason::OtherFrames { blocks: 63, expected: 64 }),
        ),
        ("no ranges", &release, Some(&release.table), false, Some(Reason::NoRanges)),
        ("too many frames", &wasteful, Some(&wasteful.table), true, Some(dear)),
    ] {
        let (mut target, mut server) = (Memory::of_blocks(64), release.server());
        server.has_ranges = has_ranges;
        let described = install::Image { frames: table, ..release.described() };
        let (partition, tree) = (&mut &*old.image, old.tree.clone());
        let active = Some(ActiveImage { len: partition.len() as u64, partition, tree });
        let job = Job { image: described, active, before: Before::Unknown };
        let report = install(job, &mut target, &server, &mut |_| {}).unwrap();
        assert_eq!(report.full, reason, "{name}");
        assert_eq!(server.asked().full, usize::from(reason.is_some()), "{name}");
        assert!(target.bytes == release.image, "{name}");
    }
}

/// No seekable image and no network: the host has all of it.
#[test]
fn the_running_image_installs_without_a_server() {
    let release = Release::new(&[3, 1, 0, 2], "salt", 2);
    let (mut target, server) = (Memory::of_blocks(4), release.server());
    let old = Old::new(&[3, 1, 0, 2], "salt");
    let (partition, tree) = (&mut &*old.image, old.tree.clone());
    let active = Some(ActiveImage { partition, len: 0, tree });
    let described = install::Image { frames: None, ..release.described() };
    install(Job { image: described, active, before: Before::Unknown }, &mut target, &server, &mut |_| {})
        .unwrap();
    assert!(target.bytes == release.image);
    assert_eq!(server.asked(), lab::Asked::default());
}

#[test]
fn what_was_cut_off_goes_on_where_it_was() {
    let new: Vec<u64> = (0..60).map(|block| if block % 3 == 0 { 500 + block } else { block }).collect();
    let release = Release::new(&new, "salt", 1);
    let old = Old::new(&(1..50).collect::<Vec<_>>(), "salt");
    let fresh = |writes_left| Memory { writes_left, ..Memory::of_blocks(64) };
    let mut whole = fresh(usize::MAX);
    let report = run(&release, Some(&old), Before::Unknown, &mut whole, &release.server()).unwrap();
    assert!(whole.writes > 20 && report.full.is_none(), "{report:?}");
    for writes in 0..whole.writes {
        let mut target = fresh(writes);
        run(&release, Some(&old), Before::Unknown, &mut target, &release.server()).unwrap_err();
        let blocks = |bytes: &[u8]| bytes.as_chunks::<BLOCK>().0.to_vec();
        let right =
            blocks(&target.bytes).into_iter().zip(blocks(&release.image)).filter(|(a, b)| a == b).count();
        target.writes_left = usize::MAX;
        let server = release.server();
        let again = run(&release, Some(&old), Before::SameImage, &mut target, &server).unwrap();
        assert_eq!(again.totals.kept, right as u64, "after {writes} writes");
        assert!(writes == 0 || right > 0);
        assert_eq!(server.range_len(), again.fetched_len);
        assert_eq!(target.writes, whole.writes, "after {writes} writes, nothing is written twice");
        assert!(installed(&release, &target) == release.image, "after {writes} writes");
    }
    let server = release.server();
    let report = run(&release, Some(&old), Before::SameImage, &mut whole, &server).unwrap();
    assert_eq!((report.totals.kept, server.asked()), (60, lab::Asked::default()), "all was there");
}

/// Of 60 blocks 20 are new. What is gone from the running set is fetched too, and nothing is trusted.
#[test]
fn a_running_set_that_is_not_what_its_tree_says_does_no_harm() {
    let new: Vec<u64> = (1..=60).map(|block| if block % 3 == 0 { 500 + block } else { block }).collect();
    let release = Release::new(&new, "salt", 1);
    for bad in [0, 1, 30, 59] {
        let mut old = Old::new(&(1..=60).collect::<Vec<_>>(), "salt");
        old.image[bad * BLOCK + 7] ^= 1;
        let mut target = Memory::of_blocks(60);
        let report = run(&release, Some(&old), Before::Unknown, &mut target, &release.server()).unwrap();
        let lost = u64::from((bad + 1) % 3 != 0);
        assert_eq!((report.totals.copied, report.totals.fetched), (40 - lost, 20 + lost), "{bad}");
        assert!(target.bytes == release.image);
    }
    let mut old = Old::new(&(1..=60).collect::<Vec<_>>(), "salt");
    old.image.truncate(30 * BLOCK);
    let mut target = Memory::of_blocks(60);
    run(&release, Some(&old), Before::Unknown, &mut target, &release.server()).unwrap();
    assert!(target.bytes == release.image, "half of the running set cannot be read");
}

#[test]
fn what_a_disk_loses_is_noticed() {
    let release = Release::new(&[1, 2, 3, 0], "salt", 2);
    let old = Old::new(&[1, 2], "salt");
    for (old, check) in [
        (Some(&old), Check::Tree(&release.tree)),
        (None, Check::Tree(&release.tree)),
        (None, Check::Whole(None)),
    ] {
        for block in 0..4 {
            let mut target = Memory { rot: Some(block * BLOCK + 99), ..Memory::of_blocks(5) };
            let described = install::Image { check, ..release.described() };
            let mut partition = old.map(|old| &*old.image);
            let active = partition.as_mut().map(|partition| ActiveImage {
                len: 2 * BLOCK as u64,
                partition,
                tree: None,
            });
            let job = Job { image: described, active, before: Before::Unknown };
            let error = install(job, &mut target, &release.server(), &mut |_| {}).unwrap_err();
            let at = if matches!(check, Check::Whole(_)) { 0 } else { block * BLOCK };
            let expected = format!(
                "the root image was written, but reads back different at byte {at}; the disk may be failing"
            );
            assert_eq!(error.to_string(), expected);
        }
        let mut target = Memory { rot: Some(4 * BLOCK), ..Memory::of_blocks(5) };
        let described = install::Image { check, ..release.described() };
        let job = Job { image: described, active: None, before: Before::Unknown };
        install(job, &mut target, &release.server(), &mut |_| {}).unwrap();
    }
}

/// As from a repository of another publisher, whose manifest says nothing of the uncompressed image.
#[test]
fn an_image_without_a_tree_installs_whole() {
    let release = Release::new(&[1, 2, 0], "salt", 2);
    let right = Sum { size: 3 * BLOCK as u64, sha256: Sha256::digest(&release.image).into() };
    for (sum, room, error) in [
        (None, 3, None),
        (None, 9, None),
        (None, 2, Some("the full root image has more than the 8192 bytes that were expected")),
        (Some(right), 3, None),
        (Some(right), 2, Some("the root image has 12288 bytes; its partition has room for 8192")),
        (
            Some(Sum { size: 8192, ..right }),
            9,
            Some("the full root image has more than the 8192 bytes that were expected"),
        ),
        (
            Some(Sum { size: 16384, ..right }),
            9,
            Some("the full root image has 12288 bytes; 16384 were expected"),
        ),
        (
            Some(Sum { sha256: [0; 32], ..right }),
            9,
            Some("the full root image has another digest than the release says"),
        ),
    ] {
        let mut target = Memory::of_blocks(room);
        let described = install::Image { check: Check::Whole(sum), ..release.described() };
        let job = Job { image: described, active: None, before: Before::SameImage };
        let outcome = install(job, &mut target, &release.server(), &mut |_| {});
        assert_eq!(outcome.as_ref().err().map(ToString::to_string).as_deref(), error);
        if let Ok(report) = outcome {
            assert_eq!((report.full, report.totals.fetched), (Some(Reason::NoTree), 3));
            assert!(installed(&release, &target) == release.image);
        }
    }
}

#[test]
fn progress_ends_where_it_said() {
    let new: Vec<u64> = (0..600).map(|block| if block % 3 == 0 { 5000 + block } else { block }).collect();
    let release = Release::new(&new, "salt", 1);
    let old = Old::new(&(1..500).collect::<Vec<_>>(), "other salt");
    let mut target = Memory::of_blocks(600);
    target.bytes[..100 * BLOCK].copy_from_slice(&release.image[..100 * BLOCK]);
    let (partition, tree) = (&mut &*old.image, old.tree.clone());
    let active = Some(ActiveImage { len: partition.len() as u64, partition, tree });
    let job = Job { image: release.described(), active, before: Before::SameImage };
    let mut phases: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut blocks = 0;
    let mut listener = |progress: &Progress<'_>| {
        let seen = phases.entry(progress.phase.to_string()).or_default();
        assert!(progress.bytes_done > seen.0 && progress.bytes_done <= progress.bytes_total, "{progress:?}");
        *seen = (progress.bytes_done, progress.bytes_total);
        assert!(progress.phase == Phase::Resume || progress.blocks_done >= blocks, "{progress:?}");
        blocks = progress.blocks_done;
    };
    install(job, &mut target, &release.server(), &mut listener).unwrap();
    assert_eq!(phases.keys().collect::<Vec<_>>(), ["copy", "fetch", "index", "read-back", "resume"]);
    assert!(phases.values().all(|(done, total)| done == total), "{phases:?}");
    assert_eq!(blocks, 600);
}

#[test]
fn it_installs_to_a_file() {
    let release = Release::new(&[1, 2, 0, 7, 8], "salt", 2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("partition");
    std::fs::write(&path, vec![0xa5; 9 * BLOCK]).unwrap();
    let mut target = Partition::open(&path).unwrap();
    let job = Job { image: release.described(), active: None, before: Before::Unknown };
    install(job, &mut target, &release.server(), &mut |_| {}).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes[..5 * BLOCK] == release.image && bytes.len() == 9 * BLOCK);
    let missing = folder.path().join("missing");
    assert!(Partition::open(&missing).is_err() && !missing.exists(), "nothing is created");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Numbers from a small range, so that blocks repeat, move and vanish.
    #[test]
    fn any_image_over_any_other(
        old in prop::collection::vec(0..40_u64, 1..60),
        new in prop::collection::vec(0..40_u64, 1..60),
        held in prop::collection::vec(0..40_u64, 0..60),
        frame_blocks in 1..9_u32,
        same_salt: bool,
        has_tree: bool,
        has_ranges: bool,
    ) {
        let release = Release::new(&new, "salt", frame_blocks);
        let mut old = Old::new(&old, if same_salt { "salt" } else { "other" });
        if !has_tree {
            old.tree = None;
        }
        let mut bytes = image(&held);
        bytes.resize(60 * BLOCK, 0);
        for before in [Before::Unknown, Before::SameImage] {
            let (mut target, mut server) = (Memory::with(bytes.clone()), release.server());
            server.has_ranges = has_ranges;
            let report = run(&release, Some(&old), before, &mut target, &server).unwrap();
            prop_assert!(installed(&release, &target) == release.image);
            prop_assert_eq!(report.totals.sum(), new.len() as u64);
        }
    }
}
