//! Real images of a small root tree, judged by tools that are not ours.

// A test that cannot go on has failed; its helpers are no different.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use support::{Lab, MIB, PREFIX, bytes, request, succeed, text, with};

/// The program itself.
fn image(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_image")).args(args).output().unwrap()
}

/// Where the partitions are that hold something.
struct Places {
    efi: (u64, u64),
    boot: (u64, u64),
    root: (u64, u64),
    hash: (u64, u64),
    private: (u64, u64),
    /// On the data disk in the split plan.
    data: (u64, u64),
}

const TWO_SETS: Places = Places {
    efi: (5, 5),
    boot: (10, 20),
    root: (30, 460),
    hash: (490, 5),
    private: (1005, 17),
    data: (1, 1022),
};
const ONE_SET: Places = Places {
    efi: (5, 10),
    boot: (15, 40),
    root: (55, 920),
    hash: (975, 10),
    private: (1005, 17),
    data: (1022, 1024),
};

fn check_with_other_tools(lab: &Lab, places: &Places, is_split: bool) {
    let disk = lab.unpacked(".img");
    let data_disk = if is_split { lab.unpacked("-data.img") } else { disk.clone() };
    for disk in [&disk, &data_disk] {
        assert!(succeed("sgdisk", &["-v", text(disk)]).contains("No problems found"));
        let ours = image(&["check", text(disk)]);
        assert!(ours.status.success(), "{}", String::from_utf8_lossy(&ours.stdout));
        assert!(disk.metadata().unwrap().blocks() * 512 < 64 * MIB, "{} is not sparse", disk.display());
    }
    let partition = |disk: &Path, (start, size)| lab.partition(disk, start, size);
    let [boot, root, hash] = [places.boot, places.root, places.hash].map(|place| partition(&disk, place));
    let private = partition(&disk, places.private);
    let data = partition(&data_disk, places.data);
    for ext4 in [&boot, &private, &data] {
        succeed("e2fsck", &["-fn", text(ext4)]);
    }
    succeed("fsck.erofs", &[text(&root)]);
    let efi = partition(&disk, places.efi);
    succeed("fsck.fat", &["-n", text(&efi)]);
    assert!(succeed("mdir", &["-i", text(&efi), "-b", "::/EFI/BOOT"]).contains("bootx64.efi"));

    let menu = succeed("debugfs", &["-R", "cat /grub/grub.cfg", text(&boot)]);
    let table: Vec<&str> = menu.split("dm-mod.create=\"").nth(1).unwrap().split(' ').collect();
    let root_hash = table[table.iter().position(|word| *word == "sha256").unwrap() + 1];
    succeed("veritysetup", &["verify", text(&root), text(&hash), root_hash]);
    let metadata = fs::read_to_string(lab.output().join("artifact-metadata.json")).unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["root_hash"], root_hash);

    // An update writes these files to the start of the partitions of the other set.
    for (suffix, partition) in [("-boot.ext4", &boot), ("-root.ext4", &root), ("-root.verity", &hash)] {
        let update = fs::read(lab.unpacked(suffix)).unwrap();
        assert_eq!(update, fs::read(partition).unwrap()[..update.len()], "{suffix}");
    }
}

#[test]
#[ignore = "needs erofs-utils, e2fsprogs, mtools, dosfstools, lz4, gdisk, cryptsetup-bin"]
fn other_tools_find_every_kind_of_disk_sound() {
    let unified = ("/image_layout/partition_plan", json!("unified"));
    let one_set = ("/image_features", json!({"in-place-updates": false}));
    let packed = ("/root_compression", json!("lz4hc"));
    for (changes, places, is_split) in
        [(vec![], TWO_SETS, true), (vec![unified, one_set, packed], ONE_SET, false)]
    {
        let lab = Lab::new();
        lab.build(&with(&changes)).unwrap();
        check_with_other_tools(&lab, &places, is_split);
    }
}

