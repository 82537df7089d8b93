//! Every verb in every state.

#![allow(clippy::unwrap_used)]

use modeled_types::AutomaticUpdates;
use update_status::{
    Action, CommandStatus, Disk, Failure, Image, Inactive, Outcome, Policy, Refusal, Slot, State, Status,
    Time, UpdateResult, Verb, decide,
};

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn now() -> Time {
    time("2026-11-21T12:00:00Z")
}

fn image(version: &str) -> Image {
    Image { arch: "x86_64".into(), version: version.into(), variant: "metal-dev".into() }
}

fn disk(slot: Slot, holds: Option<&str>) -> Disk {
    Disk { running: image("1.0.0"), inactive: Some(Inactive { slot, holds: holds.map(image) }) }
}

/// What the disk is like in a state.
fn disk_in(state: State) -> Disk {
    match state {
        State::Idle | State::Available => disk(Slot::Clear, None),
        State::Staged => disk(Slot::Valid, Some("1.1.0")),
        State::Ready => disk(Slot::OnTrial, Some("1.1.0")),
    }
}

fn status_in(state: State) -> Status {
    let mut status = Status::default();
    if state > State::Idle {
        let found = Outcome::Refreshed {
            available: vec!["1.1.0".into()],
            chosen: Some(image("1.1.0")),
            manifest: "ab".into(),
            turn: None,
        };
        status.done(Verb::Refresh, time("2026-11-21T11:00:00Z"), &Ok(found));
    }
    status.observe(&disk_in(state));
    assert_eq!(status.update_state, state);
    status
}

/// The outcome of a verb, and the disk after it.
fn success(verb: Verb, state: State) -> (Outcome, Disk) {
    match verb {
        Verb::Refresh => {
            let (available, chosen) = (vec!["1.1.0".to_owned()], Some(image("1.1.0")));
            (Outcome::Refreshed { available, chosen, manifest: "ab".into(), turn: None }, disk_in(state))
        }
        Verb::Prepare => (Outcome::Prepared, disk_in(State::Staged)),
        Verb::Activate => (Outcome::Activated, disk_in(State::Ready)),
        Verb::Deactivate => (Outcome::Deactivated, disk_in(State::Staged)),
    }
}

/// The documented table (update, section 4.2): what a verb leads to, or the exit status of its refusal.
#[test]
fn every_verb_in_every_state() {
    use State::{Available, Ready, Staged};
    let rows: [(Verb, [Result<State, u8>; 4]); 4] = [
        (Verb::Refresh, [Ok(Available), Ok(Available), Ok(Staged), Ok(Ready)]),
        (Verb::Prepare, [Err(65), Ok(Staged), Ok(Staged), Err(65)]),
        (Verb::Activate, [Err(65), Err(65), Ok(Ready), Err(65)]),
        (Verb::Deactivate, [Err(65), Err(65), Err(65), Ok(Staged)]),
    ];
    for (verb, expected) in rows {
        for (state, expected) in State::ALL.into_iter().zip(expected) {
            let mut status = status_in(state);
            let reached = status.permit(verb).map_err(Refusal::exit_status).map(|()| {
                let (outcome, disk) = success(verb, state);
                status.done(verb, now(), &Ok(outcome));
                let before = status.update_state;
                status.observe(&disk);
                assert_eq!(before, status.update_state, "{verb} in {state}: table and disk agree");
                status.update_state
            });
            assert_eq!(reached, expected, "{verb} in {state}");
        }
    }
}

#[test]
fn what_a_verb_needs_besides_its_state() {
    let mut status = status_in(State::Available);
    status.chosen_update_manifest = None;
    assert_eq!(status.permit(Verb::Prepare), Err(Refusal::NoneChosen));
    let mut status = status_in(State::Staged);
    status.staging_partition = None;
    assert_eq!(status.permit(Verb::Activate), Err(Refusal::NoneStaged));
    let statuses = [Refusal::Locked, Refusal::NoneChosen, Refusal::NoneStaged, Refusal::NotRemembered];
    assert_eq!(statuses.map(Refusal::exit_status), [64, 66, 67, 68]);
}

/// Somebody goes back from a good update: the set that boots next is not overwritten, and may be taken back.
#[test]
fn a_host_that_goes_back_is_left_alone() {
    for chosen in [false, true] {
        let mut status = status_in(if chosen { State::Available } else { State::Idle });
        status.observe(&disk(Slot::Good { next: true }, Some("0.9.0")));
        for (verb, permitted) in [
            (Verb::Refresh, Ok(())),
            (Verb::Prepare, Err(Refusal::GoingBack { verb: Verb::Prepare })),
            (Verb::Activate, Err(Refusal::GoingBack { verb: Verb::Activate })),
            (Verb::Deactivate, Ok(())),
        ] {
            assert_eq!(status.permit(verb), permitted, "{verb}");
        }
        let policy = Policy {
            automatic: AutomaticUpdates::Apply,
            check_interval: "6h".parse().unwrap(),
            apply_window: None,
        };
        let rest = Action::Rest("the host is about to go back to the other set");
        assert_eq!(decide(now(), &policy, &status), rest);
        status.done(Verb::Deactivate, now(), &Ok(Outcome::Deactivated));
        status.observe(&disk(Slot::Good { next: false }, Some("0.9.0")));
        assert_eq!(status.update_state, if chosen { State::Available } else { State::Idle });
        assert!(status.active_partition.unwrap().next_to_boot);
    }
}

