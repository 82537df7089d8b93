//! Generates the settings that are not set yet.

use crate::api::{Socket, with_client};
use crate::facts::facts;
use crate::generators::builtin;
use crate::refusal::{is_refusal, violations};
use apiclient::{Client, ClientError, encode_query};
use host::Host;
use host::program::chain;
use hyper::Method;
use schnauzer::Context;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use settings::{Key, nest_below};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use sundog::{
    Generator, GeneratorError, Limits, Outcome, Report, Task, due, proxy_variables, run as run_all,
};
use wire::routes;

/// The layer of generated values.
const GENERATED: &str = "generated";
/// Where values come from.
const SETTINGS_ORIGIN: &str = "/settings/origin";

/// Where the value of a key comes from, as far as it matters here.
#[derive(Deserialize)]
struct Origin {
    key: Key,
    /// What the layers have, topmost first.
    values: Vec<LayerValue>,
}

#[derive(Deserialize)]
struct LayerValue {
    layer: String,
}

const EXIT_CODES: &str = "Exit status: 0 every generator made its value or declined; 1 one failed, and all that others \
    made is committed; 2 wrong usage.";

#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    socket: Socket,

    /// How many seconds one generator may take
    #[arg(long, value_name = "SECONDS", default_value_t = 360)]
    deadline: u64,

    /// Print a report as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    with_client(host, &args.socket, |client| generate(client, args, host))
}

async fn generate(client: Client, args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let table: Map<String, Value> = client.get(routes::SETTING_GENERATORS).await?;
    let generators = Generator::parse_table(&table)?;
    let mut model: Value = if generators.is_empty() { json!({}) } else { client.get(routes::ROOT).await? };
    let tasks = tasks(&client, &generators, &model).await?;
    let os = model["os"].take();
    let context = Context { settings: model["settings"].take(), os, facts: facts(host) };
    let limits =
        Limits { deadline: Duration::from_secs(args.deadline), env: proxy_variables(&context.settings) };
    let mut reports = run_all(host, &tasks, &limits, |argv| builtin(argv, host, &context));
    commit(&client, &mut reports).await?;
    tell(&reports, args.json)?;
    let failed = reports.iter().any(|report| matches!(report.outcome, Outcome::Failed(_)));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The generators that have work. Where that hangs on it, the server is asked which values were generated before.
async fn tasks(client: &Client, generators: &[Generator], model: &Value) -> Result<Vec<Task>, ClientError> {
    let in_question = RefCell::new(BTreeSet::new());
    let tasks = due(generators, model, |key| {
        in_question.borrow_mut().insert(key.clone());
        // Go on to the other leaves of the same generator.
        true
    });
    let in_question = in_question.into_inner();
    if in_question.is_empty() {
        return Ok(tasks);
    }
    let list = in_question.iter().map(Key::as_str).collect::<Vec<_>>().join(",");
    let uri = format!("{SETTINGS_ORIGIN}?keys={}", encode_query(&list));
    let origins: Vec<Origin> = client.get(&uri).await?;
    let is_generated = |origin: &Origin| origin.values.first().is_some_and(|value| value.layer == GENERATED);
    let generated: BTreeSet<Key> =
        origins.into_iter().filter(is_generated).map(|origin| origin.key).collect();
    Ok(due(generators, model, |key| generated.contains(key)))
}

/// Commits all that was made as one commit. A value that the server refuses becomes a failure of its generator,
/// and the others are committed without it.
async fn commit(client: &Client, reports: &mut [Report]) -> Result<(), ClientError> {
    let transaction = format!("tx={}", routes::LAUNCH_TRANSACTION);
    loop {
        let value = |report: &Report| match &report.outcome {
            Outcome::Made(value) => Some((report.key.clone(), value.clone())),
            _ => None,
        };
        let made: BTreeMap<Key, Value> = reports.iter().filter_map(value).collect();
        if made.is_empty() {
            return Ok(());
        }
        let error = match write(client, &transaction, &nest_below(&made, 1)).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // What is left in the transaction would be in the way of the next steps of the boot.
        client.request(Method::DELETE, &format!("{}?{transaction}", routes::TX), None).await?;
        if !(is_refusal(&error) && blame(reports, &error)) {
            return Err(error);
        }
    }
}

async fn write(client: &Client, transaction: &str, settings: &Value) -> Result<(), ClientError> {
    client.patch_settings(&format!("{transaction}&layer={GENERATED}"), settings).await?;
    let query = format!("{transaction}&message=generated+settings");
    client.commit(routes::TX_COMMIT, &query).await.map(drop)
}

/// Turns the values that broke rules into failures; false when none can be blamed.
fn blame(reports: &mut [Report], error: &ClientError) -> bool {
    let mut blamed = false;
    for violation in violations(error).unwrap_or_default() {
        let Ok(key) = violation.key.parse::<Key>() else { continue };
        let concerned =
            |report: &&mut Report| key.is_at_or_below(&report.key) || report.key.is_at_or_below(&key);
        for report in reports.iter_mut().filter(concerned) {
            if matches!(report.outcome, Outcome::Made(_)) {
                report.outcome = Outcome::Failed(GeneratorError::Refused { why: violation.to_string() });
                blamed = true;
            }
        }
    }
    blamed
}

/// Says what became of each generator: on standard error for people, on standard output for programs.
fn tell(reports: &[Report], as_json: bool) -> std::io::Result<()> {
    for report in reports {
        let (key, ms) = (&report.key, report.took.as_millis());
        match &report.outcome {
            Outcome::Made(_) => tracing::info!(%key, ms, "generated"),
            Outcome::Declined(why) => {
                tracing::warn!(%key, ms, why, "the generator declined; the setting stays unset");
            }
            Outcome::Failed(error) => {
                let program = report.command.split_whitespace().next().unwrap_or_default();
                writeln!(
                    std::io::stderr(),
                    "{key} was not generated: {program}, after {ms} ms: {}; {}",
                    chain(error),
                    report.remedy()
                )?;
            }
        }
    }
    if as_json {
        let rows: Vec<Value> = reports.iter().map(row).collect();
        writeln!(std::io::stdout(), "{}", json!({ "generators": rows }))?;
    }
    Ok(())
}

fn row(report: &Report) -> Value {
    let (outcome, why, remedy) = match &report.outcome {
        Outcome::Made(_) => ("made", None, None),
        Outcome::Declined(why) => ("declined", Some(why.clone()), None),
        Outcome::Failed(error) => ("failed", Some(chain(error)), Some(report.remedy())),
    };
    let took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX);
    let mut row =
        json!({"key": report.key, "command": report.command.trim(), "outcome": outcome, "took-ms": took_ms});
    for (name, text) in [("why", why), ("remedy", remedy)] {
        if let Some(text) = text {
            row[name] = text.into();
        }
    }
    row
}
