//! What settings mean, and where their values come from.

use super::args::Json;
use super::failure::Failure;
use super::output::{self, Format, Paint, Tone, plain, table};
use super::session::{Session, list};
use super::{Exit, render};
use crate::encode_query;
use serde_json::Value;
use wire::{Explanation, Origin, routes};

/// `explain`.
#[derive(clap::Args, Debug)]
pub(super) struct Explain {
    /// The setting, like 'settings.ntp.time-servers'; 'settings.' may be left out
    key: String,

    #[command(flatten)]
    json: Json,
}

/// `origin`.
#[derive(clap::Args, Debug)]
pub(super) struct Keys {
    /// Settings; 'settings.' may be left out
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,

    #[command(flatten)]
    json: Json,
}

/// The whole name of a setting.
pub(super) fn whole(key: &str) -> String {
    if key == "settings" || key.starts_with("settings.") { key.to_owned() } else { format!("settings.{key}") }
}

pub(super) async fn run(session: &Session, explain: &Explain) -> Result<Exit, Failure> {
    let uri = format!("{}?key={}", routes::EXPLAIN, encode_query(&whole(&explain.key)));
    let found: Explanation = session.client.get(&uri).await?;
    match explain.json.format() {
        Format::Json => output::json(&found)?,
        Format::Human => explanation(&found).iter().try_for_each(|line| output::line(line))?,
    }
    Ok(Exit::Done)
}

fn explanation(found: &Explanation) -> Vec<String> {
    let mut lines = vec![found.key.clone(), String::new()];
    lines.extend(found.doc.lines().map(str::to_owned));
    lines.push(String::new());
    if let Some(rule) = &found.rule {
        lines.push(match found.kind.as_str() {
            "map" => format!("A table; a name in it {rule}."),
            _ => format!("It {rule}."),
        });
    }
    if !found.members.is_empty() {
        lines.push(format!("Members: {}", found.members.join(", ")));
    }
    if let Some(default) = &found.default {
        lines.push(format!("Default: {}", render::value(default)));
    }
    if let Some(value) = &found.value {
        let layer = found.layer.as_ref().map(|layer| format!(" (from layer {layer})")).unwrap_or_default();
        lines.push(format!("Value:   {}{layer}", render::value(value)));
    }
    if !found.affected_services.is_empty() {
        lines.push(format!("A change concerns: {}", found.affected_services.join(", ")));
    }
    lines
}

pub(super) async fn origin(session: &Session, keys: &Keys) -> Result<Exit, Failure> {
    let whole: Vec<String> = keys.keys.iter().map(|key| whole(key)).collect();
    let uri = format!("{}?keys={}", routes::SETTINGS_ORIGIN, list(&whole));
    let found: Vec<Origin> = session.client.get(&uri).await?;
    if found.is_empty() && keys.json.format() == Format::Human {
        output::say("no layer has a value for this");
    }
    match keys.json.format() {
        Format::Json => output::json(&found)?,
        Format::Human => origins(&found, Paint::stdout()).iter().try_for_each(|line| output::line(line))?,
    }
    Ok(Exit::Done)
}

fn origins(found: &[Origin], paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for origin in found {
        lines.push(origin.key.clone());
        if origin.values.is_empty() {
            lines.push("  (not set)".to_owned());
        }
        let rows = origin.values.iter().enumerate().map(|(n, value)| {
            let tone = if n == 0 { Tone::Plain } else { Tone::Faint };
            let by =
                value.by.as_ref().map(|by| format!("{} by {}", render::seconds(&by.time), render::by(by)));
            vec![
                (tone, value.layer.clone()),
                (tone, render::value(&value.value)),
                plain(format!("commit {}", value.commit)),
                plain(by.unwrap_or_default()),
            ]
        });
        let rows: Vec<_> = rows.collect();
        lines.extend(table(&rows, paint).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

pub(super) async fn schema(session: &Session) -> Result<Exit, Failure> {
    output::json(&session.client.get::<Value>(routes::SCHEMA).await?)?;
    Ok(Exit::Done)
}
