//! Changing settings: fill a transaction, commit it, wait until it is applied.

use super::args::Json;
use super::explain::whole;
use super::failure::Failure;
use super::output::{self, Format, Paint};
use super::session::{Session, block_on, list};
use super::{Exit, failure, render};
use crate::{Source, encode_query, load_all};
use hyper::Method;
use serde_json::{Map, Value};
use user_data::merge;
use wire::{Committed, Diff, Job, JobState, routes};

/// `set`.
#[derive(clap::Args, Debug)]
pub(super) struct Set {
    /// Settings, like 'motd=hello'; the part after the first '=' is read as the type of the setting asks for
    #[arg(value_name = "KEY=VALUE", required_unless_present = "json", value_parser = pair)]
    pairs: Vec<String>,

    /// Settings as a JSON object
    #[arg(short, long, value_name = "OBJECT", conflicts_with = "pairs", value_parser = object)]
    json: Option<Value>,

    /// Show results as JSON on stdout ('--json' is taken)
    #[arg(long)]
    json_output: bool,

    #[command(flatten)]
    how: How,
}

/// `apply`.
#[derive(clap::Args, Debug)]
pub(super) struct Apply {
    /// Documents: '-' (standard input), a path, file://, http://, https:// or base64:DATA; gzip and zstd
    /// are unpacked. Later documents win [default: -]
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,

    #[command(flatten)]
    json: Json,

    #[command(flatten)]
    how: How,
}

/// `unset`.
#[derive(clap::Args, Debug)]
pub(super) struct Unset {
    /// Settings, or tables of settings
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,

    #[command(flatten)]
    json: Json,

    #[command(flatten)]
    how: How,
}

/// How a change is made.
#[derive(clap::Args, Debug)]
struct How {
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not wait until the change is applied, and say nothing
    #[arg(long, conflicts_with = "dry_run")]
    no_wait: bool,

    /// Undo the change after this time unless 'apiclient confirm' is called before
    #[arg(long = "try", value_name = "SECONDS", conflicts_with = "dry_run")]
    try_for: Option<u64>,

    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
}

/// What a transaction is filled with.
enum Edit {
    Patch(Value),
    Pairs(Vec<String>),
    Unset(Vec<String>),
}

fn pair(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.is_empty() => Ok(text.to_owned()),
        _ => Err("it must have the form KEY=VALUE".to_owned()),
    }
}

fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => Ok(unwrap_settings(object)),
        Ok(_) => Err("it must be a JSON object".to_owned()),
        Err(e) => Err(format!("it is not JSON: {e}")),
    }
}

/// Takes the members of an outer `settings` out of it.
fn unwrap_settings(mut object: Value) -> Value {
    let inner = object.as_object_mut().and_then(|members| match members.get("settings") {
        Some(Value::Object(_)) => members.remove("settings"),
        _ => None,
    });
    if let Some(inner) = inner {
        merge(&mut object, inner);
    }
    object
}

pub(super) async fn set(session: &Session, set: Set) -> Result<Exit, Failure> {
    let format = if set.json_output { Format::Json } else { Format::Human };
    let edit = match set.json {
        Some(object) => Edit::Patch(object),
        None => Edit::Pairs(set.pairs),
    };
    change(session, "set", edit, &set.how, format).await
}

pub(super) fn apply(session: &Session, apply: Apply) -> Result<Exit, Failure> {
    let mut sources = apply.sources;
    if sources.is_empty() {
        sources.push("-".to_owned());
    }
    let sources = sources.iter().map(|name| name.parse::<Source>()).collect::<Result<Vec<_>, _>>();
    let sources = sources.map_err(|e| failure::usage(e.to_string()))?;
    // One patch: a document that is wrong leaves nothing of the others behind.
    let mut settings = Value::Object(Map::new());
    let documents = load_all(&sources)?;
    for document in &documents {
        merge(&mut settings, document.settings.clone());
    }
    block_on(change(session, "apply", Edit::Patch(settings), &apply.how, apply.json.format()))
        .map_err(|failure| failure.in_documents(&documents))
}

