//! The installed root tree: taken apart into what goes where, without changing the original.

use crate::{Arch, Request, os_release};
use rustix::io::Errno;
use snafu::{ResultExt, Snafu, ensure};
use std::fs::{self, DirEntry, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where package managers leave what they know: of no use on a host that has none, and full of times.
const PACKAGE_DATABASES: &[&str] = &["var/lib/rpm", "usr/lib/sysimage/rpm", "root/.rpmdb"];

/// Why a root tree cannot be taken apart.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("{path} is missing from the root tree; the package {package} has to bring it"))]
    MissingFile { path: &'static str, package: &'static str },
    #[snafu(display("read the folder {}", path.display()))]
    ReadFolder { path: PathBuf, source: std::io::Error },
    #[snafu(display("look at {}", path.display()))]
    Look { path: PathBuf, source: std::io::Error },
    #[snafu(display("{} is neither file, folder nor link, and cannot be part of an image", path.display()))]
    Special { path: PathBuf },
    #[snafu(display(
        "{} has file capabilities, which the root file system does not keep; give them to its unit", path.display()
    ))]
    Capabilities { path: PathBuf },
    #[snafu(display("make the folder {}", path.display()))]
    MakeFolder { path: PathBuf, source: std::io::Error },
    #[snafu(display("set the mode of {}", path.display()))]
    SetMode { path: PathBuf, source: std::io::Error },
    #[snafu(display("copy {} to {}", from.display(), to.display()))]
    Copy { from: PathBuf, to: PathBuf, source: std::io::Error },
    #[snafu(display("remove {}", path.display()))]
    Remove { path: PathBuf, source: std::io::Error },
    #[snafu(display("read {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: std::io::Error },
}

/// A file that an image cannot do without, and who brings it.
struct Needed {
    path: &'static str,
    package: &'static str,
}

const KERNEL: Needed = Needed { path: "boot/vmlinuz", package: "visco-kernel" };
const INITRD: Needed = Needed { path: "boot/initrd", package: "visco-initramfs" };
const OS_RELEASE: Needed = Needed { path: os_release::PATH, package: "visco-release" };
const EFI_X86_64: Needed = Needed { path: "boot/efi/EFI/BOOT/bootx64.efi", package: "visco-grub" };
const EFI_AARCH64: Needed = Needed { path: "boot/efi/EFI/BOOT/bootaa64.efi", package: "visco-grub" };
const BOOT_IMG: Needed = Needed { path: "boot/grub/i386-pc/boot.img", package: "visco-grub" };
const CORE_IMG: Needed = Needed { path: "boot/grub/i386-pc/core.img", package: "visco-grub" };

/// Folders with what each partition holds.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The root file system.
    pub(crate) root: PathBuf,
    /// The boot partition.
    pub(crate) boot: PathBuf,
    /// The EFI system partition.
    pub(crate) efi: PathBuf,
    /// What starts a machine by BIOS, where the architecture knows BIOS.
    pub(crate) bios: Option<BiosFiles>,
}

/// The files that GRUB's BIOS side is made of.
#[derive(Debug)]
pub(crate) struct BiosFiles {
    pub(crate) boot_img: Vec<u8>,
    pub(crate) core_img: Vec<u8>,
}

/// Takes a root tree apart below the folder `work`.
///
/// Whoever makes an inventory of the packages (`sbom`) does so before, while their database is still there.
pub(crate) fn take_apart(tree: &Path, work: &Path, request: &Request) -> Result<Parts, Error> {
    look_for_needed(tree, request.arch)?;
    let parts = Parts {
        root: work.join("root"),
        boot: work.join("boot"),
        efi: work.join("efi"),
        bios: bios_files(tree, request.arch)?,
    };
    let databases = PACKAGE_DATABASES.iter().map(|path| tree.join(path));
    let left_out: Vec<PathBuf> = databases.chain([tree.join("boot")]).collect();
    Copying { share: true, private: false, left_out }.folder(tree, &parts.root)?;
    // What mounts the boot partition finds its place.
    make_folder(&parts.root.join("boot"), 0o755)?;
    complete_os_release(&parts.root, request)?;

    let boot = tree.join("boot");
    let left_out = vec![boot.join("efi"), boot.join("grub/i386-pc")];
    Copying { share: false, private: true, left_out }.folder(&boot, &parts.boot)?;
    Copying { share: false, private: false, left_out: Vec::new() }.folder(&boot.join("efi"), &parts.efi)?;
    Ok(parts)
}