#[test]
#[ignore = "needs erofs-utils, e2fsprogs, mtools, dosfstools, lz4"]
fn partitions_hold_what_the_tree_holds() {
    let lab = Lab::new();
    lab.build(&request()).unwrap();
    let disk = lab.unpacked(".img");

    let boot = lab.partition(&disk, 10, 20);
    let listed = succeed("debugfs", &["-R", "ls -l /", text(&boot)]);
    for name in ["vmlinuz", "initrd", "config", "grub"] {
        assert!(listed.contains(&format!(" {name}\n")), "{listed}");
    }
    assert!(!listed.contains("efi"), "{listed}");
    let stat = succeed("debugfs", &["-R", "stat /vmlinuz", text(&boot)]);
    assert!(stat.contains("Mode:  0600") && stat.contains("User:     0   Group:     0"), "{stat}");
    let to = lab.dir.path().join("vmlinuz");
    succeed("debugfs", &["-R", &format!("dump /vmlinuz {}", text(&to)), text(&boot)]);
    assert_eq!(fs::read(to).unwrap(), bytes(5, 2_000_000));

    let root = lab.partition(&disk, 30, 460);
    let to = lab.dir.path().join("root");
    succeed("fsck.erofs", &[&format!("--extract={}", text(&to)), text(&root)]);
    assert_eq!(fs::read(to.join("bin/program")).unwrap(), bytes(2, 300_000));
    assert_eq!(fs::metadata(to.join("usr/bin/program")).unwrap().mode() & 0o7777, 0o755);
    let release = fs::read_to_string(to.join("usr/lib/os-release")).unwrap();
    assert!(release.contains("BUILD_ID=0123abcd\n"), "{release}");
    assert_eq!(fs::read_dir(to.join("boot")).unwrap().count(), 0);
    assert!(!to.join("var/lib/rpm").exists());

    let private = lab.partition(&disk, 1005, 17);
    let config = succeed("debugfs", &["-R", "cat /bootconfig.data", text(&private)]);
    assert_eq!(config, "\0\0\0\0\0\0\0\0#BOOTCONFIG\n");
}

/// Everything in the output folder.
fn outputs(lab: &Lab) -> BTreeMap<String, Vec<u8>> {
    lab.left().into_iter().map(|name| (name.clone(), fs::read(lab.output().join(name)).unwrap())).collect()
}

fn check_same_bytes(changes: &[(&str, Value)]) {
    let first = Lab::new();
    let template = first.dir.path().join("template.ovf");
    fs::write(&template, "{{ROOT_DISK}} {{ROOT_DISK_BYTES}} {{DATA_DISK}} {{DATA_DISK_BYTES}}").unwrap();
    let mut request = with(changes);
    if request["image_format"] == "vmdk" {
        request["ova_template"] = json!(template);
    }
    first.build(&request).unwrap();

    // Another folder, another time, files made in another order, and with more than one name.
    let second = Lab { dir: tempfile::Builder::new().prefix("another-and-longer-name").tempdir().unwrap() };
    copy_backwards(&first.tree(), &second.tree());
    fs::hard_link(second.tree().join("boot/initrd"), second.dir.path().join("initrd")).unwrap();
    fs::hard_link(second.tree().join("usr/bin/program"), second.dir.path().join("program")).unwrap();
    second.build(&request).unwrap();

    let (first, second) = (outputs(&first), outputs(&second));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    assert!(first.len() >= 5, "{:?}", first.keys());
    for (name, bytes) in &first {
        assert!(*bytes == second[name], "{name} differs");
    }
}

