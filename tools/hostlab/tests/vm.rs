//! Machines that run a boot sector: start, markers, reset, power cut, an edited disk. Needs QEMU:
//! `cargo test -p hostlab --test vm -- --ignored`.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hostlab::vm::{Firmware, Machine, Spec, VmError};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// Long enough for a BIOS and a boot sector on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);
/// Where the text of the boot sector begins.
const TEXT: u64 = 0x40;

/// Writes its text to the serial port, byte by byte, and halts.
const WRITE_TEXT: [u8; 23] = [
    0x31, 0xc0, // xor ax, ax
    0x8e, 0xd8, // mov ds, ax
    0xbe, 0x40, 0x7c, // mov si, 0x7c40
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xac, // next: lodsb
    0x84, 0xc0, // test al, al
    0x74, 0x03, // jz halt
    0xee, // out dx, al
    0xeb, 0xf8, // jmp next
    0xfa, // halt: cli
    0xf4, // hlt
    0xeb, 0xfd, // jmp halt
    0x90,
];

fn image(dir: &Path, text: &[u8]) -> Spec {
    let mut sector = vec![0; 1 << 20];
    sector[..WRITE_TEXT.len()].copy_from_slice(&WRITE_TEXT);
    let at = usize::try_from(TEXT).unwrap();
    sector[at..at + text.len()].copy_from_slice(text);
    sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    let image = dir.join("tiny.img");
    std::fs::write(&image, sector).unwrap();
    Spec { firmware: Firmware::Bios, memory_mib: 64, cpus: 1, ..Spec::new(dir.join("vm"), image) }
}

#[test]
#[ignore = "needs QEMU"]
fn a_machine_is_watched_reset_cut_and_started_again_with_what_is_on_its_disk() {
    let dir = tempfile::tempdir().unwrap();
    let spec = image(dir.path(), b"first words\r\n");
    let mut machine = Machine::start(&spec).unwrap();
    machine.wait_for("first words", 0, LIMIT).unwrap();
    assert!(matches!(Machine::start(&spec), Err(VmError::RunsAlready { .. })));

    let place = machine.place();
    machine.reset().unwrap();
    machine.wait_for_reset(0, LIMIT).unwrap();
    machine.wait_for("first words", place, LIMIT).unwrap();
    let late = machine.wait_for("other words", 0, Duration::from_millis(50)).unwrap_err();
    assert!(matches!(late, VmError::Late { .. }), "{late}");

    let disk = machine.files().disk();
    machine.power_cut();
    std::fs::File::options().write(true).open(disk).unwrap().write_all_at(b"other", TEXT).unwrap();
    let machine = Machine::start(&spec).unwrap();
    machine.wait_for("other words", 0, LIMIT).unwrap();
    drop(machine);
    let machine = Machine::start(&Spec { is_fresh: true, ..spec }).unwrap();
    machine.wait_for("first words", 0, LIMIT).unwrap();
}

#[test]
#[ignore = "needs QEMU"]
fn only_the_owner_reaches_the_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::start(&image(dir.path(), b"words\r\n")).unwrap();
    let files = machine.files();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(files.dir()), 0o700);
    for socket in [files.api(), files.port(), files.monitor()] {
        assert_eq!(mode(&socket), 0o600, "{}", socket.display());
    }
}

#[test]
#[ignore = "needs QEMU"]
fn a_machine_that_qemu_refuses_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let error = Machine::start(&Spec { cpus: 100_000, ..image(dir.path(), b"") }).unwrap_err();
    let VmError::StartEnded { said, .. } = &error else { panic!("{error}") };
    assert!(said.contains("cpus") || said.contains("CPU"), "{said}");
}

#[test]
fn a_folder_that_is_no_machine_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let spec = image(dir.path(), b"");
    std::fs::create_dir(&spec.dir).unwrap();
    std::fs::write(spec.dir.join("precious"), "mine").unwrap();
    let error = Machine::start(&spec).unwrap_err();
    assert!(matches!(error, VmError::NotAMachine { .. }), "{error}");
    assert_eq!(std::fs::read_dir(&spec.dir).unwrap().count(), 1);
}
