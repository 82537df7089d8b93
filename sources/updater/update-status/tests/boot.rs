//! What a boot tells of the update before it.

#![allow(clippy::unwrap_used)]

use update_status::{
    Attempt, AttemptStage, Booted, Disk, Image, Inactive, Slot, State, Status, Time, UpdateResult,
};

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn image(version: &str) -> Image {
    Image { arch: "x86_64".into(), version: version.into(), variant: "metal-dev".into() }
}

fn disk(running: &str, slot: Slot, holds: Option<&str>) -> Disk {
    Disk { running: image(running), inactive: Some(Inactive { slot, holds: holds.map(image) }) }
}

/// The status after an activation of 1.1.0.
fn activated() -> Status {
    let mut status = Status { chosen_update: Some(image("1.1.0")), ..Status::default() };
    status.available_updates = vec!["1.1.0".into()];
    status.observe(&disk("1.0.0", Slot::OnTrial, Some("1.1.0")));
    assert_eq!(status.update_state, State::Ready);
    status
}

fn attempt(version: &str, stage: AttemptStage, reason: Option<&str>) -> Attempt {
    Attempt {
        version: version.into(),
        stage,
        begun: Some(time("2026-11-21T11:30:00Z")),
        reason: reason.map(Into::into),
    }
}

fn concluded(mut status: Status, disk: &Disk, runs: bool, proven: bool, attempt: Option<&Attempt>) -> Status {
    let (written, now) = (image("1.1.0"), time("2026-11-21T12:00:00Z"));
    let booted = Booted { disk, proven, written: Some(&written), written_runs: runs, attempt, tries: 3 };
    status.conclude_boot(&booted, now);
    let once = status.clone();
    status.conclude_boot(&booted, time("2026-11-21T13:00:00Z"));
    assert_eq!(status, once, "the next boot finds the same and changes nothing");
    status
}

#[test]
fn an_update_that_runs_and_is_proven_succeeded() {
    let disk = disk("1.1.0", Slot::Good { next: false }, None);
    let status = concluded(activated(), &disk, true, true, None);
    let last = status.last_update.unwrap();
    assert_eq!((last.version.as_str(), last.result, last.reason), ("1.1.0", UpdateResult::Succeeded, None));
    assert_eq!((status.update_state, status.chosen_update), (State::Idle, None));
    assert_eq!(status.active_partition.unwrap().image, image("1.1.0"));
    assert!(status.bad_versions.is_empty());
}

#[test]
fn an_update_that_has_not_proved_itself_yet_did_nothing() {
    let disk = disk("1.1.0", Slot::Good { next: false }, None);
    // What became of the boots of the version before does not matter any more.
    let before = attempt("1.0.0", AttemptStage::Configured, Some("kubelet.service failed"));
    for attempt in [None, Some(&before)] {
        let status = concluded(activated(), &disk, true, false, attempt);
        assert_eq!((status.last_update, status.bad_versions), (None, Vec::new()));
    }
}

#[test]
fn an_update_that_fell_back_is_remembered_with_its_reason() {
    let (gate, silent, other) = (
        attempt("1.1.0", AttemptStage::Configured, Some("the health gate timed out: kubelet.service")),
        attempt("1.1.0", AttemptStage::Migrated, None),
        attempt("0.9.0", AttemptStage::Configured, Some("of another version")),
    );
    let panic = "it ended before user space could say why, for instance by a kernel panic or a damaged root file \
                 system, in each of 3 tries";
    for (attempt, reason) in [
        (Some(&gate), "the health gate timed out: kubelet.service"),
        (
            Some(&silent),
            "it ended after its settings were migrated and before it was configured, in the last of 3 tries, without \
             writing down why",
        ),
        (Some(&other), panic),
        (None, panic),
    ] {
        let disk = disk("1.0.0", Slot::Spent, Some("1.1.0"));
        let status = concluded(activated(), &disk, false, true, attempt);
        let last = status.last_update.as_ref().unwrap();
        assert_eq!((last.version.as_str(), last.result), ("1.1.0", UpdateResult::FellBack));
        assert_eq!(last.reason.as_deref(), Some(reason));
        assert!(status.is_bad("1.1.0"));
        assert_eq!(status.bad_versions[0].reason, reason);
        assert_eq!((status.update_state, &status.chosen_update), (State::Idle, &None));
    }
}

