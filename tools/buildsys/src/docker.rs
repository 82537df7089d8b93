//! Runs docker: which client, with which arguments, and what its failures mean.

use crate::progress::tail;
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How often a build is tried when it runs into one of the [known races](is_race): each is rare, so ten times in a
/// row is something else.
const ATTEMPTS: u32 = 10;

/// How much of a log an error shows.
const TAIL_LINES: usize = 30;

/// Where a client is looked for first: that of the distribution fits its daemon, and needs no plug-in.
const FIRST_CLIENT: &str = "/usr/bin/docker";

/// Why docker could not build.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("docker is not installed; install it with 'sudo apt-get install docker.io'"))]
    NotInstalled,
    #[snafu(display(
        "no docker client that is installed can build with BuildKit ({tried}); install one that can with 'sudo \
         apt-get install docker.io' or 'sudo apt-get install docker-buildx-plugin'"
    ))]
    NoBuildKit { tried: String },
    #[snafu(display(
        "the docker daemon does not answer; start it with 'sudo systemctl start docker', or without systemd with \
         'sudo dockerd &' ({said})"
    ))]
    NotRunning { said: String },
    #[snafu(display(
        "this user may not use docker; run 'sudo usermod -aG docker $USER' and log in again ({said})"
    ))]
    NotAllowed { said: String },
    #[snafu(display("there is no SDK image {image} here; make it with './make sdk'"))]
    NoSdk { image: String },
    #[snafu(display("run {}", program.display()))]
    Run { program: PathBuf, source: std::io::Error },
    #[snafu(display("write {}", path.display()))]
    Write { path: PathBuf, source: std::io::Error },
    #[snafu(display("the disk is full: {}; './make clean' frees what old builds left, 'docker builder prune' what docker keeps\n{tail}", free.join(", ")))]
    DiskFull { free: Vec<String>, tail: String },
    #[snafu(display("docker build ended with {status}; the whole log is {}\n{tail}", log.display()))]
    Build { status: std::process::ExitStatus, log: PathBuf, tail: String },
}

/// A docker client that works.
#[derive(Debug)]
pub struct Client {
    program: PathBuf,
}

/// One docker build.
#[derive(Clone, Debug)]
pub struct Build {
    /// The folder it sees, with its `Dockerfile`.
    pub context: PathBuf,
    /// The stage whose files are wanted.
    pub target: &'static str,
    /// The build arguments.
    pub arguments: BTreeMap<&'static str, String>,
    /// The folder for the files of the stage.
    pub output: PathBuf,
    /// The file for what docker prints.
    pub log: PathBuf,
}

/// What a client said to `docker version`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Works,
    NeedsPlugin,
    NotRunning(String),
    NotAllowed(String),
}

impl Client {
    /// The first client that can build with the daemon that runs.
    pub fn find() -> Result<Self, Error> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let others = std::env::split_paths(&path).map(|folder| folder.join("docker"));
        let mut known: Vec<PathBuf> = Vec::new();
        for program in std::iter::once(PathBuf::from(FIRST_CLIENT)).chain(others) {
            if program.is_file() && !known.contains(&program) {
                known.push(program);
            }
        }
        Self::first_of(known)
    }

    fn first_of(known: Vec<PathBuf>) -> Result<Self, Error> {
        ensure!(!known.is_empty(), NotInstalledSnafu);
        let mut tried = Vec::new();
        for program in known {
            match ask(&program)? {
                Answer::Works => return Ok(Self { program }),
                Answer::NeedsPlugin => tried.push(program.display().to_string()),
                Answer::NotRunning(said) => return NotRunningSnafu { said }.fail(),
                Answer::NotAllowed(said) => return NotAllowedSnafu { said }.fail(),
            }
        }
        NoBuildKitSnafu { tried: tried.join(", ") }.fail()
    }

    /// The client's path.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Refuses an image that is not there: docker would try to fetch it.
    pub fn need_image(&self, image: &str) -> Result<(), Error> {
        let found = output(&self.program, &["image", "inspect", "--format", "{{.Id}}", image])?;
        ensure!(found.status.success(), NoSdkSnafu { image });
        Ok(())
    }

    /// Builds, and again when docker ran into one of its own races.
    pub fn build(&self, build: &Build) -> Result<(), Error> {
        for attempt in 1.. {
            let log = File::create(&build.log).context(WriteSnafu { path: &build.log })?;
            let errors = log.try_clone().context(WriteSnafu { path: &build.log })?;
            let status = Command::new(&self.program)
                .args(build.command_line())
                .env("DOCKER_BUILDKIT", "1")
                .stdin(Stdio::null())
                .stdout(log)
                .stderr(errors)
                .status()
                .context(RunSnafu { program: &self.program })?;
            if status.success() {
                break;
            }
            let printed = std::fs::read(&build.log).unwrap_or_default();
            let printed = String::from_utf8_lossy(&printed);
            if attempt < ATTEMPTS && is_race(&printed) {
                continue;
            }
            let tail = last_lines(&printed);
            ensure!(!is_disk_full(&printed), DiskFullSnafu { free: self.free_space(build), tail });
            return BuildSnafu { status, log: &build.log, tail }.fail();
        }
        Ok(())
    }

    /// How much room there is where builds need it.
    fn free_space(&self, build: &Build) -> Vec<String> {
        let root = output(&self.program, &["info", "--format", "{{.DockerRootDir}}"]);
        let root = root.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        let root = root.ok().filter(|root| !root.is_empty());
        let folders = root.map(PathBuf::from).into_iter().chain([build.output.clone()]);
        folders.filter_map(|folder| free_space_of(&folder)).collect()
    }
}

