//! Child processes.

use crate::{FileError, Host};
use rustix::process::{Pid, Signal, kill_process_group};
use snafu::{ResultExt, Snafu, ensure};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// Where commands are written that a host in a directory does not run.
pub const COMMAND_LOG: &str = "/run/visco/commands.log";

/// How often a child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(1);

/// A program to run: an argument list, never a shell line.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program, then its arguments.
    pub argv: Vec<String>,
    /// Variables added to the environment.
    pub env: Vec<(String, String)>,
    /// What the program reads.
    pub stdin: Vec<u8>,
    /// When it is killed.
    pub timeout: Duration,
}

/// What a program that ended left behind.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error, as text.
    pub stderr: String,
}

/// A command that could not be run to its end.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum CommandError {
    #[snafu(display("an empty command line cannot be run"))]
    Empty,
    #[snafu(display("start {program}"))]
    Start { program: String, source: std::io::Error },
    #[snafu(display("wait for {program}"))]
    Wait { program: String, source: std::io::Error },
    #[snafu(display("{program} did not end within {} s and was killed", timeout.as_secs()))]
    TimedOut { program: String, timeout: Duration },
    #[snafu(display("record {program}"))]
    Record { program: String, source: FileError },
}

/// A command that was to change the machine, and did not.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum OrderError {
    #[snafu(display("run '{line}'"))]
    Run { line: String, source: CommandError },
    #[snafu(display("run '{line}': it ended with {status}: {stderr}"))]
    Ended { line: String, status: ExitStatus, stderr: String },
}

impl Host {
    /// Runs a program of this host to its end. An absolute path is looked up below the root; a bare name first in
    /// `/usr/bin` of the root, then, on the machine itself, on the search path.
    pub fn run(&self, command: &Command) -> Result<Output, CommandError> {
        let program = command.argv.first().ok_or(CommandError::Empty)?;
        let mut child = self
            .process(program)
            .args(&command.argv[1..])
            .envs(command.env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that a time limit ends what the program started too.
            .process_group(0)
            .spawn()
            .context(StartSnafu { program })?;
        let stdin = child.stdin.take().expect("stdin was piped");
        let input = command.stdin.clone();
        // A child that does not read its input is not an error of ours.
        std::thread::spawn(move || drop({ stdin }.write_all(&input)));
        let stdout = collect(child.stdout.take().expect("stdout was piped"));
        let stderr = collect(child.stderr.take().expect("stderr was piped"));
        let deadline = Instant::now() + command.timeout;
        let late = || TimedOutSnafu { program, timeout: command.timeout };
        let Some(status) = wait(&mut child, deadline).context(WaitSnafu { program })? else {
            kill_group(&child);
            child.wait().context(WaitSnafu { program })?;
            return late().fail();
        };
        // What the program left running may still hold its output.
        let text = |output: Receiver<Vec<u8>>| {
            output.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        };
        let (Ok(stdout), Ok(stderr)) = (text(stdout), text(stderr)) else {
            kill_group(&child);
            return late().fail();
        };
        Ok(Output { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }

    /// Starts a program of this host that goes on when this one has ended. It is given `stdin`, such as a lock to keep,
    /// and `stderr` if there is somewhere to write to; what it writes to its standard output is lost. The program is
    /// looked up as by [`Host::run`]; the input and the time limit of the command do not count.
    pub fn leave_running(
        &self,
        command: &Command,
        stdin: OwnedFd,
        stderr: Option<OwnedFd>,
    ) -> Result<(), CommandError> {
        let program = command.argv.first().ok_or(CommandError::Empty)?;
        let started = self
            .process(program)
            .args(&command.argv[1..])
            .envs(command.env.iter().map(|(k, v)| (k, v)))
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(stderr.map_or_else(Stdio::null, Stdio::from))
            .process_group(0)
            .spawn();
        started.map(drop).context(StartSnafu { program })
    }

    /// Runs a command that acts on the machine's services; a host in a directory only records it.
    pub fn act(&self, command: &Command) -> Result<Option<Output>, CommandError> {
        if self.is_machine() {
            return self.run(command).map(Some);
        }
        let program = command.argv.first().ok_or(CommandError::Empty)?;
        self.append_line(COMMAND_LOG, &command.argv.join(" ")).context(RecordSnafu { program })?;
        Ok(None)
    }

    /// The same for a command that must succeed.
    pub fn order(&self, command: &Command) -> Result<(), OrderError> {
        let line = || command.argv.join(" ");
        if let Some(output) = self.act(command).with_context(|_| RunSnafu { line: line() })? {
            let stderr = output.stderr.trim_end();
            ensure!(output.status.success(), EndedSnafu { line: line(), status: output.status, stderr });
        }
        Ok(())
    }

    fn process(&self, program: &str) -> std::process::Command {
        let inside =
            if program.starts_with('/') { self.path(program) } else { self.path("/usr/bin").join(program) };
        let mut process = if inside.exists() || !self.is_machine() {
            std::process::Command::new(inside)
        } else {
            std::process::Command::new(program)
        };
        if !self.is_machine() {
            process.env(crate::program::ROOT_VARIABLE, self.root());
        }
        process
    }
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut content = Vec::new();
        // What was read until the pipe broke is all there is to have; nobody listens after the time limit.
        drop(from.read_to_end(&mut content));
        drop(tell.send(content));
    });
    told
}

fn wait(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

/// Kills a child and all that it started and that did not leave its group.
fn kill_group(child: &Child) {
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        // The group may be empty by now, which is what is wanted.
        kill_process_group(group, Signal::KILL).ok();
    }
}

impl Command {
    /// A command with no input, limited to 30 s.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            stdin: Vec::new(),
            timeout: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_gets_its_input_and_gives_its_output() {
        let mut cat = Command::new(["cat"]);
        cat.stdin = b"text".to_vec();
        let output = Host::new("/").run(&cat).unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, b"text");
    }

