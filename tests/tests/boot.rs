//! A built image in virtual machines: both firmwares, every source of user data, a root that is damaged.
//! `./make test-image` runs these tests, one after the other.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hostlab::vm::{Firmware, Machine, Spec, choose_accelerator};
use partitions::kind::{id, label};
use serde_json::json;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;
use tempfile::TempDir;
use tests::booted::{Booted, END_LIMIT, failed, kernels, sound_disk};
use tests::built::{BuiltImage, DiskFile, succeed, text};
use wire::routes;

/// Where the first block of a root is that a mount reads: the superblock of erofs.
const SUPERBLOCK: u64 = 1024;
const GIB: u64 = 1 << 30;

/// A machine with a built image, in a folder of its own.
struct Lab {
    what: &'static str,
    begun: Instant,
    image: BuiltImage,
    folder: TempDir,
    spec: Spec,
}

impl Lab {
    fn new(what: &'static str, firmware: Firmware) -> Self {
        let image = BuiltImage::of_environment();
        let folder = TempDir::with_prefix("visco").unwrap();
        let spec = Spec::new(folder.path().join("vm"), image.disk());
        let spec = Spec { firmware, accelerator: choose_accelerator(), ..spec };
        Self { what, begun: Instant::now(), image, folder, spec }
    }

    /// The disk, while the machine is off.
    fn disk(&self) -> DiskFile {
        DiskFile::open(Machine::prepare(&self.spec).unwrap().disk())
    }

    /// Switches the machine on and waits until the host has told how the boot went.
    fn boot(&self) -> Booted {
        let machine = Machine::start(&self.spec).unwrap();
        Booted::after(machine, self.what, 0, 0)
    }

    /// Powers a host off, as a person would, and gives the disk that it leaves.
    fn end(&self, booted: Booted) -> DiskFile {
        let Booted { mut machine, .. } = booted;
        machine.press_power_button().unwrap();
        let reason = machine.wait_until_off(END_LIMIT).unwrap_or_else(|e| failed(&machine, &e));
        assert_eq!(reason, "guest-shutdown");
        let files = machine.files().clone();
        drop(machine);
        let disk = sound_disk(&files);
        eprintln!("figure: {}: {:.0} s in all", self.what, self.begun.elapsed().as_secs_f64());
        disk
    }
}

/// The machine's identifier, as it is on the disk.
fn machine_id(disk: &DiskFile) -> String {
    let id = succeed("debugfs", &["-R", "cat /machine-id", &disk.place(label::PRIVATE)]);
    let id = id.trim();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id:?}");
    id.to_owned()
}

/// A number of a file system, by the name that dumpe2fs gives it.
fn number(header: &str, name: &str) -> u64 {
    let value = header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {name} in {header}")).trim().parse().unwrap()
}

#[test]
#[ignore = "needs a built image"]
fn a_uefi_machine_keeps_what_it_was_told_and_fills_its_disk() {
    const DISK_GIB: u64 = 8;
    let mut lab = Lab::new("UEFI, CD-ROM, larger disk", Firmware::Uefi);
    let user_data =
        "[settings]\nmotd = 'from a CD-ROM'\n\n[settings.ntp]\ntime-servers = ['time.example.com']\n";
    lab.spec.user_data = Some(user_data.into());
    lab.spec.disk_gib = Some(DISK_GIB);
    let before = lab.disk();
    let data = |disk: &DiskFile| {
        let (_, entry) = disk.table.with_id(id::DATA_PREFERRED).expect("a disk has a data partition");
        disk.table.byte_range(entry)
    };
    assert!(data(&before).end < 5 * GIB, "the data partition has room to grow");

    let booted = lab.boot();
    assert_eq!(booted.setting("motd"), "from a CD-ROM");
    assert_eq!(booted.setting("ntp.time-servers"), json!(["time.example.com"]));
    let os = booted.get(routes::OS);
    for name in ["version_id", "variant_id", "build_id"] {
        let expected = lab.image.said(match name {
            "version_id" => "version",
            "variant_id" => "variant",
            _ => name,
        });
        assert_eq!(os[name], expected, "{name}");
    }
    let hostname = booted.setting("network.hostname");
    booted.set(&json!({"motd": "set by the API"}));
    assert_eq!(booted.setting("motd"), "set by the API");

    let booted = booted.reboot();
    assert_eq!(booted.setting("motd"), "set by the API");
    assert_eq!(booted.setting("ntp.time-servers"), json!(["time.example.com"]));
    assert_eq!(booted.setting("network.hostname"), hostname, "the host keeps its name");
    assert_eq!(booted.lines("will not last"), Vec::<String>::new(), "its identifier lasts");

    let disk = lab.end(booted);
    machine_id(&disk);
    let data = data(&disk);
    assert!(data.end > DISK_GIB * GIB - 2 * partitions::MIB, "the data partition ends at {}", data.end);
    let header = succeed("dumpe2fs", &["-h", &disk.place_of_id(id::DATA_PREFERRED)]);
    let bytes = number(&header, "Block count") * number(&header, "Block size");
    // A last group that is too short to be one is left out.
    let left = data.end - data.start - bytes;
    assert!(left < 128 * partitions::MIB, "{left} bytes of the data partition are not used");
}

