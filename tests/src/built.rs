//! What a build left: the files of an image, its disk, the partitions on it.

use partitions::{Entry, Guid, Table};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The variable that names the folder of the image to be judged.
pub const IMAGE_VARIABLE: &str = "VISCO_IMAGE_DIR";
/// The variable that names the folder of the image of the version after it.
pub const NEXT_IMAGE_VARIABLE: &str = "VISCO_NEXT_IMAGE_DIR";
/// The variable that names the folder of the RPMs that the image was made of.
pub const RPMS_VARIABLE: &str = "VISCO_RPMS_DIR";

/// What is copied at once.
const CHUNK: usize = 1 << 20;

/// The files of an image.
#[derive(Debug)]
pub struct BuiltImage {
    folder: PathBuf,
    /// What the build says of it, `artifact-metadata.json`.
    pub metadata: Value,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// The name of its RPM.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
}

/// A disk in a file.
#[derive(Debug)]
pub struct DiskFile {
    /// The file.
    pub path: PathBuf,
    /// Its partition table.
    pub table: Table,
}

impl BuiltImage {
    /// The image that the environment names.
    pub fn of_environment() -> Self {
        Self::of(IMAGE_VARIABLE)
    }

    /// The image that a variable of the environment names.
    pub fn of(variable: &str) -> Self {
        let folder = folder_of(variable);
        let path = folder.join(image::METADATA_FILE);
        let text = std::fs::read(&path).unwrap_or_else(|e| {
            panic!("{} is not the folder of an image: {}: {e}", folder.display(), path.display())
        });
        Self { folder, metadata: serde_json::from_slice(&text).expect("the metadata are JSON") }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A text of the metadata.
    pub fn said(&self, name: &str) -> &str {
        self.metadata[name].as_str().unwrap_or_else(|| panic!("the metadata have no '{name}'"))
    }

    /// The whole disk, as the build packed it.
    pub fn disk(&self) -> PathBuf {
        hostlab::vm::find_image(&self.folder).expect("the image has one disk")
    }

    /// The installed packages, by name and version, as the inventory has them.
    pub fn packages(&self) -> Vec<Package> {
        let inventory = self.json("application-inventory.json");
        let packages = inventory["Content"].as_array().expect("the inventory has packages");
        let of = |package: &Value| {
            let field = |name: &str| package[name].as_str().expect("a package says what it is").to_owned();
            Package {
                name: format!("visco-{}", field("Name")),
                version: field("Version"),
                release: field("Release"),
            }
        };
        packages.iter().map(of).collect()
    }

    /// The description of all that is in the image, in SPDX.
    pub fn bill_of_materials(&self) -> Value {
        self.json(&(self.prefix() + "-sbom.spdx.json"))
    }

    /// The bytes of a file of the image.
    pub fn file(&self, name: &str) -> Vec<u8> {
        let path = self.folder.join(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.file(name)).unwrap_or_else(|e| panic!("{name} is no JSON: {e}"))
    }

    /// How the names of its files begin.
    fn prefix(&self) -> String {
        ["name", "variant", "arch", "version", "build_id"].map(|name| self.said(name)).join("-")
    }

    /// A packed file of the image, unpacked into a folder: `ending` tells which.
    pub fn unpack(&self, ending: &str, to: &Path) -> PathBuf {
        let name = self.prefix() + ending;
        let (packed, plain) = (self.folder.join(format!("{name}.lz4")), to.join(name));
        succeed("lz4", &["-dqf", "--sparse", text(&packed), text(&plain)]);
        plain
    }
}

impl DiskFile {
    /// Opens a disk whose partition table is whole.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let mut file = File::open(&path).unwrap_or_else(|e| panic!("open {}: {e}", path.display()));
        let reading = partitions::read(&mut file).expect("the disk has a partition table");
        Self { path, table: reading.table }
    }

    /// The partition of this name.
    pub fn partition(&self, label: &str) -> (u32, &Entry) {
        self.table.with_label(label).unwrap_or_else(|| panic!("the disk has no partition {label}"))
    }

