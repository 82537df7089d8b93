//! The program `thar-be-updates` on a host in a directory, with its worker in a process of its own.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../signpost/tests/fake_host/mod.rs"]
mod fake_host;
#[path = "../../updog/tests/release/mod.rs"]
mod release;

use fake_host::{FakeHost, Shape};
use partitions::Attributes;
use release::{Release, Scene, VARIANT, offering, with_manifest};
use serde_json::{Value, json};
use signpost::Lock;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use update_status::STATUS_FILE;

const GOOD: Attributes = Attributes::NONE.with_priority(1).with_successful(true);
const CLEAR: Attributes = Attributes::NONE;
const VALID: Attributes = Attributes::NONE.with_tries_left(3);
const ON_TRIAL: Attributes = Attributes::NONE.with_priority(2).with_tries_left(3);
const SPENT: Attributes = Attributes::NONE.with_priority(2);

/// How long a worker may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A host with the program, whatever else made it.
struct TestHost(FakeHost);

impl TestHost {
    /// Set A runs 1.0.0; set B has these bits.
    fn new(b: Attributes) -> Self {
        Self::of(FakeHost::new(Shape::default(), GOOD, b))
    }

    fn of(fake: FakeHost) -> Self {
        let host = Self(fake);
        host.write("usr/lib/os-release", "VERSION_ID=1.0.0\nVARIANT_ID=metal-dev\n");
        host.write("proc/sys/kernel/random/boot_id", "7cdbb6f2\n");
        fs::create_dir_all(host.0.path("usr/bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_updater"), host.0.path("usr/bin/thar-be-updates")).unwrap();
        host
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Set B holds 1.1.0, or is being filled with it.
    fn staged(&self, state: &str) {
        let document = json!({
            "schema": 1, "state": state, "set": "B", "variant": "metal-dev", "arch": std::env::consts::ARCH,
            "version": "1.1.0", "begun": "2026-11-21T09:00:00Z", "from": "1.0.0", "manifest": "00", "images": {}, "chain": [],
        });
        self.write("var/lib/bottlerocket/updates/staged.json", &document.to_string());
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(self.0.path("usr/bin/thar-be-updates"));
        command.arg("--root").arg(self.0.path("")).args(words).output().unwrap()
    }

    /// Runs a command that must end like this, and gives what it said last.
    fn expect(&self, words: &[&str], status: i32) -> String {
        let output = self.run(words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
        said.trim_end().lines().last().unwrap_or_default().to_owned()
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&fs::read(self.0.host().path(STATUS_FILE)).unwrap()).unwrap()
    }

    /// The status once the worker has ended: it holds the lock as long as it works.
    fn ended(&self) -> Value {
        let started = Instant::now();
        while Lock::acquire(&self.0.host()).is_err() {
            assert!(started.elapsed() < PATIENCE, "the worker does not end: {}", self.status());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.status()
    }
}

#[test]
fn a_step_is_done_by_a_worker_and_its_failure_is_told() {
    let host = TestHost::new(CLEAR);
    host.expect(&["refresh"], 0);
    let status = host.ended();
    assert_eq!(status["update_state"], "Idle");
    assert_eq!(status["active_partition"]["image"]["version"], "1.0.0");
    assert_eq!(status["progress"], Value::Null);
    let command = &status["most_recent_command"];
    assert_eq!((&command["cmd_type"], &command["cmd_status"]), (&json!("refresh"), &json!("Failed")));
    assert_eq!(command["exit_status"], 2, "as updog ends without its configuration");
    assert!(command["stderr"].as_str().unwrap().contains("/etc/updog.toml"), "{command}");
}

#[test]
fn what_the_state_forbids_is_refused_with_the_documented_status() {
    for (bits, staged, words, status, said) in [
        (CLEAR, None, "prepare", 65, "no update is known; refresh first"),
        (CLEAR, None, "activate", 65, "no update is known; refresh first"),
        (CLEAR, None, "deactivate", 65, "no update is known; refresh first"),
        (VALID, Some("complete"), "deactivate", 65, "no update is active"),
        (VALID, Some("complete"), "prepare", 66, "no update is chosen; refresh first"),
        (VALID, Some("writing"), "activate", 65, "no update is known; refresh first"),
        (ON_TRIAL, Some("complete"), "prepare", 65, "deactivate it first"),
        (ON_TRIAL, Some("complete"), "activate", 65, "an update is active already and boots next"),
        (CLEAR, None, "forget 1.1.0", 68, "no version of that name is remembered as one that fell back"),
    ] {
        let host = TestHost::new(bits);
        if let Some(state) = staged {
            host.staged(state);
        }
        let last = host.expect(&words.split(' ').collect::<Vec<_>>(), status);
        assert!(last.ends_with(said), "{words}: {last}");
    }
}

#[test]
fn nothing_begins_while_somebody_else_has_the_lock() {
    let host = TestHost::new(CLEAR);
    let lock = Lock::acquire(&host.0.host()).unwrap();
    for words in [&["refresh"][..], &["prepare"], &["activate"], &["deactivate"], &["auto"], &["boot"]] {
        let said = host.expect(words, 64);
        assert!(said.starts_with("another program is changing the update of this host"), "{said}");
    }
    drop(lock);
    host.expect(&["refresh"], 0);
    host.ended();
}

#[test]
fn what_is_on_the_disk_is_known_without_a_status_and_can_be_deactivated() {
    let host = TestHost::new(ON_TRIAL);
    host.staged("complete");
    host.expect(&["deactivate"], 0);
    let status = host.ended();
    assert_eq!(status["update_state"], "Staged");
    assert_eq!(status["staging_partition"]["image"]["version"], "1.1.0");
    assert_eq!(status["staging_partition"]["next_to_boot"], false);
    assert_eq!(status["active_partition"]["next_to_boot"], true);
    assert_eq!(status["most_recent_command"]["cmd_status"], "Success");
    assert_eq!(status["most_recent_command"]["exit_status"], 0);
}

#[test]
fn a_worker_that_cannot_be_started_is_told() {
    let host = TestHost::new(CLEAR);
    fs::remove_file(host.0.path("usr/bin/thar-be-updates")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_updater"))
        .arg("--root")
        .arg(host.0.path(""))
        .args(["thar-be-updates", "refresh"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let command = host.ended()["most_recent_command"].clone();
    assert_eq!(command["cmd_status"], "Failed");
    assert!(
        command["stderr"].as_str().unwrap().starts_with("start the program that does the work: "),
        "{command}"
    );
}

#[test]
fn work_needs_the_lock_it_is_given() {
    let host = TestHost::new(CLEAR);
    let said = host.expect(&["work", "refresh"], 1);
    assert!(said.starts_with("take the lock of updates: "), "{said}");
}

#[test]
fn a_boot_that_finds_the_other_set_spent_tells_that_the_update_fell_back() {
    let host = TestHost::new(SPENT);
    host.staged("complete");
    let attempt = |version: &str, set: &str, stage: &str, reason: Value| {
        json!({
            "version": version, "variant": "metal-dev", "set": set, "begun": "2026-11-21T11:00:00Z", "stage": stage,
            "reason": reason,
        })
    };
    let mut record = attempt("1.0.0", "A", "started", Value::Null);
    record["failures"] = json!(2);
    record["failed"] = json!([
        attempt("1.1.0", "B", "started", Value::Null),
        attempt("1.1.0", "B", "configured", json!("the health gate timed out: containerd.service")),
        // Before the last healthy boot.
        attempt("1.1.0", "B", "configured", json!("something else")),
    ]);
    host.write("var/lib/bottlerocket/updates/boot-attempt.json", &record.to_string());
    host.expect(&["boot"], 0);
    let status = host.status();
    assert_eq!(status["last_update"]["version"], "1.1.0");
    assert_eq!(status["last_update"]["result"], "fell-back");
    assert_eq!(status["last_update"]["reason"], "the health gate timed out: containerd.service");
    assert_eq!(status["bad_versions"][0]["version"], "1.1.0");
    host.expect(&["boot"], 0);
    assert_eq!(host.status(), status, "a second look changes nothing");

    host.expect(&["forget", "v1.1.0"], 0);
    assert_eq!(host.status()["bad_versions"], Value::Null);
    host.expect(&["forget", "1.1.0"], 68);
}

/// A good version was late once, stayed up, and somebody went back from it; or the host gave it up.
#[test]
fn a_good_version_falls_back_only_where_the_host_gives_it_up() {
    for (switched, last) in [(false, Value::Null), (true, json!("fell-back"))] {
        let host = TestHost::new(GOOD);
        host.staged("complete");
        let attempt = |version: &str, set: &str, reason: Value, switched: bool| {
            json!({
                "version": version, "variant": "metal-dev", "set": set, "begun": "2026-11-21T11:00:00Z",
                "stage": "configured", "proven": true, "reason": reason, "switched": switched,
            })
        };
        let mut record = attempt("1.0.0", "A", Value::Null, false);
        record["failures"] = json!(1);
        record["failed"] =
            json!([attempt("1.1.0", "B", json!("not healthy 300 s after the start"), switched)]);
        host.write("var/lib/bottlerocket/updates/boot-attempt.json", &record.to_string());
        host.expect(&["boot"], 0);
        assert_eq!(host.status()["last_update"]["result"], last, "switched: {switched}");
    }
}

#[test]
fn a_boot_into_the_update_tells_that_it_succeeded() {
    let shape = Shape { runs_b: true, ..Shape::default() };
    let host = TestHost::of(FakeHost::new(shape, GOOD, GOOD.with_priority(2)));
    host.write("usr/lib/os-release", "VERSION_ID=1.1.0\nVARIANT_ID=metal-dev\n");
    host.staged("complete");
    host.expect(&["boot"], 0);
    let status = host.status();
    assert_eq!(
        (&status["last_update"]["version"], &status["last_update"]["result"]),
        (&json!("1.1.0"), &json!("succeeded"))
    );
    assert_eq!(status["active_partition"]["image"]["version"], "1.1.0");
    assert_eq!(status["update_state"], "Idle");
}

#[test]
fn what_is_done_by_itself_is_what_the_settings_ask_for() {
    for (config, bits, expected, status) in [
        ("", CLEAR, "nothing to do: settings.updates.automatic is 'off'\n", 0),
        ("automatic = \"download\"\n", CLEAR, "refresh\n", 0),
        ("automatic = \"apply\"\n", ON_TRIAL, "reboot\n", 0),
        ("automatic = \"download\"\n", ON_TRIAL, "nothing to do: the update boots with the next reboot\n", 0),
        ("automatic = \"sometimes\"\n", CLEAR, "", 1),
    ] {
        let host = TestHost::new(bits);
        host.write("etc/thar-be-updates.toml", config);
        let output = host.run(&["auto", "--dry-run"]);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{config}");
        assert_eq!(output.status.code(), Some(status), "{config}");
        assert!(!host.0.path("run/visco/commands.log").exists(), "nothing is done");
    }
    let host = TestHost::new(ON_TRIAL);
    host.write("etc/thar-be-updates.toml", "automatic = \"apply\"\n");
    host.expect(&["auto"], 0);
    let commands = fs::read_to_string(host.0.path("run/visco/commands.log")).unwrap();
    assert_eq!(commands, "systemctl reboot --check-inhibitors=yes\n");
}

/// Runs a command that must be accepted and succeed, and gives the status after it.
fn done(host: &TestHost, verb: &str) -> Value {
    host.expect(&[verb], 0);
    let status = host.ended();
    let command = &status["most_recent_command"];
    assert_eq!(
        (&command["cmd_type"], &command["cmd_status"]),
        (&json!(verb), &json!("Success")),
        "{command}"
    );
    status
}

/// A host that a repository in a folder offers 1.1.0.
fn offered() -> (Release, test_repository::Place, TestHost) {
    let new = Release::new("1.1.0");
    let Scene { place, fake, .. } = Scene::new(&offering(&new, true));
    (new, place, TestHost::of(fake))
}

#[test]
fn a_whole_update_and_its_fallback() {
    let (_, _place, host) = offered();
    let status = done(&host, "refresh");
    assert_eq!(
        (&status["update_state"], &status["available_updates"]),
        (&json!("Available"), &json!(["1.1.0"]))
    );
    assert_eq!(status["chosen_update"]["variant"], VARIANT);
    assert_eq!(status["chosen_update_turn"]["open"], true);
    let status = done(&host, "prepare");
    assert_eq!(status["update_state"], "Staged");
    assert_eq!(status["staging_partition"]["image"]["version"], "1.1.0");
    assert_eq!(done(&host, "prepare")["update_state"], "Staged", "it is there already");
    // From here on the network is not needed.
    let (configuration, aside) = (host.0.path("etc/updog.toml"), host.0.path("etc/aside"));
    fs::rename(&configuration, &aside).unwrap();
    assert_eq!(done(&host, "activate")["update_state"], "Ready");
    assert_eq!(done(&host, "deactivate")["update_state"], "Staged");
    let status = done(&host, "activate");
    assert_eq!(status["active_partition"]["next_to_boot"], false);

    // Three tries later the host runs what it ran before. Whoever asks first learns of it.
    let spend = || {
        let reading = host.0.reading();
        let mut table = reading.table.clone();
        table.set_attributes(5, SPENT).unwrap();
        reading.plan(&table).execute(&mut host.0.open_disk()).unwrap();
    };
    spend();
    host.expect(&["refresh"], 0);
    let status = host.ended();
    assert_eq!((&status["update_state"], &status["chosen_update"]), (&json!("Idle"), &Value::Null));
    assert_eq!(status["last_update"]["result"], "fell-back");
    assert!(status["last_update"]["reason"].as_str().unwrap().contains("kernel panic"), "{status}");
    assert_eq!(status["bad_versions"][0]["version"], "1.1.0");

    // The same again, for somebody who did not believe it.
    fs::rename(&aside, &configuration).unwrap();
    host.expect(&["forget", "1.1.0"], 0);
    assert_eq!(done(&host, "refresh")["update_state"], "Available");
    for (verb, state) in [("prepare", "Staged"), ("activate", "Ready")] {
        assert_eq!(done(&host, verb)["update_state"], state);
    }
    spend();
    host.expect(&["boot"], 0);
    assert_eq!(host.status()["bad_versions"][0]["version"], "1.1.0", "it fell back twice");
}

#[test]
fn a_version_that_fell_back_is_not_chosen_until_it_is_forgotten() {
    let (_, _place, host) = offered();
    let bad = json!({"bad_versions": [
        {"version": "1.1.0", "reason": "it did", "since": "2026-11-21T12:00:00Z"},
    ]});
    host.write(STATUS_FILE.trim_start_matches('/'), &bad.to_string());
    let status = done(&host, "refresh");
    assert_eq!((&status["update_state"], &status["chosen_update"]), (&json!("Idle"), &Value::Null));
    host.expect(&["forget", "1.1.0"], 0);
    assert_eq!(done(&host, "refresh")["chosen_update"]["version"], "1.1.0");
}

#[test]
fn a_wave_that_has_not_opened_says_when_it_will() {
    let new = Release::new("1.1.0");
    let mut entry = new.entry("1.1.0");
    entry["waves"] = json!({"0": "2200-01-01T00:00:00Z", "2048": "2200-01-03T00:00:00Z"});
    let Scene { place: _place, fake, .. } =
        Scene::new(&with_manifest(new.publish(test_repository::Publisher::new(), true), &[entry]));
    let host = TestHost::of(fake);
    let status = done(&host, "refresh");
    assert_eq!((&status["update_state"], &status["available_updates"]), (&json!("Idle"), &json!([])));
    let turn = &status["chosen_update_turn"];
    assert_eq!((&turn["version"], &turn["open"]), (&json!("1.1.0"), &json!(false)));
    // Seed 5 of 2048 is 5/2048 of two days into the wave.
    assert_eq!(turn["opens"], "2200-01-01T00:07:01Z");
    assert!(turn["explanation"].as_str().unwrap().starts_with("seed 5 is in wave 1 of 1"), "{turn}");
}

#[test]
fn what_was_chosen_is_written_or_nothing() {
    let (_, place, host) = offered();
    done(&host, "refresh");
    // The publisher changes its mind: another manifest, with the same version in it.
    let mut entry = Release::new("1.1.0").entry("1.1.0");
    entry["paused"] = json!(true);
    let publisher = Release::new("1.1.0").publish(test_repository::Publisher::new().next(), true);
    with_manifest(publisher, &[entry]).write(&place.repository());
    host.expect(&["prepare"], 0);
    let status = host.ended();
    assert_eq!(status["update_state"], "Available");
    let told = status["most_recent_command"]["stderr"].as_str().unwrap();
    assert!(told.starts_with("the repository no longer offers what was chosen"), "{told}");
    assert_eq!(status["last_update"]["result"], "failed");
}

#[test]
fn a_host_that_is_told_to_updates_by_itself() {
    let (new, _place, host) = offered();
    host.write("etc/thar-be-updates.toml", "automatic = \"apply\"\n");
    let output = host.run(&["auto"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "refresh\nprepare\nactivate\nreboot\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(host.status()["update_state"], "Ready");
    let root = fs::read(host.0.path("dev/vda6")).unwrap();
    assert_eq!(root[..new.root.len()], *new.root);
    let commands = fs::read_to_string(host.0.path("run/visco/commands.log")).unwrap();
    assert_eq!(commands, "systemctl reboot --check-inhibitors=yes\n");
}

#[test]
fn work_that_is_told_to_end_says_so_and_goes_on_later() {
    let (_, _place, host) = offered();
    done(&host, "refresh");
    // So slow that there is time to end it.
    let config = fs::read_to_string(host.0.path("etc/updog.toml")).unwrap();
    host.write("etc/updog.toml", &format!("{config}max_bytes_per_second = 8192\n"));
    host.expect(&["prepare"], 0);
    let started = Instant::now();
    let pid = loop {
        let progress = fs::read(host.0.host().path(update_status::PROGRESS_FILE)).ok();
        let progress: Option<Value> = progress.and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(progress) = progress.filter(|progress| progress["phase"] != "check") {
            break progress["worker"]["pid"].as_u64().unwrap();
        }
        assert!(started.elapsed() < PATIENCE, "no progress: {}", host.status());
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(Command::new("kill").arg(pid.to_string()).status().unwrap().success());
    let status = host.ended();
    let command = &status["most_recent_command"];
    assert_eq!(
        (&command["cmd_status"], &command["exit_status"]),
        (&json!("Failed"), &json!(15)),
        "{command}"
    );
    assert_eq!(status["update_state"], "Available", "what is half written does not count");
    host.write("etc/updog.toml", &config);
    assert_eq!(done(&host, "prepare")["update_state"], "Staged");
}
