//! A small disk with GRUB and two sets.

use crate::tools::{boot_root, run};
use partitions::{Attributes, BOOT_CODE_LEN, Guid, MIB, Partition, Plan, Reading, SectorSize, Table, kind};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use tempfile::TempDir;

const DISK_MIB: u64 = 16;
const BIOS_BOOT: Place = Place { kind: kind::BIOS_BOOT, start_mib: 1, size_mib: 1 };
const EFI: Place = Place { kind: kind::EFI_SYSTEM, start_mib: 2, size_mib: 4 };
const BOOT_A: Place = Place { kind: kind::BOOT, start_mib: 6, size_mib: 2 };
const BOOT_B: Place = Place { kind: kind::BOOT, start_mib: 8, size_mib: 2 };
const PRIVATE: Place = Place { kind: kind::PRIVATE, start_mib: 10, size_mib: 1 };

struct Place {
    kind: Guid,
    start_mib: u64,
    size_mib: u64,
}

/// One of the two sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// The first in the table.
    A,
    /// The second.
    B,
}

/// One of the two copies of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// At the start of the disk.
    Primary,
    /// At its end.
    Backup,
}

/// What varies between disks apart from the bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of a sector: 512 or 4096.
    pub sector_size: SectorSize,
    /// Whether the sets are in the table the other way round, B before A.
    pub swapped: bool,
    /// Whether there is a private partition.
    pub private: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { sector_size: SectorSize::B512, swapped: false, private: true }
    }
}

/// A disk image in a folder of its own.
pub struct Disk {
    folder: TempDir,
    layout: Layout,
    made_as: Table,
}

impl Disk {
    /// Makes a disk whose sets have these attributes.
    pub fn new(layout: Layout, a: Attributes, b: Attributes) -> Self {
        let folder = tempfile::tempdir().expect("make a folder for the disk");
        let table = table(layout, a, b);
        let disk = Self { folder, layout, made_as: table };
        let mut file = File::create_new(disk.path()).expect("make the disk");
        file.set_len(DISK_MIB * MIB).expect("size the disk");

        let (boot_code, core) = bios_images(BIOS_BOOT.start_mib * MIB / 512);
        Plan::create(&disk.made_as, &boot_code).execute(&mut file).expect("write the partition table");
        put(&file, &BIOS_BOOT, &core);
        put(&file, &BOOT_A, &BOOT_FILE_SYSTEMS[0]);
        put(&file, &BOOT_B, &BOOT_FILE_SYSTEMS[1]);
        disk
    }

    /// Adds what UEFI starts from.
    #[must_use]
    pub fn with_efi(self) -> Self {
        let image = self.folder.path().join("efi.img");
        File::create_new(&image)
            .and_then(|file| file.set_len(EFI.size_mib * MIB))
            .expect("make the EFI file system");
        let sector_size = self.layout.sector_size.bytes().to_string();
        run(Command::new("mkfs.fat").args(["-S", &sector_size]).arg(&image));
        for folder in ["::/EFI", "::/EFI/BOOT"] {
            run(Command::new("mmd").arg("-i").arg(&image).arg(folder));
        }
        let program = boot_root().join("boot/efi/EFI/BOOT/bootx64.efi");
        run(Command::new("mcopy")
            .arg("-i")
            .arg(&image)
            .args([program.as_os_str(), OsStr::new("::/EFI/BOOT/")]));
        put(&self.open(), &EFI, &fs::read(&image).expect("read the EFI file system"));
        self
    }

    /// Changes a byte of the header of a copy.
    pub fn damage_header(&self, copy: Copy) {
        // A byte of the disk's GUID, which only the checksum covers.
        self.flip(self.header_offset(copy) + 60);
    }

    /// Removes the signature of a copy's header: nobody sees a table there any more.
    pub fn erase_header(&self, copy: Copy) {
        let bytes = vec![0; self.sector_bytes()];
        self.open().write_all_at(&bytes, self.header_offset(copy)).expect("erase a header");
    }

