//! Whatever a server answers: an install that returns without an error has the image, and one that does not says why.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod lab;

use install::{Before, Check, Error, Image, Job, install, install_tree, read_tree};
use lab::{Memory, Release, Server, full, lz4};
use proptest::prelude::*;
use std::error::Error as _;
use verity::{BLOCK, Superblock};

fn release() -> Release {
    Release::new(&(1..=32).collect::<Vec<_>>(), "salt", 4)
}

fn run(described: Image<'_>, server: &Server, target: &mut Memory) -> Result<(), Error> {
    let job = Job { image: described, active: None, before: Before::Unknown };
    install(job, target, server, &mut |_| {}).map(drop)
}

/// All of an error, as a log has it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

type Spoil = fn(Vec<u8>) -> Vec<u8>;

#[test]
fn spoiled_ranges_are_refused() {
    let release = release();
    let all = release.table.compressed_range_of(0..8).end;
    let described = release.by_frames();
    let rows: [(&str, Spoil, String); 6] = [
        ("empty", |_| vec![], format!("asked for bytes 0 to {all} of the root image, the server sent fewer")),
        (
            "truncated",
            |bytes| bytes[..bytes.len() - 1].to_vec(),
            format!("asked for bytes 0 to {all} of the root image, the server sent fewer"),
        ),
        (
            "padded",
            |bytes| [&bytes[..], &[0]].concat(),
            format!("asked for bytes 0 to {all} of the root image, the server sent more"),
        ),
        (
            "shifted",
            |bytes| [&[0], &bytes[..bytes.len() - 1]].concat(),
            "read frame 0 of the root image".to_owned(),
        ),
        (
            "endless",
            |bytes| bytes.repeat(50),
            format!("asked for bytes 0 to {all} of the root image, the server sent more"),
        ),
        ("zeros", |bytes| vec![0; bytes.len()], "read frame 0 of the root image".to_owned()),
    ];
    for (name, spoil, text) in rows {
        let server = release.server().spoiling(move |_, bytes| spoil(bytes));
        let error = run(described, &server, &mut Memory::of_blocks(32)).unwrap_err();
        assert_eq!(error.to_string(), text, "{name}");
    }
}

/// Frames that decompress well, but to something else.
#[test]
fn frames_of_another_image_are_refused() {
    let release = release();
    let described = release.by_frames();
    let mut blocks: Vec<u64> = (1..=32).collect();
    blocks.swap(9, 10);
    let other = Release::new(&blocks, "salt", 4);
    assert_eq!(other.table, release.table, "equally long, or the test tests nothing");
    let server = Server::new(other.seekable, other.lz4);
    let mut target = Memory::of_blocks(32);
    let error = run(described, &server, &mut target).unwrap_err();
    let text = "block 9 of the root image, in frame 2, is not what its hash tree says";
    assert_eq!(error.to_string(), text);
    let bad = &other.image[9 * BLOCK..11 * BLOCK];
    assert!(!target.bytes.windows(bad.len()).any(|window| window == bad), "it was not written");
}

#[test]
fn spoiled_full_images_are_refused() {
    let release = release();
    let cut = |len: usize| release.lz4[..len].to_vec();
    let whole = release.lz4.len();
    let altered = |at: usize| {
        let mut bytes = release.lz4.clone();
        bytes[at] ^= 1;
        bytes
    };
    let longer = lz4(&[&release.image[..], &[0; BLOCK]].concat());
    let shorter = lz4(&release.image[..31 * BLOCK]);
    let mut swapped = release.image.clone();
    swapped[20 * BLOCK..22 * BLOCK].rotate_left(BLOCK);
    let other = lz4(&swapped);
    let bomb = lz4(&vec![0; 100 * 1024 * 1024]);
    let signed = release.full();
    let received = "receive the full root image, after";
    for (name, bytes, full, text) in [
        ("empty", vec![], signed, received.to_owned()),
        ("truncated", cut(whole - 1), signed, received.to_owned()),
        ("truncated by a lot", cut(whole / 2), signed, received.to_owned()),
        ("padded", [&release.lz4[..], &[0]].concat(), signed, received.to_owned()),
        ("twice", release.lz4.repeat(2), signed, received.to_owned()),
        ("altered at the start", altered(0), signed, received.to_owned()),
        ("another block", other.clone(), signed, received.to_owned()),
        (
            "another block, signed",
            other.clone(),
            full(&other),
            "block 20 of the full root image is not".to_owned(),
        ),
        (
            "longer, signed",
            longer.clone(),
            full(&longer),
            "the full root image has more than the 131072".to_owned(),
        ),
        (
            "shorter, signed",
            shorter.clone(),
            full(&shorter),
            "the full root image has 126976 bytes; 131072".to_owned(),
        ),
        ("endless", bomb.clone(), full(&bomb), "the full root image has more than the 131072".to_owned()),
    ] {
        let described = Image { frames: None, full, ..release.described() };
        let server = Server::new(vec![], bytes);
        let error = run(described, &server, &mut Memory::of_blocks(40)).unwrap_err();
        let chain = chain(&error);
        assert!(chain.starts_with(&text), "{name}: {chain}");
    }
    let described = Image { frames: None, ..release.described() };
    run(described, &release.server(), &mut Memory::of_blocks(40)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Flipped, cut off or added to anywhere, and judged by its digest alone or by a tree too.
    #[test]
    fn a_damaged_target_never_installs(
        at: prop::sample::Index,
        flip in 1..=255_u8,
        damage in 0..3,
        has_tree: bool,
        by_frames: bool,
    ) {
        let release = Release::new(&[1, 0, 2, 3, 0, 0, 4], "salt", 3);
        let damaged = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let at = at.index(bytes.len());
            match damage {
                0 => bytes[at] ^= flip,
                1 => bytes.truncate(at),
                _ => bytes.insert(at, flip),
            }
            bytes
        };
        let check = if has_tree { Check::Tree(&release.tree) } else { Check::Whole(None) };
        let mut target = Memory::of_blocks(7);
        let outcome = if by_frames {
            let described = release.by_frames();
            let server = release.server().spoiling(move |_, bytes| {
                let at = at.index(bytes.len());
                let mut bytes = bytes;
                match damage {
                    0 => bytes[at] ^= flip,
                    1 => bytes.truncate(at),
                    _ => bytes.push(flip),
                }
                bytes
            });
            run(described, &server, &mut target)
        } else {
            let described = Image { frames: None, check, ..release.described() };
            let server = Server::new(vec![], damaged(&release.lz4));
            let outcome = run(described, &server, &mut target);
            prop_assert!(outcome.is_err());
            outcome
        };
        // A flipped bit of a frame may be one that does not matter: then the image is right.
        prop_assert!(outcome.is_err() || target.bytes == release.image);
    }
}

