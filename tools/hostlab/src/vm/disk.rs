//! Images and their working copies.

use data_encoding::HEXLOWER;
use lz4_flex::frame::FrameDecoder;
use partitions::kind::label;
use sha2::{Digest, Sha256};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What is written or left out as a whole: the block of the file systems we care about.
const BLOCK: usize = 4096;
/// How much is copied at once.
const CHUNK: usize = 256 * BLOCK;
const GIB: u64 = 1 << 30;

/// An image that could not be made a disk.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum DiskError {
    #[snafu(display(
        "{} holds no disk image; build one with './make', or name one with --image",
        path.display()
    ))]
    NoImage { path: PathBuf },
    #[snafu(display("{} holds more than one disk image ({}); name one with --image", path.display(), names.join(", ")))]
    ManyImages { path: PathBuf, names: Vec<String> },
    #[snafu(display("read the folder {}", path.display()))]
    List { path: PathBuf, source: std::io::Error },
    #[snafu(display("read the image {}", path.display()))]
    ReadImage { path: PathBuf, source: std::io::Error },
    #[snafu(display("convert {}: qemu-img, of Debian's package qemu-utils, could not be started", path.display()))]
    RunConverter { path: PathBuf, source: std::io::Error },
    #[snafu(display("convert {}: qemu-img ended with {status}: {said}", path.display()))]
    Convert { path: PathBuf, status: std::process::ExitStatus, said: String },
    #[snafu(display("find the private partition of {}", path.display()))]
    FindPrivate { path: PathBuf, source: std::io::Error },
    #[snafu(display(
        "write {name} to the private partition of {}: debugfs, of Debian's package e2fsprogs, could not be started",
        path.display()
    ))]
    RunDebugfs { name: &'static str, path: PathBuf, source: std::io::Error },
    #[snafu(display("write {name} to the private partition of {}: debugfs said: {said}", path.display()))]
    WritePrivate { name: &'static str, path: PathBuf, said: String },
    #[snafu(display("write the disk {}", path.display()))]
    WriteDisk { path: PathBuf, source: std::io::Error },
    #[snafu(display(
        "the disk {} already has {bytes} bytes, more than the {gib} GiB it should grow to; give a larger --disk-size, or --fresh",
        path.display()
    ))]
    Shrink { path: PathBuf, bytes: u64, gib: u64 },
}

/// The one disk image in a folder of build results.
pub fn find_image(folder: &Path) -> Result<PathBuf, DiskError> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return NoImageSnafu { path: folder }.fail(),
        entries => entries.context(ListSnafu { path: folder })?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.context(ListSnafu { path: folder })?.file_name().to_string_lossy().into_owned();
        names.extend(is_disk(&name).then_some(name));
    }
    names.sort();
    // The same image plain and compressed is one; the plain one is ready.
    let all = names.clone();
    names.retain(|name| name.strip_suffix(".lz4").is_none_or(|plain| !all.iter().any(|name| name == plain)));
    match names.as_slice() {
        [] => NoImageSnafu { path: folder }.fail(),
        [name] => Ok(folder.join(name)),
        _ => ManyImagesSnafu { path: folder, names }.fail(),
    }
}

/// Ends of the names of disks: plain ones, and the forms of other machines.
const ENDS: [&str; 3] = [".img", ".qcow2", ".vmdk"];

/// The name of an image without its ends.
fn stem(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".lz4").unwrap_or(name);
    ENDS.iter().find_map(|end| name.strip_suffix(end))
}

fn is_disk(name: &str) -> bool {
    stem(name).is_some_and(|stem| !stem.ends_with("-data"))
}

/// The data disk that belongs to an image, by its name, if there is one.
pub(crate) fn data_image(image: &Path) -> Option<PathBuf> {
    let stem = stem(image.file_name()?.to_str()?)?;
    let ends = ENDS.iter().flat_map(|end| [format!("-data{end}"), format!("-data{end}.lz4")]);
    ends.map(|end| image.with_file_name(format!("{stem}{end}"))).find(|path| path.is_file())
}

/// Brings the working copy of an image up: what is there already is kept if it was made from the same image. Tells
/// whether it was made anew.
pub(crate) fn prepare(image: &Path, disk: &Path, is_fresh: bool) -> Result<bool, DiskError> {
    let digest = digest(image)?;
    let origin = disk.with_extension("origin");
    // Without its origin a disk is one that was not finished, or not ours.
    let is_same = std::fs::read_to_string(&origin).is_ok_and(|made_from| made_from.trim() == digest);
    if is_same && !is_fresh && disk.is_file() {
        return Ok(false);
    }
    drop(std::fs::remove_file(&origin));
    unpack(image, disk)?;
    std::fs::write(&origin, digest + "\n").context(WriteDiskSnafu { path: &origin })?;
    Ok(true)
}

