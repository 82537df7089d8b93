//! Pending transactions and the history.

use super::args::Json;
use super::failure::{Failure, usage};
use super::output::{self, Format, Paint};
use super::session::Session;
use super::{Exit, change, render};
use crate::encode_query;
use hyper::Method;
use wire::{Commit, CommitSummary, Status, Verification, routes};

/// `diff`.
#[derive(clap::Args, Debug)]
pub(super) struct Diff {
    /// The transaction
    #[arg(value_name = "TX", default_value = routes::DEFAULT_TRANSACTION, conflicts_with = "tx")]
    name: String,

    /// The transaction
    #[arg(long, value_name = "TX")]
    tx: Option<String>,

    #[command(flatten)]
    json: Json,
}

/// `history`.
#[derive(clap::Args, Debug)]
pub(super) struct History {
    /// How many commits to list
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u64,

    /// Check instead that nobody but the server has written the history
    #[arg(long)]
    verify: bool,

    #[command(flatten)]
    json: Json,
}

/// A verb about one commit.
#[derive(clap::Args, Debug)]
pub(super) struct One {
    /// Number of the commit
    commit: u64,

    #[command(flatten)]
    json: Json,
}

/// `confirm`.
#[derive(clap::Args, Debug)]
pub(super) struct Confirm {
    /// Number of the commit; may be left out when only one is on trial
    commit: Option<u64>,

    #[command(flatten)]
    json: Json,
}

/// The address of what can be done with a commit.
fn address(route: &str, commit: u64) -> String {
    route.replace("{id}", &commit.to_string())
}

pub(super) async fn diff(session: &Session, diff: &Diff) -> Result<Exit, Failure> {
    let tx = encode_query(diff.tx.as_ref().unwrap_or(&diff.name));
    let document: wire::Diff = session.client.get(&format!("{}?tx={tx}", routes::TX_DIFF)).await?;
    render::diff(&document, diff.json.format())
}

pub(super) async fn history(session: &Session, history: &History) -> Result<Exit, Failure> {
    let format = history.json.format();
    if history.verify {
        return verify(session, format).await;
    }
    let commits: Vec<CommitSummary> =
        session.client.get(&format!("{}?limit={}", routes::COMMITS, history.limit)).await?;
    match format {
        Format::Json => output::json(&commits)?,
        Format::Human => {
            render::history(&commits, Paint::stdout()).iter().try_for_each(|line| output::line(line))?;
        }
    }
    Ok(Exit::Done)
}

async fn verify(session: &Session, format: Format) -> Result<Exit, Failure> {
    let found: Verification = session.client.get(routes::COMMITS_VERIFY).await?;
    if format == Format::Json {
        output::json(&found)?;
    } else if let Some(fault) = &found.fault {
        output::line(&format!("the history is not as it was made: commit {}: {}", fault.commit, fault.why))?;
    } else if found.intact {
        let what = render::count(found.commits, "commit");
        output::line(&format!("the history is intact: {what}, from {} to {}", found.first, found.last))?;
    }
    Ok(if found.intact { Exit::Done } else { Exit::Failed })
}

pub(super) async fn show(session: &Session, one: One) -> Result<Exit, Failure> {
    let commit: Commit = session.client.get(&address(routes::COMMIT, one.commit)).await?;
    if one.json.format() == Format::Json {
        output::json(&commit)?;
        return Ok(Exit::Done);
    }
    let summary = &commit.summary;
    output::line(&format!("commit {} at {} by {}", summary.id, summary.time, render::by(summary)))?;
    let note = render::note(summary);
    if !note.is_empty() {
        output::line(&note)?;
    }
    render::changes(&commit.changes, Paint::stdout()).iter().try_for_each(|line| output::line(line))?;
    Ok(Exit::Done)
}

/// Undoes one commit (`revert`) or all that came after it (`restore`).
pub(super) async fn go_back(session: &Session, one: One, route: &str) -> Result<Exit, Failure> {
    let committed = session.client.post_commit(&address(route, one.commit)).await?;
    change::finish(session, &committed, one.json.format()).await
}

pub(super) async fn confirm(session: &Session, confirm: Confirm) -> Result<Exit, Failure> {
    let commit = match confirm.commit {
        Some(commit) => commit,
        None => only_trial(&session.client.get(routes::STATUS).await?)?,
    };
    session.client.request(Method::POST, &address(routes::COMMIT_CONFIRM, commit), None).await?;
    match confirm.json.format() {
        Format::Json => output::json(&serde_json::json!({"commit": commit, "confirmed": true}))?,
        Format::Human => output::say(&format!("commit {commit} stays")),
    }
    Ok(Exit::Done)
}

fn only_trial(status: &Status) -> Result<u64, Failure> {
    match status.trials.as_slice() {
        [] => Err(Failure::Refused { message: "no commit is on trial".to_owned() }),
        [trial] => Ok(trial.commit),
        trials => {
            let names = trials.iter().map(|trial| trial.commit.to_string()).collect::<Vec<_>>().join(", ");
            Err(usage(format!("several commits are on trial ({names}); name the one to keep")))
        }
    }
}
