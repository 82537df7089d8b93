//! A whole update, cut off at every write: what boots then is one release, all of it.
//!
//! The disk has two sets; A runs. Every write and every flush of the update is recorded: the marks in the partition
//! table, the three images, the marks again. For every prefix of that, with what was not flushed kept, lost, torn and
//! left out at random, the boot rule must choose a set whose kernel, tree and root are those of one release.
//!
//! The disk is a strict one: a flush through one partition makes nothing durable that was written through another.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod lab;

use install::{ActiveImage, Before, Check, Image, Job, Target, install, install_tree, read_tree};
use lab::{Release, Server, full, image, lz4};
use partitions::{Attributes, Disk, Guid, MIB, Partition, Plan, SectorSize, Table, kind};
use signpost::{Command, Layout, SetName};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use verity::{BLOCK, RootHash, Superblock, Tree};

/// What a disk writes whole or not at all.
const ATOM: usize = 512;

type Piece = [u8; ATOM];

/// Pieces by their number; what is not there is zero.
type Pieces = BTreeMap<u64, Piece>;

#[derive(Debug, Clone)]
enum Op {
    /// Writes pieces through a device: a partition by its number, the whole disk as 0.
    Write { device: u32, at: u64, pieces: Vec<Piece> },
    /// Makes durable what was written through a device.
    Sync { device: u32 },
}

/// The disk of a host, and all that was done to it.
#[derive(Debug, Clone, Default)]
struct Recorder {
    pieces: Pieces,
    ops: Vec<Op>,
}

/// A disk, or a partition of it.
#[derive(Clone)]
struct Device {
    number: u32,
    start: u64,
    len: u64,
    recorder: Rc<RefCell<Recorder>>,
}

const DISK_LEN: u64 = 9 * MIB;

impl Device {
    fn disk(pieces: Pieces) -> Self {
        let recorder = Recorder { pieces, ops: Vec::new() };
        Self { number: 0, start: 0, len: DISK_LEN, recorder: Rc::new(RefCell::new(recorder)) }
    }

    /// A partition of the disk, each of 1 MiB.
    fn partition(&self, number: u32) -> Self {
        Self { number, start: u64::from(number) * MIB, len: MIB, recorder: Rc::clone(&self.recorder) }
    }

    fn bytes(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.clone().read_at(0, &mut bytes).unwrap();
        bytes
    }
}

impl Disk for Device {
    fn len_bytes(&mut self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        assert!(offset + buffer.len() as u64 <= self.len, "a read beyond the end");
        let recorder = self.recorder.borrow();
        for (number, buffer) in ((self.start + offset) / ATOM as u64..).zip(buffer.chunks_mut(ATOM)) {
            let piece = recorder.pieces.get(&number).unwrap_or(&[0; ATOM]);
            buffer.copy_from_slice(&piece[..buffer.len()]);
        }
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        assert!(offset + bytes.len() as u64 <= self.len, "a write beyond the end");
        let (pieces, rest) = bytes.as_chunks();
        assert!(rest.is_empty() && offset.is_multiple_of(ATOM as u64), "writes are of whole sectors");
        let at = (self.start + offset) / ATOM as u64;
        let mut recorder = self.recorder.borrow_mut();
        recorder.pieces.extend((at..).zip(pieces.iter().copied()));
        recorder.ops.push(Op::Write { device: self.number, at, pieces: pieces.to_vec() });
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.recorder.borrow_mut().ops.push(Op::Sync { device: self.number });
        Ok(())
    }
}

impl Target for Device {
    fn read_back(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, buffer)
    }
}

impl install::Active for Device {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        Disk::read_at(self, offset, buffer)
    }
}

/// What a power cut may do to writes that were not flushed.
#[derive(Debug, Clone, Copy)]
enum Loss {
    None,
    All,
    /// Each write is there or not, by the bits of a random number.
    Writes(u64),
    /// Each sector.
    Sectors(u64),
}

/// The disk after a power cut.
fn after_cut(start: &Pieces, ops: &[Op], loss: Loss) -> Pieces {
    let mut disk = start.clone();
    let mut dice = Dice(match loss {
        Loss::Writes(seed) | Loss::Sectors(seed) => seed,
        Loss::None | Loss::All => 0,
    });
    for (index, op) in ops.iter().enumerate() {
        let Op::Write { device, at, pieces } = op else { continue };
        let is_flush = |op: &Op| matches!(op, Op::Sync { device: flushed } if flushed == device);
        let is_durable = ops[index..].iter().any(is_flush);
        let whole = dice.is_head();
        for (at, piece) in (*at..).zip(pieces) {
            let is_kept = match loss {
                Loss::None => true,
                Loss::All => false,
                Loss::Writes(_) => whole,
                Loss::Sectors(_) => dice.is_head(),
            };
            if is_durable || is_kept {
                disk.insert(at, *piece);
            }
        }
    }
    disk
}

