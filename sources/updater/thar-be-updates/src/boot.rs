//! What a boot tells of the update before it.

use crate::error::{Error, locked};
use crate::start::now;
use crate::{machine, status_file};
use host::Host;
use signpost::attempt::{Record, RecordError, Stage};
use signpost::{Lock, SetName, TRIES};
use update_status::{Attempt, AttemptStage, Booted};

/// Writes down whether the update before this boot succeeded or fell back. Nothing where that is known already.
pub fn boot(host: &Host) -> Result<(), Error> {
    let _lock = Lock::acquire(host).map_err(locked)?;
    let before = status_file::load(host)?;
    let machine = machine::look(host)?;
    let attempt = attempt(host, machine.boot.active)?;
    let booted = Booted {
        disk: &machine.disk,
        proven: machine.boot.is_proven(),
        written: machine.written.as_ref(),
        written_runs: machine.written_runs,
        attempt: attempt.as_ref(),
        tries: TRIES,
    };
    let mut after = before.clone();
    after.conclude_boot(&booted, now());
    if after.last_update != before.last_update
        && let Some(last) = &after.last_update
    {
        let (version, reason) = (&last.version, last.reason.as_deref());
        tracing::info!(version, result = ?last.result, reason, "the update before this boot");
    }
    status_file::save(host, &after)
}

/// The failed boot of the other set, directly before this one, that says most; nothing where the record says nothing.
/// A set that was good is only given up with a reason: without one somebody restarted it before its checks were through.
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
    let gave_up = |attempt: &&signpost::attempt::Attempt| !attempt.proven || attempt.reason.is_some();
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
        begun: attempt.begun.parse().ok(),
        reason: attempt.reason.clone(),
    }))
}
