//! `apiclient` against a real server: what it says, and how it ends.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use tests::TestHost;

fn host() -> TestHost {
    TestHost::boot("metal-dev", None)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs a verb that succeeds and prints JSON.
fn document(host: &TestHost, arguments: &[&str]) -> Value {
    let output = host.client(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn motd(host: &TestHost) -> Value {
    host.request("GET", "/settings?keys=settings.motd", "").1["motd"].clone()
}

#[test]
fn set_is_silent_on_stdout_and_tells_people_what_happened() {
    let host = host();
    let set = host.client(&["set", "motd=a", "ntp.time-servers=[\"a.example\"]"]);
    assert_eq!((set.status.code(), stdout(&set)), (Some(0), String::new()));
    let said = stderr(&set);
    for part in ["2 settings", "/etc/motd", "written", "chronyd.service", "recorded, not run"] {
        assert!(said.contains(part), "no '{part}' in: {said}");
    }
    let again = stderr(&host.client(&["set", "motd=a"]));
    assert!(again.contains("unchanged"), "{again}");
    let quiet = host.client(&["set", "--no-wait", "motd=b"]);
    assert_eq!((stdout(&quiet), stderr(&quiet)), (String::new(), String::new()));
    let job = document(&host, &["set", "--json-output", "--json", r#"{"settings": {"motd": "c"}}"#]);
    assert_eq!((job["state"].clone(), job["keys"].clone()), (json!("succeeded"), json!(["settings.motd"])));
}

#[test]
fn get_merges_its_prefixes_and_escapes_them() {
    let host = host();
    assert!(host.client(&["set", "kernel.sysctl.\"a.b/c\"=1"]).status.success());
    let shown = document(&host, &["get", "settings.kernel.sysctl.\"a.b/c\"", "settings.motd", "nothing"]);
    let expected = json!({"settings": {"kernel": {"sysctl": {"a.b/c": "1"}}, "motd": "Welcome to Visco!"}});
    assert_eq!(shown, expected);
    assert_eq!(document(&host, &["get", "nothing"]), json!({}));
    assert_eq!(document(&host, &["get", "/os"]), document(&host, &["-u", "/os"]));
    let everything = document(&host, &["get"]);
    assert_eq!(everything.as_object().unwrap().keys().collect::<Vec<_>>(), ["os", "settings"]);
}

#[test]
fn apply_merges_its_sources_into_one_change() {
    let host = host();
    let toml = "base64:W3NldHRpbmdzXQptb3RkID0gJ2EnCltzZXR0aW5ncy51cGRhdGVzXQpzZWVkID0gMQo=";
    let json = r#"{"settings": {"updates": {"seed": 2}}}"#;
    let file = host.lab.host.path("/later.json");
    std::fs::write(&file, json).unwrap();
    let apply = host.client(&["apply", toml, file.to_str().unwrap()]);
    assert!(apply.status.success(), "{}", stderr(&apply));
    assert_eq!(motd(&host), json!("a"));
    assert_eq!(
        host.request("GET", "/settings?keys=settings.updates.seed", "").1["updates"]["seed"],
        json!(2)
    );

    std::fs::write(&file, r#"{"settings": {"updates": {"seeed": 2}}}"#).unwrap();
    let wrong = host.client(&["apply", "base64:c2V0dGluZ3MubW90ZD0nYic=", file.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(3));
    let expected =
        "/later.json:1:27: settings.updates.seeed is not a setting (did you mean 'settings.updates.seed'?)\n";
    assert!(stderr(&wrong).ends_with(expected), "{}", stderr(&wrong));
    assert_eq!(motd(&host), json!("a"));
    assert_eq!(host.request("GET", "/tx/list", "").1, json!([]), "no transaction is left behind");
}

#[test]
fn an_applier_that_fails_is_told_apart_from_a_refusal() {
    let host = host();
    let applier = host.lab.host.path("/usr/bin/thar-be-settings");
    std::fs::remove_file(&applier).unwrap();
    std::fs::write(&applier, "#!/bin/sh\necho no disk left >&2\nexit 1\n").unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&applier).status().unwrap().success());
    let set = host.client(&["set", "motd=a"]);
    assert_eq!(set.status.code(), Some(4));
    let said = stderr(&set);
    assert!(said.contains("committed, but applying them failed") && said.contains("no disk left"), "{said}");
    assert_eq!(motd(&host), json!("a"));
}

#[test]
fn raw_gives_the_body_and_fails_with_the_status() {
    let host = host();
    let pending = host.client(&["raw", "-u", "/settings?tx=r", "-X", "PATCH", "-d", r#"{"motd": "r"}"#]);
    assert_eq!((pending.status.code(), stdout(&pending)), (Some(0), String::new()));
    assert_eq!(document(&host, &["-u", "/tx?tx=r"]), json!({"motd": "r"}));
    let verbose = stderr(&host.client(&["-v", "raw", "-u", "/os"]));
    assert!(verbose.contains("200 OK"), "{verbose}");
    let missing = host.client(&["raw", "-u", "/nowhere"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("/nowhere"), "{}", stderr(&missing));
}

#[test]
fn a_dry_run_and_a_diff_show_a_change_and_make_none() {
    let host = host();
    let dry = host.client(&["set", "--dry-run", "motd=a"]);
    assert!(dry.status.success(), "{}", stderr(&dry));
    let lines = "settings.motd\n  - \"Welcome to Visco!\"\n  + \"a\"\n";
    assert!(stdout(&dry).starts_with(lines), "{}", stdout(&dry));
    assert!(stdout(&dry).contains("/etc/motd"), "{}", stdout(&dry));
    assert_eq!(motd(&host), json!("Welcome to Visco!"));
    assert_eq!(host.request("GET", "/tx/list", "").1, json!([]));
    host.request("PATCH", "/settings?tx=d", r#"{"motd": "a"}"#);
    assert_eq!(stdout(&host.client(&["diff", "d"])), stdout(&dry));
    assert_eq!(document(&host, &["diff", "--json", "--tx", "d"])["changes"][0]["key"], "settings.motd");
}

#[test]
fn history_goes_back_one_commit_or_to_one() {
    let host = host();
    let commit = |value: &str| {
        let job = document(&host, &["set", "--json-output", "--message", value, &format!("motd={value}")]);
        job["commits"][0].as_u64().unwrap().to_string()
    };
    let (first, second) = (commit("one"), commit("two"));
    let history = stdout(&host.client(&["history", "--limit", "2"]));
    assert_eq!(history.lines().count(), 3, "{history}");
    assert!(history.contains("apiclient (uid") && history.contains("two"), "{history}");
    let shown = stdout(&host.client(&["show", &second]));
    assert!(shown.contains("settings.motd (api)\n  - \"one\"\n  + \"two\"\n"), "{shown}");
    let verified = host.client(&["history", "--verify"]);
    assert!(verified.status.success() && stdout(&verified).contains("intact"), "{}", stdout(&verified));

    assert!(host.client(&["revert", &second]).status.success());
    assert_eq!(motd(&host), json!("one"));
    commit("three");
    let back = host.client(&["rollback", &first]);
    assert!(back.status.success() && stderr(&back).contains("/etc/motd"), "{}", stderr(&back));
    assert_eq!(host.file("/etc/motd"), "one\n");
    assert_eq!(host.client(&["show", "99999"]).status.code(), Some(1));
}

#[test]
fn a_trial_is_kept_when_it_is_confirmed() {
    let host = host();
    let nothing = host.client(&["confirm"]);
    assert_eq!((nothing.status.code(), stderr(&nothing)), (Some(1), "no commit is on trial\n".to_owned()));
    let set = host.client(&["set", "--try", "600", "motd=trial"]);
    assert!(stderr(&set).contains("undone in 600 s unless you run 'apiclient confirm "), "{}", stderr(&set));
    let status = stdout(&host.client(&["status"]));
    assert!(status.contains("unless confirmed"), "{status}");
    let confirm = host.client(&["confirm"]);
    assert!(confirm.status.success(), "{}", stderr(&confirm));
    assert_eq!(document(&host, &["status", "--json"])["trials"], json!([]));
    assert_eq!(motd(&host), json!("trial"));
}

#[test]
fn a_setting_is_explained_and_its_value_traced() {
    let host = host();
    assert!(host.client(&["set", "motd=a"]).status.success());
    let told = stdout(&host.client(&["explain", "motd"]));
    assert!(told.starts_with("settings.motd\n") && told.contains("Default: \"Welcome to Visco!\""), "{told}");
    let traced = stdout(&host.client(&["origin", "motd"]));
    let layers: Vec<&str> = traced.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(layers, ["settings.motd", "api", "default"], "{traced}");
    let wrong = host.client(&["explain", "motdd"]);
    assert!(stderr(&wrong).contains("did you mean 'settings.motd'?"), "{}", stderr(&wrong));
    let schema = document(&host, &["schema"]);
    assert_eq!(schema["properties"]["motd"]["type"], "string");
}

#[test]
fn watch_tells_commits_and_jobs_as_they_happen() {
    let host = host();
    let mut watch = Command::new(host.lab.host.path("/usr/bin/apiclient"))
        .env(host::program::ROOT_VARIABLE, host.lab.host.root())
        .args(["watch", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    // Nothing tells when the stream is open, so changes are made until one is seen.
    let setter = std::thread::spawn(move || {
        for n in 0..200 {
            if !host.client(&["set", &format!("motd={n}")]).status.success() {
                break;
            }
        }
    });
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let kind = event["kind"].as_str().unwrap().to_owned();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.sort();
    assert_eq!(kinds, ["commit", "job"]);
    watch.kill().unwrap();
    watch.wait().unwrap();
    setter.join().unwrap();
}