pub(super) async fn unset(session: &Session, unset: Unset) -> Result<Exit, Failure> {
    change(session, "unset", Edit::Unset(unset.keys), &unset.how, unset.json.format()).await
}

async fn change(
    session: &Session,
    verb: &str,
    edit: Edit,
    how: &How,
    format: Format,
) -> Result<Exit, Failure> {
    if how.dry_run {
        return dry_run(session, verb, &edit, format).await;
    }
    let committed = session
        .in_transaction(verb, async |tx| {
            fill(session, tx, &edit).await?;
            let trial = how.try_for.map(|seconds| format!("&{}={seconds}", routes::QUERY_TRY));
            let message = how.message.as_ref().map(|text| format!("&message={}", encode_query(text)));
            let query = format!("tx={tx}{}{}", trial.unwrap_or_default(), message.unwrap_or_default());
            Ok(session.client.commit(routes::TX_COMMIT_AND_APPLY, &query).await?)
        })
        .await?;
    if how.no_wait {
        return Ok(Exit::Done);
    }
    let ended = finish(session, &committed, format).await?;
    if let (Some(seconds), Format::Human) = (how.try_for, format) {
        let commit = committed.commit;
        output::say(&format!("undone in {seconds} s unless you run 'apiclient confirm {commit}'"));
    }
    Ok(ended)
}

async fn fill(session: &Session, tx: &str, edit: &Edit) -> Result<(), Failure> {
    let query = format!("tx={tx}");
    match edit {
        Edit::Patch(settings) => session.client.patch_settings(&query, settings).await?,
        Edit::Pairs(pairs) => session.client.patch_pairs(&query, pairs).await?,
        Edit::Unset(keys) => {
            let keys: Vec<String> = keys.iter().map(|key| whole(key)).collect();
            let uri = format!("{}?{query}&keys={}", routes::SETTINGS, list(&keys));
            session.client.request(Method::DELETE, &uri, None).await?;
        }
    }
    Ok(())
}

async fn dry_run(session: &Session, verb: &str, edit: &Edit, format: Format) -> Result<Exit, Failure> {
    session
        .in_transaction(verb, async |tx| {
            fill(session, tx, edit).await?;
            if !matches!(edit, Edit::Unset(_)) {
                // A transaction is checked leaf by leaf until it is committed; rules between settings are not.
                let pending: Value = session.client.get(&format!("{}?tx={tx}", routes::TX)).await?;
                session.client.validate(&pending).await?;
            }
            let diff: Diff = session.client.get(&format!("{}?tx={tx}", routes::TX_DIFF)).await?;
            session.forget(tx).await;
            render::diff(&diff, format)
        })
        .await
}

/// Waits for the job of a commit and tells what became of it.
pub(super) async fn finish(
    session: &Session,
    committed: &Committed,
    format: Format,
) -> Result<Exit, Failure> {
    let Some(id) = committed.job else {
        if format == Format::Json {
            output::json(committed)?;
        }
        return Ok(Exit::Done);
    };
    let job: Job = session.client.wait_for_job(id).await?;
    match format {
        Format::Json => output::json(&job)?,
        Format::Human => {
            for line in render::job(&job, committed.keys.len(), Paint::stderr()) {
                output::say(&line);
            }
        }
    }
    Ok(if job.state == JobState::Succeeded { Exit::Done } else { Exit::NotApplied })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_outer_settings_member_is_unwrapped_and_merged() {
        for (text, expected) in [
            (r#"{"settings": {"motd": "a"}}"#, json!({"motd": "a"})),
            (r#"{"motd": "a"}"#, json!({"motd": "a"})),
            (r#"{"ntp": {"a": 1}, "settings": {"ntp": {"b": 2}}}"#, json!({"ntp": {"a": 1, "b": 2}})),
        ] {
            assert_eq!(object(text).unwrap(), expected);
        }
        for text in ["[]", "3", "{", ""] {
            assert!(object(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pair_has_a_key_and_may_have_any_value() {
        for (text, good) in
            [("a=b", true), ("a=", true), ("a=b=c", true), ("=b", false), ("a", false), ("", false)]
        {
            assert_eq!(pair(text).is_ok(), good, "{text}");
        }
    }
}
