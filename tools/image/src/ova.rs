//! An OVA: a description of a machine and its disks in one archive.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use snafu::{ResultExt, Snafu, ensure};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Why there is no OVA.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("the template has {found}, which nothing has a value for"))]
    Unknown { found: String },
    #[snafu(display("the template has no {missing}, so the machine would miss a disk"))]
    Unused { missing: &'static str },
    #[snafu(display("hash {}", path.display()))]
    Hash { path: PathBuf, source: io::Error },
    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: io::Error },
}

/// A disk of the machine.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Its file's name in the archive.
    pub(crate) file: String,
    /// Where the file is.
    pub(crate) path: PathBuf,
    /// What the machine sees.
    pub(crate) size_bytes: u64,
}

/// The description: a template whose places are filled.
pub(crate) fn describe(template: &str, root: &Disk, data: Option<&Disk>) -> Result<String, Error> {
    let fill = |text: String, place: &str, value: &str| text.replace(place, value);
    let mut text = template.to_owned();
    let disks = [
        ("{{ROOT_DISK}}", "{{ROOT_DISK_BYTES}}", Some(root)),
        ("{{DATA_DISK}}", "{{DATA_DISK_BYTES}}", data),
    ];
    for (name, size, disk) in disks {
        let Some(disk) = disk else { continue };
        ensure!(text.contains(name), UnusedSnafu { missing: name });
        text = fill(text, name, &disk.file);
        text = fill(text, size, &disk.size_bytes.to_string());
    }
    match text.find("{{") {
        None => Ok(text),
        Some(at) => {
            let rest = &text[at..];
            let end = rest.find("}}").map_or(rest.len().min(40), |end| end + 2);
            let found = rest.get(..end).unwrap_or(rest);
            UnknownSnafu { found }.fail()
        }
    }
}

/// Writes the archive: description, manifest, disks, in the order that makes it readable as a stream.
pub(crate) fn write(
    prefix: &str,
    description: &str,
    disks: &[Disk],
    epoch: u32,
    path: &Path,
) -> Result<(), Error> {
    let description_file = format!("{prefix}.ovf");
    let mut manifest = String::new();
    let mut line = |file: &str, hash: &str| {
        let _ = writeln!(manifest, "SHA256({file})= {hash}");
    };
    line(&description_file, &HEXLOWER.encode(&Sha256::digest(description)));
    for disk in disks {
        line(&disk.file, &hash(&disk.path).context(HashSnafu { path: &disk.path })?);
    }

    let archive = || {
        let mut builder = Builder::new(File::create_new(path)?);
        let texts = [(description_file, description), (format!("{prefix}.mf"), manifest.as_str())];
        for (name, text) in texts {
            builder.append_data(&mut header(text.len() as u64, epoch), name, text.as_bytes())?;
        }
        for disk in disks {
            let file = File::open(&disk.path)?;
            builder.append_data(&mut header(file.metadata()?.len(), epoch), &disk.file, file)?;
        }
        builder.into_inner()?.flush()
    };
    archive().context(WriteSnafu { path })
}

fn header(size: u64, epoch: u32) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch.into());
    header.set_size(size);
    header
}

fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(HEXLOWER.encode(&digest.finalize())),
            len => digest.update(&buffer[..len]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(file: &str) -> Disk {
        Disk { file: file.into(), path: PathBuf::new(), size_bytes: 1024 }
    }

    const BOTH: &str = "{{ROOT_DISK}} {{ROOT_DISK_BYTES}} {{DATA_DISK}} {{DATA_DISK_BYTES}}";
    const ROOT: &str = "{{ROOT_DISK}} {{ROOT_DISK_BYTES}}";

    #[test]
    fn a_description_names_every_disk() {
        let (root, data) = (disk("r.vmdk"), disk("d.vmdk"));
        assert_eq!(describe(BOTH, &root, Some(&data)).unwrap(), "r.vmdk 1024 d.vmdk 1024");
        assert_eq!(describe(ROOT, &root, None).unwrap(), "r.vmdk 1024");
    }

    #[test]
    fn a_template_fits_the_disks_or_is_refused() {
        let (root, data) = (disk("r.vmdk"), disk("d.vmdk"));
        for (template, data, told) in [
            (BOTH, None, "the template has {{DATA_DISK}}, which"),
            (ROOT, Some(&data), "the template has no {{DATA_DISK}}, so"),
            ("", None, "the template has no {{ROOT_DISK}}, so"),
            ("{{ROOT_DISK}} {{ PK }} x", None, "the template has {{ PK }}, which"),
            ("{{ROOT_DISK}} {{PK", None, "the template has {{PK, which"),
        ] {
            let error = describe(template, &root, data).unwrap_err();
            assert!(error.to_string().contains(told), "{template}: {error}");
        }
    }

    #[test]
    fn the_template_of_the_variant_for_vmware_takes_its_two_disks() {
        let template = include_str!("../../../variants/vmware-dev/template.ovf");
        let text = describe(template, &disk("r.vmdk"), Some(&disk("d.vmdk"))).unwrap();
        let disks = ["r.vmdk", "d.vmdk"].map(|file| format!("ovf:href=\"{file}\""));
        assert!(disks.iter().all(|disk| text.contains(disk)), "{text}");
        // The system's disk is the first, from which machines start.
        let place = |text: &str| template.find(text).unwrap();
        assert!(place("ovf:/disk/system-disk") < place("ovf:/disk/data-disk"));
        assert!(place("AddressOnParent>0<") < place("ovf:/disk/system-disk"));
    }

    #[test]
    fn the_archive_begins_with_description_and_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk { file: "r.vmdk".into(), path: dir.path().join("disk"), size_bytes: 3 };
        std::fs::write(&disk.path, "abc").unwrap();
        let path = dir.path().join("x.ova");
        write("p", "text", &[disk], 1000, &path).unwrap();

        let mut archive = tar::Archive::new(File::open(&path).unwrap());
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 1000);
            (entry.path().unwrap().display().to_string(), text)
        });
        let entries: Vec<_> = entries.collect();
        let manifest = "\
            SHA256(p.ovf)= 982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1\n\
            SHA256(r.vmdk)= ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
        let expected = [("p.ovf", "text"), ("p.mf", manifest), ("r.vmdk", "abc")];
        assert_eq!(entries, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }
}