    /// Changes a byte of the entries of a copy, in the name of the first partition.
    pub fn damage_entries(&self, copy: Copy) {
        self.flip(self.entries_offset(copy) + 100);
    }

    /// Erases the entries of a copy.
    pub fn erase_entries(&self, copy: Copy) {
        self.open().write_all_at(&[0; 128 * 128], self.entries_offset(copy)).expect("erase entries");
    }

    /// Gives a copy other attributes of set A, with sound checksums: what a power cut between the two copies leaves.
    pub fn rewrite(&self, copy: Copy, a: Attributes, b: Attributes) {
        let file = self.open();
        let other = match copy {
            Copy::Primary => Copy::Backup,
            Copy::Backup => Copy::Primary,
        };
        let keep = self.copy_bytes(&file, other);
        let mut changed = self.reading().table;
        for (set, attributes) in [(Set::A, a), (Set::B, b)] {
            changed.set_attributes(self.number(set), attributes).expect("the set is in the table");
        }
        let plan = self.reading().plan(&changed);
        plan.execute(&mut self.open()).expect("rewrite the table");
        for (offset, bytes) in keep {
            file.write_all_at(&bytes, offset).expect("put the other copy back");
        }
    }

    /// Makes the disk longer, as a cloud does; the backup stays where it was.
    pub fn grow(&self) {
        self.open().set_len(2 * DISK_MIB * MIB).expect("grow the disk");
    }

    /// Both copies as they are now.
    pub fn reading(&self) -> Reading {
        partitions::read(&mut self.open()).expect("one copy of the table is whole")
    }

    /// The bytes of both copies as they are now.
    pub fn table_bytes(&self) -> Vec<u8> {
        let file = self.open();
        [Copy::Primary, Copy::Backup]
            .into_iter()
            .flat_map(|copy| self.copy_bytes(&file, copy))
            .flat_map(|(_, bytes)| bytes)
            .collect()
    }

    /// The attributes of a set as they are now.
    pub fn attributes(&self, set: Set) -> Attributes {
        self.reading().table.get(self.number(set)).expect("the set is in the table").attributes
    }

    /// What GRUB calls the partition of a set.
    pub fn grub_device(&self, set: Set) -> String {
        format!("hd0,gpt{}", self.number(set))
    }

    /// What GRUB calls the private partition.
    pub fn grub_private_device(&self) -> String {
        let private = self.made_as.of_kind(kind::PRIVATE).next();
        private.map_or_else(String::new, |(number, _)| format!("hd0,gpt{number}"))
    }

    /// The unique GUID of the partition of a set.
    pub fn uuid(&self, set: Set) -> String {
        self.made_as.get(self.number(set)).expect("the set is in the table").id.to_string()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("disk.img")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn sector_bytes(&self) -> usize {
        usize::try_from(self.layout.sector_size.bytes()).expect("sectors are small")
    }

    fn number(&self, set: Set) -> u32 {
        let mut numbers = self.made_as.of_kind(kind::BOOT).map(|(number, _)| number);
        let (first, second) = (numbers.next(), numbers.next());
        let number = if (set == Set::A) == self.layout.swapped { second } else { first };
        number.expect("a disk has two sets")
    }

    fn open(&self) -> File {
        File::options().read(true).write(true).open(self.path()).expect("open the disk")
    }

    fn header_offset(&self, copy: Copy) -> u64 {
        match copy {
            Copy::Primary => self.layout.sector_size.bytes(),
            Copy::Backup => DISK_MIB * MIB - self.layout.sector_size.bytes(),
        }
    }

    fn entries_offset(&self, copy: Copy) -> u64 {
        match copy {
            Copy::Primary => 2 * self.layout.sector_size.bytes(),
            Copy::Backup => self.header_offset(copy) - 128 * 128,
        }
    }

    fn copy_bytes(&self, file: &File, copy: Copy) -> [(u64, Vec<u8>); 2] {
        [(self.entries_offset(copy), 128 * 128), (self.header_offset(copy), self.sector_bytes())].map(
            |(offset, length)| {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, offset).expect("read a copy of the table");
                (offset, bytes)
            },
        )
    }