struct Dice(u64);

impl Dice {
    fn is_head(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 63 == 1
    }
}

/// A release: the boot image names the root hash, as a boot menu does.
struct Version {
    root: Release,
    boot: Release,
    hash: Vec<u8>,
}

impl Version {
    fn new(number: u64, blocks: &[u64]) -> Self {
        let root = Release::new(blocks, "salt", 2);
        let mut menu = root.tree.root_hash().0.to_vec();
        menu.resize(BLOCK, 0);
        let kernel: Vec<u64> = (0..6).map(|block| 100 * number + block).collect();
        let boot = Release::of_image([menu, image(&kernel)].concat(), "salt", 2);
        let mut hash = Vec::new();
        root.tree.write_to(&mut hash, [number.try_into().unwrap(); 16]).unwrap();
        Self { root, boot, hash }
    }
}

/// Numbers of partitions: those of A, then those of B.
const SETS: [[u32; 3]; 2] = [[1, 2, 3], [4, 5, 6]];

fn host(running: &Version, other: &Version) -> Pieces {
    let mut table = Table::new(Guid::custom([0xd1; 16]), SectorSize::B512, DISK_LEN / 512).unwrap();
    for (number, kind) in
        (1_u8..).zip([kind::BOOT, kind::ROOT, kind::HASH, kind::BOOT, kind::ROOT, kind::HASH, kind::PRIVATE])
    {
        let attributes = match number {
            1 => Attributes::NONE.with_priority(2).with_successful(true),
            4 => Attributes::NONE.with_priority(1).with_successful(true),
            _ => Attributes::NONE,
        };
        let id = Guid::custom([number; 16]);
        table
            .add(&Partition { kind, id, label: "label", start_mib: number.into(), size_mib: 1, attributes })
            .unwrap();
    }
    let mut disk = Device::disk(Pieces::new());
    Plan::create(&table, &[0; 440]).execute(&mut disk).unwrap();
    for (version, [boot, root, hash]) in [running, other].into_iter().zip(SETS) {
        disk.partition(boot).write_at(0, &version.boot.image).unwrap();
        disk.partition(root).write_at(0, &version.root.image).unwrap();
        disk.partition(hash).write_at(0, &version.hash).unwrap();
    }
    disk.recorder.take().pieces
}

fn mark(disk: &Device, command: Command) {
    let disk = &mut disk.clone();
    let reading = partitions::read(disk).unwrap();
    let layout = Layout::of(&reading.table).unwrap();
    let mut table = reading.table.clone();
    let state = layout.state(&table, SetName::A).apply(command).unwrap();
    layout.write(&mut table, &state).unwrap();
    reading.plan(&table).execute(disk).unwrap();
}

/// A whole update of set B, as the updater performs it.
fn update(disk: &Device, new: &Version, before: Before) {
    let [active, inactive] = SETS;
    let (mut kernel, mut active_root) = (disk.partition(active[0]), disk.partition(active[1]));
    mark(disk, Command::ClearInactive);
    let target = lz4(&new.hash);
    let (superblock, tree) = read_tree(&*target, full(&target), None).unwrap();
    let menu = kernel.bytes(32);
    let active_tree = disk.partition(active[2]).bytes(usize::try_from(MIB).unwrap());
    let active_tree = Tree::read(&*active_tree, RootHash(menu.try_into().unwrap())).unwrap().1;
    let jobs = [
        (&new.root, &tree, &mut active_root, Some(active_tree), inactive[1]),
        (&new.boot, &new.boot.tree, &mut kernel, None, inactive[0]),
    ];
    for (release, tree, partition, active_tree, number) in jobs {
        let image = Image { check: Check::Tree(tree), ..release.by_frames() };
        let active = Some(ActiveImage { partition, len: MIB, tree: active_tree });
        let server = Server::new(release.seekable.clone(), release.lz4.clone());
        install(Job { image, active, before }, &mut disk.partition(number), &server, &mut |_| {}).unwrap();
    }
    install_tree(&tree, &superblock, &mut disk.partition(inactive[2]), &mut |_| {}).unwrap();
    mark(disk, Command::MarkInactiveValid);
    mark(disk, Command::UpgradeToInactive);
}

