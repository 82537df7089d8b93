//! What an update fetches of a built image, when little of it changes and when much does.
//!
//! The release that is updated to is made here, from the files of the built one: those that change are other bytes
//! throughout, as hard to compress as before, and a block and a byte longer, so that what follows them moves. That is
//! more than a program that was built again differs from what it was.

use crate::Outcome;
use install::{BlockSet, Index, decide, plan};
use lz4_flex::frame::FrameDecoder;
use seekable::{Options, SeekTable, compress};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use verity::{BLOCK, Salt, Tree};

/// What changes from one release to the next.
pub(crate) struct Change {
    pub(crate) scenario: &'static str,
    pub(crate) what: &'static str,
    /// Files and folders of the root, from its top.
    paths: &'static [&'static str],
    /// Whether kernel and initial file system do, too, with all that is beside them.
    boot: bool,
}

/// The changes that are measured.
pub(crate) const CHANGES: [Change; 5] = [
    Change { scenario: "fetched-unchanged", what: "nothing changed", paths: &[], boot: false },
    Change {
        scenario: "fetched-one-program",
        what: "apiserver changed",
        paths: &["usr/bin/apiserver"],
        boot: false,
    },
    Change {
        scenario: "fetched-one-package",
        what: "containerd changed",
        paths: &["usr/bin/containerd", "usr/bin/containerd-shim-runc-v2"],
        boot: false,
    },
    Change {
        scenario: "fetched-kernel",
        what: "the kernel and its modules changed",
        paths: &["usr/lib/modules"],
        boot: true,
    },
    Change { scenario: "fetched-everything", what: "everything changed", paths: &[""], boot: true },
];

/// Bytes that cross the network.
pub(crate) struct Fetched {
    /// Hash trees, seek tables and frames.
    pub(crate) by_blocks: u64,
    /// The same change by casync: its index, and the chunks of the new root that are not of the old one.
    pub(crate) casync: u64,
}

/// The built release, which a host runs.
pub(crate) struct Release {
    scratch: PathBuf,
    /// As built: the files of the next release are taken from it.
    root: PathBuf,
    index: Index,
    /// What is fetched of every release, whatever changed: the hash trees and the seek table of the boot image.
    always: u64,
    /// All frames of the boot image.
    boot: u64,
    /// The whole release in the full form: root, boot and hash image.
    pub(crate) full: u64,
    /// The root image of that.
    full_root: u64,
}

impl Release {
    /// Reads the release in the folder of an image.
    pub(crate) fn read(image: &Path, scratch: &Path) -> Outcome<Self> {
        if scratch.exists() {
            fs::remove_dir_all(scratch)?;
        }
        fs::create_dir_all(scratch)?;
        let [root_lz4, boot_lz4, hash_lz4] =
            ["-root.ext4.lz4", "-boot.ext4.lz4", "-root.verity.lz4"].map(|end| find(image, end));
        let (root_lz4, boot_lz4, hash_lz4) = (root_lz4?, boot_lz4?, hash_lz4?);
        let [root_len, boot_len, hash_len] = [&root_lz4, &boot_lz4, &hash_lz4].map(|path| path.metadata());
        let (full_root, boot_len, hash_len) = (root_len?.len(), boot_len?.len(), hash_len?.len());

        let boot = scratch.join("boot");
        decompress(&boot_lz4, &boot)?;
        let boot_tree = Tree::build(File::open(&boot)?, salt()?)?;
        let boot_table = frames(&boot)?;
        let built = scratch.join("built");
        decompress(&root_lz4, &built)?;
        // Made again by the same program as the next one, so that nothing differs but what is to differ.
        let root = scratch.join("root");
        let folder = extract(&built, scratch)?;
        image::make_root(&folder, &root, scratch)?;
        fs::remove_file(built)?;
        let index = Index::of_tree(&Tree::build(File::open(&root)?, salt()?)?);
        casync(scratch, &root, "old.caibx")?;
        Ok(Self {
            scratch: scratch.into(),
            root,
            index,
            always: hash_len + boot_tree.image_len() + boot_table.to_bytes().len() as u64,
            boot: boot_table.compressed_len(),
            full: full_root + boot_len + hash_len,
            full_root,
        })
    }