#[test]
fn hash_images_are_received_and_written() {
    let release = Release::new(&(1..=300).collect::<Vec<_>>(), "salt", 4);
    let (tree, uuid) = (&release.tree, [7; 16]);
    let mut hashes = Vec::new();
    tree.write_to(&mut hashes, uuid).unwrap();
    let target = lz4(&hashes);
    let signed = full(&target);
    for root in [None, Some(tree.root_hash())] {
        let (superblock, read) = read_tree(&*target, signed, root).unwrap();
        assert_eq!(read.root_hash(), tree.root_hash());
        let mut partition = Memory::of_blocks(hashes.len() / BLOCK + 1);
        install_tree(&read, &superblock, &mut partition, &mut |_| {}).unwrap();
        assert!(partition.bytes[..hashes.len()] == hashes);
        partition.rot = Some(hashes.len() - 1);
        let error = install_tree(&read, &superblock, &mut partition, &mut |_| {}).unwrap_err();
        let at = hashes.len() - 1;
        let text = format!(
            "the hash image was written, but reads back different at byte {at}; the disk may be failing"
        );
        assert_eq!(error.to_string(), text);
    }
    let superblock = Superblock { uuid, data_blocks: 300, salt: tree.salt().clone() };
    let mut small = Memory::of_blocks(hashes.len() / BLOCK - 1);
    let error = install_tree(tree, &superblock, &mut small, &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "the hash image has 20480 bytes; its partition has room for 16384");
}

#[test]
fn spoiled_hash_images_are_refused() {
    let release = Release::new(&(1..=300).collect::<Vec<_>>(), "salt", 4);
    let root = release.tree.root_hash();
    let mut hashes = Vec::new();
    release.tree.write_to(&mut hashes, [7; 16]).unwrap();
    let signed = full(&lz4(&hashes));
    let altered = |at: usize| {
        let mut hashes = hashes.clone();
        hashes[at] ^= 1;
        lz4(&hashes)
    };
    let cut = lz4(&hashes[..hashes.len() - 1]);
    let padded = lz4(&[&hashes[..], &[0]].concat());
    let unlike = "receive the hash tree: the target's digest is not the one that is signed";
    for (name, target, root, full, text) in [
        ("altered", altered(3 * BLOCK), None, signed, unlike),
        (
            "altered and signed",
            altered(3 * BLOCK),
            Some(root),
            full(&altered(3 * BLOCK)),
            "verify the hash tree: block 1 of level 0 of the hash tree is not what the root hash vouches for",
        ),
        (
            "altered and signed, without a root hash",
            altered(3 * BLOCK),
            None,
            full(&altered(3 * BLOCK)),
            "verify the hash tree: block 1 of level 0 of the hash tree is not what the root hash vouches for",
        ),
        (
            "no superblock",
            altered(0),
            Some(root),
            full(&altered(0)),
            "read the hash tree: understand the superblock",
        ),
        ("cut", cut.clone(), Some(root), full(&cut), "read the hash tree: read the hash tree of 300 blocks"),
        ("padded", padded.clone(), Some(root), full(&padded), "the hash tree has 1 bytes after its end"),
        (
            "not compressed",
            hashes.clone(),
            Some(root),
            full(&hashes),
            "read the hash tree: read the superblock",
        ),
    ] {
        let error = read_tree(&*target, full, root).unwrap_err();
        let chain = chain(&error);
        assert!(chain.starts_with(text), "{name}: {chain}");
        assert!(error.source().is_some() || text.contains("after its end"));
    }
}
