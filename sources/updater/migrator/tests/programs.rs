//! Migrations that are programs: real ones, compiled here, under the documented protocol.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod lab;

use host::program::chain;
use lab::{Lab, Repository, settings};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// A migration program with the name of its source file.
fn compiled() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/convert.rs");
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(compiler);
        command.args(["--edition=2024", "-Copt-level=1", "-Cstrip=symbols", "-o"]).arg(&program).arg(source);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(program).unwrap()
    })
}

fn repository() -> Repository {
    Repository::default()
        .edge("1.0.0", "1.1.0", &[("m1", "{ remove = { keys = ['settings.gone'] } }")])
        .program("1.1.0", "1.2.0", "m2", compiled())
        .edge("1.2.0", "1.3.0", &[("m3", "{ rename = { from = 'settings.old', to = 'settings.new' } }")])
}

#[test]
fn a_program_between_rows_runs_forward_and_backward() {
    let lab = Lab::new("1.0.0");
    lab.migrate("1.3.0", &repository()).unwrap();
    let mut expected = settings();
    expected.insert("user-data", json!({"settings.motd": "user", "settings.new.a": [1]}));
    expected.insert("api", json!({"settings.motd": "api", "settings.new.b": [true]}));
    // Every layer keeps what is its own, below others too; `os` and metadata are not taken in.
    assert_eq!(lab.layers(), expected);
    lab.set("settings.new.a", &json!(["changed"]));
    lab.migrate("1.0.0", &repository()).unwrap();
    let mut expected = settings();
    expected.insert(
        "api",
        json!({"settings.motd": "api", "settings.old.b": [true], "settings.old.a": "changed"}),
    );
    // What rows removed before the program ran comes back all the same.
    assert_eq!(lab.layers(), expected);
    assert!(!lab.host.path("/run/visco/migration").exists(), "nothing is left of the program's files");
}

#[test]
fn a_program_that_fails_leaves_everything_as_it_was() {
    let check = |value: &str, expected: &str| {
        let lab = Lab::new("1.0.0");
        lab.set("settings.break", &json!(value));
        let before = lab.layers();
        let error = chain(&lab.migrate("1.3.0", &repository()).unwrap_err());
        assert!(error.starts_with(expected), "{value}: {error}");
        assert_eq!(lab.names(), ["current -> v1.0.0", "v1.0.0"], "{value}");
        assert_eq!(lab.layers(), before, "{value}");
        assert!(!lab.host.path("/run/visco/migration").exists(), "{value}");
    };
    check("fail", "run m2 forward: it ended with exit status: 3: the store is not to my taste");
    check("value", "run m2 forward: it left a value that cannot be read in settings/break: it is not JSON");
}

#[test]
fn what_only_looks_like_a_program_is_not_run() {
    let lab = Lab::new("1.0.0");
    let repository = Repository::default().program("1.0.0", "1.1.0", "m", b"\x7fELF and nothing else");
    let error = chain(&lab.migrate("1.1.0", &repository).unwrap_err());
    assert!(error.starts_with("run m forward: start it: start /proc/self/fd/"), "{error}");
    assert_eq!(lab.names(), ["current -> v1.0.0", "v1.0.0"]);
}
