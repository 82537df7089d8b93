//! The tour of the README, line by line.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::path::Path;
use std::process::Command;
use tests::TestHost;

/// What the tour shows failing, with the exit status of refused settings.
const REFUSED: [&str; 3] = ["v set motdd=oops", "v set kernel.lockdown=maybe", "wrong/unknown-key.toml"];

/// The commands that the README gives to a shell, in order.
fn commands(readme: &str) -> impl Iterator<Item = &str> {
    let mut shown = false;
    readme.lines().filter_map(move |line| {
        if line.starts_with("```") {
            shown = line == "```console";
        }
        line.strip_prefix("$ ").filter(|_| shown)
    })
}

#[test]
fn every_line_of_the_tour_does_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let sample = std::fs::read(root.join("tools/hostlab/user-data.toml")).unwrap();
    let host = TestHost::boot("metal-dev", Some(&sample));
    let directory = host.lab.host.root().display().to_string();
    let mut ran = 0;
    for line in commands(&readme).filter(|line| line.starts_with("v ") || line.starts_with("cat ")) {
        let script =
            format!("v() {{ build/host/usr/bin/apiclient -s build/host/run/api.sock \"$@\"; }}\n{line}")
                .replace("build/host", &directory);
        let output = Command::new("sh").args(["-c", &script]).current_dir(root).output().unwrap();
        let expected = if REFUSED.iter().any(|refused| line.contains(refused)) { 3 } else { 0 };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(expected), "{line}: {said}");
        ran += 1;
    }
    assert!(ran >= 15, "the tour has become short, or its form has changed: {ran} lines");
    // Where the tour ends: back at what it set, with the proxy confirmed.
    assert_eq!(host.file("/etc/motd"), "Hello again\n");
    let (_, network) = host.request("GET", "/settings?prefix=settings.network.https-proxy", "");
    assert_eq!(network["network"]["https-proxy"], "http://proxy.example.com:3128");
}

#[test]
fn the_two_commands_of_the_readme_are_tasks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let tasks = std::fs::read_to_string(root.join("Makefile.toml")).unwrap();
    let called: Vec<&str> =
        commands(&readme).filter_map(|line| line.split("./make ").nth(1)?.split(' ').next()).collect();
    assert!(called.len() >= 3, "{called:?}");
    for task in called {
        assert!(tasks.contains(&format!("[tasks.{task}]")), "./make {task}");
    }
}
