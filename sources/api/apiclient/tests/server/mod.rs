//! Running the program as scripts do.

use std::io::Write;
use std::process::{Command, Stdio};

/// How a run of the program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `apiclient` with an environment of its own.
pub(crate) fn apiclient(arguments: &[&str], stdin: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_apiclient"))
        .args(arguments)
        .env_remove("VISCO_ROOT")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that refuses its arguments does not read.
    drop(child.stdin.take().expect("stdin was piped").write_all(stdin.as_bytes()));
    let output = child.wait_with_output().expect("the program ends");
    Ended {
        status: output.status.code().expect("no signal ends the program"),
        stdout: String::from_utf8(output.stdout).expect("the output is text"),
        stderr: String::from_utf8(output.stderr).expect("the messages are text"),
    }
}
