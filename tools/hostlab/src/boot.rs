//! Running the programs in boot order.

use crate::Lab;
use host::program::ROOT_VARIABLE;
use snafu::{ResultExt, Snafu};
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long the server may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(30);

/// One step of the boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The program.
    pub program: &'static str,
    /// Its arguments.
    pub args: &'static [&'static str],
    /// What it does, for people.
    pub about: &'static str,
}

/// The steps after the server is up, in order; the units of an image follow the same.
const STEPS: [Step; 3] = [
    Step { program: "early-boot-config", args: &[], about: "user data" },
    Step { program: "sundog", args: &[], about: "generated settings" },
    Step { program: "thar-be-settings", args: &["--all"], about: "configuration files" },
];
const STORE: Step = Step { program: "storewolf", args: &[], about: "folder of the datastore" };
const SERVER: Step = Step { program: "apiserver", args: &[], about: "defaults, API socket" };

/// How one step went.
#[derive(Clone, Debug)]
pub struct StepResult {
    /// The step.
    pub step: Step,
    /// How long it took.
    pub took: Duration,
    /// How it ended; the server's step ends when it listens.
    pub status: Option<ExitStatus>,
}

impl StepResult {
    /// Whether the step did what it should.
    pub fn succeeded(&self) -> bool {
        self.status.is_none_or(|status| status.success())
    }
}

/// A boot that could not go on.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum BootError {
    #[snafu(display("this host runs already: a server listens on {}", socket.display()))]
    RunningAlready { socket: PathBuf },
    #[snafu(display("clear {}", path.display()))]
    Clear { path: PathBuf, source: std::io::Error },
    #[snafu(display("start {program}"))]
    Start { program: &'static str, source: std::io::Error },
    #[snafu(display("wait for {program}"))]
    Wait { program: &'static str, source: std::io::Error },
    #[snafu(display("the server ended with {status} before it listened"))]
    ServerEnded { status: ExitStatus },
    #[snafu(display("the server did not listen within {} s", START_LIMIT.as_secs()))]
    ServerSilent,
}

/// A booted host: its server runs until this is dropped.
#[derive(Debug)]
pub struct Running {
    server: Child,
}

impl Lab {
    /// Boots: clears what an image keeps in memory, runs every step, telling `report` of each, and goes on past
    /// steps that fail.
    pub fn boot(&self, mut report: impl FnMut(&StepResult)) -> Result<Running, BootError> {
        if UnixStream::connect(self.socket()).is_ok() {
            return RunningAlreadySnafu { socket: self.socket() }.fail();
        }
        for path in ["/etc", "/run"].map(|folder| self.host.path(folder)) {
            match std::fs::remove_dir_all(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(BootError::Clear { path, source });
                }
                _ => {}
            }
        }
        report(&self.run_step(STORE)?);
        let started = Instant::now();
        let running = self.start_server()?;
        report(&StepResult { step: SERVER, took: started.elapsed(), status: None });
        for step in STEPS {
            report(&self.run_step(step)?);
        }
        Ok(running)
    }

    /// Starts the server and waits until it listens.
    pub fn start_server(&self) -> Result<Running, BootError> {
        let server = self.command(SERVER).spawn().context(StartSnafu { program: SERVER.program })?;
        let mut running = Running { server };
        let started = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            if let Some(status) = running.server.try_wait().context(WaitSnafu { program: SERVER.program })? {
                return ServerEndedSnafu { status }.fail();
            }
            snafu::ensure!(started.elapsed() < START_LIMIT, ServerSilentSnafu);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(running)
    }

    /// Runs one step to its end.
    pub fn run_step(&self, step: Step) -> Result<StepResult, BootError> {
        let started = Instant::now();
        let status = self.command(step).status().context(StartSnafu { program: step.program })?;
        Ok(StepResult { step, took: started.elapsed(), status: Some(status) })
    }

    /// A program of this host, ready to start.
    pub fn command(&self, step: Step) -> Command {
        let mut command = Command::new(self.host.path("/usr/bin").join(step.program));
        command
            .args(step.args)
            .args(["--log-level", "error"])
            .env(ROOT_VARIABLE, self.host.root())
            .stdin(Stdio::null());
        command
    }
}

impl Running {
    /// Process id of the server.
    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    /// Kills the server (SIGKILL), as a crash would.
    pub fn kill(mut self) -> std::io::Result<()> {
        self.server.kill()?;
        self.server.wait().map(drop)
    }

    /// Waits until the server ends by itself.
    pub fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.server.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.server.id().cast_signed()) {
            // It may have ended already; then there is nothing to tell and nothing to wait for.
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        drop(self.server.wait());
    }
}
