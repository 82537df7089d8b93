//! Generators as programs of a host in a directory.

#![allow(clippy::unwrap_used, reason = "what surrounds a test fails it by panicking")]

use host::Host;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};
use sundog::{Builtin, GeneratorError, Limits, Outcome, Report, Task, run};
use tempfile::TempDir;

/// A host whose shell is the machine's own.
fn host() -> (TempDir, Host) {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("usr/bin");
    std::fs::create_dir_all(&bin).unwrap();
    symlink("/bin/sh", bin.join("sh")).unwrap();
    let host = Host::new(dir.path());
    (dir, host)
}

fn tasks(scripts: &[&str]) -> Vec<Task> {
    let key = |index| format!("settings.s{index}").parse().unwrap();
    let task =
        |(index, script): (usize, &&str)| Task { key: key(index), command: format!("sh -c \"{script}\"") };
    scripts.iter().enumerate().map(task).collect()
}

fn limits(deadline: Duration) -> Limits {
    Limits { deadline, env: vec![("HTTPS_PROXY".to_owned(), "http://p".to_owned())] }
}

fn run_all(host: &Host, scripts: &[&str], deadline: Duration) -> Vec<Report> {
    run(host, &tasks(scripts), &limits(deadline), |_| Builtin::Foreign)
}

const LONG: Duration = Duration::from_mins(1);

#[test]
fn the_documented_protocol_is_followed() {
    let (_dir, host) = host();
    let check = |script: &str, good: fn(&Outcome) -> bool| {
        let report = run_all(&host, &[script], LONG).remove(0);
        assert!(good(&report.outcome), "{script}: {:?}", report.outcome);
    };
    check("echo 7", |o| matches!(o, Outcome::Made(v) if *v == json!(7)));
    check("echo '{}'", |o| matches!(o, Outcome::Made(v) if *v == json!({})));
    check(
        "printf '\\\"%s\\\"' $HTTPS_PROXY",
        |o| matches!(o, Outcome::Made(Value::String(s)) if s == "http://p"),
    );
    check("echo not here >&2; exit 2", |o| matches!(o, Outcome::Declined(why) if why == "not here"));
    check(
        "echo a >&2; echo b >&2; exit 1",
        |o| matches!(o, Outcome::Failed(e @ GeneratorError::Failed { .. }) if e.to_string().ends_with(": a, b")),
    );
    check("exit 3", |o| matches!(o, Outcome::Failed(GeneratorError::Failed { .. })));
    check("kill -9 $$", |o| matches!(o, Outcome::Failed(GeneratorError::Failed { .. })));
    check("true", |o| matches!(o, Outcome::Failed(GeneratorError::Output { .. })));
    check("echo x y", |o| matches!(o, Outcome::Failed(GeneratorError::Output { .. })));
    check("echo 1 2", |o| matches!(o, Outcome::Failed(GeneratorError::Output { .. })));
}

#[test]
fn a_missing_program_and_a_bad_command_line_are_named() {
    let (_dir, directory) = host();
    let task = |command: &str| Task { key: "settings.x".parse().unwrap(), command: command.to_owned() };
    let commands = [task("no-such-generator x"), task("sh 'x")];
    let reports = run(&Host::new("/"), &commands, &limits(LONG), |_| Builtin::Foreign);
    assert!(
        matches!(&reports[0].outcome, Outcome::Failed(GeneratorError::NoProgram { program }) if program == "no-such-generator")
    );
    let in_directory = run(&directory, &commands, &limits(LONG), |_| Builtin::Foreign);
    assert!(matches!(&in_directory[0].outcome, Outcome::Declined(why) if why.contains("no-such-generator")));
    assert_eq!(reports[0].remedy(), "set settings.x in user data");
    assert!(matches!(&reports[1].outcome, Outcome::Failed(GeneratorError::Split { .. })));
}

#[test]
fn a_slow_generator_is_ended_and_others_are_not_held_up() {
    let (_dir, host) = host();
    let started = Instant::now();
    let reports = run_all(&host, &["exec sleep 60", "echo 1"], Duration::from_millis(300));
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(matches!(reports[0].outcome, Outcome::Failed(GeneratorError::TooLong { .. })));
    assert!(matches!(&reports[1].outcome, Outcome::Made(v) if *v == json!(1)));
}

#[test]
fn generators_run_at_the_same_time() {
    let (dir, host) = host();
    let meet = |mine: &str, other: &str| {
        let dir = dir.path().display();
        format!("touch {dir}/{mine}; while ! test -e {dir}/{other}; do :; done; echo 1")
    };
    let (first, second) = (meet("a", "b"), meet("b", "a"));
    let reports = run_all(&host, &[&first, &second], Duration::from_secs(30));
    assert!(reports.iter().all(|r| matches!(r.outcome, Outcome::Made(_))), "{reports:?}");
}

#[test]
fn built_in_generators_start_no_program() {
    let (_dir, host) = host();
    let command = |name: &str| Task { key: "settings.x".parse().unwrap(), command: name.to_owned() };
    let tasks = [command("now 1"), command("waits"), command("late")];
    let reports = run(&host, &tasks, &limits(Duration::from_millis(200)), |argv| match argv[0].as_str() {
        "now" => Builtin::Done(Outcome::Made(json!(argv[1]))),
        "waits" => Builtin::Waits(Box::new(|| Outcome::Made(json!(2)))),
        _ => Builtin::Waits(Box::new(|| {
            std::thread::park_timeout(LONG);
            Outcome::Made(json!(3))
        })),
    });
    assert!(matches!(&reports[0].outcome, Outcome::Made(v) if *v == json!("1")));
    assert!(matches!(&reports[1].outcome, Outcome::Made(v) if *v == json!(2)));
    assert!(matches!(&reports[2].outcome, Outcome::Failed(GeneratorError::TooLong { .. })));
}
