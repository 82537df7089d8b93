//! Installing an image: its speed beside that of copying and hashing the same bytes, and its memory.

use crate::Outcome;
use install::{
    Active, ActiveImage, Before, Check, Fetch, FetchError, Full, Image, Job, Partition, Target, install,
    read_tree,
};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use partitions::Disk;
use seekable::{Options, SeekTable};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use verity::{BLOCK, RootHash, Salt, Tree};

/// Blocks of the image whose installing is timed: 256 MiB.
const TIMED_BLOCKS: u32 = 64 * 1024;

/// Blocks of the largest root partition: 1840 MiB (update, section 9.1, G = 4).
const LARGEST_BLOCKS: u32 = 1840 * 256;

/// One block in this many is new, in stretches as of programs that were built again.
const NEW_OF: u32 = 10;
const STRETCH: u32 = 500;

/// The argument by which a benchmark starts itself to measure one install.
pub const MEMORY_ARGUMENT: &str = "--install-memory";

/// What was measured of an image of 256 MiB.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Times {
    pub by_blocks: Duration,
    pub full: Duration,
    pub copy_and_hash: Duration,
    pub decompress: Duration,
}

/// Times installs to a file in `folder`, and what they are compared with.
pub fn times(folder: &Path) -> Outcome<Times> {
    let files = Files::make(folder, TIMED_BLOCKS, mixed)?;
    let (old, new) = (folder.join("old"), folder.join("new"));
    write_image(&old, files.blocks, &|block| (files.content)(false, block))?;
    write_image(&new, files.blocks, &|block| (files.content)(is_new(block), block))?;
    let mut encoder = FrameEncoder::new(File::create(folder.join("new.lz4"))?);
    io::copy(&mut File::open(&new)?, &mut encoder)?;
    encoder.finish()?;
    let lz4 = fs::read(folder.join("new.lz4"))?;
    let full = Full { len: lz4.len() as u64, sha256: Sha256::digest(&lz4).into() };
    drop(lz4);

    let target = folder.join("partition");
    File::create(&target)?.set_len(fs::metadata(&new)?.len() + 4096 * 1024)?;
    let mut active = File::open(&old)?;
    let len = active.metadata()?.len();
    let mut timed = |with_frames: bool| -> Outcome<Duration> {
        let started = Instant::now();
        let release = files.read()?;
        let frames = with_frames.then_some(&release.table);
        let image = Image { name: "root", check: Check::Tree(&release.tree), frames, full };
        let tree = with_frames.then_some(release.active);
        let active = with_frames.then_some(ActiveImage { partition: &mut active, len, tree });
        let job = Job { image, active, before: Before::Unknown };
        let report = install(job, &mut Partition::open(&target)?, &files, &mut |_| {})?;
        assert_eq!(report.full.is_none(), with_frames, "{report:?}");
        Ok(started.elapsed())
    };
    let (by_blocks, full) = (timed(true)?, timed(false)?);

    let started = Instant::now();
    copy_and_hash(&new, &target)?;
    let copy_and_hash = started.elapsed();
    let started = Instant::now();
    io::copy(&mut FrameDecoder::new(File::open(folder.join("new.lz4"))?), &mut io::sink())?;
    let decompress = started.elapsed();
    Ok(Times { by_blocks, full, copy_and_hash, decompress })
}

/// What `dd conv=fsync` and `sha256sum` do.
fn copy_and_hash(from: &Path, to: &Path) -> io::Result<()> {
    let (mut from, to) = (File::open(from)?, File::options().write(true).open(to)?);
    let (mut buffer, mut sum, mut at) = (vec![0; 1024 * 1024], Sha256::new(), 0);
    loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            break;
        }
        sum.update(&buffer[..len]);
        to.write_all_at(&buffer[..len], at)?;
        at += len as u64;
    }
    assert_ne!(sum.finalize()[..], [0; 32], "so that nothing is left out");
    to.sync_all()
}