fn look_for_needed(tree: &Path, arch: Arch) -> Result<(), Error> {
    let efi = match arch {
        Arch::X86_64 => EFI_X86_64,
        Arch::Aarch64 => EFI_AARCH64,
    };
    for Needed { path, package } in [KERNEL, INITRD, OS_RELEASE, efi] {
        ensure!(tree.join(path).is_file(), MissingFileSnafu { path, package });
    }
    Ok(())
}

fn bios_files(tree: &Path, arch: Arch) -> Result<Option<BiosFiles>, Error> {
    if arch != Arch::X86_64 {
        return Ok(None);
    }
    let read = |Needed { path, package }: Needed| match fs::read(tree.join(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => MissingFileSnafu { path, package }.fail(),
        other => other.context(ReadSnafu { path: tree.join(path) }),
    };
    Ok(Some(BiosFiles { boot_img: read(BOOT_IMG)?, core_img: read(CORE_IMG)? }))
}

fn complete_os_release(root: &Path, request: &Request) -> Result<(), Error> {
    let path = root.join(os_release::PATH);
    let base = fs::read_to_string(&path).context(ReadSnafu { path: &path })?;
    // Of its own, not the one that the original tree shares.
    fs::remove_file(&path).context(RemoveSnafu { path: &path })?;
    fs::write(&path, os_release::complete(&base, request)).context(WriteSnafu { path: &path })?;
    set_mode(&path, 0o644)
}

/// How a folder is copied.
struct Copying {
    /// Files are links to the original where that is possible; nobody may write to them.
    share: bool,
    /// Nobody but the owner has access.
    private: bool,
    /// What does not come along.
    left_out: Vec<PathBuf>,
}

impl Copying {
    fn folder(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let metadata = look(from)?;
        // Ours to write in until it is full.
        make_folder(to, 0o700)?;
        for entry in entries(from)? {
            let path = entry.path();
            if !self.left_out.contains(&path) {
                self.entry(&path, &to.join(entry.file_name()))?;
            }
        }
        set_mode(to, self.mode(&metadata))
    }

    fn entry(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let metadata = look(from)?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            self.folder(from, to)
        } else if kind.is_symlink() {
            let target = fs::read_link(from).context(ReadSnafu { path: from })?;
            symlink(target, to).context(CopySnafu { from, to })
        } else if kind.is_file() {
            ensure!(!has_capabilities(from)?, CapabilitiesSnafu { path: from });
            if self.share && fs::hard_link(from, to).is_ok() {
                return Ok(());
            }
            fs::copy(from, to).context(CopySnafu { from, to })?;
            set_mode(to, self.mode(&metadata))
        } else {
            SpecialSnafu { path: from }.fail()
        }
    }

    fn mode(&self, metadata: &Metadata) -> u32 {
        let kept = if self.private { 0o700 } else { 0o7777 };
        metadata.permissions().mode() & kept
    }
}

