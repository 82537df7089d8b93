//! From one version to the next, in virtual machines: an update that is good, five that are not, one that is taken
//! back, and a machine that is killed on the way. `./make test-image -- update` runs these tests.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hostlab::vm::Machine;
use hostlab::{Random, Served};
use partitions::kind::label;
use serde_json::{Value, json};
use signpost::{Command, SetName, TRIES};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::LazyLock;
use tests::booted::{Booted, kernels};
use tests::built::{DiskFile, SEED_VARIABLE, number, succeed, text};
use tests::kills::{Chain, Phase};
use tests::updates::{
    EVERYBODY, KEPT, LATER, MOTD, Migration, Repository, UpdateLab, boot_state, client, edit_boot_b,
    last_update, rebuild_root_b, set_boot_state, status, switch_off, version,
};
use wire::routes;

/// How many times a machine is killed; the variable says otherwise.
const KILLS: u64 = 4;
const KILLS_VARIABLE: &str = "VISCO_KILLS";
/// Where the first block of a root is that a mount reads: the superblock of erofs.
const SUPERBLOCK: u64 = 1024;
/// Part of the name of the file whose parts a root is made of.
const ROOT_IMAGE: &str = "-root.ext4.zst";
/// How much of a part comes before the connection breaks.
const BROKEN_AFTER: u64 = 1000;
/// What a host says of a version that never came far enough to write anything down.
const SILENT: &str = "it ended before user space could say why, for instance by a kernel panic or a damaged root file \
                      system, in each of 3 tries";

/// The disks and the repository of all tests; what one of them publishes the others must not find.
static LAB: LazyLock<UpdateLab> =
    LazyLock::new(|| UpdateLab::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("update")));

fn motd(booted: &Booted) -> Value {
    booted.setting("motd")
}

/// What a host keeps over every update.
fn assert_kept(booted: &Booted) {
    assert_eq!(booted.setting("ntp.time-servers"), json!([KEPT]), "a setting that nothing touches is kept");
}

#[test]
#[ignore = "needs built images"]
fn a_host_waits_for_its_wave_updates_migrates_its_settings_and_can_go_back() {
    let lab = &*LAB;
    let spec = lab.spec("good", Some(lab.prepared()));
    let mut repository = lab.repository("waves", LATER, Migration::Rows);
    let [first, next] = [&lab.first, &lab.next].map(|image| image.said("version").to_owned());
    let booted = Booted::after(Machine::start(&spec).unwrap(), "a good update", 0, 0);
    assert_eq!(version(&booted), first);
    booted.set(&json!({ "updates": repository.settings(&booted.get(routes::OS)) }));

    // Not yet, and when.
    let said = client(&booted, &["update", "check"]);
    let known = status(&booted);
    let turn = &known["chosen_update_turn"];
    assert_eq!((&turn["version"], &turn["open"]), (&json!(next), &json!(false)), "{known}\n{said}");
    assert!(turn["opens"].as_str().is_some_and(|time| said.contains(&time[..10])), "{turn}\n{said}");
    let said = client(&booted, &["update", "apply", "--check"]);
    let not_yet = format!("no update yet: the wave of this host for {next} has not opened; it opens 2");
    assert!(said.contains(&not_yet), "{said}");
    assert_eq!(status(&booted)["staging_partition"], Value::Null, "nothing is installed before its time");
    assert_eq!(of_root(&repository), [], "nothing of the image is fetched");

    // Now, over a network that fails twice.
    lab.publish(&mut repository, EVERYBODY);
    let said = client(&booted, &["update", "check"]);
    assert!(said.contains(&next), "{said}");
    let kernels_before = kernels(&booted.machine);
    repository.server.break_off(ROOT_IMAGE, BROKEN_AFTER, 2);
    client(&booted, &["update", "apply", "--check", "--reboot"]);
    let served = of_root(&repository);
    assert_eq!(served.iter().filter(|served| served.is_broken).count(), 2, "{served:?}");
    assert!(served.last().is_some_and(|served| !served.is_broken), "the update went on: {served:?}");
    let Booted { machine, what } = booted;
    let booted = Booted::after_kernel(machine, what, kernels_before + 1);
    assert_eq!(version(&booted), next);
    assert_eq!(motd(&booted), MOTD[1], "the migration ran");
    assert_kept(&booted);
    let known = status(&booted);
    assert_eq!(known["last_update"]["version"], next, "{known}");
    assert_eq!(known["last_update"]["result"], "succeeded", "{known}");
    booted.set(&json!({"ntp": {"time-servers": [KEPT, "new.example.com"]}}));

    let disk = switch_off(booted);
    let state = boot_state(&disk);
    let (a, b) = (state.of(SetName::A).unwrap(), state.of(SetName::B).unwrap());
    assert!(b.is_successful() && b.priority() > a.priority(), "the new set is marked good: {state:?}");
    assert!(a.is_successful() && a.priority() > 0, "the old set is there to go back to: {state:?}");

    // And back, by what `signpost rollback-to-inactive` does.
    set_boot_state(&disk, |state| {
        let started = state.started().expect("a set boots");
        started.apply(Command::RollbackToInactive).expect("the old set has booted before")
    });
    let booted = Booted::after(Machine::start(&spec).unwrap(), "back to the first version", 0, 0);
    assert_eq!(version(&booted), first);
    assert_eq!(motd(&booted), MOTD[0], "the migration ran backwards");
    let servers = json!([KEPT, "new.example.com"]);
    assert_eq!(booted.setting("ntp.time-servers"), servers, "what was set under the next version stays");
    let state = boot_state(&switch_off(booted));
    assert_eq!(state.next(), Some(SetName::A));
}

