//! What a build left, judged by tools that are not ours and by what is in it. `./make test-image` runs these tests.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use object::Endianness;
use object::elf::{
    DF_1_NOW, DF_1_PIE, DT_FLAGS_1, ET_DYN, FileHeader64, PF_X, PT_DYNAMIC, PT_GNU_RELRO, PT_GNU_STACK,
    PT_INTERP,
};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, Sym};
use partitions::kind::{id, label};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use tests::built::{BuiltImage, DiskFile, Package, rpms_folder, succeed, text};
use verity::Mapping;

/// Largest root of a host for containers, docker's own files not counted: 150 MiB.
const ROOT_BOUND: u64 = 150 << 20;
/// Largest packed initial file system.
const INITRD_BOUND: u64 = 4 << 20;
/// What erofs gives a file.
const BLOCK: u64 = 4096;
/// The inventory, on the host.
const INVENTORY: &str = "usr/share/bottlerocket/application-inventory.json";
/// What updates are checked against, on the host.
const ROOT_JSON: &str = "usr/share/updog/root.json";
/// Programs of ours that hold C: `SQLite`, and what TLS and signatures are computed with.
const WITH_C: [&str; 2] = ["usr/bin/apiserver", "usr/bin/updater"];

/// An image, unpacked and taken apart, once for all tests.
struct Opened {
    image: BuiltImage,
    work: PathBuf,
    disk: DiskFile,
    boot: PathBuf,
    root: PathBuf,
    hash: PathBuf,
    /// The files of the root.
    tree: PathBuf,
    /// `grub.cfg` of the set that a fresh host boots.
    menu: String,
}

static OPENED: LazyLock<Opened> = LazyLock::new(|| {
    let image = BuiltImage::of_environment();
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image");
    if work.exists() {
        // Folders that only root may write to are no obstacle.
        succeed("chmod", &["-R", "u+rwX", text(&work)]);
        fs::remove_dir_all(&work).unwrap();
    }
    fs::create_dir_all(&work).unwrap();
    let disk = DiskFile::open(image.unpack(".img", &work));
    let [boot, root, hash] = [label::BOOT_A, label::ROOT_A, label::HASH_A].map(|name| disk.cut(name, &work));
    let tree = work.join("tree");
    let extract = format!("--extract={}", text(&tree));
    succeed("fsck.erofs", &[&extract, "--preserve-perms", "--no-preserve-owner", text(&root)]);
    let menu = succeed("debugfs", &["-R", "cat /grub/grub.cfg", text(&boot)]);
    Opened { image, work, disk, boot, root, hash, tree, menu }
});

impl Opened {
    /// The words of the kernel's command line, an option with blanks in quotes as one.
    fn command_line(&self) -> Vec<String> {
        let start = self.menu.split_once("linux ($root)/vmlinuz ").expect("the boot menu loads a kernel").1;
        let line = start.split_once("; then").expect("the boot menu asks whether the kernel was loaded").0;
        let mut words = Vec::new();
        for (index, part) in line.split('"').enumerate() {
            match words.last_mut() {
                Some(last) if index % 2 == 1 => *last = format!("{last}{part}"),
                _ => words.extend(part.split_whitespace().map(str::to_owned)),
            }
        }
        words
    }

    fn mapping(&self) -> Mapping {
        let words = self.command_line();
        let tables: Vec<&str> = words.iter().filter_map(|word| word.strip_prefix("dm-mod.create=")).collect();
        let [table] = tables[..] else { panic!("the command line has one verified root: {words:?}") };
        table.parse().expect("the kernel's mapping is understood")
    }

    /// Every regular file of the root, as a path from it.
    fn files(&self) -> Vec<(String, fs::Metadata)> {
        self.entries().into_iter().filter(|(_, metadata)| metadata.is_file()).collect()
    }

