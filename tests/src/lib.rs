//! Whole-host scenarios.
//!
//! Each test lays out a host in a temporary directory, boots it with the real programs, and looks at what they
//! leave there. Run them with `cargo test -p tests`.
//!
//! The tests `image` and `boot` judge an image that a build left, by tools that are not ours, by what is in it, and by
//! booting it. They are ignored there; `./make test-image` builds the image and runs them.

#[allow(clippy::unwrap_used, reason = "tests may panic")]
pub mod booted;
pub mod built;
#[allow(clippy::unwrap_used, reason = "tests may panic")]
pub mod kills;
pub mod power_cut;
#[allow(clippy::unwrap_used, reason = "tests may panic")]
pub mod updates;

use hostlab::http::Connection;
use hostlab::{Lab, PROGRAMS, Running, StepResult};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A booted host in a temporary directory.
#[derive(Debug)]
pub struct TestHost {
    /// The host.
    pub lab: Lab,
    /// How the steps of its last boot went.
    pub steps: Vec<StepResult>,
    running: Option<Running>,
    // Removed last, after the server has ended.
    _directory: TempDir,
}

/// Builds the programs, once for all tests of a process, and tells where they are.
///
/// Cargo builds no program of another package for a test, so the tests ask it to.
pub fn programs() -> &'static Path {
    static PROGRAMS_FOLDER: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS_FOLDER.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        for (program, _) in PROGRAMS {
            build.args(["--package", program]);
        }
        assert!(build.status().expect("cargo runs").success(), "the programs build");
        // A test program is in the `deps` folder below the programs.
        let test = std::env::current_exe().expect("a test knows where it is");
        test.ancestors().nth(2).expect("a test is two folders deep").to_owned()
    })
}

impl TestHost {
    /// Lays out and boots a host.
    pub fn boot(variant: &str, user_data: Option<&[u8]>) -> Self {
        Self::boot_with(variant, |lab| {
            if let Some(text) = user_data {
                lab.give_user_data(text).expect("user data can be written");
            }
        })
    }

    /// Boots a new host of this variant for the first time, after a change to what is in its directory.
    pub fn boot_with(variant: &str, change: impl FnOnce(&Lab)) -> Self {
        let directory = TempDir::with_prefix("visco").expect("a temporary directory can be made");
        let lab = Lab::prepare(directory.path(), programs(), variant).expect("the host can be laid out");
        change(&lab);
        let mut host = Self { lab, steps: Vec::new(), running: None, _directory: directory };
        host.start();
        host
    }

    /// Ends the server and boots again.
    pub fn reboot(&mut self) {
        self.running = None;
        self.start();
    }

    fn start(&mut self) {
        self.steps.clear();
        let steps = &mut self.steps;
        self.running = Some(self.lab.boot(|step| steps.push(step.clone())).expect("the server starts"));
    }

    /// The steps of the boot that failed.
    pub fn failed_steps(&self) -> Vec<&str> {
        self.steps.iter().filter(|step| !step.succeeded()).map(|step| step.step.program).collect()
    }

    /// Runs the client.
    pub fn client(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.lab.host.path("/usr/bin/apiclient"));
        command.env(host::program::ROOT_VARIABLE, self.lab.host.root()).args(arguments);
        command.output().expect("the client runs")
    }

    /// Sends a request; gives status and body.
    pub fn request(&self, method: &str, uri: &str, body: &str) -> (u16, Value) {
        let mut connection = Connection::open(&self.lab.socket()).expect("the server listens");
        let answer = connection.exchange(method, uri, body).expect("the server answers");
        let body = serde_json::from_slice(&answer.body)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&answer.body).into_owned()));
        (answer.status, body)
    }

    /// A file of the host, as text.
    pub fn file(&self, path: &str) -> String {
        let content = self.lab.host.read(path).expect("the file can be read");
        let content = content.unwrap_or_else(|| panic!("{path} is missing"));
        String::from_utf8(content).expect("the file is text")
    }

    /// A TOML file of the host.
    pub fn toml(&self, path: &str) -> Value {
        toml::from_str(&self.file(path)).expect("the file is TOML")
    }

    /// The permissions of a file.
    pub fn mode(&self, path: &str) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(self.lab.host.path(path)).expect("the file is there").permissions().mode() & 0o7777
    }
}