/// What is in a folder, by name: the order of the build machine's file system must not show.
pub(crate) fn entries(folder: &Path) -> Result<Vec<DirEntry>, Error> {
    let read = || fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>();
    let mut entries = read().context(ReadFolderSnafu { path: folder })?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

/// The paths of all that is below a folder, relative to it, a folder before what is in it.
pub(crate) fn paths_below(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inner) = open.pop() {
        for entry in entries(&folder.join(&inner))? {
            let path = inner.join(entry.file_name());
            if look(&entry.path())?.is_dir() {
                open.push(path.clone());
            }
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn look(path: &Path) -> Result<Metadata, Error> {
    fs::symlink_metadata(path).context(LookSnafu { path })
}

fn has_capabilities(path: &Path) -> Result<bool, Error> {
    match rustix::fs::lgetxattr(path, "security.capability", &mut [0_u8; 64]) {
        Ok(_) | Err(Errno::RANGE) => Ok(true),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(false),
        Err(error) => Err(error.into()).context(LookSnafu { path }),
    }
}

fn make_folder(path: &Path, mode: u32) -> Result<(), Error> {
    fs::create_dir(path).context(MakeFolderSnafu { path })?;
    set_mode(path, mode)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).context(SetModeSnafu { path })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::least;
    use std::os::unix::fs::MetadataExt;

    fn request() -> Request {
        Request::parse(&least().to_string()).unwrap()
    }

    fn put(tree: &Path, path: &str, content: &str) {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A tree with what every image needs, and a folder to work in.
    fn tree() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (tree, work) = (dir.path().join("tree"), dir.path().join("work"));
        fs::create_dir(&work).unwrap();
        for needed in [KERNEL, INITRD, OS_RELEASE, EFI_X86_64, BOOT_IMG, CORE_IMG] {
            put(&tree, needed.path, needed.path);
        }
        (dir, tree, work)
    }

    #[test]
    fn everything_goes_where_it_belongs_and_the_original_stays() {
        let (_dir, tree, work) = tree();
        put(&tree, "usr/bin/program", "x");
        put(&tree, "var/lib/rpm/rpmdb.sqlite", "x");
        symlink("usr/bin", tree.join("bin")).unwrap();
        let before = paths_below(&tree).unwrap();

        let parts = take_apart(&tree, &work, &request()).unwrap();
        let names = |folder: &Path| -> Vec<String> {
            paths_below(folder).unwrap().iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(names(&parts.boot), ["grub", "initrd", "vmlinuz"]);
        assert_eq!(names(&parts.efi), ["EFI", "EFI/BOOT", "EFI/BOOT/bootx64.efi"]);
        let root = ["bin", "boot", "usr", "usr/bin", "usr/bin/program", "usr/lib", "usr/lib/os-release"];
        assert_eq!(names(&parts.root), [&root[..], &["var", "var/lib"]].concat());
        assert_eq!(parts.bios.unwrap().core_img, CORE_IMG.path.as_bytes());

        assert_eq!(paths_below(&tree).unwrap(), before);
        assert_eq!(fs::read_to_string(tree.join(os_release::PATH)).unwrap(), os_release::PATH);
        let completed = fs::read_to_string(parts.root.join(os_release::PATH)).unwrap();
        assert!(completed.contains("VARIANT_ID=metal-dev"), "{completed}");
    }

    #[test]
    fn modes_are_kept_in_the_root_and_closed_in_the_boot_partition() {
        let (_dir, tree, work) = tree();
        put(&tree, "usr/bin/program", "x");
        set_mode(&tree.join("usr/bin/program"), 0o4755).unwrap();
        set_mode(&tree.join("usr/bin"), 0o555).unwrap();
        let parts = take_apart(&tree, &work, &request()).unwrap();
        let mode = |path: PathBuf| look(&path).unwrap().mode() & 0o7777;
        assert_eq!(mode(parts.root.join("usr/bin/program")), 0o4755);
        assert_eq!(mode(parts.root.join("usr/bin")), 0o555);
        assert_eq!(mode(parts.boot.join("vmlinuz")), 0o600);
        assert_eq!(mode(parts.boot.join("grub")), 0o700);
        set_mode(&tree.join("usr/bin"), 0o755).unwrap();
        set_mode(&parts.root.join("usr/bin"), 0o755).unwrap();
    }

    #[test]
    fn what_is_missing_is_told_with_the_package_that_brings_it() {
        for needed in [KERNEL, INITRD, OS_RELEASE, EFI_X86_64, BOOT_IMG, CORE_IMG] {
            let (_dir, tree, work) = tree();
            fs::remove_file(tree.join(needed.path)).unwrap();
            let error = take_apart(&tree, &work, &request()).unwrap_err().to_string();
            assert!(error.contains(needed.path) && error.contains(needed.package), "{error}");
            assert_eq!(paths_below(&work).unwrap(), Vec::<PathBuf>::new());
        }
    }

    #[test]
    fn a_socket_cannot_be_part_of_an_image() {
        let (_dir, tree, work) = tree();
        let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
        let error = take_apart(&tree, &work, &request()).unwrap_err().to_string();
        assert!(error.contains("socket is neither file, folder nor link"), "{error}");
    }
}