    /// Everything in the root, in the order of names.
    fn entries(&self) -> Vec<(String, fs::Metadata)> {
        let mut found = Vec::new();
        let mut folders = vec![self.tree.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                if metadata.is_dir() {
                    folders.push(path.clone());
                }
                found.push((text(path.strip_prefix(&self.tree).unwrap()).to_owned(), metadata));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert!(found.len() > 500, "a root of {} files is none", found.len());
        found
    }

    /// The fields of `os-release`, without quotes.
    fn release(&self) -> BTreeMap<String, String> {
        let release = fs::read_to_string(self.tree.join("usr/lib/os-release")).unwrap();
        let field = |line: &str| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.trim_matches('"').to_owned())
        };
        release.lines().map(field).collect()
    }
}

/// The files of an RPM, as paths from the root.
fn files_of_rpms(rpms: &[PathBuf]) -> BTreeSet<String> {
    let mut arguments = vec!["-qpl", "--nosignature"];
    arguments.extend(rpms.iter().map(|path| text(path)));
    succeed("rpm", &arguments).lines().map(|line| line.trim_start_matches('/').to_owned()).collect()
}

/// The RPMs of a package of the tree.
fn rpms_of(package: &str) -> Vec<PathBuf> {
    let folder = rpms_folder().join(package);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut rpms: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    rpms.retain(|path| path.extension().is_some_and(|extension| extension == "rpm"));
    rpms.sort();
    assert!(!rpms.is_empty(), "{} has no RPM", folder.display());
    rpms
}

/// A regular file's share of a root file system.
fn blocks(metadata: &fs::Metadata) -> u64 {
    metadata.len().next_multiple_of(BLOCK)
}

#[test]
#[ignore = "needs a built image"]
fn other_tools_find_the_disk_sound() {
    let opened = &*OPENED;
    let disk = &opened.disk;
    assert!(succeed("sgdisk", &["-v", text(&disk.path)]).contains("No problems found"));
    let report = image::check(&disk.path).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    for ext4 in [disk.place(label::BOOT_A), disk.place(label::PRIVATE), disk.place_of_id(id::DATA_PREFERRED)]
    {
        succeed("e2fsck", &["-fn", &ext4]);
    }
    succeed("fsck.erofs", &[text(&opened.root)]);
    let efi = disk.cut(label::EFI_SYSTEM, &opened.work);
    succeed("fsck.fat", &["-n", text(&efi)]);
}

#[test]
#[ignore = "needs a built image"]
fn the_root_is_the_one_that_the_boot_menu_vouches_for() {
    let opened = &*OPENED;
    let mapping = opened.mapping();
    let target = &mapping.target;
    let root_hash = target.root_hash.to_string();
    succeed("veritysetup", &["verify", text(&opened.root), text(&opened.hash), &root_hash]);
    assert_eq!(opened.image.said("root_hash"), root_hash);

    let header = succeed("veritysetup", &["dump", text(&opened.hash)]);
    let field = |name: &str| {
        let line = header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = line.unwrap_or_else(|| panic!("no {name} in {header}"));
        // Newer ones say the unit behind the number.
        value.split_whitespace().next().unwrap_or_default().to_owned()
    };
    assert_eq!(field("Data blocks"), target.data_blocks.to_string());
    assert_eq!(field("Data block size"), "4096");
    assert_eq!(field("Hash block size"), "4096");
    assert_eq!(field("Hash algorithm"), "sha256");
    assert_eq!(field("Salt"), target.salt.to_string());
    assert_eq!(target.hash_start, 1, "the hash tree follows its header");
    assert_eq!(target.sectors(), target.data_blocks * 8);
    assert_eq!(mapping.name, "root");
    assert_eq!(mapping.access, verity::Access::ReadOnly);
    let device = |after: u32| format!("PARTUUID=$boot_uuid/PARTNROFF={after}");
    assert_eq!([&target.data_device, &target.hash_device], [&device(1), &device(2)]);
    assert!(target.options.iter().any(|option| option == "restart_on_corruption"), "{:?}", target.options);
}