/// What was fetched of the image.
fn of_root(repository: &Repository) -> Vec<Served> {
    let mut served = repository.server.served();
    served.retain(|served| served.path.contains(ROOT_IMAGE));
    served
}

/// How a next version fails.
#[derive(Clone, Copy)]
struct Failing<'a> {
    what: &'static str,
    /// The disk that will boot it for the first time.
    ready: &'a Path,
    tries: u8,
    /// What the host says of it; of a reason that tells what happened on the way, the parts that are always the same.
    reason: &'a [&'a str],
}

/// Boots a disk whose next version was broken by `damage`, and finds the host back with its first version; gives its
/// disk.
fn falls_back(failing: &Failing<'_>, damage: impl FnOnce(&DiskFile, &Path)) -> DiskFile {
    let (lab, Failing { what, ready, tries, reason }) = (&*LAB, *failing);
    let spec = lab.spec(&what.replace(' ', "-"), Some(ready));
    let disk = DiskFile::open(Machine::prepare(&spec).unwrap().disk());
    damage(&disk, &spec.dir);
    set_boot_state(&disk, |mut state| {
        state.other = state.other.map(|attributes| attributes.with_tries_left(tries));
        state
    });

    let machine = Machine::start(&spec).unwrap();
    let booted = Booted::after_kernel(machine, what, usize::from(tries) + 1);
    assert_eq!(version(&booted), lab.first.said("version"), "the host is back");
    assert_eq!(motd(&booted), MOTD[0], "with its settings");
    assert_kept(&booted);
    let known = last_update(&booted);
    let next = lab.next.said("version");
    assert_eq!(known["last_update"]["version"], next, "{known}");
    assert_eq!(known["last_update"]["result"], "fell-back", "{known}");
    let told = known["last_update"]["reason"].as_str().unwrap_or_default().to_owned();
    eprintln!("figure: {what}: back by itself; the status says: {told}");
    match reason {
        [whole] => assert_eq!(told, *whole),
        parts => parts.iter().for_each(|part| assert!(told.contains(part), "'{part}' is not in: {told}")),
    }
    assert!(client(&booted, &["update", "status"]).contains(&told), "the client says it too");
    assert_eq!(known["bad_versions"][0]["version"], next, "it is not tried again: {known}");

    let disk = switch_off(booted);
    let state = boot_state(&disk);
    assert_eq!(state.next(), Some(SetName::A));
    let b = state.of(SetName::B).unwrap();
    assert!(!b.is_successful() && b.tries_left() == 0, "{state:?}");
    disk
}

#[test]
#[ignore = "needs built images"]
fn a_version_whose_kernel_panics_is_left_by_itself() {
    // The first program of the boot is gone.
    let failing = Failing { what: "panic", ready: LAB.ready(), tries: TRIES, reason: &[SILENT] };
    falls_back(&failing, |disk, folder| {
        edit_boot_b(disk, folder, "/initrd", |initrd| vec![0x5a; initrd.len() / 2]);
    });
}