/// An OVF environment with user data.
fn ovf(user_data: &str) -> Vec<u8> {
    let data = STANDARD.encode(user_data);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Environment xmlns=\"http://schemas.dmtf.org/ovf/environment/1\" \
         xmlns:oe=\"http://schemas.dmtf.org/ovf/environment/1\">\n<PropertySection>\n\
         <Property oe:key=\"user-data\" oe:value=\"{data}\"/>\n</PropertySection>\n</Environment>\n"
    )
    .into_bytes()
}

#[test]
#[ignore = "needs a built image"]
fn a_bios_machine_reads_user_data_of_an_ovf_environment_and_of_its_disk() {
    let mut lab = Lab::new("BIOS, OVF and a file", Firmware::Bios);
    lab.spec.ovf = Some(ovf("[settings]\nmotd = 'from OVF'\n"));
    let disk = lab.disk();
    let file = lab.folder.path().join("user-data.toml");
    let user_data = "[settings]\nmotd = 'from a file'\n[settings.ntp]\ntime-servers = ['file.example.com']\n";
    std::fs::write(&file, user_data).unwrap();
    let write = format!("write {} user-data.toml", text(&file));
    succeed("debugfs", &["-w", "-R", &write, &disk.place(label::PRIVATE)]);

    let booted = lab.boot();
    assert_eq!(booted.setting("ntp.time-servers"), json!(["file.example.com"]));
    assert_eq!(booted.setting("motd"), "from OVF", "the CD-ROM comes after the file");
    let first = machine_id(&lab.end(booted));

    // Off and on again, with another machine's CD-ROM: it is the same host, which has read its user data.
    lab.spec.ovf = Some(ovf("[settings]\nmotd = 'from another'\n"));
    let booted = lab.boot();
    assert_eq!(booted.setting("motd"), "from OVF");
    assert_eq!(machine_id(&lab.end(booted)), first);
}

#[test]
#[ignore = "needs a built image"]
fn refused_user_data_are_told_in_one_line_and_the_host_comes_up() {
    let mut lab = Lab::new("BIOS, refused user data", Firmware::Bios);
    lab.spec.user_data = Some(include_bytes!("../user-data/wrong/unknown-key.toml").to_vec());
    let booted = lab.boot();
    let told = booted.lines("/media/cdrom/user-data:");
    let [line] = &told[..] else { panic!("the console tells once what is wrong: {told:?}") };
    for words in ["/media/cdrom/user-data:2", "settings.motdd", "settings.motd"] {
        assert!(line.contains(words), "no '{words}' in: {line}");
    }
    assert_eq!(booted.setting("motd"), "Welcome to Visco!");
    lab.end(booted);
}

#[test]
#[ignore = "needs a built image"]
fn a_damaged_root_leads_to_the_other_set_by_itself() {
    const TRIES: u8 = 2;
    let lab = Lab::new("BIOS, damaged root", Firmware::Bios);
    let disk = lab.disk();
    for (from, to) in
        [(label::BOOT_A, label::BOOT_B), (label::ROOT_A, label::ROOT_B), (label::HASH_A, label::HASH_B)]
    {
        disk.duplicate(from, to);
    }
    let mut file = File::options().read(true).write(true).open(&disk.path).unwrap();
    let place = disk.range(label::ROOT_B).start + SUPERBLOCK + 64;
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], place).unwrap();

    // As an update leaves it: the new set is tried first, the old one is known to be good.
    let reading = partitions::read(&mut file).unwrap();
    let mut table = reading.table.clone();
    let (a, b) = (disk.partition(label::BOOT_A), disk.partition(label::BOOT_B));
    table
        .set_attributes(a.0, a.1.attributes.with_priority(1).with_tries_left(0).with_successful(true))
        .unwrap();
    let new = b.1.attributes.with_priority(2).with_tries_left(TRIES).with_successful(false);
    table.set_attributes(b.0, new).unwrap();
    reading.plan(&table).execute(&mut file).unwrap();
    drop(file);

    let machine = Machine::start(&lab.spec).unwrap();
    let booted = Booted::after_kernel(machine, lab.what, usize::from(TRIES) + 1);
    assert_eq!(
        kernels(&booted.machine),
        usize::from(TRIES) + 1,
        "each try of the damaged set ends in a restart"
    );
    assert_eq!(booted.lines("is corrupted").len(), usize::from(TRIES), "each try says why");

    let disk = lab.end(booted);
    let attributes = |label| disk.partition(label).1.attributes;
    assert_eq!(attributes(label::BOOT_B).tries_left(), 0, "no try of the damaged set is left");
    assert!(!attributes(label::BOOT_B).is_successful());
    assert!(attributes(label::BOOT_A).is_successful() && attributes(label::BOOT_A).priority() > 0);
}