/// A line on the room that a file system has left.
pub(crate) fn free_space_of(folder: &Path) -> Option<String> {
    let known = folder.ancestors().find(|folder| folder.exists())?;
    let space = rustix::fs::statvfs(known).ok()?;
    let mib = space.f_bavail.saturating_mul(space.f_frsize) >> 20;
    Some(format!("{mib} MiB are free at {}", known.display()))
}

impl Build {
    fn command_line(&self) -> Vec<OsString> {
        let mut line: Vec<OsString> =
            ["build", "--network", "none", "--progress", "plain", "--target", self.target]
                .map(OsString::from)
                .to_vec();
        for (name, value) in &self.arguments {
            line.push("--build-arg".into());
            line.push(format!("{name}={value}").into());
        }
        line.push("--output".into());
        let mut output = OsString::from("type=local,dest=");
        output.push(&self.output);
        line.push(output);
        line.push(self.context.clone().into());
        line
    }
}

fn output(program: &Path, arguments: &[&str]) -> Result<std::process::Output, Error> {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().context(RunSnafu { program })
}

fn ask(program: &Path) -> Result<Answer, Error> {
    let said = output(program, &["version", "--format", "{{.Client.Version}}"])?;
    let (version, errors) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let plugin = || {
        // The plug-in decides what kinds of builds there are; its absence is an answer like any other.
        output(program, &["buildx", "version"]).is_ok_and(|said| said.status.success())
    };
    Ok(judge(&version, said.status.success(), &errors, plugin))
}

/// What a client is good for, by what it said.
fn judge(version: &str, success: bool, errors: &str, plugin: impl FnOnce() -> bool) -> Answer {
    let said = errors.lines().last().unwrap_or_default().trim().to_owned();
    if !success {
        let refused = said.contains("permission denied");
        return if refused { Answer::NotAllowed(said) } else { Answer::NotRunning(said) };
    }
    // From version 23 on the client leaves BuildKit to a plug-in.
    let major = version.trim().split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major < 23) || plugin() { Answer::Works } else { Answer::NeedsPlugin }
}

/// Whether a log ends in one of the races of `BuildKit` that a second try gets around.
fn is_race(log: &str) -> bool {
    // moby/buildkit#1090, moby/buildkit#1468, and a client that lost its daemon for a moment.
    log.contains("frontend grpc server closed unexpectedly")
        || log.contains("failed to get dead record")
        || log.lines().any(|line| line.trim() == "unexpected EOF")
}

fn is_disk_full(log: &str) -> bool {
    let log = tail(log, 64 * 1024).to_lowercase();
    log.contains("no space left on device")
}

