//! Making a mapped device by the kernel's device-mapper calls (`linux/dm-ioctl.h`).

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use snafu::{ResultExt, Snafu, ensure};
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use verity::Mapping;

/// Why a device could not be made.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("open {CONTROL}"))]
    OpenControl { source: std::io::Error },

    #[snafu(display("the name of the mapped device, {name:?}, is not of 1 to {MAX_NAME} bytes"))]
    Name { name: String },

    #[snafu(display(
        "the table of the mapped device {name} is {length} bytes long; there is room for {ROOM}"
    ))]
    TooLong { name: String, length: usize },

    #[snafu(display("{verb} the mapped device {name} (verity {parameters})"))]
    Call { verb: &'static str, name: String, parameters: String, source: std::io::Error },
}

const CONTROL: &str = "/dev/mapper/control";

/// `struct dm_ioctl`: what every call begins with.
const HEADER: usize = 312;
/// `struct dm_target_spec`: what a line of table begins with.
const TARGET_HEADER: usize = 40;
/// What one call hands over. The table of a verity root takes some 400 bytes.
const BUFFER: usize = 4096;
/// What is left for the parameters, which end in a NUL.
const ROOM: usize = BUFFER - HEADER - TARGET_HEADER - 1;

/// Room for a name, which ends in a NUL.
const MAX_NAME: usize = 127;
/// The kernel's name for what maps the device.
const TARGET: &[u8] = b"verity";

/// The oldest version of the interface that has all we use.
const VERSION: [u32; 3] = [4, 0, 0];
/// `DM_READONLY_FLAG`.
const READ_ONLY: u32 = 1;
/// `DM_IOCTL`, the group of the calls.
const GROUP: u8 = 0xfd;

/// The calls we make. A device is resumed by the call that can suspend it, without the flag that says suspend.
const DEV_CREATE: Opcode = opcode::read_write::<[u8; HEADER]>(GROUP, 3);
const DEV_SUSPEND: Opcode = opcode::read_write::<[u8; HEADER]>(GROUP, 6);
const TABLE_LOAD: Opcode = opcode::read_write::<[u8; HEADER]>(GROUP, 9);

/// Makes a device and returns its node. Its partitions must be named by their devices.
pub fn create(mapping: &Mapping) -> Result<PathBuf, Error> {
    let (name, parameters) = (&mapping.name, mapping.target.parameters());
    ensure!((1..=MAX_NAME).contains(&name.len()), NameSnafu { name });
    ensure!(parameters.len() <= ROOM, TooLongSnafu { name, length: parameters.len() });
    let control = OpenOptions::new().read(true).write(true).open(CONTROL).context(OpenControlSnafu)?;
    let verb = |verb| CallSnafu { verb, name, parameters: &parameters };

    let mut message = header(name, 0);
    call::<DEV_CREATE>(&control, &mut message).context(verb("create"))?;
    let node = node(&message);
    let mut message = load(name, mapping.target.sectors(), &parameters);
    call::<TABLE_LOAD>(&control, &mut message).context(verb("load the table of"))?;
    call::<DEV_SUSPEND>(&control, &mut header(name, 0)).context(verb("activate"))?;
    Ok(node)
}

/// One call. The kernel fills in the header.
#[allow(unsafe_code)]
fn call<const OPCODE: Opcode>(control: &File, message: &mut [u8; BUFFER]) -> std::io::Result<()> {
    // SAFETY: the calls in this module read and write at most as many bytes as the header in the message says at
    // byte 12, which is the length of the whole buffer; `header` alone makes messages.
    unsafe { ioctl(control, Updater::<OPCODE, _>::new(message)) }?;
    Ok(())
}

/// A message about the device `name` without a table.
fn header(name: &str, flags: u32) -> [u8; BUFFER] {
    let mut message = [0; BUFFER];
    let mut put = |at: usize, value: u32| message[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    for (at, part) in [0, 4, 8].into_iter().zip(VERSION) {
        put(at, part);
    }
    put(12, u32::try_from(BUFFER).expect("the buffer is small"));
    put(16, u32::try_from(HEADER).expect("the header is small"));
    put(28, flags);
    message[48..48 + name.len()].copy_from_slice(name.as_bytes());
    message
}

/// A message that loads a table of one line, from the first sector on.
fn load(name: &str, sectors: u64, parameters: &str) -> [u8; BUFFER] {
    let mut message = header(name, READ_ONLY);
    message[20..24].copy_from_slice(&1_u32.to_ne_bytes());
    let target = &mut message[HEADER..];
    target[8..16].copy_from_slice(&sectors.to_ne_bytes());
    target[24..24 + TARGET.len()].copy_from_slice(TARGET);
    target[TARGET_HEADER..TARGET_HEADER + parameters.len()].copy_from_slice(parameters.as_bytes());
    message
}

/// The node of the device that the kernel's answer is about. Its number is split as in the kernel's
/// `new_encode_dev`: twelve bits of major between the low and the high bits of the minor.
fn node(answer: &[u8; BUFFER]) -> PathBuf {
    let mut device = [0; 4];
    device.copy_from_slice(&answer[40..44]);
    let device = u32::from_ne_bytes(device);
    let minor = device & 0xff | device >> 12 & 0xfff00;
    PathBuf::from(format!("/dev/dm-{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_laid_out_as_the_kernel_reads_them() {
        let message = load("root", 16, "1 /dev/vda4");
        let word = |at: usize| u32::from_ne_bytes(message[at..at + 4].try_into().unwrap());
        assert_eq!([word(0), word(4), word(8)], VERSION);
        assert_eq!((word(12), word(16), word(20), word(28)), (4096, 312, 1, READ_ONLY));
        assert_eq!(&message[48..53], b"root\0");
        assert_eq!((word(312), word(320)), (0, 16), "start and length");
        assert_eq!(&message[336..343], b"verity\0", "target");
        assert_eq!(&message[352..364], b"1 /dev/vda4\0", "parameters");
        assert_eq!(DEV_CREATE, 0xc138_fd03);
    }

    #[test]
    fn the_node_follows_from_the_number() {
        for (number, name) in [(0xfd00_u32, "/dev/dm-0"), (0xfd07, "/dev/dm-7"), (0x0010_fd02, "/dev/dm-258")]
        {
            let mut answer = header("root", 0);
            answer[40..44].copy_from_slice(&number.to_ne_bytes());
            assert_eq!(node(&answer), PathBuf::from(name));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let hash = "ab".repeat(32);
        let text = format!("root,,,ro,0 8 verity 1 /dev/vda4 /dev/vda5 4096 4096 1 1 sha256 {hash} {hash}");
        let sound: Mapping = text.parse().unwrap();

        let mut long = sound.clone();
        long.target.data_device = "x".repeat(ROOM);
        let error = create(&long).expect_err("too long");
        assert!(matches!(error, Error::TooLong { .. }), "{error}");

        for name in [String::new(), "x".repeat(MAX_NAME + 1)] {
            let error = create(&Mapping { name, ..sound.clone() }).expect_err("a bad name");
            assert!(matches!(error, Error::Name { .. }), "{error}");
        }
    }
}
