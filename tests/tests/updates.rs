//! Updates through the API and its client: a host in a directory with a disk of two sets, and a repository in a folder.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../sources/updater/signpost/tests/fake_host/mod.rs"]
mod fake_host;
#[path = "../../sources/updater/updog/tests/release/mod.rs"]
mod release;

use fake_host::{FakeHost, Shape};
use partitions::Attributes;
use release::{GOOD, Release, offering};
use serde_json::Value;
use std::fs;
use std::process::{Command, Output};
use test_repository::Place;
use tests::TestHost;

/// A host of version 1.0.0 that its settings lead to a repository with 1.1.0.
struct Updating {
    host: TestHost,
    _place: Place,
}

impl Updating {
    fn new() -> Self {
        let release = b"VARIANT_ID=metal-dev\nVERSION_ID=1.0.0\n";
        let host = TestHost::boot_with("metal-dev", |lab| {
            lab.host.replace("/usr/lib/os-release", release, 0o644).unwrap();
        });
        let place = Place::of(&offering(&Release::new("1.1.0"), true));
        let fake = FakeHost::new(Shape::default(), GOOD, Attributes::NONE);
        let from = format!("{}/.", fake.path("").display());
        let copied = Command::new("cp").arg("-a").arg(from).arg(host.lab.host.root()).status().unwrap();
        assert!(copied.success());
        let write = |path: &str, content: &[u8]| host.lab.host.replace(path, content, 0o644).unwrap();
        write("/usr/lib/os-release", release);
        write("/usr/share/updog/root.json", &fs::read(place.root_json()).unwrap());
        let url = place.url();
        let set = host.client(&[
            "set",
            &format!("updates.metadata-base-url={url}/metadata"),
            &format!("updates.targets-base-url={url}/targets"),
            "updates.seed=5",
        ]);
        assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
        Self { host, _place: place }
    }

    fn client(&self, words: &[&str]) -> Output {
        self.host.client(&[&["update"], words].concat())
    }

    /// Runs a command that must succeed, and gives the last document it printed.
    fn document(&self, words: &[&str]) -> Value {
        let output = self.client(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        let documents = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
        documents.map(|document| document.unwrap()).last().unwrap()
    }

    /// Runs a command that must fail, and gives the line it says.
    fn refusal(&self, words: &[&str]) -> String {
        let output = self.client(words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{words:?}: {said}");
        said.trim_end().to_owned()
    }
}

#[test]
fn an_update_is_looked_for_applied_and_taken_back() {
    let updating = Updating::new();
    assert!(updating.refusal(&["status"]).starts_with("nothing is known about updates yet"));
    assert!(updating.refusal(&["cancel"]).starts_with("deactivate is not allowed in the state Idle"));

    let status = updating.document(&["check"]);
    assert_eq!(status["update_state"], "Available");
    assert_eq!(status["chosen_update"]["version"], "1.1.0");
    assert_eq!(updating.document(&["status"]), status);
    assert_eq!(updating.host.request("GET", "/updates/status", ""), (200, status));

    let status = updating.document(&["apply", "--reboot"]);
    assert_eq!(status["update_state"], "Ready");
    assert_eq!(status["staging_partition"]["next_to_boot"], true);
    assert!(updating.host.file("/run/visco/commands.log").contains("systemctl reboot"));
    let again = updating.client(&["apply"]);
    assert!(again.status.success());
    assert!(String::from_utf8(again.stderr).unwrap().starts_with("the update is applied already"));

    let status = updating.document(&["cancel"]);
    assert_eq!(
        (&status["update_state"], &status["active_partition"]["next_to_boot"]),
        (&"Staged".into(), &true.into())
    );
    assert_eq!(updating.host.request("POST", "/actions/deactivate-update", "").0, 409);
}

#[test]
fn a_check_that_fails_says_why_in_one_line() {
    let updating = Updating::new();
    assert!(updating.host.client(&["set", "updates.metadata-base-url=file:///nowhere"]).status.success());
    let said = updating.refusal(&["apply", "--check"]);
    assert!(said.starts_with("refresh failed: ") && said.contains("nowhere"), "{said}");
    let status = updating.document(&["status"]);
    assert_eq!(status["most_recent_command"]["cmd_status"], "Failed");
    assert!(updating.refusal(&["forget", "1.1.0"]).contains("no version of that name"));
}
