//! Reads a finished disk back and says what does not fit together.
//!
//! It trusts nothing that the builder knows: it starts from the bytes, follows them as firmware, GRUB, kernel and
//! updater would, and needs no request.

mod content;
mod structure;

use crate::bios;
use crate::toolbox::{self, Toolbox};
use content::Content;
use partitions::{BOOT_CODE_LEN, Entry, Health, Locator, Reading, Table, kind};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use verity::{BadBlock, Mapping, Target, Tree};

/// What was found on a disk.
#[derive(Debug, Default)]
pub struct Report {
    /// What is there, a line each.
    pub facts: Vec<String>,
    /// What does not fit together; nothing on a good disk.
    pub problems: Vec<String>,
}

/// Why a disk could not be judged.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("make a folder to work in"))]
    WorkFolder { source: io::Error },
    #[snafu(display("prepare the tools"))]
    Tools { source: toolbox::Error },
    #[snafu(display("unpack {}", path.display()))]
    Unpack { path: PathBuf, source: toolbox::Error },
    #[snafu(display("open {}", path.display()))]
    Open { path: PathBuf, source: io::Error },
    #[snafu(display("read the partition table of {}", path.display()))]
    ReadTable { path: PathBuf, source: partitions::ReadError },
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: io::Error },
}

/// What is wrong with a set of partitions; the rest of it cannot be judged then.
#[derive(Debug, Snafu)]
enum SetProblem {
    #[snafu(display("its boot menu cannot be read"))]
    ReadMenu { source: toolbox::Error },
    #[snafu(display("its boot menu names no verified root device (dm-mod.create=\"..\")"))]
    NoMapping,
    #[snafu(display("its boot menu has a root device that is not understood"))]
    BadMapping { source: verity::MappingError },
    #[snafu(display("its boot menu names the {what} device '{device}'"))]
    BadDevice { what: &'static str, device: String, source: partitions::LocatorError },
    #[snafu(display("its boot menu takes partition {number} for the {what}, which is of another type"))]
    WrongKind { what: &'static str, number: u32 },
    #[snafu(display("its hash tree cannot be read"))]
    HashTree { source: verity::ReadError },
    #[snafu(display("its root file system cannot be read"))]
    RootData { source: verity::DataError },
    #[snafu(display("partition {number} cannot be read"))]
    Seek { number: u32, source: io::Error },
    #[snafu(display("{what} of boot menu and hash tree differ: {menu} and {tree}"))]
    Differs { what: &'static str, menu: String, tree: String },
    #[snafu(display("{count} blocks are not what the root hash vouches for; the first is {first}"))]
    BadBlocks { count: usize, first: String },
}

/// Checks the disk in a file, which may be packed with LZ4.
pub fn check(path: &Path) -> Result<Report, Error> {
    let work = TempDir::with_prefix("image-check-").context(WorkFolderSnafu)?;
    let toolbox = Toolbox::new(work.path(), 0).context(ToolsSnafu)?;
    let unpacked = if path.extension().is_some_and(|extension| extension == "lz4") {
        let to = work.path().join("disk.img");
        let argv = [Path::new("lz4"), Path::new("-dq"), Path::new("--sparse"), path, &to];
        toolbox.run(&argv).context(UnpackSnafu { path })?;
        to
    } else {
        path.to_owned()
    };
    let mut file = File::open(&unpacked).context(OpenSnafu { path })?;
    let reading = partitions::read(&mut file).context(ReadTableSnafu { path })?;
    let disk = Disk { file, path: unpacked, table: reading.table.clone(), toolbox };

    let mut report = Report::default();
    report.problems.extend(health(&reading));
    report.problems.extend(structure::problems(&disk.table));
    disk.describe(&mut report).context(ReadSnafu { path })?;
    for (_, boot) in disk.of_kind(kind::BOOT) {
        if disk.content(boot).context(ReadSnafu { path })? == Content::Empty {
            continue;
        }
        match disk.check_set(boot) {
            Ok(fact) => report.facts.push(format!("{}: {fact}", boot.label)),
            Err(problem) => {
                report.problems.push(format!("{}: {}", boot.label, host::program::chain(&problem)));
            }
        }
    }
    Ok(report)
}

fn health(reading: &Reading) -> Vec<String> {
    let copies = [("primary", &reading.primary), ("backup", &reading.backup)];
    let mut problems: Vec<String> = copies
        .into_iter()
        .filter_map(|(name, health)| match health {
            Health::Good => None,
            Health::Different => Some(format!("the {name} partition table differs from the other")),
            Health::Damaged(damage) => Some(format!("the {name} partition table {damage}")),
        })
        .collect();
    if reading.is_grown() {
        problems.push("the backup partition table is not at the end of the disk".into());
    }
    problems
}

/// A disk in a file.
struct Disk {
    file: File,
    path: PathBuf,
    table: Table,
    toolbox: Toolbox,
}

impl Disk {
    fn of_kind(&self, kind: partitions::Guid) -> impl Iterator<Item = (u32, &Entry)> {
        self.table.partitions().filter(move |(_, entry)| entry.kind == kind)
    }

    fn start(&self, entry: &Entry) -> u64 {
        entry.first * self.table.sector_size().bytes()
    }

    fn len(&self, entry: &Entry) -> u64 {
        entry.sectors() * self.table.sector_size().bytes()
    }

    /// The bytes of a partition from its start.
    fn reader(&self, entry: &Entry) -> io::Result<impl Read + use<>> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(self.start(entry)))?;
        Ok(file.take(self.len(entry)))
    }

    fn content(&self, entry: &Entry) -> io::Result<Content> {
        let mut head = Vec::new();
        self.reader(entry)?.take(content::HEAD_LEN).read_to_end(&mut head)?;
        Ok(Content::of(&head))
    }

    /// Says what each partition holds, and whether that is what its type holds.
    fn describe(&self, report: &mut Report) -> io::Result<()> {
        let sectors = self.table.sectors();
        report.facts.push(format!("disk {}, {sectors} sectors", self.table.disk()));
        for (number, entry) in self.table.partitions() {
            let content = self.content(entry)?;
            let (label, kib) = (entry.label.to_string(), self.len(entry) / 1024);
            report.facts.push(format!("{number:>2} {label:<24} {kib:>8} KiB  {content}"));
            if let Some(expected) = content.misfit(entry) {
                report.problems.push(format!("partition {number} {label} holds {content}, not {expected}"));
            }
        }
        if let Some((_, bios_boot)) = self.of_kind(kind::BIOS_BOOT).next() {
            let mut code = [0; BOOT_CODE_LEN];
            self.file.read_exact_at(&mut code, 0)?;
            let next = bios::next_sector(&code);
            if code != [0; BOOT_CODE_LEN] && next != bios_boot.first {
                let first = bios_boot.first;
                report.problems.push(format!(
                    "the boot record goes on with sector {next}; the BIOS-BOOT partition begins at {first}"
                ));
            }
        }
        Ok(())
    }

    fn menu(&self, boot: &Entry) -> Result<String, SetProblem> {
        let place = format!("{}?offset={}", self.path.display(), self.start(boot));
        let output = self.toolbox.run(&["debugfs", "-R", "cat /grub/grub.cfg", &place]);
        Ok(String::from_utf8_lossy(&output.context(ReadMenuSnafu)?.stdout).into_owned())
    }

    /// Follows a boot menu to root and hash tree, and compares all three.
    fn check_set(&self, boot: &Entry) -> Result<String, SetProblem> {
        let menu = self.menu(boot)?.replace("$boot_uuid", &boot.id.to_string());
        let mapping = menu.split_once("dm-mod.create=\"").and_then(|(_, rest)| rest.split_once('"'));
        let mapping: Mapping = mapping.context(NoMappingSnafu)?.0.parse().context(BadMappingSnafu)?;
        let Target { data_device, hash_device, data_blocks, root_hash, salt, .. } = mapping.target;
        let root = self.device("data", &data_device, kind::ROOT)?;
        let hash = self.device("hash", &hash_device, kind::HASH)?;

        let open = |(number, entry): (u32, &Entry)| self.reader(entry).context(SeekSnafu { number });
        let (superblock, tree) = Tree::read(open(hash)?, root_hash).context(HashTreeSnafu)?;
        let differences = [
            ("the salts", salt.to_string(), superblock.salt.to_string()),
            ("the numbers of blocks", data_blocks.to_string(), superblock.data_blocks.to_string()),
        ];
        for (what, menu, tree) in differences {
            ensure!(menu == tree, DiffersSnafu { what, menu, tree });
        }
        let bad = tree.bad_blocks(open(root)?).context(RootDataSnafu)?;
        if let Some(first) = bad.first() {
            return BadBlocksSnafu { count: bad.len(), first: name(first) }.fail();
        }
        Ok(format!("all {data_blocks} blocks of the root are good, root hash {root_hash}"))
    }

    fn device(
        &self,
        what: &'static str,
        device: &str,
        kind: partitions::Guid,
    ) -> Result<(u32, &Entry), SetProblem> {
        let find = || self.table.locate(device.parse::<Locator>()?);
        let (number, entry) = find().context(BadDeviceSnafu { what, device })?;
        ensure!(entry.kind == kind, WrongKindSnafu { what, number });
        Ok((number, entry))
    }
}

fn name(block: &BadBlock) -> String {
    match block {
        BadBlock::Data { block } => format!("block {block} of the root"),
        BadBlock::Tree { level, block, .. } => format!("block {block} of level {level} of the hash tree"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.iter().try_for_each(|fact| writeln!(f, "{fact}"))?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "PROBLEM: {problem}"))
    }
}
