//! Updates of the host: what is asked of the program that makes them, and the document it keeps.

use crate::ApiError;
use host::{Command, CommandError, Host, Output};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use std::io::ErrorKind;
use std::time::Duration;
use update_status::{LOCK_FILE, PROGRESS_FILE, Refusal, STATUS_FILE, Status, Time, Verb};

/// The program, on the host.
const PROGRAM: &str = "/usr/bin/thar-be-updates";
/// How long it may take to say whether it will do what was asked. The work itself goes on without us.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Has a command of an update started. Returns once it is accepted; the document tells when it has ended.
pub(crate) async fn start(host: &Host, verb: Verb) -> Result<(), ApiError> {
    run(host, vec![PROGRAM.to_owned(), verb.name().to_owned()]).await
}

/// Has a version forgotten that fell back, so that it may be chosen again.
pub(crate) async fn forget(host: &Host, version: String) -> Result<(), ApiError> {
    run(host, vec![PROGRAM.to_owned(), "forget".to_owned(), "--".to_owned(), version]).await
}

async fn run(host: &Host, argv: Vec<String>) -> Result<(), ApiError> {
    let (host, line) = (host.clone(), argv.join(" "));
    let command = Command { timeout: TIME_LIMIT, ..Command::new(argv) };
    let ended = tokio::task::spawn_blocking(move || host.run(&command)).await;
    match ended.map_err(|e| ApiError::Internal { what: format!("run {line}: {e}") })? {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(refused(line, output)),
        Err(CommandError::Start { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Err(ApiError::NoUpdates)
        }
        Err(error) => Err(ApiError::Command(error)),
    }
}

/// What an exit status of the program means (Bottlerocket documents, API, section 8.5).
fn refused(command: String, output: Output) -> ApiError {
    // Its own words are the last line; what it logged stands before.
    let what = output.stderr.trim_end().lines().last().unwrap_or_default().to_owned();
    let code = output.status.code().and_then(|code| u8::try_from(code).ok());
    let not_found = [Refusal::NoneChosen, Refusal::NoneStaged, Refusal::NotRemembered];
    match code {
        Some(code) if code == Refusal::Locked.exit_status() => ApiError::Locked { what },
        Some(code) if code == NOT_ALLOWED => ApiError::Conflict { what, violations: Vec::new() },
        Some(code) if not_found.iter().any(|refusal| refusal.exit_status() == code) => {
            ApiError::NotFound { what }
        }
        _ => ApiError::CommandFailed { command, status: output.status.to_string(), stderr: output.stderr },
    }
}

/// The exit status of every command that the state forbids.
const NOT_ALLOWED: u8 =
    Refusal::NotAllowed { verb: Verb::Refresh, state: update_status::State::Idle }.exit_status();

/// The document, with how far the command is that runs.
pub(crate) async fn status(host: &Host) -> Result<Status, ApiError> {
    let host = host.clone();
    let read = tokio::task::spawn_blocking(move || read(&host, jiff::Timestamp::now().into())).await;
    read.map_err(|e| ApiError::Internal { what: format!("read the status of updates: {e}") })?
}

fn read(host: &Host, now: Time) -> Result<Status, ApiError> {
    let mut status = document(host)?;
    if status.progress.is_some() && !is_locked(host)? {
        // Either it has ended since the document was read, or it was killed and nobody said so.
        status = document(host)?;
        status.abandoned(now);
    }
    if status.progress.is_some()
        && let Some(newest) = host.read(PROGRESS_FILE).map_err(internal)?
    {
        status.with_progress(serde_json::from_slice(&newest).map_err(internal)?);
    }
    Ok(status)
}

fn document(host: &Host) -> Result<Status, ApiError> {
    let Some(text) = host.read(STATUS_FILE).map_err(internal)? else {
        return Err(ApiError::NotFound {
            what: "nothing is known about updates yet; look for them with POST /actions/refresh-updates"
                .to_owned(),
        });
    };
    serde_json::from_slice(&text).map_err(internal)
}

/// Whether a program is at work on the update. The lock is held for no longer than it takes to see, and only asked for
/// where the document says that somebody has it: whoever wants it must not find us in the way.
fn is_locked(host: &Host) -> Result<bool, ApiError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match open(host.path(LOCK_FILE), flags, Mode::empty()) {
        Ok(lock) => match flock(&lock, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(internal(error)),
        },
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(internal(error)),
    }
}

fn internal(error: impl std::error::Error) -> ApiError {
    ApiError::Internal { what: format!("read the status of updates: {}", host::program::chain(&error)) }
}