/// Boots a disk: by its table, then the kernel, then the root, which a tree must vouch for.
fn booted<'a>(disk: &Device, versions: &[&'a Version]) -> (SetName, &'a Version) {
    let reading = partitions::read(&mut disk.clone()).unwrap();
    let layout = Layout::of(&reading.table).unwrap();
    let set = layout.state(&reading.table, SetName::A).next().expect("a set boots");
    let numbers = layout.set(set).unwrap();
    let boot = disk.partition(numbers.boot).bytes(versions[0].boot.image.len());
    let found = versions.iter().find(|version| version.boot.image == boot);
    let version = found.expect("the kernel and its menu are whole");
    let hash = disk.partition(numbers.hash).bytes(usize::try_from(MIB).unwrap());
    let root = RootHash(boot[..32].try_into().unwrap());
    let (superblock, tree) = Tree::read(&*hash, root).unwrap();
    assert_eq!(superblock, Superblock::parse(version.hash.first_chunk().unwrap()).unwrap());
    let data = disk.partition(numbers.root).bytes(usize::try_from(MIB).unwrap());
    assert_eq!(tree.bad_blocks(&*data).unwrap(), [], "the root is what its tree says");
    (set, version)
}

#[test]
fn whatever_is_cut_off_one_whole_release_boots() {
    let old = Version::new(1, &[1, 2, 3, 0, 4, 5, 6, 7, 8, 9, 10, 0, 11, 12]);
    let older = Version::new(2, &[1, 2, 30, 0, 40, 5, 60, 7, 80, 9]);
    let new = Version::new(3, &[1, 2, 50, 3, 4, 0, 0, 51, 6, 7, 52, 53, 9, 10, 11, 12, 8, 54]);
    let versions = [&old, &older, &new];
    let start = host(&old, &older);
    assert_eq!(booted(&Device::disk(start.clone()), &versions).0, SetName::A);

    let disk = Device::disk(start.clone());
    update(&disk, &new, Before::Unknown);
    let (set, version) = booted(&disk, &versions);
    assert!(set == SetName::B && std::ptr::eq(version, &raw const new));
    let ops = disk.recorder.take().ops;
    let flushes = ops.iter().filter(|op| matches!(op, Op::Sync { .. })).count();
    assert!(ops.len() > 30 && flushes >= 9, "{} writes, {flushes} flushes", ops.len() - flushes);

    let mut seen = BTreeSet::new();
    for cut in 0..=ops.len() {
        let done = &ops[..cut];
        let random = (0..12).map(|seed| Loss::Writes(seed + 100 * cut as u64));
        let torn = (0..12).map(|seed| Loss::Sectors(seed + 100 * cut as u64));
        for loss in [Loss::None, Loss::All].into_iter().chain(random).chain(torn) {
            let disk = Device::disk(after_cut(&start, done, loss));
            let (set, version) = booted(&disk, &versions);
            assert!(!std::ptr::eq(version, &raw const older), "cut {cut}, {loss:?}: B was cleared before");
            assert_eq!(set == SetName::B, std::ptr::eq(version, &raw const new), "cut {cut}, {loss:?}");
            seen.insert(set);
        }
        // The next run goes on with what is there, from wherever it was cut off.
        let disk = Device::disk(after_cut(&start, done, Loss::Sectors(cut as u64)));
        if booted(&disk, &versions).0 == SetName::A {
            update(&disk, &new, Before::SameImage);
            assert!(std::ptr::eq(booted(&disk, &versions).1, &raw const new), "cut {cut}");
        }
    }
    assert_eq!(seen.len(), 2, "before and after");
}

/// The check above does see what it is for: marks that are set before the image is flushed.
#[test]
fn marking_too_early_is_found_out() {
    let old = Version::new(1, &[1, 2, 3, 4]);
    let new = Version::new(3, &[5, 6, 7, 8]);
    let start = host(&old, &old);
    let disk = Device::disk(start.clone());
    update(&disk, &new, Before::Unknown);
    let mut ops = disk.recorder.take().ops;
    ops.retain(|op| !matches!(op, Op::Sync { device: 1.. }));
    let cut = Device::disk(after_cut(&start, &ops, Loss::Sectors(1)));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| booted(&cut, &[&old, &new]).0));
    assert!(outcome.is_err(), "half of the image was lost, and {outcome:?} boots");
}
