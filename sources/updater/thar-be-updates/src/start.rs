//! Has a step begun, and leaves its worker running.

use crate::boot::current;
use crate::error::{Error, KeepLockSnafu, ReadBootIdSnafu, StartWorkerSnafu, locked};
use crate::{progress, status_file};
use host::{Command, Host};
use signpost::Lock;
use snafu::ResultExt;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use update_status::{Failure, Refusal, Verb};

/// This program, on the host.
pub const PROGRAM: &str = "/usr/bin/thar-be-updates";
/// Where the journal takes what a program says (systemd-journald.service(8), "Stream logging").
const JOURNAL: &str = "/run/systemd/journal/stdout";

/// Has a step begun, if it is permitted: its result will be in the status.
pub fn start(host: &Host, verb: Verb) -> Result<(), Error> {
    let lock = Lock::acquire(host).map_err(locked)?;
    let mut status = current(host)?;
    if let Err(refusal) = status.permit(verb) {
        status_file::save(host, &status)?;
        return Err(refusal.into());
    }
    status.progress = Some(progress::beginning(verb, now(), None));
    status_file::save(host, &status)?;
    if let Err(error) = leave_worker(host, verb, &lock) {
        let reason = host::program::chain(&error);
        status.done(verb, now(), &Err(Failure { exit_status: None, reason }));
        status_file::save(host, &status)?;
        return Err(error);
    }
    Ok(())
}

/// Forgets that a version fell back.
pub fn forget(host: &Host, version: &str) -> Result<(), Error> {
    let _lock = Lock::acquire(host).map_err(locked)?;
    let mut status = current(host)?;
    let version = version.strip_prefix('v').unwrap_or(version);
    if !status.forget(version) {
        return Err(Refusal::NotRemembered.into());
    }
    status_file::save(host, &status)
}

/// Starts this program again, with the lock as its standard input.
fn leave_worker(host: &Host, verb: Verb, lock: &Lock) -> Result<(), Error> {
    let lock = lock.as_fd().try_clone_to_owned().context(KeepLockSnafu)?;
    host.leave_running(&worker(host, verb), lock, journal(host)).context(StartWorkerSnafu)
}

/// On the machine the worker gets a scope of its own, so that it goes on when the API server, which had it started, is
/// restarted. A scope keeps the descriptors.
fn worker(host: &Host, verb: Verb) -> Command {
    let mut argv: Vec<String> = Vec::new();
    if host.is_machine() {
        let unit = format!("--unit=thar-be-updates-{}", std::process::id());
        let about = format!("--description=Update of the host: {verb}");
        argv.extend(
            ["systemd-run", "--scope", "--collect", "--quiet", &unit, &about, "--"].map(String::from),
        );
    }
    argv.extend([PROGRAM, "work", verb.name()].map(String::from));
    Command::new(argv)
}

/// Where the worker says what it does: nobody else reads what it says. Without a journal it says nothing.
fn journal(host: &Host) -> Option<OwnedFd> {
    // Name, unit, priority 6 (info), lines may begin with their own priority, and nothing else gets them.
    const HEADER: &[u8] = b"thar-be-updates\n\n6\n0\n0\n0\n0\n";
    let mut stream = UnixStream::connect(host.path(JOURNAL)).ok()?;
    stream.write_all(HEADER).ok()?;
    Some(stream.into())
}

/// The boot this is; empty where the kernel does not say.
pub(crate) fn boot_id(host: &Host) -> Result<String, Error> {
    host.boot_id().context(ReadBootIdSnafu)
}

pub(crate) fn now() -> update_status::Time {
    jiff::Timestamp::now().into()
}
