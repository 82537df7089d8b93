//! Commits and jobs as they happen.

use super::failure::{Failure, NotJsonSnafu};
use super::output::{self, Format};
use super::session::Session;
use super::{Exit, render};
use snafu::ResultExt;
use wire::{Event, JobState, routes};

/// Follows the events of the server until it ends the stream or this program is told to stop.
pub(super) async fn run(session: &Session, format: Format) -> Result<Exit, Failure> {
    let mut events = session.client.events(routes::EVENTS).await?;
    while let Some(data) = events.next().await? {
        let event: Event = serde_json::from_str(&data).context(NotJsonSnafu { uri: routes::EVENTS })?;
        match format {
            Format::Json => output::json_line(&event)?,
            Format::Human => output::line(&sentence(&event))?,
        }
    }
    Err(Failure::Refused { message: "the server ended the stream of events".to_owned() })
}

fn sentence(event: &Event) -> String {
    match event {
        Event::Commit { commit, keys } => {
            format!("commit {} by {}: {}", commit.id, render::by(commit), keys.join(", "))
        }
        Event::Job { id, state, commits } => {
            let state = match state {
                JobState::Queued => "waits",
                JobState::Running => "runs",
                JobState::Succeeded => "succeeded",
                JobState::Failed => "failed",
            };
            let commits: Vec<String> = commits.iter().map(ToString::to_string).collect();
            match commits.as_slice() {
                [] => format!("job {id} {state}"),
                commits => format!("job {id} for commit {} {state}", commits.join(", ")),
            }
        }
        Event::TrialEnded { commit, confirmed: true, .. } => format!("commit {commit} was confirmed"),
        Event::TrialEnded { commit, undone_by, .. } => match undone_by {
            Some(by) => format!("commit {commit} was not confirmed and is undone by commit {by}"),
            None => format!("commit {commit} was not confirmed"),
        },
        Event::Lagged { missed } => format!("{} missed", render::count(*missed, "event")),
    }
}