#[test]
fn a_refusal_says_what_to_do() {
    for (verb, state, text) in [
        (
            Verb::Prepare,
            State::Idle,
            "prepare is not allowed in the state Idle: no update is known; refresh first",
        ),
        (
            Verb::Prepare,
            State::Ready,
            "prepare is not allowed in the state Ready: an update is active already and boots next; deactivate it first",
        ),
        (
            Verb::Activate,
            State::Available,
            "activate is not allowed in the state Available: the update is not on the disk yet; prepare it first",
        ),
        (
            Verb::Deactivate,
            State::Staged,
            "deactivate is not allowed in the state Staged: no update is active",
        ),
    ] {
        assert_eq!(status_in(state).permit(verb).unwrap_err().to_string(), text);
    }
}

/// A failure leaves the state, except that a refresh that found nothing out leads to Idle.
#[test]
fn every_failure_is_recorded() {
    for verb in Verb::ALL {
        for state in State::ALL {
            let mut status = status_in(state);
            if status.permit(verb).is_err() {
                continue;
            }
            let chosen = status.chosen_update.clone();
            let failure = Failure { exit_status: Some(1), reason: "no network".into() };
            status.done(verb, now(), &Err(failure));
            status.observe(&disk_in(state));
            let expected =
                if verb == Verb::Refresh && state == State::Available { State::Idle } else { state };
            assert_eq!(status.update_state, expected, "{verb} in {state}");
            assert_eq!(status.chosen_update, chosen, "{verb} in {state}");
            let command = status.most_recent_command.unwrap();
            assert_eq!((command.cmd_type, command.cmd_status), (verb, CommandStatus::Failed));
            assert_eq!((command.exit_status, command.stderr.as_deref()), (Some(1), Some("no network")));
            let told = status.last_update.map(|last| (last.version, last.result, last.reason));
            let tells = matches!(verb, Verb::Prepare | Verb::Activate);
            let expected = tells.then(|| ("1.1.0".into(), UpdateResult::Failed, Some("no network".into())));
            assert_eq!(told, expected, "{verb} in {state}");
        }
    }
}

/// What the disk says wins, whichever state the document is in.
#[test]
fn the_disk_knows_better_than_the_document() {
    use State::{Available, Idle, Ready, Staged};
    for (slot, holds, expected, next) in [
        (Slot::Clear, None, [Idle, Available, Available, Available], false),
        // It is being written, or the write was cut.
        (Slot::Clear, Some("1.1.0"), [Idle, Available, Available, Available], false),
        (Slot::Valid, Some("1.1.0"), [Staged; 4], false),
        // Somebody marked the set by hand, and nobody knows what it holds.
        (Slot::Valid, None, [Idle, Available, Available, Available], false),
        (Slot::OnTrial, Some("1.1.0"), [Ready; 4], true),
        (Slot::OnTrial, None, [Ready; 4], true),
        (Slot::Spent, Some("1.1.0"), [Idle, Available, Available, Available], false),
        (Slot::Good { next: false }, Some("1.1.0"), [Idle, Available, Available, Available], false),
        (Slot::Good { next: true }, Some("1.1.0"), [Idle, Available, Available, Available], true),
    ] {
        for (state, expected) in State::ALL.into_iter().zip(expected) {
            let mut status = status_in(state);
            status.observe(&disk(slot, holds));
            assert_eq!(status.update_state, expected, "{slot:?} {holds:?} after {state}");
            assert_eq!(status.active_partition.as_ref().unwrap().next_to_boot, !next, "{slot:?} {holds:?}");
            let staged = status.staging_partition.as_ref().map(|staged| staged.next_to_boot);
            let shown = holds.is_some() && status.update_state >= Staged;
            assert_eq!(staged, shown.then_some(next), "{slot:?} {holds:?}");
        }
    }
}

#[test]
fn an_update_on_the_disk_is_known_without_a_document() {
    let mut status = Status::default();
    status.observe(&disk(Slot::Valid, Some("1.1.0")));
    assert_eq!(status.chosen_update, Some(image("1.1.0")));
    assert_eq!(status.permit(Verb::Activate), Ok(()));
    assert_eq!(
        status.permit(Verb::Prepare),
        Err(Refusal::NoneChosen),
        "nobody knows whether it is still offered"
    );
}

#[test]
fn a_disk_with_one_set_has_nothing_staged() {
    let mut status = status_in(State::Ready);
    status.observe(&Disk { running: image("1.0.0"), inactive: None });
    assert_eq!((status.update_state, status.staging_partition), (State::Available, None));
}

#[test]
fn what_runs_is_no_update() {
    let mut status = status_in(State::Available);
    let running = Disk { running: image("1.1.0"), inactive: None };
    status.observe(&running);
    assert_eq!((status.update_state, status.chosen_update), (State::Idle, None));
}

/// A client tells that a command has ended by a timestamp it has not seen.
#[test]
fn no_two_commands_have_the_same_timestamp() {
    let mut status = status_in(State::Ready);
    let mut seen = Vec::new();
    for _ in 0..3 {
        status.done(Verb::Deactivate, now(), &Ok(Outcome::Deactivated));
        seen.push(status.most_recent_command.as_ref().unwrap().timestamp);
    }
    assert!(seen[0] != seen[1] && seen[1] != seen[2], "{seen:?}");
}

#[test]
fn a_newer_choice_does_not_change_what_is_staged() {
    let mut status = status_in(State::Staged);
    let found = Outcome::Refreshed {
        available: vec!["1.2.0".into(), "1.1.0".into()],
        chosen: Some(image("1.2.0")),
        manifest: "ab".into(),
        turn: None,
    };
    status.done(Verb::Refresh, now(), &Ok(found));
    status.observe(&disk_in(State::Staged));
    assert_eq!(status.update_state, State::Staged);
    assert_eq!(status.chosen_update, Some(image("1.2.0")));
    assert_eq!(status.staging_partition.unwrap().image, image("1.1.0"));
}