#[test]
#[ignore = "needs a built image"]
fn the_kernel_is_told_what_keeps_the_host_safe() {
    let words = OPENED.command_line();
    for needed in [
        "console=ttyS0,115200n8",
        "root=/dev/dm-0",
        "rootfstype=erofs",
        "ro",
        "panic=2",
        "systemd.log_target=journal-or-kmsg",
    ] {
        assert!(words.iter().any(|word| word == needed), "no '{needed}' in {words:?}");
    }
    for (word, name) in words.iter().map(|word| (word, word.split('=').next().unwrap())) {
        let leads_to_a_shell = ["rw", "init", "rdinit", "single", "emergency", "rescue", "1", "S"]
            .contains(&name)
            || ["systemd.debug", "systemd.unit", "rd.break"].iter().any(|start| name.starts_with(start));
        assert!(!leads_to_a_shell, "'{word}' in {words:?}");
        assert_ne!(name, "rootwait", "a kernel without its initial file system waits for ever: {words:?}");
    }
}

#[test]
#[ignore = "needs a built image"]
fn update_files_are_what_the_partitions_hold() {
    let opened = &*OPENED;
    for (ending, partition) in
        [("-boot.ext4", &opened.boot), ("-root.ext4", &opened.root), ("-root.verity", &opened.hash)]
    {
        let update = opened.image.unpack(ending, &opened.work);
        let mut update = BufReader::with_capacity(1 << 20, fs::File::open(update).unwrap());
        let mut partition = BufReader::with_capacity(1 << 20, fs::File::open(partition).unwrap());
        let mut place = 0;
        let (mut ours, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
        loop {
            let count = update.read(&mut ours).unwrap();
            if count == 0 {
                break;
            }
            partition.read_exact(&mut theirs[..count]).unwrap();
            assert!(ours[..count] == theirs[..count], "{ending} differs within 1 MiB from byte {place}");
            place += count;
        }
        assert!(place > 0, "{ending} is empty");
        let mut rest = Vec::new();
        while (&mut partition).take(1 << 20).read_to_end(&mut rest).unwrap() > 0 {
            assert!(rest.iter().all(|byte| *byte == 0), "{ending}: the partition holds more than the update");
            rest.clear();
        }
    }
}

#[test]
#[ignore = "needs a built image"]
fn the_root_says_what_it_is() {
    let opened = &*OPENED;
    let release = opened.release();
    for (field, expected) in [
        ("ID", "visco"),
        ("VARIANT_ID", opened.image.said("variant")),
        ("VERSION_ID", opened.image.said("version")),
        ("BUILD_ID", opened.image.said("build_id")),
    ] {
        assert_eq!(release.get(field).map(String::as_str), Some(expected), "{field}");
    }
    let name = &release["PRETTY_NAME"];
    assert!(name.contains(&release["VERSION_ID"]) && name.contains(&release["VARIANT_ID"]), "{name}");
    let variant: toml::Table =
        fs::read_to_string(opened.tree.join("usr/share/visco/variant.toml")).unwrap().parse().unwrap();
    assert_eq!(variant["name"].as_str(), Some(opened.image.said("variant")));
}

#[test]
#[ignore = "needs a built image"]
fn executables_are_those_of_the_list() {
    let opened = &*OPENED;
    let found: String = opened
        .files()
        .into_iter()
        .filter(|(_, metadata)| metadata.permissions().mode() & 0o111 != 0)
        .map(|(path, _)| path + "\n")
        .collect();
    let name = format!("image/executables-{}.txt", opened.image.said("variant"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
    if std::env::var_os("VISCO_REFRESH").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let listed = fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("tests/{name}: {e}; VISCO_REFRESH=1 makes it of this image"));
    let [found, listed] = [&found, &listed].map(|text| text.lines().collect::<BTreeSet<_>>());
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "executables that tests/{name} does not list: {new:?}; that are gone: {gone:?}. If this is meant, run this \
         test with VISCO_REFRESH=1 and commit the list"
    );
}

#[test]
#[ignore = "needs a built image"]
fn nothing_in_the_root_takes_commands() {
    const REFUSED: &[&str] = &[
        "sh", "ash", "bash", "dash", "ksh", "zsh", "csh", "fish", "busybox", "toybox", "python", "perl",
        "ruby", "lua", "node", "awk", "gawk", "mawk", "sshd", "ssh", "login", "sulogin", "getty", "agetty",
        "su", "sudo", "apt", "apt-get", "dpkg", "rpm", "dnf", "yum", "apk",
    ];
    let mut found = Vec::new();
    for (path, metadata) in OPENED.entries() {
        // Links are found by their names too: `sh` must not lead anywhere. Folders hold completions and the like.
        let name = path.rsplit('/').next().unwrap();
        let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        if !metadata.is_dir() && (REFUSED.contains(&name) || REFUSED.contains(&plain)) {
            found.push(format!("{path}: a shell, an interpreter, a login or a package manager"));
        }
        if metadata.is_file() {
            let mut start = Vec::new();
            fs::File::open(OPENED.tree.join(&path)).unwrap().take(2).read_to_end(&mut start).unwrap();
            if start == b"#!" {
                found.push(format!("{path}: a script"));
            }
            if metadata.permissions().mode() & 0o6000 != 0 {
                found.push(format!("{path}: setuid or setgid"));
            }
            if metadata.permissions().mode() & 0o022 != 0 {
                found.push(format!("{path}: others may write to it"));
            }
        }
        let is_plain = metadata.is_file() || metadata.is_dir() || metadata.is_symlink();
        if !is_plain {
            found.push(format!("{path}: a device, pipe or socket"));
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
#[ignore = "needs a built image"]
fn etc_is_empty_and_what_it_is_made_of_is_there() {
    let tree = &OPENED.tree;
    for folder in ["etc", "boot", "dev", "run", "local", "mnt", "opt", "tmp"] {
        let left: Vec<_> =
            fs::read_dir(tree.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "/{folder} is mounted over, so what is in it is lost: {left:?}");
    }
    let factory = tree.join("usr/share/factory/etc");
    for file in ["fstab", "group", "ld.so.cache", "nsswitch.conf", "passwd"] {
        assert!(factory.join(file).is_file(), "factory/etc has no {file}");
    }
    for (link, target) in [
        ("mtab", "../proc/self/mounts"),
        ("os-release", "../usr/lib/os-release"),
        ("resolv.conf", "../run/netdog/resolv.conf"),
    ] {
        assert_eq!(fs::read_link(factory.join(link)).unwrap(), Path::new(target));
    }
    let accounts = fs::read_to_string(factory.join("passwd")).unwrap();
    for account in accounts.lines() {
        let fields: Vec<_> = account.split(':').collect();
        assert_eq!(fields.len(), 7, "{account}");
        let shell = fields[6];
        assert!(shell.ends_with("nologin") || shell.ends_with("/false"), "nobody logs in: {account}");
        assert!(matches!(fields[1], "x" | "*" | "!"), "a password: {account}");
    }
    assert!(!factory.join("shadow").exists());
}

/// What is hardened about a program, or is not.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Hardening {
    is_pie: bool,
    is_static: bool,
    has_relro: bool,
    binds_now: bool,
    has_plain_stack: bool,
    has_stack_protector: bool,
}

impl Hardening {
    fn of(bytes: &[u8]) -> Self {
        let header = FileHeader64::<Endianness>::parse(bytes).expect("a program is ELF");
        let endian = header.endian().unwrap();
        let segments = header.program_headers(endian, bytes).unwrap();
        let of_type = |kind| segments.iter().find(|segment| segment.p_type(endian) == kind);
        let dynamic = of_type(PT_DYNAMIC).and_then(|segment| segment.dynamic(endian, bytes).unwrap());
        let flags = dynamic.unwrap_or_default().iter().find(|entry| entry.tag(endian) == DT_FLAGS_1);
        let flags = flags.map_or(0, |entry| entry.val(endian));
        let sections = header.sections(endian, bytes).unwrap();
        let symbols = sections.symbols(endian, bytes, object::elf::SHT_DYNSYM).unwrap();
        let mut names = symbols.iter().filter_map(|symbol| symbol.name(endian, symbols.strings()).ok());
        Self {
            is_pie: header.e_type(endian) == ET_DYN && flags & u64::from(DF_1_PIE) != 0,
            is_static: of_type(PT_INTERP).is_none(),
            has_relro: of_type(PT_GNU_RELRO).is_some(),
            binds_now: flags & u64::from(DF_1_NOW) != 0,
            has_plain_stack: of_type(PT_GNU_STACK).is_some_and(|segment| segment.p_flags(endian) & PF_X == 0),
            has_stack_protector: names.any(|name| name == b"__stack_chk_fail"),
        }
    }

    fn is_right(&self) -> bool {
        self.is_pie && self.has_relro && self.binds_now && self.has_plain_stack
    }
}

#[test]
#[ignore = "needs a built image"]
fn every_unit_of_the_boot_is_understood_and_none_waits_for_itself() {
    let root = format!("--root={}", text(&OPENED.tree));
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=no", &root]);
    let said =
        verify.args(["preconfigured.target", "configured.target", "multi-user.target"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stderr), "");
}

#[test]
#[ignore = "needs a built image"]
fn our_programs_are_hardened() {
    let opened = &*OPENED;
    let mut judged = 0;
    for path in files_of_rpms(&rpms_of("os")) {
        let Ok(bytes) = fs::read(opened.tree.join(&path)) else { continue };
        let is_link = fs::symlink_metadata(opened.tree.join(&path)).unwrap().is_symlink();
        if is_link || !bytes.starts_with(b"\x7fELF") {
            continue;
        }
        let hardening = Hardening::of(&bytes);
        assert!(hardening.is_right() && !hardening.is_static, "{path}: {hardening:?}");
        if WITH_C.contains(&path.as_str()) {
            assert!(hardening.has_stack_protector, "{path}: its C has no stack protector: {hardening:?}");
        }
        judged += 1;
    }
    assert!(judged >= 3, "only {judged} programs of ours were found");
}

#[test]
#[ignore = "needs a built image"]
fn the_first_program_is_hardened_and_needs_nothing() {
    let opened = &*OPENED;
    let [packed, archive] = ["initrd.zst", "initrd.cpio"].map(|name| opened.work.join(name));
    succeed("debugfs", &["-R", &format!("dump /initrd {}", text(&packed)), text(&opened.boot)]);
    let size = fs::metadata(&packed).unwrap().len();
    eprintln!("figure: initial file system {} KiB, of {} KiB", size / 1024, INITRD_BOUND / 1024);
    assert!(size <= INITRD_BOUND, "the initial file system has {size} bytes");
    succeed("zstd", &["-dqf", text(&packed), "-o", text(&archive)]);
    let folder = opened.work.join("initrd");
    fs::create_dir(&folder).unwrap();
    let unpack = ["--extract", "--make-directories", "--quiet", "--file", text(&archive), "--directory"];
    succeed("cpio", &[&unpack[..], &[text(&folder)]].concat());
    let hardening = Hardening::of(&fs::read(folder.join("init")).unwrap());
    assert!(hardening.is_right() && hardening.is_static, "{hardening:?}");
    let mut others =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    others.sort();
    assert_eq!(others, ["init", "modules"], "the initial file system holds the program and modules");
}

#[test]
#[ignore = "needs a built image"]
fn every_file_comes_from_a_package() {
    let opened = &*OPENED;
    let mut known = BTreeMap::new();
    for package in fs::read_dir(rpms_folder()).unwrap() {
        for rpm in fs::read_dir(package.unwrap().path()).unwrap() {
            let path = rpm.unwrap().path();
            known.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), path);
        }
    }
    let find = |package: Package| {
        let Package { name, version, release } = package;
        let file = format!("{name}-{version}-{release}.{}.rpm", opened.image.said("arch"));
        known.get(&file).unwrap_or_else(|| panic!("the build has no {file}")).clone()
    };
    let rpms: Vec<PathBuf> = opened.image.packages().into_iter().map(find).collect();
    let packaged = files_of_rpms(&rpms);
    // What is made of all packages together, and what says which variant it is.
    let is_made = |path: &str| {
        let modules = path.strip_prefix("usr/lib/modules/").and_then(|path| path.split_once('/'));
        modules.is_some_and(|(_, name)| name.starts_with("modules."))
            || ["usr/share/factory/etc/ld.so.cache", "usr/share/visco/variant.toml", ROOT_JSON, INVENTORY]
                .contains(&path)
    };
    let strays: Vec<String> =
        opened.entries().into_iter().filter(|(_, metadata)| !metadata.is_dir()).map(|e| e.0).collect();
    let strays: Vec<&String> =
        strays.iter().filter(|path| !packaged.contains(*path) && !is_made(path)).collect();
    assert!(strays.is_empty(), "no package has {strays:?}");
}

#[test]
#[ignore = "needs a built image"]
fn the_bill_of_materials_names_every_package_and_its_licence() {
    let opened = &*OPENED;
    let image = &opened.image;
    let bill = image.bill_of_materials();
    let described = bill["packages"].as_array().unwrap();
    let named = |name: &str, version: &str| {
        described.iter().find(|found| {
            let is_version = found["versionInfo"].as_str().is_some_and(|found| found.starts_with(version));
            found["name"] == name && is_version
        })
    };
    let packages = image.packages();
    assert!(packages.len() > 20, "{packages:?}");
    for Package { name, version, .. } in &packages {
        let found = named(name, version).unwrap_or_else(|| panic!("{name} {version} is not described"));
        let licence = found["licenseDeclared"].as_str().unwrap_or_default();
        assert!(!["", "NOASSERTION", "NONE"].contains(&licence), "{name} has no licence: {found}");
    }
    let inside = fs::read(opened.tree.join(INVENTORY)).unwrap();
    assert!(
        inside == image.file("application-inventory.json"),
        "the host has the inventory of another image"
    );
}

#[test]
#[ignore = "needs a built image"]
fn the_root_is_small() {
    let opened = &*OPENED;
    let sizes: BTreeMap<String, u64> = {
        let mut seen = BTreeSet::new();
        let files = opened.files().into_iter().filter(|(_, metadata)| seen.insert(metadata.ino()));
        files.map(|(path, metadata)| (path, blocks(&metadata))).collect()
    };
    let total: u64 = sizes.values().sum();
    // What the RPMs of the package `docker` hold; what docker shares with every host, as containerd, is no part of it.
    let docker = files_of_rpms(&rpms_of("docker"));
    let docker: u64 = docker.iter().filter_map(|path| sizes.get(path)).sum();
    assert!(docker > 0, "the image has no docker to leave out");
    let root = total - docker;
    eprintln!("figure: root {root} bytes without docker, {total} with it; at most {ROOT_BOUND} without");
    let mut largest: Vec<(&u64, &String)> = sizes.iter().map(|(path, size)| (size, path)).collect();
    largest.sort_unstable_by(|a, b| b.cmp(a));
    assert!(
        root <= ROOT_BOUND,
        "the root takes {root} bytes without docker, more than {ROOT_BOUND}; the largest: {:?}",
        &largest[..12]
    );
}

/// A fixed program keeps the reader of programs honest.
#[test]
fn a_program_that_is_not_hardened_is_seen_as_such() {
    // The least of an ELF file: a header for x86-64, type EXEC, no segment, no section.
    let mut bytes = vec![0; 64];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16..18].copy_from_slice(&2u16.to_le_bytes());
    bytes[18..20].copy_from_slice(&62u16.to_le_bytes());
    bytes[52..54].copy_from_slice(&64u16.to_le_bytes());
    let hardening = Hardening::of(&bytes);
    assert!(!hardening.is_right() && hardening.is_static, "{hardening:?}");

    // This test itself, as Rust builds by default.
    let own = Hardening::of(&fs::read(std::env::current_exe().unwrap()).unwrap());
    assert!(own.is_pie && own.has_relro && own.has_plain_stack && !own.is_static, "{own:?}");
}
