//! The machine's identifier, which outlives reboots and updates.
//!
//! systemd wants it in `/etc/machine-id` before it starts. `/etc` is new at every boot, so the identifier lives on
//! the private partition, made at random by the first boot that finds none.

use snafu::{ResultExt, Snafu};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why there is no identifier.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },

    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: std::io::Error },
}

/// The identifier's file in its folder.
const FILE: &str = "machine-id";
const LENGTH: usize = 32;

/// An identifier: 32 lower-case hexadecimal digits, not all zero (machine-id(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineId(String);

impl MachineId {
    /// Parses the content of a file; a line break at the end is part of the form.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.strip_suffix('\n').unwrap_or(text);
        let sound = id.len() == LENGTH
            && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            && id.bytes().any(|b| b != b'0');
        sound.then(|| Self(id.to_owned()))
    }

    /// Makes one from random bytes: a version 4 UUID, as systemd does.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let id = u128::from_be_bytes(bytes);
        let id = id & !(0xf << 76) | 0x4 << 76;
        let id = id & !(0x3 << 62) | 0x2 << 62;
        Self(format!("{id:032x}"))
    }

    /// The content of its file.
    pub fn to_line(&self) -> String {
        format!("{}\n", self.0)
    }
}

/// Reads the identifier in `folder`. A file that holds none counts as missing: a machine needs one.
pub fn read(folder: &Path) -> Result<Option<MachineId>, Error> {
    let path = folder.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => Ok(std::str::from_utf8(&bytes).ok().and_then(MachineId::parse)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(source).context(ReadSnafu { path }),
    }
}

/// Keeps the identifier in `folder` so that a power cut leaves either it or nothing.
pub fn keep(folder: &Path, id: &MachineId) -> Result<(), Error> {
    let path = folder.join(FILE);
    let temporary = folder.join(format!(".{FILE}.new"));
    write_synced(&temporary, id)
        .and_then(|()| fs::rename(&temporary, &path))
        .and_then(|()| File::open(folder)?.sync_all())
        .context(WriteSnafu { path })
}

fn write_synced(path: &Path, id: &MachineId) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
    file.set_permissions(Permissions::from_mode(0o444))?;
    file.write_all(id.to_line().as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn only_the_documented_form_is_an_identifier() {
        for (text, accepted) in [
            (ID.to_owned(), true),
            (format!("{ID}\n"), true),
            (format!("{ID}\n\n"), false),
            (ID.to_uppercase(), false),
            (format!("{ID}0"), false),
            ("0".repeat(32), false),
            ("uninitialized\n".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(MachineId::parse(&text).is_some(), accepted, "{text:?}");
        }
    }

    #[test]
    fn random_bytes_make_a_version_4_uuid() {
        for (byte, expected) in
            [(0x00, "00000000000040008000000000000000"), (0xff, "ffffffffffff4fffbfffffffffffffff")]
        {
            let id = MachineId::from_random([byte; 16]);
            assert_eq!(id.0, expected);
            assert_eq!(MachineId::parse(&id.to_line()), Some(id));
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(read(folder).unwrap(), None, "nothing there yet");

        // What a power cut in an older boot may have left.
        fs::write(folder.join(".machine-id.new"), "half").unwrap();
        fs::write(folder.join(FILE), b"\xff\xfe").unwrap();
        assert_eq!(read(folder).unwrap(), None, "no identifier in the file");

        let id = MachineId::parse(ID).unwrap();
        keep(folder, &id).unwrap();
        assert_eq!(read(folder).unwrap(), Some(id.clone()));
        assert_eq!(fs::read_to_string(folder.join(FILE)).unwrap(), format!("{ID}\n"));
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "no temporary is left");

        keep(folder, &id).expect("keeping it again changes nothing");
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let id = MachineId::parse(ID).unwrap();
        let error = keep(Path::new("/nonexistent"), &id).expect_err("no folder");
        assert_eq!(error.to_string(), "write /nonexistent/machine-id");
    }
}
