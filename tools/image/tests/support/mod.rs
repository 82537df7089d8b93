//! A small root tree, requests for images of it, and the tools that judge them.

use image::Request;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const PREFIX: &str = "visco-metal-dev-x86_64-1.2.3-0123abcd";

/// A folder with a root tree and room for images.
pub(crate) struct Lab {
    pub(crate) dir: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let lab = Self { dir: TempDir::new().unwrap() };
        for (path, content) in files() {
            lab.put(path, &content);
        }
        symlink("usr/bin", lab.tree().join("bin")).unwrap();
        fs::set_permissions(lab.tree().join("usr/bin/program"), fs::Permissions::from_mode(0o755)).unwrap();
        lab
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.dir.path().join("output")
    }

    pub(crate) fn put(&self, path: &str, content: &[u8]) {
        let path = self.tree().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Builds what is asked for.
    pub(crate) fn build(&self, request: &Value) -> Result<(), image::Error> {
        let request = Request::parse(&request.to_string()).unwrap();
        image::build(&request, &self.tree(), &self.output(), &|_| ()).map(drop)
    }

    /// The names of what is in the output folder.
    pub(crate) fn left(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.output()) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// An output file, unpacked.
    pub(crate) fn unpacked(&self, suffix: &str) -> PathBuf {
        let packed = self.output().join(format!("{PREFIX}{suffix}.lz4"));
        let to = self.dir.path().join(format!("unpacked{suffix}"));
        succeed("lz4", &["-dqf", "--sparse", text(&packed), text(&to)]);
        to
    }

    /// A partition of a disk, as a file of its own.
    pub(crate) fn partition(&self, disk: &Path, start_mib: u64, size_mib: u64) -> PathBuf {
        let to = self.dir.path().join(format!("partition-{start_mib}"));
        let mut from = File::open(disk).unwrap();
        from.seek(SeekFrom::Start(start_mib * MIB)).unwrap();
        std::io::copy(&mut from.take(size_mib * MIB), &mut File::create(&to).unwrap()).unwrap();
        to
    }
}

/// What is in the tree. The sizes are those of the real files, as far as a size can matter.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let mut boot_img = bytes(1, 512);
    boot_img[510..].copy_from_slice(&[0x55, 0xaa]);
    vec![
        ("usr/lib/os-release", b"NAME=Visco\nID=visco\n".to_vec()),
        ("usr/bin/program", bytes(2, 300_000)),
        ("usr/bin/another", bytes(3, 5_000)),
        ("usr/share/empty", Vec::new()),
        ("var/lib/rpm/rpmdb.sqlite", bytes(4, 10_000)),
        ("boot/vmlinuz", bytes(5, 2_000_000)),
        ("boot/initrd", bytes(6, 900_000)),
        ("boot/config", b"CONFIG_DM_VERITY=m\n".to_vec()),
        ("boot/efi/EFI/BOOT/bootx64.efi", bytes(7, 600_000)),
        ("boot/grub/i386-pc/boot.img", boot_img),
        ("boot/grub/i386-pc/core.img", bytes(8, 150_001)),
    ]
}

/// Bytes that no compressor makes shorter, the same every time (Marsaglia's xorshift).
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// A request for the smallest disks.
pub(crate) fn request() -> Value {
    json!({
        "name": "visco",
        "pretty_name": "Visco",
        "variant": "metal-dev",
        "arch": "x86_64",
        "version": "1.2.3",
        "build_id": "0123abcd",
        "source_date_epoch": 1_735_689_600,
        "image_layout": { "os_image_size_gib": 1, "data_image_size_gib": 1 },
        "kernel_parameters": ["console=ttyS0,115200n8"],
    })
}

/// The request with more said.
pub(crate) fn with(changes: &[(&str, Value)]) -> Value {
    let mut request = request();
    for (pointer, value) in changes {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        request.pointer_mut(parent).unwrap()[field] = value.clone();
    }
    request
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn run(program: &str, args: &[&str]) -> Output {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
    let output = Command::new(program).args(args).env("PATH", path).output();
    output.unwrap_or_else(|error| panic!("run {program}, which this test needs: {error}"))
}

/// Runs a program that has to succeed; gives what it printed.
pub(crate) fn succeed(program: &str, args: &[&str]) -> String {
    let output = run(program, args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?} ended with {}: {said} {stderr}", output.status);
    said
}