#[test]
fn a_version_that_is_tried_again_and_falls_back_again_is_told_again() {
    let spent = disk("1.0.0", Slot::Spent, Some("1.1.0"));
    let first = concluded(activated(), &spent, false, true, None);
    let mut again = attempt("1.1.0", AttemptStage::Started, Some("the migration failed"));
    again.begun = Some(time("2026-11-21T12:30:00Z"));
    let written = image("1.1.0");
    let mut status = first;
    let booted = Booted {
        disk: &spent,
        proven: true,
        written: Some(&written),
        written_runs: false,
        attempt: Some(&again),
        tries: 3,
    };
    status.conclude_boot(&booted, time("2026-11-21T12:45:00Z"));
    assert_eq!(status.last_update.unwrap().reason.as_deref(), Some("the migration failed"));
    assert_eq!(status.bad_versions.len(), 1);
    assert_eq!(status.bad_versions[0].reason, "the migration failed");
    assert_eq!(status.bad_versions[0].since, time("2026-11-21T12:00:00Z"), "the first time is kept");
}

/// A set that was good once fails at a later boot, and the host gives the other one its turn.
#[test]
fn a_good_update_that_fails_later_fell_back_too() {
    let gone = attempt("1.1.0", AttemptStage::Configured, Some("kubelet.service failed"));
    let switched = disk("1.0.0", Slot::Good { next: false }, Some("1.1.0"));
    let status = concluded(Status::default(), &switched, false, true, Some(&gone));
    let last = status.last_update.as_ref().unwrap();
    assert_eq!(
        (last.result, last.reason.as_deref()),
        (UpdateResult::FellBack, Some("kubelet.service failed"))
    );
    assert!(status.is_bad("1.1.0"));
}

#[test]
fn going_back_on_purpose_is_no_fallback() {
    // Back from 1.1.0, which is good, to 1.0.0.
    let rolled_back = disk("1.0.0", Slot::Good { next: false }, Some("1.1.0"));
    let status = concluded(activated(), &rolled_back, false, true, None);
    assert_eq!((status.last_update, status.bad_versions), (None, Vec::new()));
    // Deactivated before the reboot.
    let cancelled = disk("1.0.0", Slot::Valid, Some("1.1.0"));
    let status = concluded(activated(), &cancelled, false, true, None);
    assert_eq!((status.update_state, status.last_update), (State::Staged, None));
}

#[test]
fn a_version_that_proves_itself_after_all_is_not_bad_any_more() {
    let spent = disk("1.0.0", Slot::Spent, Some("1.1.0"));
    let mut status = concluded(activated(), &spent, false, true, None);
    assert!(status.is_bad("1.1.0"));
    let runs = disk("1.1.0", Slot::Good { next: false }, None);
    status = concluded(status, &runs, true, true, None);
    assert!(!status.is_bad("1.1.0"));
    assert_eq!(status.last_update.unwrap().result, UpdateResult::Succeeded);
}

#[test]
fn bad_versions_are_forgotten_when_told() {
    let spent = disk("1.0.0", Slot::Spent, Some("1.1.0"));
    let mut status = concluded(activated(), &spent, false, true, None);
    assert!(!status.forget("2.0.0"));
    assert!(status.forget("1.1.0"));
    assert!(!status.is_bad("1.1.0"));
    let after = concluded(status, &spent, false, true, None);
    assert!(!after.is_bad("1.1.0"), "the set still shows the old fallback, which is known");
}
