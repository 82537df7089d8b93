//! Updates of the host.
//!
//! The server only says that a command began; that it has ended is seen in the status document, by a timestamp that
//! was not there before (Bottlerocket documents, API, section 14.5). Waiting has no limit as long as something moves.

use super::failure::Failure;
use super::output::{self, Format, Paint};
use super::session::{Session, block_on};
use super::update_text::{self, lines};
use super::{Exit, args};
use crate::{ClientError, encode_query};
use clap::Subcommand;
use hyper::{Method, StatusCode};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use wire::{
    UpdateCommand, UpdateCommandResult, UpdateCommandStatus, UpdateProgress, UpdateState, UpdateStatus,
    routes,
};

/// How long to wait between two looks at first, so that what is quick feels quick.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause; progress is written once a second.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How long nothing may move. The updater itself gives up on a silent network much earlier and says so.
const PATIENCE: Duration = Duration::from_mins(10);
/// How many failures to read the status, one after the other, are still a busy server.
const FAILURES: u32 = 5;

/// `update`.
#[derive(clap::Args, Debug)]
pub(super) struct Update {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Look for an update, and show what was found and when the wave of this host opens
    Check(args::Json),
    /// Write the update to the inactive set of partitions and have it boot next
    Apply(Apply),
    /// Have the running system boot next again
    Cancel(args::Json),
    /// Show what is known of the update, without looking for one
    Status(args::Json),
    /// Allow a version again that fell back
    Forget {
        /// The version, such as 1.2.3
        version: String,
    },
}

#[derive(clap::Args, Debug)]
struct Apply {
    /// Look for an update first
    #[arg(short, long)]
    check: bool,

    /// Reboot into the update
    #[arg(short, long)]
    reboot: bool,

    #[command(flatten)]
    json: args::Json,
}

pub(super) fn run(session: &Session, update: Update) -> Result<Exit, Failure> {
    block_on(async {
        match update.verb {
            Verb::Check(json) => {
                let mut view = View::new(json);
                let status = command(session, UpdateCommand::Refresh, &mut view).await?;
                view.result(&status)
            }
            Verb::Apply(how) => apply(session, how).await,
            Verb::Cancel(json) => {
                let mut view = View::new(json);
                let status = command(session, UpdateCommand::Deactivate, &mut view).await?;
                view.result(&status)
            }
            Verb::Status(json) => View::new(json).result(&look(session).await?),
            Verb::Forget { version } => {
                let uri = format!("{}?version={}", routes::FORGET_UPDATE, encode_query(&version));
                session.client.request(Method::POST, &uri, None).await?;
                Ok(Exit::Done)
            }
        }
    })
}

async fn apply(session: &Session, how: Apply) -> Result<Exit, Failure> {
    let mut view = View::new(how.json);
    let mut status = if how.check {
        command(session, UpdateCommand::Refresh, &mut view).await?
    } else {
        look(session).await?
    };
    match status.update_state {
        UpdateState::Idle => {
            output::say(&update_text::nothing_to_do(&status, how.check));
            return Ok(Exit::Done);
        }
        UpdateState::Ready => output::say("the update is applied already; it boots with the next reboot"),
        UpdateState::Available | UpdateState::Staged => {
            if !update_text::is_staged(&status) {
                command(session, UpdateCommand::Prepare, &mut view).await?;
            }
            status = command(session, UpdateCommand::Activate, &mut view).await?;
            view.result(&status)?;
        }
    }
    if how.reboot {
        session.client.request(Method::POST, routes::REBOOT, None).await?;
        output::say("the host reboots into the update");
    } else if status.update_state == UpdateState::Ready {
        output::say(
            "reboot the host to run it ('apiclient reboot'), or take it back ('apiclient update cancel')",
        );
    }
    Ok(Exit::Done)
}

async fn look(session: &Session) -> Result<UpdateStatus, Failure> {
    Ok(session.client.get(routes::UPDATES_STATUS).await?)
}

/// Starts a command and waits until it has ended. Gives the status after it.
async fn command(
    session: &Session,
    command: UpdateCommand,
    view: &mut View,
) -> Result<UpdateStatus, Failure> {
    let before = match look(session).await {
        Ok(status) => status.most_recent_command,
        // Nothing is known yet, or somebody is at work; what comes next will tell.
        Err(Failure::Client {
            source: ClientError::Refused { status: StatusCode::NOT_FOUND | StatusCode::LOCKED, .. },
        }) => None,
        Err(failure) => return Err(failure),
    };
    let route = match command {
        UpdateCommand::Refresh => routes::REFRESH_UPDATES,
        UpdateCommand::Prepare => routes::PREPARE_UPDATE,
        UpdateCommand::Activate => routes::ACTIVATE_UPDATE,
        UpdateCommand::Deactivate => routes::DEACTIVATE_UPDATE,
    };
    session.client.request(Method::POST, route, None).await?;
    let ended = wait(session, command, before.as_ref(), view).await;
    view.end_progress();
    ended
}

