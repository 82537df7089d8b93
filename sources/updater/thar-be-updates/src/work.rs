//! The process that does a step.

use crate::error::{Error, SignalsSnafu, locked};
use crate::start::{boot_id, now};
use crate::{run, status_file};
use host::Host;
use signpost::Lock;
use snafu::ResultExt;
use std::os::fd::AsFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use update_status::{Failure, Verb, Worker};

/// The number of the signal that asks a program to end (signal(7)).
const SIGTERM: i32 = 15;

/// Does a step for the program that started this one and gave it the lock, and writes down what came of it.
///
/// Where it is told to end, it says so in the status and ends: what is on the disk is such that the same step goes on
/// from there.
pub fn work(host: &Host, verb: Verb, lock: impl AsFd) -> Result<(), Error> {
    let lock = Lock::from_inherited_fd(host, lock).map_err(locked)?;
    let mut status = status_file::load(host)?;
    let worker = Worker { pid: std::process::id(), boot: boot_id(host)? };
    let progress = status.progress.take().filter(|progress| progress.command == verb);
    let mut progress = progress.unwrap_or_else(|| crate::progress::beginning(verb, now(), None));
    progress.worker = Some(worker);
    status.progress = Some(progress.clone());
    status_file::save(host, &status)?;

    let (tell, told) = oneshot::channel();
    let (job_host, job_status) = (host.clone(), status.clone());
    // The update blocks, and brings its own runtime.
    std::thread::spawn(move || {
        let result = run::perform(&job_host, verb, &job_status, progress, &lock);
        // Nobody listens any more once the process has been told to end. The lock goes along: it is ours until the
        // result is written.
        drop(tell.send((result, lock)));
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context(SignalsSnafu)?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context(SignalsSnafu)?;
        tokio::select! {
            ended = told => Ok::<_, Error>(ended.ok()),
            _ = terminate.recv() => Ok(None),
        }
    })?;
    let (result, _lock) = match ended {
        Some((result, lock)) => (result, Some(lock)),
        None => (Err(stopped()), None),
    };
    run::record(host, &mut status, verb, &result)
}

fn stopped() -> Failure {
    let reason = "it was told to end; the same command goes on from where it was".to_owned();
    Failure { exit_status: Some(SIGTERM), reason }
}
