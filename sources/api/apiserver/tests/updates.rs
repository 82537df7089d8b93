//! Updates through the API, with a program in the place of `thar-be-updates` that ends as it is told.

#![allow(clippy::unwrap_used)]

mod server;

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use server::TestHost;
use std::os::unix::fs::PermissionsExt;
use update_status::{LOCK_FILE, PROGRESS_FILE, STATUS_FILE};

/// Records its arguments, says what a file says, and ends with the status a file holds.
const PROGRAM: &str = "#!/bin/sh\necho \"$@\" >> \"$VISCO_ROOT/asked\"\necho 'INFO something was logged' >&2\n\
    cat \"$VISCO_ROOT/words\" >&2\nexit \"$(cat \"$VISCO_ROOT/status\")\"\n";

fn host() -> TestHost {
    let host = TestHost::new();
    host.write("usr/bin/thar-be-updates", PROGRAM);
    let program = host.root.path().join("usr/bin/thar-be-updates");
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
    host
}

const ACTIONS: [(&str, &str); 5] = [
    ("/actions/refresh-updates", "refresh"),
    ("/actions/prepare-update", "prepare"),
    ("/actions/activate-update", "activate"),
    ("/actions/deactivate-update", "deactivate"),
    ("/actions/forget-update?version=1.2.3", "forget -- 1.2.3"),
];

/// The documented mapping (API, section 8.5), and ours for what is remembered.
#[tokio::test]
async fn every_exit_status_has_its_answer() {
    let host = host();
    let server = host.open();
    for (status, words, expected, code) in [
        ("0", "", 204, None),
        ("64", "another program", 423, Some("locked")),
        ("65", "not allowed", 409, Some("conflict")),
        ("66", "none chosen", 404, Some("not-found")),
        ("67", "none staged", 404, Some("not-found")),
        ("68", "not remembered", 404, Some("not-found")),
        ("1", "disk on fire", 500, Some("internal")),
        ("2", "no such verb", 500, Some("internal")),
    ] {
        host.write("status", status);
        host.write("words", &format!("{words}\n"));
        for (route, asked) in ACTIONS {
            host.write("asked", "");
            let answer = server.call("POST", route, "").await;
            assert_eq!(answer.status, expected, "{route} {status}: {answer:?}");
            if let Some(code) = code {
                let body = answer.json();
                assert_eq!(body["code"], code, "{route} {status}");
                let message = body["message"].as_str().unwrap();
                assert!(
                    if expected == 500 { message.contains(words) } else { message == words },
                    "{message}"
                );
            }
            assert_eq!(std::fs::read_to_string(host.root.path().join("asked")).unwrap().trim_end(), asked);
        }
    }
}

#[tokio::test]
async fn an_image_without_the_program_says_so() {
    let host = TestHost::new();
    let server = host.open();
    let answer = server.call("POST", "/actions/refresh-updates", "").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["message"], "this image has no program that makes updates");
}

#[tokio::test]
async fn what_is_to_be_forgotten_must_be_named() {
    let host = host();
    let server = host.open();
    for uri in ["/actions/forget-update", "/actions/forget-update?version="] {
        assert_eq!(server.call("POST", uri, "").await.status, 400, "{uri}");
    }
}

fn document() -> Value {
    let image = json!({"arch": "x86_64", "version": "1.0.0", "variant": "metal-dev"});
    json!({
        "update_state": "Available",
        "available_updates": ["1.1.0"],
        "chosen_update": {"arch": "x86_64", "version": "1.1.0", "variant": "metal-dev"},
        "active_partition": {"image": image, "next_to_boot": true},
        "staging_partition": null,
        "most_recent_command": null,
    })
}

fn working(bytes_done: u64) -> Value {
    json!({
        "command": "prepare", "phase": "fetch", "started": "2026-11-21T12:00:00Z",
        "updated": "2026-11-21T12:00:05Z", "bytes_done": bytes_done, "bytes_total": 100, "blocks_done": 0,
        "blocks": 0, "rate": 0,
    })
}

#[tokio::test]
async fn the_status_is_the_document_of_the_host() {
    let host = host();
    let server = host.open();
    let answer = server.get("/updates/status").await;
    assert_eq!(answer.status, 404);
    assert!(answer.json()["message"].as_str().unwrap().contains("/actions/refresh-updates"), "{answer:?}");

    host.write(STATUS_FILE.trim_start_matches('/'), &document().to_string());
    let answer = server.get("/updates/status").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, document()));

    host.write(STATUS_FILE.trim_start_matches('/'), "{");
    assert_eq!(server.get("/updates/status").await.status, 500);
}

#[tokio::test]
async fn the_status_says_how_far_the_work_is_and_that_nobody_does_it_any_more() {
    let host = host();
    let server = host.open();
    let mut running = document();
    running["progress"] = working(0);
    host.write(STATUS_FILE.trim_start_matches('/'), &running.to_string());
    host.write(PROGRESS_FILE.trim_start_matches('/'), &working(50).to_string());
    host.write(LOCK_FILE.trim_start_matches('/'), "");
    let lock = std::fs::File::open(host.host().path(LOCK_FILE)).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    let mut expected = document();
    expected["progress"] = working(50);
    assert_eq!(server.get("/updates/status").await.json(), expected);

    drop(lock);
    let status = server.get("/updates/status").await.json();
    assert_eq!(status["progress"], Value::Null);
    assert_eq!(status["most_recent_command"]["cmd_type"], "prepare");
    assert_eq!(status["most_recent_command"]["cmd_status"], "Failed");
    assert!(status["most_recent_command"]["stderr"].as_str().unwrap().contains("killed"), "{status}");
}