async fn wait(
    session: &Session,
    command: UpdateCommand,
    before: Option<&UpdateCommandResult>,
    view: &mut View,
) -> Result<UpdateStatus, Failure> {
    let (mut pause, mut failures) = (FIRST_PAUSE, 0);
    let (mut seen, mut moved) = (None, Instant::now());
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        let status = match look(session).await {
            Ok(status) => status,
            Err(Failure::Client { source: ClientError::Refused { status: StatusCode::LOCKED, .. } }) => {
                continue;
            }
            Err(failure) => {
                failures += 1;
                if failures < FAILURES {
                    continue;
                }
                let why = host::program::chain(&failure);
                let message = format!("{command} began, and what came of it cannot be found out: {why}");
                return Err(Failure::Refused { message });
            }
        };
        failures = 0;
        if let Some(ended) = ended(&status, command, before) {
            return match ended.cmd_status {
                UpdateCommandStatus::Success => Ok(status),
                _ => Err(Failure::Refused { message: update_text::failed(ended, &status) }),
            };
        }
        if seen != status.progress {
            (seen, moved) = (status.progress, Instant::now());
            if let Some(progress) = &seen {
                view.progress(progress)?;
            }
        } else if moved.elapsed() > PATIENCE {
            let minutes = PATIENCE.as_secs() / 60;
            let message = format!(
                "{command} has not moved for {minutes} minutes; 'apiclient update status' tells whether it still does"
            );
            return Err(Failure::Refused { message });
        }
    }
}

/// What came of the command, if it has ended since.
fn ended<'a>(
    status: &'a UpdateStatus,
    command: UpdateCommand,
    before: Option<&UpdateCommandResult>,
) -> Option<&'a UpdateCommandResult> {
    let newest = status.most_recent_command.as_ref()?;
    let new = before.is_none_or(|before| before.timestamp != newest.timestamp);
    (new && newest.cmd_type == command).then_some(newest)
}

/// How the status and the progress are shown: text on a terminal; elsewhere documents, as scripts know them.
struct View {
    format: Format,
    /// Whether progress is one line on stderr that is written again and again.
    line: bool,
    /// How wide the line is that stands there.
    width: usize,
}

impl View {
    fn new(json: args::Json) -> Self {
        let format = if std::io::stdout().is_terminal() { json.format() } else { Format::Json };
        Self { format, line: format == Format::Human && std::io::stderr().is_terminal(), width: 0 }
    }

    fn progress(&mut self, progress: &UpdateProgress) -> Result<(), Failure> {
        if self.format == Format::Json {
            return output::json_line(&Moving { progress });
        }
        if self.line {
            let text = update_text::progress(progress);
            let width = text.chars().count();
            let blank = " ".repeat(self.width.saturating_sub(width));
            self.width = width;
            draw(&format!("\r{text}{blank}"));
        }
        Ok(())
    }

    fn end_progress(&mut self) {
        if self.width > 0 {
            draw(&format!("\r{}\r", " ".repeat(self.width)));
            self.width = 0;
        }
    }

    fn result(&self, status: &UpdateStatus) -> Result<Exit, Failure> {
        match self.format {
            Format::Json => output::json(status)?,
            Format::Human => lines(status, Paint::stdout()).iter().try_for_each(|line| output::line(line))?,
        }
        Ok(Exit::Done)
    }
}

fn draw(text: &str) {
    let mut stderr = std::io::stderr().lock();
    // Where stderr is closed there is nobody to tell.
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
}

/// A line of progress in a stream of documents.
#[derive(serde::Serialize)]
struct Moving<'a> {
    progress: &'a UpdateProgress,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(newest: Option<(&str, &str)>) -> UpdateStatus {
        let most_recent_command = newest.map(|(command, timestamp)| UpdateCommandResult {
            cmd_type: command.parse().unwrap(),
            cmd_status: UpdateCommandStatus::Success,
            timestamp: timestamp.parse().unwrap(),
            exit_status: Some(0),
            stderr: None,
        });
        UpdateStatus { most_recent_command, ..UpdateStatus::default() }
    }

    #[test]
    fn a_command_has_ended_when_its_own_newer_result_is_there() {
        let (noon, later) = ("2026-11-21T12:00:00Z", "2026-11-21T12:00:01Z");
        for (before, after, expected) in [
            (None, None, false),
            (None, Some(("prepare", noon)), true),
            (Some(("prepare", noon)), Some(("prepare", noon)), false),
            (Some(("prepare", noon)), Some(("prepare", later)), true),
            // The clock was set back: another time is enough.
            (Some(("prepare", later)), Some(("prepare", noon)), true),
            (Some(("prepare", noon)), Some(("refresh", later)), false),
            (Some(("refresh", noon)), Some(("prepare", later)), true),
        ] {
            let (before, after) = (status(before).most_recent_command, status(after));
            let found = ended(&after, UpdateCommand::Prepare, before.as_ref()).is_some();
            assert_eq!(found, expected, "{before:?} {after:?}");
        }
    }
}