    /// Where the partition of this name is, in bytes.
    pub fn range(&self, label: &str) -> Range<u64> {
        self.table.byte_range(self.partition(label).1)
    }

    /// The partition of this id, as the programs of e2fsprogs take it.
    pub fn place_of_id(&self, id: Guid) -> String {
        let (_, entry) = self.table.with_id(id).unwrap_or_else(|| panic!("the disk has no partition {id}"));
        self.place_at(self.table.byte_range(entry).start)
    }

    /// The partition of this name, as the programs of e2fsprogs take it.
    pub fn place(&self, label: &str) -> String {
        self.place_at(self.range(label).start)
    }

    fn place_at(&self, offset: u64) -> String {
        format!("{}?offset={offset}", self.path.display())
    }

    /// A partition as a file of its own.
    pub fn cut(&self, label: &str, to: &Path) -> PathBuf {
        let range = self.range(label);
        let to = to.join(label);
        let file = File::create(&to).expect("a partition can be cut out");
        file.set_len(range.end - range.start).expect("a file can be long");
        copy(&self.path, range, &to, 0);
        to
    }

    /// Copies one partition over another of the same size, which holds only zeros.
    pub fn duplicate(&self, from: &str, to: &str) {
        let (from, to) = (self.range(from), self.range(to));
        assert_eq!(from.end - from.start, to.end - to.start, "partitions of one size");
        copy(&self.path, from, &self.path, to.start);
    }
}

/// Copies what is not zero.
fn copy(from: &Path, range: Range<u64>, to: &Path, start: u64) {
    let mut source = File::open(from).expect("a disk can be read");
    let mut target = File::options().write(true).open(to).expect("a disk can be written");
    source.seek(SeekFrom::Start(range.start)).expect("a disk has places");
    target.seek(SeekFrom::Start(start)).expect("a disk has places");
    let mut source = source.take(range.end - range.start);
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        chunk.clear();
        let count = (&mut source).take(CHUNK as u64).read_to_end(&mut chunk).expect("a disk can be read");
        if count == 0 {
            return;
        }
        if chunk.iter().all(|byte| *byte == 0) {
            let count = i64::try_from(count).expect("a chunk is small");
            target.seek(SeekFrom::Current(count)).expect("a disk has places");
        } else {
            target.write_all(&chunk).expect("a disk can be written");
        }
    }
}

/// The folder of RPMs that the environment names.
pub fn rpms_folder() -> PathBuf {
    folder_of(RPMS_VARIABLE)
}

fn folder_of(variable: &str) -> PathBuf {
    let folder = std::env::var_os(variable).unwrap_or_else(|| {
        panic!("{variable} is not set: './make test-image' builds an image and runs these tests on it")
    });
    let folder = PathBuf::from(folder);
    folder.canonicalize().unwrap_or_else(|e| {
        panic!(
            "{variable}={}: {e}; './make build' builds an image, './make test-image' tests it",
            folder.display()
        )
    })
}

/// Runs a program that has to succeed; gives what it printed.
pub fn succeed(program: &str, arguments: &[&str]) -> String {
    let output = output(program, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?} ended with {}: {said} {stderr}", output.status);
    said
}

/// The variable that names the seed of what is left to chance.
pub const SEED_VARIABLE: &str = "VISCO_SEED";

/// The number that a variable of the environment gives, if it is set.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// What a program ended with.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status.
    pub code: i32,
    /// What it printed.
    pub said: String,
    /// What it printed of errors.
    pub cried: String,
}

/// Runs a program; says so where it was killed.
pub fn run(program: &str, arguments: &[&str]) -> Result<Ran, String> {
    let output = output(program, arguments);
    let [said, cried] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    let code = output.status.code().ok_or_else(|| format!("{program} was killed: {}", output.status))?;
    Ok(Ran { code, said, cried })
}

fn output(program: &str, arguments: &[&str]) -> Output {
    // Programs of sbin are not on everybody's path.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).args(arguments).env("PATH", path).env("LC_ALL", "C.UTF-8").output();
    output.unwrap_or_else(|e| panic!("run {program}, which this test needs: {e}"))
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}
