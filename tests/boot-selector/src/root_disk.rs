//! A small disk with a verified root file system, started by the kernel without a boot loader.

use crate::Output;
use crate::machine::{qemu, watch};
use crate::tools::{boot_root, run};
use partitions::{Attributes, BOOT_CODE_LEN, Guid, MIB, Partition, Plan, SectorSize, Table, kind};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use verity::{Access, Mapping, Salt, Target, Tree};

const DISK_MIB: u64 = 24;
const ROOT_MIB: u64 = 2;
const HASH_MIB: u64 = 6;
const PRIVATE_MIB: u64 = 8;
const BOOT_ID: Guid = Guid::custom([0xf0; 16]);

/// A disk image in a folder of its own.
pub struct RootDisk {
    folder: TempDir,
    mapping: Mapping,
}

impl RootDisk {
    /// Makes a disk whose root file system has all that a boot needs but systemd: so the boot comes as far as it can
    /// and then says so.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("make a folder for the disk");
        let tree = folder.path().join("tree");
        for name in ["dev", "etc", "proc", "sys", "usr/share/factory/etc"] {
            fs::create_dir_all(tree.join(name)).expect("make the folders of the root file system");
        }
        fs::write(tree.join("usr/share/factory/etc/issue"), "test\n").expect("write a file of /etc");
        let image = |name: &str, mib: u64| {
            let path = folder.path().join(name);
            File::create_new(&path).and_then(|file| file.set_len(mib * MIB)).expect("make an image");
            path
        };
        let root = image("root.img", HASH_MIB - ROOT_MIB);
        run(Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-b", "4096", "-O", "^has_journal", "-d"])
            .args([&tree, &root]));
        let private = image("private.img", PRIVATE_MIB);
        run(Command::new("mke2fs").args(["-q", "-t", "ext4"]).arg(&private));
        let root = fs::read(root).expect("read the root file system");
        let tree =
            Tree::build(root.as_slice(), Salt::new(&[0xab; 32]).expect("a short salt")).expect("hash it");
        let mut hashes = Vec::new();
        tree.write_to(&mut hashes, [1; 16]).expect("lay out the hashes");

        let mut file = File::create_new(folder.path().join("disk.img")).expect("make the disk");
        file.set_len(DISK_MIB * MIB).expect("size the disk");
        Plan::create(&table(), &[0; BOOT_CODE_LEN]).execute(&mut file).expect("write the partition table");
        let private = fs::read(private).expect("read the private file system");
        for (start_mib, bytes) in [(ROOT_MIB, &root), (HASH_MIB, &hashes), (PRIVATE_MIB, &private)] {
            file.write_all_at(bytes, start_mib * MIB).expect("write a partition");
        }
        Self { folder, mapping: mapping(BOOT_ID, &tree) }
    }

    /// The device of the root file system, as the boot menu describes it.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Changes a byte of the root file system's first block.
    pub fn damage_root(&self) {
        self.open().write_all_at(&[0xff], ROOT_MIB * MIB + 1100).expect("damage the root file system");
    }

    /// Erases the start of the private file system.
    pub fn erase_private(&self) {
        self.open().write_all_at(&[0; 8192], PRIVATE_MIB * MIB).expect("erase the private file system");
    }

    /// The machine's identifier on the private partition.
    pub fn machine_id(&self) -> String {
        let copy = self.folder.path().join("private-now.img");
        let mut bytes = vec![0; usize::try_from(PRIVATE_MIB * MIB).expect("it is small")];
        self.open().read_exact_at(&mut bytes, PRIVATE_MIB * MIB).expect("read the private file system");
        fs::write(&copy, bytes).expect("copy the private file system");
        run(Command::new("debugfs").args(["-R", "cat machine-id"]).arg(copy))
    }

    /// Starts the kernel with these words on its command line, until it restarts.
    pub fn start(&self, command_line: &str) -> Output {
        let boot = boot_root().join("boot");
        let mut command = qemu();
        let drive = format!("if=none,id=d,format=raw,file={},cache=unsafe", self.path().display());
        command.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=d"]);
        command.arg("-kernel").arg(boot.join("vmlinuz")).arg("-initrd").arg(boot.join("initrd"));
        command.args(["-append", &format!("console=ttyS0 panic=2 rootfstype=ext4 {command_line}")]);
        watch(command, None)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("disk.img")
    }

    fn open(&self) -> File {
        File::options().read(true).write(true).open(self.path()).expect("open the disk")
    }
}

impl Default for RootDisk {
    fn default() -> Self {
        Self::new()
    }
}

fn table() -> Table {
    let mut table =
        Table::new(Guid::NIL, SectorSize::B512, DISK_MIB * MIB / 512).expect("a table for the disk");
    for (kind, id, start_mib, size_mib) in [
        (kind::BOOT, BOOT_ID, 1, 1),
        (kind::ROOT, Guid::custom([1; 16]), ROOT_MIB, HASH_MIB - ROOT_MIB),
        (kind::HASH, Guid::custom([2; 16]), HASH_MIB, PRIVATE_MIB - HASH_MIB),
        (kind::PRIVATE, Guid::custom([3; 16]), PRIVATE_MIB, PRIVATE_MIB),
    ] {
        let partition = Partition { kind, id, label: "", start_mib, size_mib, attributes: Attributes::NONE };
        table.add(&partition).expect("the partitions fit");
    }
    table
}

fn mapping(boot: Guid, tree: &Tree) -> Mapping {
    let target = Target {
        data_device: format!("PARTUUID={boot}/PARTNROFF=1"),
        hash_device: format!("PARTUUID={boot}/PARTNROFF=2"),
        data_blocks: tree.data_blocks(),
        hash_start: 1,
        root_hash: tree.root_hash(),
        salt: tree.salt().clone(),
        options: ["restart_on_corruption", "ignore_zero_blocks"].map(str::to_owned).to_vec(),
    };
    Mapping { name: "root".to_owned(), access: Access::ReadOnly, target }
}
