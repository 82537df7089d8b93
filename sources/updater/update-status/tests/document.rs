//! The document, in the documented shape and back.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use update_status::{CommandStatus, Image, Outcome, Progress, State, Status, Time, Turn, Verb, Worker};

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// As the documents show it (update, section 4.3), nothing of ours in it.
#[test]
fn the_documented_shape_is_read_and_written_the_same() {
    let image = |version: &str| json!({"arch": "x86_64", "version": version, "variant": "metal-dev"});
    for document in [
        json!({
            "update_state": "Idle", "available_updates": [], "chosen_update": null, "active_partition": null,
            "staging_partition": null, "most_recent_command": null,
        }),
        json!({
            "update_state": "Ready",
            "available_updates": ["1.2.0", "1.1.0"],
            "chosen_update": image("1.2.0"),
            "active_partition": {"image": image("1.0.0"), "next_to_boot": false},
            "staging_partition": {"image": image("1.2.0"), "next_to_boot": true},
            "most_recent_command": {
                "cmd_type": "activate", "cmd_status": "Success", "timestamp": "2026-11-21T12:00:00.123456789Z",
                "exit_status": 0, "stderr": null,
            },
        }),
        json!({
            "update_state": "Available",
            "available_updates": ["1.2.0"],
            "chosen_update": image("1.2.0"),
            "active_partition": {"image": image("1.0.0"), "next_to_boot": true},
            "staging_partition": null,
            "most_recent_command": {
                "cmd_type": "prepare", "cmd_status": "Unknown", "timestamp": "2026-11-21T12:00:00Z",
                "exit_status": null, "stderr": "no idea",
            },
        }),
    ] {
        let status: Status = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(&status).unwrap(), document);
    }
}

#[test]
fn what_is_ours_comes_back_the_same() {
    let mut status = Status::default();
    let turn = Turn {
        version: "1.2.0".into(),
        open: false,
        opens: Some(time("2026-11-22T00:00:00Z")),
        explanation: "seed 512 is a quarter into the wave".into(),
    };
    let chosen = Image { arch: "x86_64".into(), version: "1.1.0".into(), variant: "metal-dev".into() };
    let found = Outcome::Refreshed {
        available: vec!["1.1.0".into()],
        chosen: Some(chosen),
        manifest: "ab".into(),
        turn: Some(turn),
    };
    status.done(Verb::Refresh, time("2026-11-21T12:00:00Z"), &Ok(found));
    status.progress = Some(Progress {
        command: Verb::Prepare,
        phase: "fetch".into(),
        started: time("2026-11-21T12:00:00Z"),
        updated: time("2026-11-21T12:00:05Z"),
        bytes_done: 10,
        bytes_total: 100,
        blocks_done: 2,
        blocks: 20,
        rate: 2,
        seconds_left: Some(45),
        worker: Some(Worker { pid: 77, boot: "b".into() }),
    });
    let mut lost = status.clone();
    lost.abandoned(time("2026-11-21T13:00:00Z"));
    for status in [status, lost] {
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status, "{text}");
    }
}

#[test]
fn work_that_nobody_does_any_more_has_failed() {
    let mut status = Status { update_state: State::Available, ..Status::default() };
    status.abandoned(time("2026-11-21T12:00:00Z"));
    assert_eq!(status.most_recent_command, None, "nothing ran");
    let text = r#"{"progress": {"command": "prepare", "phase": "fetch", "started": "2026-11-21T11:00:00Z",
        "updated": "2026-11-21T11:00:01Z"}}"#;
    let mut status: Status = serde_json::from_str(text).unwrap();
    status.abandoned(time("2026-11-21T12:00:00Z"));
    let command = status.most_recent_command.unwrap();
    assert_eq!((command.cmd_type, command.cmd_status), (Verb::Prepare, CommandStatus::Failed));
    assert!(command.stderr.unwrap().contains("'fetch'"));
    assert_eq!(status.progress, None);
}

#[test]
fn documents_of_another_shape_are_refused() {
    for text in [
        r#"{"update_state": "Waiting"}"#,
        r#"{"most_recent_command": {"cmd_type": "refresh"}}"#,
        r#"{"available_updates": "1.0.0"}"#,
        r#"{"last_check": "noon"}"#,
        "5",
    ] {
        assert!(serde_json::from_str::<Status>(text).is_err(), "{text}");
    }
    let newer: Value = json!({"update_state": "Idle", "invented-later": 5});
    assert_eq!(serde_json::from_value::<Status>(newer).unwrap(), Status::default());
}

#[test]
fn progress_is_only_taken_over_for_the_command_that_runs() {
    let progress = |command, started, bytes_done| Progress {
        command,
        phase: "fetch".into(),
        started: time(started),
        updated: time("2026-11-21T12:00:05Z"),
        bytes_done,
        bytes_total: 100,
        blocks_done: 0,
        blocks: 0,
        rate: 0,
        seconds_left: None,
        worker: None,
    };
    for (running, newest, expected) in [
        (Some((Verb::Prepare, "2026-11-21T12:00:00Z")), (Verb::Prepare, "2026-11-21T12:00:00Z"), Some(50)),
        // Left over from a command before.
        (Some((Verb::Prepare, "2026-11-21T12:00:00Z")), (Verb::Prepare, "2026-11-21T11:00:00Z"), Some(0)),
        (Some((Verb::Prepare, "2026-11-21T12:00:00Z")), (Verb::Refresh, "2026-11-21T12:00:00Z"), Some(0)),
        (None, (Verb::Prepare, "2026-11-21T12:00:00Z"), None),
    ] {
        let mut status = Status {
            progress: running.map(|(command, started)| progress(command, started, 0)),
            ..Status::default()
        };
        status.with_progress(progress(newest.0, newest.1, 50));
        assert_eq!(status.progress.map(|progress| progress.bytes_done), expected, "{running:?} {newest:?}");
    }
}