/// Grows a disk, as a larger disk of a cloud would be.
pub(crate) fn grow(disk: &Path, gib: u64) -> Result<(), DiskError> {
    let file = File::options().write(true).open(disk).context(WriteDiskSnafu { path: disk })?;
    let bytes = file.metadata().context(WriteDiskSnafu { path: disk })?.len();
    let wanted = gib.checked_mul(GIB).context(ShrinkSnafu { path: disk, bytes, gib })?;
    ensure!(wanted >= bytes, ShrinkSnafu { path: disk, bytes, gib });
    file.set_len(wanted).context(WriteDiskSnafu { path: disk })
}

/// Writes a file to the top of the private partition of a disk whose machine is off.
pub(crate) fn write_private(disk: &Path, name: &'static str, text: &str) -> Result<(), DiskError> {
    let find = || {
        let table = partitions::read(&mut File::open(disk)?).map_err(std::io::Error::other)?.table;
        let (_, entry) = table.with_label(label::PRIVATE).ok_or(std::io::ErrorKind::NotFound)?;
        Ok(table.byte_range(entry).start)
    };
    let place = format!("{}?offset={}", disk.display(), find().context(FindPrivateSnafu { path: disk })?);
    let source = tempfile::NamedTempFile::new().context(WriteDiskSnafu { path: disk })?;
    std::fs::write(source.path(), text).context(WriteDiskSnafu { path: disk })?;
    let debugfs = |command: String| {
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let mut debugfs = std::process::Command::new("debugfs");
        let output = debugfs.args(["-w", "-R", &command, &place]).env("PATH", path).output();
        output.context(RunDebugfsSnafu { name, path: disk })
    };
    let wrote = debugfs(format!("write {} {name}", source.path().display()))?;
    // It ends well whatever happens.
    let found = debugfs(format!("cat {name}"))?;
    let said = String::from_utf8_lossy(&wrote.stderr);
    ensure!(found.stdout == text.as_bytes(), WritePrivateSnafu { name, path: disk, said: said.trim() });
    Ok(())
}

fn digest(image: &Path) -> Result<String, DiskError> {
    let read = || ReadImageSnafu { path: image };
    let mut file = File::open(image).with_context(|_| read())?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = file.read(&mut chunk).with_context(|_| read())?;
        if count == 0 {
            break;
        }
        hash.update(&chunk[..count]);
    }
    Ok(HEXLOWER.encode(&hash.finalize()))
}

/// Writes the disk that an image holds, with holes where it has zeros.
fn unpack(image: &Path, disk: &Path) -> Result<(), DiskError> {
    if image.extension().is_some_and(|extension| extension == "qcow2" || extension == "vmdk") {
        return convert(image, disk);
    }
    let file = File::open(image).context(ReadImageSnafu { path: image })?;
    let new = disk.with_extension("new");
    let mut out = File::create(&new).context(WriteDiskSnafu { path: &new })?;
    let mut reader = BufReader::with_capacity(CHUNK, file);
    if image.extension().is_some_and(|extension| extension == "lz4") {
        // A compressed file may be several frames one after the other.
        while !reader.fill_buf().context(ReadImageSnafu { path: image })?.is_empty() {
            copy_sparsely(&mut FrameDecoder::new(&mut reader), &mut out, image, &new)?;
        }
    } else {
        copy_sparsely(&mut reader, &mut out, image, &new)?;
    }
    let length = out.stream_position().and_then(|length| out.set_len(length));
    length.and_then(|()| std::fs::rename(&new, disk)).context(WriteDiskSnafu { path: disk })
}

/// Writes the disk that an image in a form of other machines holds.
fn convert(image: &Path, disk: &Path) -> Result<(), DiskError> {
    let mut qemu_img = std::process::Command::new("qemu-img");
    let output = qemu_img.args(["convert", "-O", "raw"]).args([image, disk]).output();
    let output = output.context(RunConverterSnafu { path: image })?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), ConvertSnafu { path: image, status: output.status, said: said.trim() });
    Ok(())
}

