//! What a host does by itself, whenever its timer asks.

use crate::boot::current;
use crate::error::{Error, RebootSnafu, locked};
use crate::start::{boot_id, now};
use crate::{Config, progress, run, status_file};
use host::{Command, Host};
use signpost::Lock;
use snafu::ResultExt;
use update_status::{Action, CommandStatus, Status, Verb, Worker, decide};

/// More steps than there are from nothing to the reboot: look, write, write what is newer, activate, reboot. A host that
/// wants still more has a fault, and waits for its next turn.
const STEPS: usize = 6;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What was done, in order, the last of it why nothing more was.
    pub actions: Vec<Action>,
    /// Whether a step failed; the status says why.
    pub failed: bool,
}

/// Does what the settings ask for, until there is nothing more to do for now. With `dry_run` nothing is done: the first
/// action is told.
pub fn automatic(host: &Host, config: &Config, dry_run: bool) -> Result<Ended, Error> {
    let lock = Lock::acquire(host).map_err(locked)?;
    let policy = config.policy();
    let mut actions = Vec::new();
    let mut status = current(host)?;
    while actions.len() < STEPS {
        let action = decide(now(), &policy, &status);
        actions.push(action.clone());
        match action {
            _ if dry_run => break,
            Action::Rest(why) => {
                tracing::info!(why, "no automatic update now");
                break;
            }
            Action::Reboot => {
                tracing::info!("rebooting into the update");
                reboot(host)?;
                break;
            }
            Action::Run(verb) => {
                tracing::info!(%verb, "automatic update");
                if !step(host, verb, &mut status, &lock)? {
                    return Ok(Ended { actions, failed: true });
                }
            }
        }
    }
    Ok(Ended { actions, failed: false })
}

/// Does one step. Gives whether it succeeded.
fn step(host: &Host, verb: Verb, status: &mut Status, lock: &Lock) -> Result<bool, Error> {
    let worker = Worker { pid: std::process::id(), boot: boot_id(host)? };
    let progress = progress::beginning(verb, now(), Some(worker));
    status.progress = Some(progress.clone());
    status_file::save(host, status)?;
    let result = run::perform(host, verb, status, progress, lock);
    run::record(host, status, verb, &result)?;
    Ok(status
        .most_recent_command
        .as_ref()
        .is_some_and(|command| command.cmd_status == CommandStatus::Success))
}

fn reboot(host: &Host) -> Result<(), Error> {
    let command = Command::new(["systemctl", "reboot", "--check-inhibitors=yes"]);
    host.order(&command).context(RebootSnafu)
}