/// The end of a log, as far as it helps: what the step printed that failed, or else the last lines of all.
fn last_lines(log: &str) -> String {
    let failed = log.lines().find_map(|line| line.strip_prefix('#')?.split_once(" ERROR: "));
    let printed = failed.map(|(step, _)| printed_by(step, log)).unwrap_or_default();
    let lines = if printed.is_empty() {
        log.lines().filter(|line| !line.trim().is_empty()).collect()
    } else {
        printed
    };
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// The lines that a step printed; `BuildKit` puts its number and a time before each.
fn printed_by<'a>(step: &str, log: &'a str) -> Vec<&'a str> {
    let lines = log.lines().filter_map(|line| {
        let (time, text) = line.strip_prefix('#')?.strip_prefix(step)?.strip_prefix(' ')?.split_once(' ')?;
        time.parse::<f64>().is_ok().then_some(text)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_says_all_that_a_build_depends_on() {
        let build = Build {
            context: "/c/a".into(),
            target: "package",
            arguments: BTreeMap::from([("ARCH", "x86_64".into()), ("PACKAGE", "a".into())]),
            output: "/o".into(),
            log: "/l".into(),
        };
        let line: Vec<_> =
            build.command_line().iter().map(|word| word.to_string_lossy().into_owned()).collect();
        assert_eq!(
            line.join(" "),
            "build --network none --progress plain --target package --build-arg ARCH=x86_64 --build-arg PACKAGE=a \
             --output type=local,dest=/o /c/a"
        );
    }

    #[test]
    fn clients_are_judged_by_what_they_say() {
        let refused = "permission denied while trying to connect to the docker daemon socket";
        let stopped = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
        for (version, success, errors, plugin, right) in [
            ("20.10.24+dfsg1\n", true, "", false, Answer::Works),
            ("28.2.2\n", true, "", false, Answer::NeedsPlugin),
            ("28.2.2\n", true, "", true, Answer::Works),
            ("dev\n", true, "", true, Answer::Works),
            ("28.2.2\n", false, stopped, true, Answer::NotRunning(stopped.into())),
            ("20.10.24\n", false, refused, true, Answer::NotAllowed(refused.into())),
        ] {
            assert_eq!(judge(version, success, errors, || plugin), right, "{version} {errors}");
        }
    }

    #[test]
    fn a_machine_without_docker_is_told_what_to_install() {
        let why = Client::first_of(Vec::new()).unwrap_err().to_string();
        assert_eq!(why, "docker is not installed; install it with 'sudo apt-get install docker.io'");
    }

    #[test]
    fn a_daemon_that_does_not_run_is_told_how_to_start() {
        let folder = tempfile::tempdir().unwrap();
        for (script, part) in [
            ("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "sudo systemctl start docker"),
            ("echo 'permission denied' >&2; exit 1", "sudo usermod -aG docker $USER"),
            ("[ $1 = version ] && echo 28.0.0", "docker-buildx-plugin"),
        ] {
            let program = folder.path().join("docker");
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let why = Client::first_of(vec![program]).unwrap_err().to_string();
            assert!(why.contains(part), "{script}: {why}");
        }
    }

    #[test]
    fn only_the_known_races_are_tried_again() {
        for (log, race) in [
            ("failed to solve: rpc error: frontend grpc server closed unexpectedly", true),
            ("x: failed to get dead record for y", true),
            ("#5 1.2\nunexpected EOF\n", true),
            ("tar: unexpected EOF in archive", false),
            ("error: no such file", false),
        ] {
            assert_eq!(is_race(log), race, "{log}");
        }
    }

    #[test]
    fn an_error_shows_what_the_step_printed_that_failed() {
        let log = "#5 [a 1/2] RUN long\n#5 0.1 other\n#6 [b 1/2] RUN x\n#6 sha256:ab\n#6 0.204 + make\n#6 1.5 error: y\n\
                   #6 ERROR: executor failed running [x]: exit code: 1\n------\n > [b 1/2] RUN x:\n------\nexecutor failed";
        assert_eq!(last_lines(log), "+ make\nerror: y");
        assert_eq!(last_lines("failed to solve\n\n"), "failed to solve");
        assert_eq!(last_lines("#7 ERROR: \"/x\" not found\nfailed"), "#7 ERROR: \"/x\" not found\nfailed");
    }

    #[test]
    fn a_build_that_fails_is_retried_or_explained() {
        let folder = tempfile::tempdir().unwrap();
        let run = |script: &str| {
            let program = folder.path().join("docker");
            std::fs::write(&program, format!("#!/bin/sh\ncd {}\n{script}\n", folder.path().display()))
                .unwrap();
            std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let build = Build {
                context: folder.path().into(),
                target: "package",
                arguments: BTreeMap::new(),
                output: folder.path().into(),
                log: folder.path().join("a.log"),
            };
            Client { program }.build(&build).map_err(|error| error.to_string())
        };
        assert_eq!(
            run("echo x >> tries; [ $(wc -l < tries) = 3 ] || { echo unexpected EOF; exit 1; }"),
            Ok(())
        );
        let why = run("[ $1 = info ] && { echo /; exit; }; echo 'a: No space left on device' >&2; exit 1")
            .unwrap_err();
        assert!(why.starts_with("the disk is full: ") && why.contains("MiB are free at /,"), "{why}");
        let why = run("for n in $(seq 50); do echo line $n; done; exit 1").unwrap_err();
        assert!(why.contains("a.log\nline 21\n") && why.ends_with("line 50"), "{why}");
    }
}
