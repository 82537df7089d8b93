//! The power is cut at any moment of a recorded life: the host boots, with the settings of before or after.
//! `./make test-image -- power-cut` runs these tests.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hostlab::vm::{Firmware, Machine, Spec, choose_accelerator};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;
use tests::booted::{Booted, END_LIMIT};
use tests::built::{BuiltImage, DiskFile, SEED_VARIABLE, number, succeed, text};
use tests::power_cut::{Bootable, Judge, Sampling, Survey, survey};
use tests::updates::{KEPT, MOTD, UpdateLab, client, switch_off, version};
use write_log::Log;

/// How many states are looked at, unless the variable says otherwise.
const SAMPLES: usize = 2000;
const SAMPLES_VARIABLE: &str = "VISCO_POWER_CUTS";

/// What a set holds that has this image.
fn bootable(image: &BuiltImage, folder: &Path) -> Bootable {
    let [boot, root] = ["-boot.ext4", "-root.ext4"].map(|name| image.unpack(name, folder));
    let files = folder.join("files");
    succeed("fsck.erofs", &["--no-preserve", &format!("--extract={}", text(&files)), text(&root)]);
    let root_json = std::fs::read(files.join("usr/share/updog/root.json")).unwrap();
    for path in [&files, &root] {
        succeed("rm", &["-rf", text(path)]);
    }
    Bootable { version: image.said("version").parse().unwrap(), boot, root_json }
}

/// Looks at the states of a recorded machine, which is off.
fn look(base: &Path, log: &Path, judge: &Judge) -> Survey {
    let begun = Instant::now();
    let log = Log::open(log).unwrap();
    let written: u64 = log.entries().iter().map(|entry| entry.sectors * write_log::SECTOR).sum();
    let flushes = log.entries().iter().filter(|entry| entry.is_flush).count();
    let samples = usize::try_from(number(SAMPLES_VARIABLE, SAMPLES as u64)).unwrap();
    let seed = number(SEED_VARIABLE, 1);
    let survey = survey(base, &log, judge, Sampling { samples, seed });
    eprintln!(
        "figure: {} power cuts (seed {seed}) in {} requests of {} MiB with {flushes} flushes, {} different sets and {} \
         different contents of PRIVATE: {:.0} s",
        survey.samples,
        log.entries().len(),
        written >> 20,
        survey.different.0,
        survey.different.1,
        begun.elapsed().as_secs_f64()
    );
    for ((set, settings), count) in &survey.found {
        let settings: Vec<String> =
            settings.iter().map(|((layer, key), value)| format!("{layer} {key} = {value}")).collect();
        eprintln!("{count:6} x set {set} with {}", settings.join(", "));
    }
    assert!(survey.broken.is_empty(), "{} broken states:\n{}", survey.broken.len(), survey.broken.join("\n"));
    assert_eq!(survey.samples, samples);
    survey
}

#[test]
#[ignore = "needs a built image"]
fn a_cut_during_a_boot_and_a_commit_leaves_the_settings_of_before_or_after() {
    let image = BuiltImage::of_environment();
    let folder = TempDir::with_prefix("visco").unwrap();
    let spec = Spec::new(folder.path().join("vm"), image.disk());
    let mut spec = Spec { firmware: Firmware::Bios, accelerator: choose_accelerator(), ..spec };
    let disk = DiskFile::open(Machine::prepare(&spec).unwrap().disk());
    let judge = Judge::new(&disk, vec![bootable(&image, folder.path())]);

    let what = "power cuts, a first boot";
    let mut booted = Booted::after(Machine::start(&spec).unwrap(), what, 0, 0);
    booted.set(&json!({"motd": "before"}));
    booted.machine.press_power_button().unwrap();
    booted.machine.wait_until_off(END_LIMIT).unwrap();
    drop(booted);
    let base = folder.path().join("base.img");
    succeed("cp", &["--sparse=always", text(&disk.path), text(&base)]);

    spec.is_recorded = true;
    let mut booted = Booted::after(Machine::start(&spec).unwrap(), what, 0, 0);
    booted.set(&json!({"motd": "after"}));
    booted.machine.press_power_button().unwrap();
    booted.machine.wait_until_off(END_LIMIT).unwrap();
    let log = booted.machine.files().write_log();
    drop(booted);

    let survey = look(&base, &log, &judge);
    let motds: Vec<&str> = survey
        .found
        .keys()
        .map(|(set, settings)| {
            assert_eq!(*set, 'A');
            settings.values().next().expect("a setting is there").as_str()
        })
        .collect();
    assert_eq!(motds, [r#""after""#, r#""before""#], "both states of the setting are met, and no other");
}

#[test]
#[ignore = "needs built images"]
fn a_cut_at_any_moment_of_an_update_leaves_a_host_that_boots() {
    let lab = UpdateLab::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("power-cut"));
    let prepared = lab.prepared();
    let mut spec = lab.spec("recorded", Some(prepared));
    let base = DiskFile::open(prepared.join("disk.img"));
    let folder = TempDir::with_prefix("visco").unwrap();

    let holds = [&lab.first, &lab.next].map(|image| bootable(image, folder.path()));
    let judge = Judge::new(&base, holds.into());

    spec.is_recorded = true;
    let booted = Booted::after(Machine::start(&spec).unwrap(), "power cuts, an update", 0, 0);
    client(&booted, &["update", "apply", "--check", "--reboot"]);
    let Booted { machine, what } = booted;
    let booted = Booted::after_kernel(machine, what, 2);
    assert_eq!(version(&booted), lab.next.said("version"));
    let log = booted.machine.files().write_log();
    switch_off(booted);

    let survey = look(&base.path, &log, &judge);
    let key = ("api".to_owned(), "settings.motd".to_owned());
    let mut met = BTreeSet::new();
    for (set, settings) in survey.found.keys() {
        let motd = settings.get(&key).unwrap_or_else(|| panic!("set {set} has no motd: {settings:?}"));
        let which = MOTD.iter().position(|text| *motd == format!("\"{text}\""));
        met.insert((*set, which.unwrap_or_else(|| panic!("set {set} has the motd {motd}"))));
        assert!(settings.values().any(|value| value.contains(KEPT)), "set {set}: {settings:?}");
    }
    // Before, activated, migrated: all three are among the states.
    for state in [('A', 0), ('B', 0), ('B', 1)] {
        assert!(met.contains(&state), "{state:?} is not among {met:?}");
    }
}
