//! What a boot tells of the update before it.

use crate::error::{Error, locked};
use crate::start::now;
use crate::{machine, status_file};
use host::Host;
use signpost::attempt::{Record, RecordError, Stage};
use signpost::{Lock, SetName, TRIES};
use update_status::{Attempt, AttemptStage, Booted, Status};

/// Writes down whether the update before this boot succeeded or fell back. Nothing where that is known already.
pub fn boot(host: &Host) -> Result<(), Error> {
    let _lock = Lock::acquire(host).map_err(locked)?;
    status_file::save(host, &current(host)?)
}

/// The status as it is now, with what this boot tells of the update before it: what fell back is not chosen again,
/// however early somebody asks. Whoever asks has the lock, so nobody is at work.
pub(crate) fn current(host: &Host) -> Result<Status, Error> {
    let before = status_file::load(host)?;
    let machine = machine::look(host)?;
    let attempt = attempt(host, machine.boot.active)?;
    let booted = Booted {
        disk: &machine.disk,
        proven: machine.boot.is_proven(),
        written: machine.written.as_ref(),
        begun: machine.begun,
        written_runs: machine.written_runs,
        attempt: attempt.as_ref(),
        tries: TRIES,
    };
    let mut after = before.clone();
    after.conclude_boot(&booted, now());
    if after.concluded != before.concluded
        && let Some(last) = &after.last_update
    {
        let (version, reason) = (&last.version, last.reason.as_deref());
        tracing::info!(version, result = ?last.result, reason, "the update before this boot");
    }
    Ok(after)
}

/// The failed boot of the other set, directly before this one, that says most; nothing where the record says nothing.
/// A set that was good counts only where the host itself gave the other its turn: else somebody went back from it.
fn attempt(host: &Host, active: SetName) -> Result<Option<Attempt>, Error> {
    let record = match Record::load(host) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(None),
        Err(error @ RecordError::ParseRecord { .. }) => {
            tracing::warn!(
                error = host::program::chain(&error),
                "nothing is known of the boots before this one"
            );
            return Ok(None);
        }
        Err(source) => return Err(Error::ReadAttempt { source }),
    };
    let in_a_row = record.failed.iter().take(record.failures as usize);
    let gave_up = |attempt: &&signpost::attempt::Attempt| !attempt.proven || attempt.switched;
    let others: Vec<_> = in_a_row.filter(|attempt| attempt.set != active).filter(gave_up).collect();
    let most = others.iter().find(|attempt| attempt.reason.is_some()).or(others.first());
    Ok(most.map(|attempt| Attempt {
        version: attempt.version.clone(),
        stage: match attempt.stage {
            Stage::Started => AttemptStage::Started,
            Stage::Migrated => AttemptStage::Migrated,
            Stage::Configured => AttemptStage::Configured,
            Stage::Healthy => AttemptStage::Healthy,
        },
        boot_id: attempt.boot_id.clone(),
        reason: attempt.reason.clone(),
    }))
}