fn copy_backwards(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    let mut names: Vec<_> = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names.iter().rev() {
        let (from, to) = (from.join(name), to.join(name));
        let kind = fs::symlink_metadata(&from).unwrap().file_type();
        if kind.is_dir() {
            copy_backwards(&from, &to);
        } else if kind.is_symlink() {
            symlink(fs::read_link(&from).unwrap(), &to).unwrap();
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

#[test]
#[ignore = "needs erofs-utils, e2fsprogs, mtools, dosfstools, lz4"]
fn same_inputs_give_the_same_bytes_as_raw_disks() {
    check_same_bytes(&[("/root_compression", json!("lz4hc"))]);
}

#[test]
#[ignore = "needs erofs-utils, e2fsprogs, mtools, dosfstools, lz4, qemu-utils"]
fn same_inputs_give_the_same_bytes_as_qcow2() {
    let unified = ("/image_layout/partition_plan", json!("unified"));
    check_same_bytes(&[unified, ("/image_format", json!("qcow2"))]);
}

#[test]
#[ignore = "needs erofs-utils, e2fsprogs, mtools, dosfstools, lz4, qemu-utils"]
fn same_inputs_give_the_same_bytes_as_ova() {
    check_same_bytes(&[("/image_format", json!("vmdk"))]);
}

#[test]
#[ignore = "needs erofs-utils, e2fsprogs, mtools, dosfstools, lz4, qemu-utils"]
fn every_form_of_a_disk_holds_the_same_disk() {
    let lab = Lab::new();
    lab.build(&request()).unwrap();
    let disk = lab.unpacked(".img");
    for form in ["qcow2", "vmdk"] {
        let other = Lab::new();
        other.build(&with(&[("/image_format", json!(form))])).unwrap();
        let converted = other.output().join(format!("{PREFIX}.{form}"));
        succeed("qemu-img", &["compare", "-f", "raw", "-F", form, text(&disk), text(&converted)]);
    }
}

#[test]
#[ignore = "needs erofs-utils, e2fsprogs, mtools, dosfstools, lz4"]
fn what_does_not_fit_is_told_with_both_sizes_and_nothing_is_left() {
    let mib = usize::try_from(MIB).unwrap();
    for (path, len, told) in [
        ("usr/bin/large", 461, ["the root file system takes 461", "BOTTLEROCKET-ROOT-A holds 460 MiB"]),
        ("boot/initrd", 20, ["the kernel with its", "BOTTLEROCKET-BOOT-A holds 20 MiB"]),
        ("boot/efi/large", 6, ["what firmware starts takes 6.58 MiB", "EFI-SYSTEM holds 5 MiB"]),
    ] {
        let lab = Lab::new();
        lab.put(path, &vec![1; len * mib]);
        let error = lab.build(&request()).unwrap_err();
        let text = host::program::chain(&error);
        assert!(told.iter().all(|told| text.contains(told)), "{path}: {text}");
        assert_eq!(lab.left(), Vec::<String>::new());
    }
}

#[test]
#[ignore = "needs erofs-utils, e2fsprogs, mtools, dosfstools, lz4"]
fn a_check_finds_damage_wherever_it_is() {
    let lab = Lab::new();
    lab.build(&request()).unwrap();
    let disk = lab.unpacked(".img");
    let sector = 512;
    for (at, told) in [
        (0x5c, "the boot record goes on with sector"),
        (sector + 20, "the primary partition table its header does not match"),
        (1024 * MIB - sector + 20, "the backup partition table its header does not match"),
        (5 * MIB + 0x2b, "partition 2 EFI-SYSTEM holds FAT12"),
        (10 * MIB + 1080, "partition 3 BOTTLEROCKET-BOOT-A holds something else, not ext4 'VISCO-BOOT'"),
        (
            30 * MIB + 4096 * 3,
            "1 blocks are not what the root hash vouches for; the first is block 3 of the root",
        ),
        (490 * MIB + 100, "the salts of boot menu and hash tree differ"),
        (490 * MIB + 5000, "block 0 of level 0 of the hash tree"),
        (1005 * MIB + 1144, "partition 12 BOTTLEROCKET-PRIVATE holds ext4"),
    ] {
        let file = File::options().read(true).write(true).open(&disk).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        let output = image(&["check", text(&disk)]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("PROBLEM: ") && said.contains(told), "{told}: {said}");
        assert_eq!(output.status.code(), Some(1));
        file.write_all_at(&byte, at).unwrap();
    }
    assert!(image(&["check", text(&disk)]).status.success());
}

#[test]
#[ignore = "needs erofs-utils, e2fsprogs, mtools, dosfstools, lz4"]
fn a_packed_disk_is_checked_as_it_is() {
    let lab = Lab::new();
    lab.build(&request()).unwrap();
    let packed = lab.output().join(format!("{PREFIX}.img.lz4"));
    let output = image(&["check", text(&packed)]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("blocks of the root are good, root hash"), "{said}");
}

#[test]
fn a_dry_run_prints_the_plan_and_needs_no_tree() {
    let lab = Lab::new();
    let path = lab.dir.path().join("request.json");
    fs::write(&path, request().to_string()).unwrap();
    let request = text(&path);
    let output = text(&lab.dir.path().join("none")).to_owned();
    let result = image(&["build", "--request", request, "--root", "/x", "--output", &output, "--dry-run"]);
    let said = String::from_utf8_lossy(&result.stdout);
    assert!(result.status.success());
    assert!(
        said.contains("BOTTLEROCKET-HASH-B") && said.contains(&format!("{PREFIX}-root.verity.lz4")),
        "{said}"
    );
    assert!(!Path::new(&output).exists());
}

#[test]
fn a_bad_request_is_one_line_and_a_failure() {
    let lab = Lab::new();
    let path = lab.dir.path().join("request.json");
    fs::write(&path, with(&[("/image_layout/size", json!(3))]).to_string()).unwrap();
    let result = image(&["build", "--request", text(&path), "--root", "/x", "--output", "/x"]);
    assert_eq!(result.status.code(), Some(1));
    let said = String::from_utf8_lossy(&result.stderr);
    assert!(said.starts_with("image: understand the request: unknown field `size`"), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn a_file_that_is_no_disk_is_a_failure() {
    let lab = Lab::new();
    let path = lab.tree().join("boot/vmlinuz");
    let result = image(&["check", text(&path)]);
    assert_eq!(result.status.code(), Some(1));
    let said = String::from_utf8_lossy(&result.stderr);
    assert!(said.contains("the disk has no partition table"), "{said}");
}
