//! The state of the server.

use super::failure::Failure;
use super::output::{self, Format, Paint, Tone};
use super::session::Session;
use super::{Exit, render};
use wire::{Status, routes};

pub(super) async fn run(session: &Session, format: Format) -> Result<Exit, Failure> {
    let status: Status = session.client.get(routes::STATUS).await?;
    match format {
        Format::Json => output::json(&status)?,
        Format::Human => lines(&status, Paint::stdout()).iter().try_for_each(|line| output::line(line))?,
    }
    Ok(Exit::Done)
}

fn lines(status: &Status, paint: Paint) -> Vec<String> {
    let user_data = match status.marks.get(wire::MARK_USER_DATA) {
        Some(commit) => format!("committed with commit {commit}"),
        None => "not committed yet".to_owned(),
    };
    let mut lines = vec![
        format!("server     {}, up {} s", status.version, status.uptime_s),
        format!("variant    {}", status.variant),
        format!("commit     {}", status.commit),
        format!("user data  {user_data}"),
        format!("pending    {}", render::count(status.pending_transactions, "transaction")),
        format!("jobs       {} active, {} failed", status.jobs_active, status.jobs_failed),
    ];
    let trials = status.trials.iter().map(|trial| {
        format!("commit {} is undone at {} unless confirmed", trial.commit, render::seconds(&trial.deadline))
    });
    let left_out = status
        .quarantined
        .iter()
        .map(|leaf| format!("{} in layer {} is left out: {}", leaf.key, leaf.layer, leaf.why));
    let notes = trials.chain(left_out).chain(status.warnings.iter().cloned());
    lines.extend(notes.map(|note| paint.paint(Tone::Bad, &note)));
    lines
}
