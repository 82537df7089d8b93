//! Makes VMDK files the same every time.
//!
//! `qemu-img` gives each a random content id. It stands in the descriptor, a text within the file, whose place the
//! header tells (VMware, "Virtual Disk Format 5.0", sections "Hosted Sparse Extent Header" and "The Descriptor").

use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 4] = *b"KDMV";
const DESCRIPTOR_AT: usize = 28;
const DESCRIPTOR_LEN_AT: usize = 36;
const SECTOR: u64 = 512;
const HEADER_LEN: usize = 512;
/// Longest descriptor that is believed, in sectors; `qemu-img` leaves room for 20.
const MOST_SECTORS: u64 = 1024;

const KEY: &[u8] = b"\nCID=";

/// A file that is no VMDK as `qemu-img` makes it.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("read the descriptor of {}", path.display()))]
    Read { path: PathBuf, source: io::Error },
    #[snafu(display("{} has no header of a VMDK", path.display()))]
    NoHeader { path: PathBuf },
    #[snafu(display("the descriptor of {} has no content id, or no room for one", path.display()))]
    NoId { path: PathBuf },
    #[snafu(display("write the content id of {}", path.display()))]
    Write { path: PathBuf, source: io::Error },
}

/// Replaces the content id.
pub(crate) fn set_content_id(path: &Path, id: u32) -> Result<(), Error> {
    let file = File::options().read(true).write(true).open(path).context(ReadSnafu { path })?;
    let mut header = [0; HEADER_LEN];
    file.read_exact_at(&mut header, 0).context(ReadSnafu { path })?;
    let (start, len) = (number(&header, DESCRIPTOR_AT), number(&header, DESCRIPTOR_LEN_AT));
    ensure!(header.starts_with(&MAGIC) && (1..=MOST_SECTORS).contains(&len), NoHeaderSnafu { path });
    ensure!(start > 0 && start < MOST_SECTORS, NoHeaderSnafu { path });

    let mut descriptor = vec![0; usize::try_from(len * SECTOR).expect("it is at most 512 KiB")];
    file.read_exact_at(&mut descriptor, start * SECTOR).context(ReadSnafu { path })?;
    let changed = with_id(&descriptor, id).context(NoIdSnafu { path })?;
    file.write_all_at(&changed, start * SECTOR).context(WriteSnafu { path })
}

/// A descriptor with another content id, as long as before, and nothing but zeros behind its text. `qemu-img` writes
/// an id without leading zeros, so the text may become longer; and over an id of eight digits it may have written one
/// of six, which leaves the last byte of its longer text behind the end.
fn with_id(descriptor: &[u8], id: u32) -> Option<Vec<u8>> {
    let text = descriptor.split(|byte| *byte == 0).next()?;
    let start = text.windows(KEY.len()).position(|text| text == KEY)? + KEY.len();
    let end = start + text[start..].iter().position(|byte| *byte == b'\n')?;
    let mut changed = [&text[..start], format!("{id:08x}").as_bytes(), &text[end..]].concat();
    (changed.len() <= descriptor.len()).then(|| {
        changed.resize(descriptor.len(), 0);
        changed
    })
}

fn number(header: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&header[at..at + 8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vmdk(descriptor: &str) -> (tempfile::TempDir, PathBuf) {
        let mut bytes = vec![0; 3 * 512];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[DESCRIPTOR_AT] = 1;
        bytes[DESCRIPTOR_LEN_AT] = 2;
        bytes[512..512 + descriptor.len()].copy_from_slice(descriptor.as_bytes());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.vmdk");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn only_the_content_id_changes() {
        for id in ["12345678", "2345678", "0"] {
            let (_dir, path) = vmdk(&format!("version=1\nCID={id}\nparentCID=ffffffff\n"));
            set_content_id(&path, 0xab).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert!(bytes[512..].starts_with(b"version=1\nCID=000000ab\nparentCID=ffffffff\n\0"), "{id}");
            assert_eq!(bytes.len(), 3 * 512, "{id}");
        }
    }

    #[test]
    fn what_a_longer_text_left_behind_the_end_is_gone() {
        let (_dir, path) = vmdk("version=1\nCID=fe682f\nddb=1\n\0\n");
        set_content_id(&path, 0xab).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let behind = bytes[512..].strip_prefix(b"version=1\nCID=000000ab\nddb=1\n").unwrap();
        assert!(behind.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn another_file_is_left_alone() {
        let (_dir, path) = vmdk("version=1\nparentCID=ffffffff\n");
        let error = set_content_id(&path, 0xab).unwrap_err().to_string();
        assert!(error.ends_with("has no content id, or no room for one"), "{error}");
        std::fs::write(&path, [0; 512]).unwrap();
        let error = set_content_id(&path, 0xab).unwrap_err().to_string();
        assert!(error.ends_with("has no header of a VMDK"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), [0; 512]);
    }
}
