//! Doing a step, and writing down what came of it.

use crate::error::Error;
use crate::progress::{Counts, Reporter};
use crate::start::now;
use crate::{machine, status_file};
use host::Host;
use semver::Version;
use signpost::Lock;
use std::cell::RefCell;
use std::collections::BTreeSet;
use update_metadata::{Decision, NoUpdate};
use update_status::{Failure, Image, Outcome, PROGRESS_FILE, Progress, Status, Turn, Verb};
use updog::{Chosen, Exit, Offer, Options};

/// Does a step with `updog`. The status says what was chosen; nothing is chosen here but by a refresh.
pub(crate) fn perform(
    host: &Host,
    verb: Verb,
    status: &Status,
    progress: Progress,
    lock: &Lock,
) -> Result<Outcome, Failure> {
    match verb {
        Verb::Refresh => refresh(host, status),
        Verb::Prepare => prepare(host, status, progress, lock),
        Verb::Activate => updog::activate(host, lock).map(|_| Outcome::Activated).map_err(failed),
        Verb::Deactivate => updog::revert(host, lock).map(|_| Outcome::Deactivated).map_err(failed),
    }
}

/// Writes down what came of a step, with the sets as they are after it.
pub(crate) fn record(
    host: &Host,
    status: &mut Status,
    verb: Verb,
    result: &Result<Outcome, Failure>,
) -> Result<(), Error> {
    match result {
        Ok(_) => tracing::info!(%verb, "done"),
        Err(failure) => tracing::error!(%verb, reason = failure.reason, "failed"),
    }
    status.done(verb, now(), result);
    let seen = machine::look(host).map(|machine| status.observe(&machine.disk));
    // What came of it must be told even where the disk cannot be read any more.
    status_file::save(host, status)?;
    if let Err(error) = host.remove(PROGRESS_FILE) {
        tracing::debug!(error = host::program::chain(&error), "old progress was not removed");
    }
    seen
}

fn refresh(host: &Host, status: &Status) -> Result<Outcome, Failure> {
    let options = Options { bad: bad(status), ..Options::default() };
    let offer = updog::check(host, &options).map_err(failed)?;
    let decision = offer.decision();
    tracing::info!(%decision, "looked for updates");
    let chosen = decision.update().map(|update| Image {
        arch: update.arch.clone(),
        version: update.version.to_string(),
        variant: update.variant.clone(),
    });
    Ok(Outcome::Refreshed {
        available: offer.applicable().iter().map(|update| update.version.to_string()).collect(),
        chosen,
        manifest: offer.digest.to_string(),
        turn: turn(&offer, &decision),
    })
}

/// The versions that are not to be chosen. One that is no version can be no update's.
fn bad(status: &Status) -> BTreeSet<Version> {
    status.bad_versions.iter().filter_map(|bad| bad.version.parse().ok()).collect()
}

/// When the wave of this host opens: for what it takes, or else for what it waits for.
fn turn(offer: &Offer, decision: &Decision<'_>) -> Option<Turn> {
    match decision {
        Decision::Update { update, .. } => {
            let ignored = if offer.host.ignore_waves { "; this host does not wait for its wave" } else { "" };
            let turn = update.waves.turn(offer.host.seed);
            let explanation =
                turn.map_or_else(|| "the update has no waves".to_owned(), |turn| turn.to_string());
            Some(Turn {
                version: update.version.to_string(),
                open: true,
                opens: turn.map(|turn| turn.opens_at.into()),
                explanation: format!("{explanation}{ignored}"),
            })
        }
        Decision::None { because: NoUpdate::Waiting { version, turn }, .. } => Some(Turn {
            version: version.to_string(),
            open: false,
            opens: Some(turn.opens_at.into()),
            explanation: turn.to_string(),
        }),
        Decision::None { .. } => None,
    }
}

fn prepare(host: &Host, status: &Status, progress: Progress, lock: &Lock) -> Result<Outcome, Failure> {
    let chosen = chosen(status)?;
    let reporter = RefCell::new(Reporter::new(host, progress));
    let tell = |progress: updog::Progress<'_>| {
        let phase = format!("{} {}", progress.step.name(), progress.phase);
        reporter.borrow_mut().report(Counts {
            phase: phase.trim_end().to_owned(),
            bytes: (progress.bytes_done, progress.bytes_total),
            blocks: (progress.blocks_done, progress.blocks_total),
        });
    };
    updog::update_image(host, lock, &chosen, &tell).map(|_| Outcome::Prepared).map_err(failed)
}

/// What the last refresh chose, as `updog` takes it.
fn chosen(status: &Status) -> Result<Chosen, Failure> {
    let chosen = status.chosen_update.as_ref().zip(status.chosen_update_manifest.as_ref());
    let parsed = chosen.and_then(|(image, manifest)| {
        let (version, manifest) = (image.version.parse().ok()?, manifest.parse().ok()?);
        Some(Chosen { variant: Some(image.variant.clone()), version, manifest })
    });
    parsed.ok_or_else(|| Failure {
        exit_status: Some(Exit::Refused as i32),
        reason: "the status does not say what was chosen; refresh first".to_owned(),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn failed(error: updog::Error) -> Failure {
    Failure { exit_status: Some(error.exit() as i32), reason: host::program::chain(&error) }
}
