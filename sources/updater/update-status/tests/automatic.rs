//! What a host does by itself.

#![allow(clippy::unwrap_used)]

use modeled_types::AutomaticUpdates::{self, Apply, Download, Off};
use update_status::{
    Action, CommandResult, CommandStatus, Image, Partition, Policy, State, Status, Time, Verb, decide,
};

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn image(version: &str) -> Image {
    Image { arch: "x86_64".into(), version: version.into(), variant: "metal-dev".into() }
}

fn policy(automatic: AutomaticUpdates, window: Option<&str>) -> Policy {
    Policy {
        automatic,
        check_interval: "6h".parse().unwrap(),
        apply_window: window.map(|window| window.parse().unwrap()),
    }
}

/// A host that looked at 09:00.
fn status(state: State) -> Status {
    let staged = (state >= State::Staged)
        .then(|| Partition { image: image("1.1.0"), next_to_boot: state == State::Ready });
    Status {
        update_state: state,
        available_updates: vec!["1.1.0".into()],
        chosen_update: (state > State::Idle).then(|| image("1.1.0")),
        staging_partition: staged,
        last_check: Some(time("2026-11-21T09:00:00Z")),
        ..Status::default()
    }
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::Rest(_) => "rest",
        Action::Run(verb) => verb.name(),
        Action::Reboot => "reboot",
    }
}

#[test]
fn every_mode_in_every_state() {
    // At 12:00 it is not time to look again; at 15:00 it is.
    for (mode, window, at, expected) in [
        (Off, None, "15:00", ["rest", "rest", "rest", "rest"]),
        (Download, None, "12:00", ["rest", "prepare", "rest", "rest"]),
        (Download, None, "15:00", ["refresh", "refresh", "refresh", "rest"]),
        (Apply, None, "12:00", ["rest", "prepare", "activate", "reboot"]),
        (Apply, None, "15:00", ["refresh", "refresh", "refresh", "reboot"]),
        (Apply, Some("11:00-13:00"), "12:00", ["rest", "prepare", "activate", "reboot"]),
        (Apply, Some("22:00-04:00"), "12:00", ["rest", "prepare", "rest", "rest"]),
        (Apply, Some("22:00-04:00"), "15:00", ["refresh", "refresh", "refresh", "rest"]),
    ] {
        for (state, expected) in State::ALL.into_iter().zip(expected) {
            let now = time(&format!("2026-11-21T{at}:00Z"));
            let action = decide(now, &policy(mode, window), &status(state));
            assert_eq!(name(&action), expected, "{mode} {window:?} at {at} in {state}: {action}");
        }
    }
}

#[test]
fn after_a_failure_there_is_a_pause() {
    for (ended, now, expected) in [
        ("12:00:00", "12:14:59", "rest"),
        // What could not be written may not be offered any more.
        ("12:00:00", "12:15:00", "refresh"),
        // The clock was set back.
        ("14:00:00", "12:00:00", "refresh"),
    ] {
        let mut status = status(State::Available);
        status.most_recent_command = Some(CommandResult {
            cmd_type: Verb::Prepare,
            cmd_status: CommandStatus::Failed,
            timestamp: time(&format!("2026-11-21T{ended}Z")),
            exit_status: Some(1),
            stderr: None,
        });
        let action = decide(time(&format!("2026-11-21T{now}Z")), &policy(Apply, None), &status);
        assert_eq!(name(&action), expected, "failed at {ended}, now {now}");
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_the_looking() {
    let action = decide(time("1970-01-01T00:00:00Z"), &policy(Download, None), &status(State::Idle));
    assert_eq!(action, Action::Run(Verb::Refresh));
    let never = Status { last_check: None, ..status(State::Idle) };
    let action = decide(time("2026-11-21T09:00:00Z"), &policy(Download, None), &never);
    assert_eq!(action, Action::Run(Verb::Refresh));
}

#[test]
fn what_is_staged_must_still_be_what_is_wanted() {
    let noon = time("2026-11-21T12:00:00Z");
    let mut newer = status(State::Staged);
    newer.chosen_update = Some(image("1.2.0"));
    assert_eq!(decide(noon, &policy(Apply, None), &newer), Action::Run(Verb::Prepare));
    let mut withdrawn = status(State::Staged);
    withdrawn.available_updates.clear();
    assert_eq!(name(&decide(noon, &policy(Apply, None), &withdrawn)), "rest");
}