fn copy_sparsely(from: &mut impl Read, to: &mut File, image: &Path, disk: &Path) -> Result<(), DiskError> {
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        chunk.clear();
        let read = from.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
        let count = read.context(ReadImageSnafu { path: image })?;
        for block in chunk.chunks(BLOCK) {
            let written = if block.iter().all(|byte| *byte == 0) {
                to.seek(SeekFrom::Current(i64::try_from(block.len()).expect("a block is small"))).map(drop)
            } else {
                to.write_all(block)
            };
            written.context(WriteDiskSnafu { path: disk })?;
        }
        if count < CHUNK {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lz4_flex::frame::FrameEncoder;
    use std::os::unix::fs::MetadataExt;

    fn content() -> Vec<u8> {
        let mut content = vec![0; 5 << 20];
        content[..6].copy_from_slice(b"begin!");
        content[3 << 20..(3 << 20) + 9000].fill(7);
        content.truncate((5 << 20) - 100);
        content
    }

    fn compressed(parts: &[&[u8]]) -> Vec<u8> {
        let frames = parts.iter().map(|part| {
            let mut encoder = FrameEncoder::new(Vec::new());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        });
        frames.collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_disk_has_the_bytes_of_its_image_and_holes_for_zeros() {
        let content = content();
        let images = [
            ("a.img", content.clone()),
            ("b.img.lz4", compressed(&[&content])),
            ("c.img.lz4", compressed(&[&content[..4_000_001], &content[4_000_001..]])),
        ];
        for (name, bytes) in images {
            let dir = tempfile::tempdir().unwrap();
            let (image, disk) = (dir.path().join(name), dir.path().join("disk.img"));
            std::fs::write(&image, bytes).unwrap();
            assert!(prepare(&image, &disk, false).unwrap());
            assert!(std::fs::read(&disk).unwrap() == content, "{name}");
            assert!(disk.metadata().unwrap().blocks() * 512 < 100_000, "{name} is not sparse");
        }
    }

    #[test]
    fn a_disk_is_kept_until_its_image_changes_or_a_fresh_one_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let (image, disk) = (dir.path().join("a.img"), dir.path().join("disk.img"));
        std::fs::write(&image, b"one").unwrap();
        assert!(prepare(&image, &disk, false).unwrap());
        std::fs::write(&disk, b"used").unwrap();
        assert!(!prepare(&image, &disk, false).unwrap());
        assert_eq!(std::fs::read(&disk).unwrap(), b"used");
        assert!(prepare(&image, &disk, true).unwrap());
        assert_eq!(std::fs::read(&disk).unwrap(), b"one");
        std::fs::write(&image, b"two").unwrap();
        assert!(prepare(&image, &disk, false).unwrap());
        assert_eq!(std::fs::read(&disk).unwrap(), b"two");
    }

    #[test]
    fn a_cut_image_leaves_no_disk() {
        let dir = tempfile::tempdir().unwrap();
        let (image, disk) = (dir.path().join("a.img.lz4"), dir.path().join("disk.img"));
        let mut bytes = compressed(&[&content()]);
        bytes.truncate(bytes.len() / 2);
        std::fs::write(&image, bytes).unwrap();
        let error = prepare(&image, &disk, false).unwrap_err();
        assert!(matches!(error, DiskError::ReadImage { .. }), "{error}");
        assert!(!disk.exists());
    }

    #[test]
    fn a_disk_grows_and_never_shrinks() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk.img");
        std::fs::write(&disk, b"x").unwrap();
        grow(&disk, 2).unwrap();
        assert_eq!(disk.metadata().unwrap().len(), 2 << 30);
        assert!(matches!(grow(&disk, 1), Err(DiskError::Shrink { .. })));
        assert_eq!(disk.metadata().unwrap().len(), 2 << 30);
    }

    #[test]
    fn the_image_is_found_among_the_results_of_a_build() {
        let rows: [(&[&str], Option<&str>); 6] = [
            (&["v-root.ext4.lz4", "v.img.lz4", "v-data.img.lz4", "sbom.json"], Some("v.img.lz4")),
            (&["v.img", "v.img.lz4"], Some("v.img")),
            (&["v.img", "v-data.img"], Some("v.img")),
            (&["a.img", "b.img.lz4"], None),
            (&["v-data.img.lz4"], None),
            (&[], None),
        ];
        for (names, expected) in rows {
            let dir = tempfile::tempdir().unwrap();
            for name in names {
                std::fs::write(dir.path().join(name), "").unwrap();
            }
            assert_eq!(find_image(dir.path()).ok(), expected.map(|name| dir.path().join(name)), "{names:?}");
        }
        let missing = find_image(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(missing.to_string().contains("./make"), "{missing}");
    }

    #[test]
    fn a_data_disk_belongs_to_its_image_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("v.img.lz4");
        assert_eq!(data_image(&image), None);
        std::fs::write(dir.path().join("v-data.img.lz4"), "").unwrap();
        assert_eq!(data_image(&image), Some(dir.path().join("v-data.img.lz4")));
    }
}