    fn flip(&self, offset: u64) {
        let file = self.open();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).expect("read a byte of the table");
        file.write_all_at(&[!byte[0]], offset).expect("change a byte of the table");
    }
}

fn table(layout: Layout, a: Attributes, b: Attributes) -> Table {
    let sectors = DISK_MIB * MIB / layout.sector_size.bytes();
    let mut table = Table::new(id(0), layout.sector_size, sectors).expect("a table for the disk");
    let mut add = |place: &Place, id, attributes| {
        let &Place { kind, start_mib, size_mib } = place;
        let partition = Partition { kind, id, label: "", start_mib, size_mib, attributes };
        table.add(&partition).expect("the partitions fit");
    };
    add(&BIOS_BOOT, id(1), Attributes::NONE);
    add(&EFI, id(2), Attributes::NONE);
    let mut sets = [(&BOOT_A, id(0xa), a), (&BOOT_B, id(0xb), b)];
    if layout.swapped {
        sets.reverse();
    }
    for (place, id, attributes) in sets {
        add(place, id, attributes);
    }
    if layout.private {
        add(&PRIVATE, id(3), Attributes::NONE);
    }
    table
}

fn id(last: u8) -> Guid {
    let mut bits = [0xf0; 16];
    bits[15] = last;
    Guid::custom(bits)
}

fn put(file: &File, place: &Place, bytes: &[u8]) {
    assert!(bytes.len() as u64 <= place.size_mib * MIB, "the content fits into its partition");
    file.write_all_at(bytes, place.start_mib * MIB).expect("write a partition");
}

/// The boot code and the core image, told where the core image lies: by sectors of 512 bytes, at `core_sector`. The
/// offsets are those of GRUB's `boot.S` and `diskboot.S`.
fn bios_images(core_sector: u64) -> ([u8; BOOT_CODE_LEN], Vec<u8>) {
    let folder = boot_root().join("boot/grub/i386-pc");
    let mut boot = fs::read(folder.join("boot.img")).expect("read boot.img");
    boot[0x5c..0x64].copy_from_slice(&core_sector.to_le_bytes());
    // Trust the drive number that the BIOS gives.
    boot[0x66..0x68].copy_from_slice(&[0x90, 0x90]);
    let boot_code = boot[..BOOT_CODE_LEN].try_into().expect("boot.img is longer than its code");

    let mut core = fs::read(folder.join("core.img")).expect("read core.img");
    core.resize(core.len().next_multiple_of(512), 0);
    let rest = u16::try_from(core.len() / 512 - 1).expect("core.img is small");
    core[0x1f4..0x1fc].copy_from_slice(&(core_sector + 1).to_le_bytes());
    core[0x1fc..0x1fe].copy_from_slice(&rest.to_le_bytes());
    core[0x1fe..0x200].copy_from_slice(&0x820_u16.to_le_bytes());
    (boot_code, core)
}

/// The file systems of both sets: a menu that says what GRUB has found out, and then restarts.
static BOOT_FILE_SYSTEMS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| ["A", "B"].map(boot_file_system));

fn boot_file_system(set: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("make a folder for a boot file system");
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("grub")).expect("make the menu's folder");
    let menu = format!(
        "echo BOOTED {set} $root\necho boot_uuid $boot_uuid\necho private_dev $private_dev\nreboot\n"
    );
    fs::write(tree.join("grub/grub.cfg"), menu).expect("write the menu");
    let image = folder.path().join("boot.img");
    File::create_new(&image).and_then(|file| file.set_len(MIB)).expect("make a boot file system");
    run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"]).args([&tree, &image]));
    fs::read(&image).expect("read the boot file system")
}
