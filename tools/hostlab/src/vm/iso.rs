//! Writes a CD-ROM image (ISO 9660 with Rock Ridge names) of a few small files; pure.
//!
//! Plain ISO 9660 knows upper case, digits and `_` only, so it cannot say `user-data`; the Rock Ridge entry `NM` can.
//! Everything is in one folder and fits its one sector. Sections cited are of ECMA-119, of the System Use Sharing
//! Protocol (SUSP 1.12) and of the Rock Ridge Interchange Protocol (RRIP 1.12).

/// Bytes of a sector.
const SECTOR: usize = 2048;
/// The sector of the folder: after the system area (16), the volume descriptor, its terminator and two path tables.
const FOLDER: usize = 20;
/// Mode of the files: `r--r--r--`.
const FILE_MODE: u32 = 0o100_444;
/// Mode of the folder: `r-xr-xr-x`.
const FOLDER_MODE: u32 = 0o040_555;

/// A file of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its content.
    pub content: &'a [u8],
}

/// The bytes of an image with these files; `None` where they do not fit into one folder of one sector.
pub fn write(label: &str, files: &[File<'_>]) -> Option<Vec<u8>> {
    let mut folder = [root_record(b"\0", true), root_record(b"\x01", false)].concat();
    let mut contents = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let first = FOLDER + 1 + contents.len() / SECTOR;
        let name = format!("FILE{index}.;1");
        let system = [posix(FILE_MODE, 1), alternate_name(file.name)?].concat();
        let place = Place { sector: first, bytes: file.content.len(), is_folder: false };
        folder.extend(record(name.as_bytes(), &place, &system)?);
        contents.extend_from_slice(file.content);
        contents.resize(contents.len().next_multiple_of(SECTOR), 0);
    }
    if folder.len() > SECTOR {
        return None;
    }
    let sectors = FOLDER + 1 + contents.len() / SECTOR;
    let mut image = vec![0; 16 * SECTOR];
    for part in [volume(label, sectors), terminator(), path_table(false), path_table(true), folder] {
        image.extend(part);
        image.resize(image.len().next_multiple_of(SECTOR), 0);
    }
    image.extend(contents);
    Some(image)
}

/// Where a file is.
struct Place {
    sector: usize,
    bytes: usize,
    is_folder: bool,
}

/// The folder itself (`\0`) or its parent (`\x01`), which is the same.
fn root_record(name: &[u8], with_protocols: bool) -> Vec<u8> {
    let mut system = posix(FOLDER_MODE, 2);
    if with_protocols {
        system = [protocol(), system, extension()].concat();
    }
    record(name, &root_place(), &system).expect("the names of the folder are short")
}

fn root_place() -> Place {
    Place { sector: FOLDER, bytes: SECTOR, is_folder: true }
}

/// A directory record (ECMA-119, 9.1).
fn record(name: &[u8], place: &Place, system: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0, 0];
    bytes.extend(both_u32(place.sector));
    bytes.extend(both_u32(place.bytes));
    bytes.extend(TIME);
    bytes.extend([if place.is_folder { 2 } else { 0 }, 0, 0]);
    bytes.extend(both_u16(1));
    bytes.push(u8::try_from(name.len()).ok()?);
    bytes.extend_from_slice(name);
    pad(&mut bytes);
    bytes.extend_from_slice(system);
    pad(&mut bytes);
    bytes[0] = u8::try_from(bytes.len()).ok()?;
    Some(bytes)
}

/// The primary volume descriptor (ECMA-119, 8.4).
fn volume(label: &str, sectors: usize) -> Vec<u8> {
    let mut bytes = b"\x01CD001\x01\0".to_vec();
    bytes.extend(text("LINUX", 32));
    bytes.extend(text(label, 32));
    bytes.extend([0; 8]);
    bytes.extend(both_u32(sectors));
    bytes.extend([0; 32]);
    for number in [1, 1, SECTOR] {
        bytes.extend(both_u16(number));
    }
    bytes.extend(both_u32(path_table(false).len()));
    bytes.extend(le_u32(18));
    bytes.extend([0; 4]);
    bytes.extend(be_u32(19));
    bytes.extend([0; 4]);
    bytes.extend(record(b"\0", &root_place(), &[]).expect("the name of the folder is short"));
    bytes.extend(text("", 128 * 4 + 37 * 3));
    bytes.extend(DATE.repeat(2));
    bytes.extend(NO_DATE.repeat(2));
    bytes.push(1);
    bytes
}

/// The end of the volume descriptors (ECMA-119, 8.3).
fn terminator() -> Vec<u8> {
    b"\xffCD001\x01".to_vec()
}

/// The path table (ECMA-119, 9.4): the one folder.
fn path_table(is_big_endian: bool) -> Vec<u8> {
    let (sector, parent) = if is_big_endian { (be_u32(FOLDER), [0, 1]) } else { (le_u32(FOLDER), [1, 0]) };
    [&[1, 0][..], &sector, &parent, &[0, 0]].concat()
}

/// `SP` (SUSP, 5.3): system use entries follow.
fn protocol() -> Vec<u8> {
    b"SP\x07\x01\xbe\xef\0".to_vec()
}

