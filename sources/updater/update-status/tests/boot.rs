//! What a boot tells of the update before it.

#![allow(clippy::unwrap_used)]

use update_status::{
    Attempt, AttemptStage, Booted, Disk, Failure, Image, Inactive, Slot, State, Status, Time, UpdateResult,
    Verb,
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
    Attempt { version: version.into(), stage, boot_id: "first".into(), reason: reason.map(Into::into) }
}

/// What a proven set finds after an update that was begun at nine.
fn booted<'a>(disk: &'a Disk, written: Option<&'a Image>, written_runs: bool) -> Booted<'a> {
    let begun = written.map(|_| time("2026-11-21T09:00:00Z"));
    Booted { disk, proven: true, written, begun, written_runs, attempt: None, tries: 3 }
}

fn concluded(mut status: Status, disk: &Disk, runs: bool, proven: bool, attempt: Option<&Attempt>) -> Status {
    let (written, now) = (image("1.1.0"), time("2026-11-21T12:00:00Z"));
    let booted = Booted { proven, attempt, ..booted(disk, Some(&written), runs) };
    status.conclude_boot(&booted, now);
    let once = status.clone();
    for attempt in [attempt, None] {
        status.conclude_boot(&Booted { attempt, ..booted.clone() }, time("2026-11-21T13:00:00Z"));
        assert_eq!(status, once, "the next boot finds the same or less and changes nothing");
    }
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
    let written = image("1.1.0");
    let again =
        Attempt { boot_id: "second".into(), ..attempt("1.1.0", AttemptStage::Started, Some("again")) };
    for (begun, attempt, reason) in [
        // It was written anew, and whatever the boots wrote down.
        ("2026-11-21T12:30:00Z", None, "it ended before user space could say why"),
        ("2026-11-21T12:30:00Z", Some(&again), "again"),
        // The clock was set back since.
        ("2026-11-21T08:00:00Z", None, "it ended before user space could say why"),
        // It was tried again as it was.
        ("2026-11-21T09:00:00Z", Some(&again), "again"),
    ] {
        let mut status = concluded(activated(), &spent, false, true, None);
        assert!(status.forget("1.1.0"));
        let mut booted = booted(&spent, Some(&written), false);
        booted.begun = Some(time(begun));
        booted.attempt = attempt;
        status.conclude_boot(&booted, time("2026-11-21T12:45:00Z"));
        let last = status.last_update.unwrap();
        assert_eq!(
            (last.result, last.time),
            (UpdateResult::FellBack, time("2026-11-21T12:45:00Z")),
            "{begun}"
        );
        assert!(last.reason.unwrap().starts_with(reason), "{begun}");
        assert_eq!(status.bad_versions.len(), 1, "{begun}");
    }
}

#[test]
fn the_newest_reason_of_a_bad_version_and_its_first_time_are_kept() {
    let spent = disk("1.0.0", Slot::Spent, Some("1.1.0"));
    let mut status = concluded(activated(), &spent, false, true, None);
    let written = image("1.1.0");
    let again =
        Attempt { boot_id: "second".into(), ..attempt("1.1.0", AttemptStage::Started, Some("again")) };
    let booted = Booted { attempt: Some(&again), ..booted(&spent, Some(&written), false) };
    status.conclude_boot(&booted, time("2026-11-21T12:45:00Z"));
    assert_eq!(status.bad_versions.len(), 1);
    assert_eq!(status.bad_versions[0].reason, "again");
    assert_eq!(status.bad_versions[0].since, time("2026-11-21T12:00:00Z"));
}

/// What fell back, or succeeded, is on the disk and in the record of boots for long.
#[test]
fn what_is_known_of_an_update_does_not_hide_what_came_after() {
    let gate = attempt("1.1.0", AttemptStage::Configured, Some("kubelet.service failed"));
    let spent = disk("1.0.0", Slot::Spent, Some("1.1.0"));
    let clear = disk("1.0.0", Slot::Clear, None);
    let runs = disk("1.1.0", Slot::Good { next: false }, None);
    let written = image("1.1.0");
    for (fell_back, attempt, finds) in [
        (true, Some(&gate), booted(&spent, Some(&written), false)),
        (true, None, booted(&spent, Some(&written), false)),
        // The next update is being written: nobody vouches for what is on the set.
        (true, Some(&gate), booted(&clear, None, false)),
        (false, None, booted(&runs, Some(&written), true)),
    ] {
        let disk = if fell_back { &spent } else { &runs };
        let mut status = concluded(activated(), disk, !fell_back, true, attempt);
        status.chosen_update = Some(image("1.2.0"));
        let failure = Failure { exit_status: Some(3), reason: "no network".into() };
        status.done(Verb::Prepare, time("2026-11-21T12:10:00Z"), &Err(failure));
        let failed = status.last_update.clone().unwrap();
        assert_eq!((failed.version.as_str(), failed.result), ("1.2.0", UpdateResult::Failed));
        status.conclude_boot(&Booted { attempt, ..finds }, time("2026-11-21T12:20:00Z"));
        assert_eq!(status.last_update, Some(failed));
    }
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