#[test]
#[ignore = "needs built images"]
fn a_version_with_a_corrupted_block_is_left_by_itself() {
    let failing = Failing { what: "corrupted block", ready: LAB.ready(), tries: TRIES, reason: &[SILENT] };
    falls_back(&failing, |disk, _| {
        let file = File::options().read(true).write(true).open(&disk.path).unwrap();
        let place = disk.range(label::ROOT_B).start + SUPERBLOCK + 64;
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[byte[0] ^ 0x40], place).unwrap();
    });
}

#[test]
#[ignore = "needs built images"]
fn a_version_that_never_becomes_healthy_is_left_by_itself() {
    // One try, since each lasts until the deadline. Which other units wait then, and what they said, may vary.
    let reason = ["not healthy 180 s after the start: ", "health-container-runtime.service (", "containerd"];
    let failing = Failing { what: "unhealthy", ready: LAB.ready(), tries: 1, reason: &reason };
    falls_back(&failing, |disk, folder| {
        edit_boot_b(disk, folder, "/grub/grub.cfg", |menu| {
            let menu = String::from_utf8(menu).unwrap();
            assert!(menu.contains(" panic=2 "));
            menu.replace(" panic=2 ", " panic=2 systemd.mask=containerd.service ").into_bytes()
        });
    });
}

#[test]
#[ignore = "needs built images"]
fn a_version_whose_first_process_hangs_is_left_by_itself() {
    // One try, since each lasts until the watchdog bites; the host counts those it would have had.
    let reason = "it ended after its settings were migrated and before it was configured, in the last of 3 tries, \
                  without writing down why";
    let failing = Failing { what: "hang", ready: LAB.ready(), tries: 1, reason: &[reason] };
    falls_back(&failing, |disk, folder| {
        rebuild_root_b(disk, folder, |root| {
            let units = root.join("usr/lib/systemd/system");
            // A first process that crashes waits for ever, and feeds no watchdog any more. Whether the boot had been
            // migrated, or configured, is not left to chance.
            let unit = "[Unit]\nDefaultDependencies=false\nAfter=softdog.service migrator.service\n\
                        Before=multi-user.target\n\n\
                        [Service]\nType=oneshot\nExecStart=/usr/bin/systemctl kill --signal=SEGV init.scope\n";
            fs::write(units.join("hang.service"), unit).unwrap();
            symlink("../hang.service", units.join("multi-user.target.wants/hang.service")).unwrap();
        });
    });
}

#[test]
#[ignore = "needs built images"]
fn a_version_whose_migration_fails_is_left_by_itself() {
    let lab = &*LAB;
    let repository = lab.repository("half", EVERYBODY, Migration::Program(&half_a_migration()));
    let name = format!("migrate_v{}_program.lz4", lab.next.said("version"));
    let reason = [
        "migrator.service failed: ",
        &format!(
            "run {name} forward: it ended with exit status: 1: the first setting is written, and no other"
        ),
    ];
    let ready = lab.install("ready-half", &repository);
    let failing = Failing { what: "migration", ready: &ready, tries: 1, reason: &reason };
    let disk = falls_back(&failing, |_, _| {});
    let stores = succeed("debugfs", &["-R", "ls -p /datastore", &disk.place(label::PRIVATE)]);
    let names: Vec<&str> = stores.lines().filter_map(|line| line.split('/').nth(5)).collect();
    let first = format!("v{}_", lab.first.said("version"));
    let others = names.iter().filter(|name| !["", ".", "..", "current"].contains(name));
    let others: Vec<_> = others.filter(|name| !name.starts_with(&first)).collect();
    assert!(others.is_empty() && names.iter().any(|name| name.starts_with(&first)), "{stores}");
}

/// The program that fails half way, which needs nothing of the host that it runs on.
fn half_a_migration() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (source, program) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/half.rs"), folder.path().join("half"));
    let options =
        ["--edition=2024", "-Copt-level=1", "-Cstrip=symbols", "-Ctarget-feature=+crt-static", "-o"];
    succeed("rustc", &[&options[..], &[text(&program), text(&source)]].concat());
    fs::read(program).unwrap()
}

#[test]
#[ignore = "needs built images"]
fn a_machine_that_is_killed_at_any_moment_of_an_update_comes_up_again() {
    let (kills, seed) = (number(KILLS_VARIABLE, KILLS), number(SEED_VARIABLE, 1));
    let mut chain = Chain::begin(&LAB, Random::new(seed));
    for phase in Phase::ALL.into_iter().cycle().take(usize::try_from(kills).unwrap()) {
        chain.kill(phase);
    }
    chain.end();
}