/// `ER` (SUSP, 5.5): they are Rock Ridge; without it Linux does not look at them.
fn extension() -> Vec<u8> {
    b"ER\x12\x01\x0a\0\0\x01RRIP_1991A".to_vec()
}

/// `PX` (RRIP, 4.1.1): mode, links, owner root.
fn posix(mode: u32, links: usize) -> Vec<u8> {
    let mut bytes = b"PX\x24\x01".to_vec();
    for number in [mode as usize, links, 0, 0] {
        bytes.extend(both_u32(number));
    }
    bytes
}

/// `NM` (RRIP, 4.1.4): the real name.
fn alternate_name(name: &str) -> Option<Vec<u8>> {
    let length = u8::try_from(5 + name.len()).ok()?;
    Some([&[b'N', b'M', length, 1, 0][..], name.as_bytes()].concat())
}

/// 2025-01-01 00:00:00 UTC (ECMA-119, 9.1.5): the same files give the same bytes.
const TIME: [u8; 7] = [125, 1, 1, 0, 0, 0, 0];
/// The same moment (ECMA-119, 8.4.26.1).
const DATE: [u8; 17] = *b"2025010100000000\0";
/// No moment.
const NO_DATE: [u8; 17] = *b"0000000000000000\0";

fn text(text: &str, width: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(width, b' ');
    bytes
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(2), 0);
}

fn u32_of(number: usize) -> u32 {
    u32::try_from(number).expect("an image of user data is smaller than 4 GiB")
}

fn le_u32(number: usize) -> [u8; 4] {
    u32_of(number).to_le_bytes()
}

fn be_u32(number: usize) -> [u8; 4] {
    u32_of(number).to_be_bytes()
}

/// In both byte orders (ECMA-119, 7.3.3).
fn both_u32(number: usize) -> Vec<u8> {
    [le_u32(number), be_u32(number)].concat()
}

/// In both byte orders (ECMA-119, 7.2.3).
fn both_u16(number: usize) -> Vec<u8> {
    let number = u16::try_from(number).expect("numbers of 16 bits are small");
    [number.to_le_bytes(), number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const FILES: [File<'_>; 3] = [
        File { name: "user-data", content: b"[settings]\nmotd = \"hi\"\n" },
        File { name: "empty", content: b"" },
        File { name: "ovf-env.xml", content: &[b'x'; 5000] },
    ];

    /// Output of a reader of such images, if it is installed.
    fn read_by(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("a.iso");
        std::fs::write(&image, write("USERDATA", &FILES).unwrap()).unwrap();
        let arguments = arguments.iter().map(|a| if *a == "IMAGE" { image.to_str().unwrap() } else { a });
        match Command::new(program).args(arguments).output() {
            Err(_) => {
                eprintln!("{program} is not installed: nothing to compare with");
                None
            }
            Ok(output) => {
                assert!(output.status.success(), "{output:?}");
                Some(output.stdout)
            }
        }
    }

    #[test]
    fn bsdtar_reads_names_and_contents() {
        if let Some(listed) = read_by("bsdtar", &["-tf", "IMAGE"]) {
            // It lists in the order of the contents, of which an empty one has none.
            let listed = String::from_utf8(listed).unwrap();
            let mut names: Vec<&str> = listed.lines().collect();
            names.sort_unstable();
            assert_eq!(names, [".", "empty", "ovf-env.xml", "user-data"]);
        }
        for file in FILES {
            if let Some(content) = read_by("bsdtar", &["-xOf", "IMAGE", file.name]) {
                assert!(content == file.content, "{}", file.name);
            }
        }
    }

    #[test]
    fn isoinfo_reads_names_and_contents() {
        if let Some(listed) = read_by("isoinfo", &["-R", "-f", "-i", "IMAGE"]) {
            assert_eq!(String::from_utf8(listed).unwrap(), "/user-data\n/empty\n/ovf-env.xml\n");
        }
        if let Some(content) = read_by("isoinfo", &["-R", "-i", "IMAGE", "-x", "/ovf-env.xml"]) {
            assert!(content == FILES[2].content);
        }
    }

    #[test]
    fn the_volume_says_what_it_holds() {
        let image = write("USERDATA", &FILES).unwrap();
        assert_eq!(image.len(), (FOLDER + 1 + 1 + 3) * SECTOR);
        let volume = &image[16 * SECTOR..17 * SECTOR];
        assert_eq!(&volume[..7], b"\x01CD001\x01");
        assert_eq!(&volume[40..48], b"USERDATA");
        assert_eq!(volume[80..84], u32::try_from(image.len() / SECTOR).unwrap().to_le_bytes());
        assert_eq!(volume[158..162], [20, 0, 0, 0], "the folder's sector, in the root's record");
        assert_eq!(volume[881], 1, "the version of the structure ends the descriptor");
        let at = (FOLDER + 1) * SECTOR;
        assert_eq!(&image[at..at + 10], b"[settings]");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let many = vec![FILES[0].clone(); 30];
        assert_eq!(write("X", &many), None);
        let long = "n".repeat(200);
        assert_eq!(write("X", &[File { name: &long, content: b"" }]), None);
    }
}