    /// What a host fetches to come from this release to one with that change.
    pub(crate) fn update(&self, change: &Change) -> Outcome<Fetched> {
        let folder = extract(&self.root, &self.scratch)?;
        let mut seen = HashSet::new();
        for path in change.paths {
            alter(&folder.join(path), &mut seen)?;
        }
        let root = self.scratch.join("next");
        image::make_root(&folder, &root, &self.scratch)?;
        let tree = Tree::build(File::open(&root)?, salt()?)?.verified()?;
        let table = frames(&root)?;
        let decision =
            decide(plan(&tree, &BlockSet::default(), &self.index), &tree, Some(&table), self.full_root);
        let boot = if change.boot { self.boot } else { 0 };
        let by_blocks =
            self.always + table.to_bytes().len() as u64 + decision.fetched_len(self.full_root) + boot;
        let casync = casync(&self.scratch, &root, "next.caibx")? + boot;
        // So that the next change finds the chunks of the old root alone.
        let store = format!("--store={}", self.scratch.join("store.castr").display());
        run(Command::new("casync").arg("gc").arg(store).arg(self.scratch.join("old.caibx")))?;
        fs::remove_file(root)?;
        Ok(Fetched { by_blocks, casync })
    }
}

fn salt() -> Outcome<Salt> {
    Ok(Salt::new(b"salt")?)
}

/// The file whose name ends so.
fn find(folder: &Path, end: &str) -> Outcome<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) {
            return Ok(path);
        }
    }
    Err(format!("{} has no file whose name ends in {end}", folder.display()).into())
}

fn decompress(from: &Path, to: &Path) -> io::Result<u64> {
    io::copy(&mut FrameDecoder::new(File::open(from)?), &mut File::create(to)?)
}

fn frames(image: &Path) -> Outcome<SeekTable> {
    Ok(compress(File::open(image)?, io::sink(), &Options::default())?)
}

/// The files of a root file system, in a folder of their own.
fn extract(root: &Path, scratch: &Path) -> Outcome<PathBuf> {
    let folder = scratch.join("files");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut command = Command::new("fsck.erofs");
    command.arg(format!("--extract={}", folder.display())).args(["--no-preserve"]).arg(root);
    run(&mut command)?;
    Ok(folder)
}

/// Changes the file, or all files of the folder. A file of several names changes once.
fn alter(path: &Path, seen: &mut HashSet<u64>) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            alter(&entry?.path(), seen)?;
        }
    } else if metadata.is_file() && metadata.len() > 0 && seen.insert(metadata.ino()) {
        let mut content: Vec<u8> = fs::read(path)?.iter().map(|byte| byte ^ 0x5a).collect();
        content.resize(content.len() + BLOCK + 1, 0);
        fs::write(path, content)?;
    }
    Ok(())
}

/// Bytes that casync adds for this image to what it has: the index, and chunks.
fn casync(scratch: &Path, image: &Path, index: &str) -> Outcome<u64> {
    let (store, index) = (scratch.join("store.castr"), scratch.join(index));
    let before = size(&store)?;
    let mut command = Command::new("casync");
    run(command.arg("make").arg(format!("--store={}", store.display())).arg(&index).arg(image))?;
    Ok(size(&store)? - before + index.metadata()?.len())
}

/// All bytes of the files of a folder; none, if there is no such folder.
fn size(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    if folder.exists() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            sum += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
        }
    }
    Ok(sum)
}

fn run(command: &mut Command) -> Outcome<()> {
    let output = command.output().map_err(|error| format!("run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} ended with {}: {said}", output.status).into())
}
