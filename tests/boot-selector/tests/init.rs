//! What the first program of the boot does on a machine.

use boot_selector::{Output, RootDisk};

const NO_SYSTEMD: &str = "init: cannot start: start /usr/lib/systemd/systemd: No such file or directory";

fn quoted(mapping: &str) -> String {
    format!("dm-mod.create=\"{mapping}\"")
}

/// The one line of a failed boot, which ends in a restart.
#[track_caller]
fn assert_fails_with(output: &Output, text: &str) {
    let console = output.lines.join("\n");
    let failures: Vec<_> = output.with("init: cannot start").collect();
    assert_eq!(failures.len(), 1, "{console}");
    assert!(failures[0].contains(text), "{text}:\n{console}");
    assert_eq!(output.with("Restarting system").count(), 1, "{console}");
    assert!(output.restarted, "{console}");
}

#[test]
#[ignore = "needs qemu and the packages kernel and initramfs"]
fn a_sound_disk_leads_to_systemd() {
    let disk = RootDisk::new();
    let command_line = quoted(&disk.mapping().to_string());

    let output = disk.start(&command_line);
    let console = output.lines.join("\n");
    assert_eq!(output.with("init: the root file system is ext4 on /dev/vda2").count(), 1, "{console}");
    assert_fails_with(&output, NO_SYSTEMD);
    let id = disk.machine_id();
    assert_eq!(id.trim().len(), 32, "{id:?}");

    let output = disk.start(&command_line);
    assert_eq!(output.with("will not last").count(), 0, "{}", output.lines.join("\n"));
    assert_eq!(disk.machine_id(), id, "the machine is the same after a restart");
}

#[test]
#[ignore = "needs qemu and the packages kernel and initramfs"]
fn a_damaged_root_restarts_the_machine() {
    let disk = RootDisk::new();
    disk.damage_root();
    let output = disk.start(&quoted(&disk.mapping().to_string()));
    let console = output.lines.join("\n");
    assert_eq!(output.with("data block 0 is corrupted").count(), 1, "{console}");
    assert_eq!(
        output.with("Restarting system with command 'dm-verity device corrupted'").count(),
        1,
        "{console}"
    );
    assert!(output.restarted, "{console}");
}

#[test]
#[ignore = "needs qemu and the packages kernel and initramfs"]
fn a_boot_without_the_private_partition_goes_on() {
    let disk = RootDisk::new();
    disk.erase_private();
    let output = disk.start(&quoted(&disk.mapping().to_string()));
    let warning = output.with("the machine's identifier will not last: mount /dev/vda4 (ext4)").count();
    assert_eq!(warning, 1, "{}", output.lines.join("\n"));
    assert_fails_with(&output, NO_SYSTEMD);
}

#[test]
#[ignore = "needs qemu and the packages kernel and initramfs"]
fn what_cannot_be_started_says_why() {
    let disk = RootDisk::new();
    let mapping = disk.mapping().to_string();
    let other_disk = mapping.replace("PARTUUID=f0f0", "PARTUUID=f1f1");
    let too_far = mapping.replace("PARTNROFF=2", "PARTNROFF=9");
    let wrong_hash = mapping.replace(&disk.mapping().target.root_hash.to_string(), "xyz");
    for (command_line, text) in [
        (String::new(), "has no dm-mod.create= that describes the root file system"),
        (quoted("root,,,ro"), "read dm-mod.create= of the kernel's command line: 'root,,,ro' is not NAME,"),
        (quoted(&wrong_hash), "read a mapping's root hash"),
        (
            quoted(&other_disk),
            "no disk has the partition PARTUUID=f1f1f0f0-f0f0-80f0-b0f0-f0f0f0f0f0f0 after 30 seconds; disks seen: vda",
        ),
        (quoted(&too_far), "the disk has no partition whose number is 9 from that of"),
    ] {
        assert_fails_with(&disk.start(&command_line), text);
    }
}