    #[test]
    fn a_child_that_takes_too_long_is_killed() {
        let mut sleep = Command::new(["sleep", "60"]);
        sleep.timeout = Duration::from_millis(20);
        let error = Host::new("/").run(&sleep).unwrap_err();
        assert!(matches!(error, CommandError::TimedOut { .. }), "{error}");
    }

    #[test]
    fn what_a_child_leaves_running_does_not_hold_up_its_caller() {
        let mut shell = Command::new(["sh", "-c", "sleep 60 & echo started"]);
        shell.timeout = Duration::from_millis(200);
        let error = Host::new("/").run(&shell).unwrap_err();
        assert!(matches!(error, CommandError::TimedOut { .. }), "{error}");
    }

    #[test]
    fn a_program_that_is_left_running_keeps_what_it_was_given() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let host = Host::new("/");
        host.leave_running(&Command::new(["sh", "-c", "echo done >&0"]), theirs.into(), None).unwrap();
        let mut said = String::new();
        (&ours).read_to_string(&mut said).unwrap();
        assert_eq!(said, "done\n");
        let (_, stdin) = std::os::unix::net::UnixStream::pair().unwrap();
        let absent = host.leave_running(&Command::new(["/no/such/program"]), stdin.into(), None);
        assert!(matches!(absent, Err(CommandError::Start { .. })), "{absent:?}");
    }

    #[test]
    fn an_order_that_is_not_carried_out_is_an_error() {
        let machine = Host::new("/");
        machine.order(&Command::new(["true"])).unwrap();
        let error = machine.order(&Command::new(["ls", "/no/such/file"])).unwrap_err().to_string();
        assert!(error.starts_with("run 'ls /no/such/file': it ended with exit status: 2: "), "{error}");
        let error = machine.order(&Command::new(["/no/such/program"])).unwrap_err();
        assert!(matches!(error, OrderError::Run { .. }), "{error}");
    }

    #[test]
    fn a_host_in_a_directory_records_what_it_would_do_to_services() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        assert!(host.act(&Command::new(["systemctl", "restart", "x.service"])).unwrap().is_none());
        let log = host.read(COMMAND_LOG).unwrap().unwrap();
        assert_eq!(log, b"systemctl restart x.service\n");
    }
}