/// The most resident memory, in bytes, of a process that installs the largest image by blocks.
pub fn memory(folder: &Path) -> Outcome<u64> {
    Files::make(folder, LARGEST_BLOCKS, counted)?;
    let output = Command::new(std::env::current_exe()?).arg(MEMORY_ARGUMENT).arg(folder).output()?;
    let text = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!(
            "installing ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    Ok(text.trim().parse()?)
}

/// Installs what [`memory`] has prepared, to a partition that is made up, and tells how much memory that took. To be
/// called in a process of its own.
pub fn install_largest(folder: &Path) -> Outcome<u64> {
    let files = Files { folder: folder.into(), blocks: LARGEST_BLOCKS, content: counted };
    let release = files.read()?;
    let (mut active, mut target) =
        (MadeUp { files: &files, is_new: false }, MadeUp { files: &files, is_new: true });
    let full = Full { len: u64::MAX, sha256: [0; 32] };
    let image = Image { name: "root", check: Check::Tree(&release.tree), frames: Some(&release.table), full };
    let len = u64::from(LARGEST_BLOCKS) * BLOCK as u64;
    let active = ActiveImage { partition: &mut active, len, tree: Some(release.active) };
    let job = Job { image, active: Some(active), before: Before::SameImage };
    install(job, &mut target, &files, &mut |_| {})?;
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// A release in a folder, and what its blocks are made of.
struct Files {
    folder: PathBuf,
    blocks: u32,
    /// The block of this number, of the new release or as it was before.
    content: fn(bool, u32) -> [u8; BLOCK],
}

struct Release {
    tree: verity::Verified,
    active: Tree,
    table: SeekTable,
}

impl Files {
    fn make(folder: &Path, blocks: u32, content: fn(bool, u32) -> [u8; BLOCK]) -> Outcome<Self> {
        drop(fs::remove_dir_all(folder));
        fs::create_dir_all(folder)?;
        let files = Self { folder: folder.into(), blocks, content };
        let salt = Salt::new(b"salt")?;
        let old = Tree::build(Generated::new(blocks, |block| content(false, block)), salt.clone())?;
        let image = || Generated::new(blocks, |block| content(is_new(block), block));
        let new = Tree::build(image(), salt)?;
        let options = Options { level: 3, ..Options::default() };
        let table = seekable::compress(image(), File::create(folder.join("new.zst"))?, &options)?;
        fs::write(folder.join("new.seek"), table.to_bytes())?;
        for (name, tree) in [("old.verity", old), ("new.verity", new)] {
            let mut bytes = Vec::new();
            tree.write_to(&mut bytes, [0; 16])?;
            fs::write(folder.join(name), bytes)?;
        }
        let mut encoder = FrameEncoder::new(File::create(folder.join("new.verity.lz4"))?);
        io::copy(&mut File::open(folder.join("new.verity"))?, &mut encoder)?;
        encoder.finish()?;
        Ok(files)
    }

    /// As an updater does, from what it has fetched and what its own set has.
    fn read(&self) -> Outcome<Release> {
        let path = self.folder.join("new.verity.lz4");
        let mut sum = Sha256::new();
        let len = io::copy(&mut File::open(&path)?, &mut HashWriter(&mut sum))?;
        let full = Full { len, sha256: sum.finalize().into() };
        let (_, tree) = read_tree(File::open(&path)?, full, None)?;
        let (_, active) = Tree::read(File::open(self.folder.join("old.verity"))?, RootHash([0; 32]))?;
        let table = SeekTable::parse(&fs::read(self.folder.join("new.seek"))?)?;
        Ok(Release { tree, active, table })
    }
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Fetch for Files {
    fn range(&self, range: Range<u64>) -> Result<Box<dyn Read + Send + '_>, FetchError> {
        let ask = |e: io::Error| FetchError::Ask { source: Box::new(e) };
        let file = File::open(self.folder.join("new.zst")).map_err(ask)?;
        Ok(Box::new(Part { file, range }))
    }

    fn full(&self) -> Result<Box<dyn Read + Send + '_>, FetchError> {
        let ask = |e: io::Error| FetchError::Ask { source: Box::new(e) };
        Ok(Box::new(File::open(self.folder.join("new.lz4")).map_err(ask)?))
    }
}

/// Part of a file.
struct Part {
    file: File,
    range: Range<u64>,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let len = self.file.read_at(&mut buffer[..wanted], self.range.start)?;
        self.range.start += len as u64;
        Ok(len)
    }
}

/// An image that exists only while it is read.
struct Generated<F> {
    content: F,
    blocks: u32,
    at: u64,
}

impl<F: Fn(u32) -> [u8; BLOCK]> Generated<F> {
    fn new(blocks: u32, content: F) -> Self {
        Self { content, blocks, at: 0 }
    }
}

impl<F: Fn(u32) -> [u8; BLOCK]> Read for Generated<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (block, skip) = (self.at / BLOCK as u64, usize::try_from(self.at % BLOCK as u64).unwrap_or(0));
        let Some(block) = u32::try_from(block).ok().filter(|block| *block < self.blocks) else {
            return Ok(0);
        };
        let bytes = &(self.content)(block)[skip..];
        let len = bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        self.at += len as u64;
        Ok(len)
    }
}

fn is_new(block: u32) -> bool {
    (block / STRETCH).is_multiple_of(NEW_OF)
}

/// A partition that always reads as it should, except that nothing of it is there before the install.
struct MadeUp<'a> {
    files: &'a Files,
    is_new: bool,
}

impl MadeUp<'_> {
    fn fill(&self, offset: u64, buffer: &mut [u8]) {
        let first = u32::try_from(offset / BLOCK as u64).unwrap_or(u32::MAX);
        for (block, buffer) in (first..).zip(buffer.chunks_mut(BLOCK)) {
            buffer.copy_from_slice(&(self.files.content)(self.is_new && is_new(block), block));
        }
    }
}

impl Active for MadeUp<'_> {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.fill(offset, buffer);
        Ok(())
    }
}

impl Disk for MadeUp<'_> {
    fn len_bytes(&mut self) -> io::Result<u64> {
        Ok(u64::from(self.files.blocks) * BLOCK as u64)
    }

    fn read_at(&mut self, _: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0xff);
        Ok(())
    }

    fn write_at(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for MadeUp<'_> {
    fn read_back(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.fill(offset, buffer);
        Ok(())
    }
}

fn write_image(path: &Path, blocks: u32, content: &dyn Fn(u32) -> [u8; BLOCK]) -> io::Result<()> {
    let mut file = io::BufWriter::with_capacity(1024 * 1024, File::create(path)?);
    (0..blocks).try_for_each(|block| file.write_all(&content(block)))?;
    file.flush()
}

/// A block that compresses to about half, like programs.
fn mixed(is_new: bool, number: u32) -> [u8; BLOCK] {
    let mut state = u64::from(number) * 2 + u64::from(is_new);
    let mut bytes = [0; BLOCK];
    for word in bytes[..BLOCK / 2].as_chunks_mut().0 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *word = (state >> 8).to_le_bytes();
    }
    bytes
}

/// A block that is soon made and takes no room.
fn counted(is_new: bool, number: u32) -> [u8; BLOCK] {
    let mut bytes = [1 + u8::from(is_new); BLOCK];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes
}
