//! Renders configuration files and restarts services.

use crate::api::{Socket, with_client};
use crate::facts::facts;
use apiclient::Client;
use defaults::{ConfigurationFile, Service};
use host::Host;
use schnauzer::{Context, Renderer, Template, parse_check};
use serde::Deserialize;
use serde_json::Value;
use snafu::{OptionExt, ResultExt, Snafu};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};
use std::process::ExitCode;
use thar_be_settings::{Changed, FilePlan, Mode, execute, plan};
use wire::{ApplyReport, FileState, routes};

/// Where the templates of the image are.
const TEMPLATES: &str = "/usr/share/templates";

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "these are switches of a command line")]
pub(crate) struct Args {
    #[command(flatten)]
    socket: Socket,

    /// Render every file and restart every service; otherwise a JSON list of changed keys is read from stdin
    #[arg(long)]
    all: bool,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Accepted for compatibility: the caller decides whether to wait
    #[arg(long, hide = true)]
    daemon: bool,
}

/// A file that cannot be rendered.
#[derive(Debug, Snafu)]
enum RenderError {
    #[snafu(display("read its template"))]
    Read { source: host::FileError },
    #[snafu(display("its template {path} is not in the image"))]
    Missing { path: String },
    #[snafu(display("its template {path} is not text"))]
    Text { path: String, source: std::string::FromUtf8Error },
    #[snafu(display("use its template"))]
    Template { source: schnauzer::Error },
    #[snafu(display("what came out is not a file of its format"))]
    Shape { source: schnauzer::ShapeError },
}

/// The model, as the server shows it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Model {
    settings: Value,
    os: Value,
    services: BTreeMap<String, Service>,
    configuration_files: BTreeMap<String, ConfigurationFile>,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    with_client(host, &args.socket, |client| apply(client, args, host.clone()))
}

async fn apply(client: Client, args: &Args, host: Host) -> Result<ExitCode, Box<dyn Error>> {
    let changed = if args.all { Changed::All } else { changed_services(&client).await? };
    let report = if matches!(&changed, Changed::Services(services) if services.is_empty()) {
        ApplyReport::default()
    } else {
        let model: Model = client.get(routes::ROOT).await?;
        let plan = plan(&changed, &model.services, &model.configuration_files)?;
        let context = Context { settings: model.settings, os: model.os, facts: facts(&host) };
        let renderer = Renderer::new(&context);
        let render = |file: &FilePlan| render(file, &host, &renderer).map_err(Into::into);
        let mode = match (args.dry_run, args.all) {
            (true, _) => Mode::DryRun,
            (false, true) => Mode::Everything,
            (false, false) => Mode::Change,
        };
        execute(&plan, &host, &render, mode)
    };
    if args.json {
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    } else {
        tell(&report, args.dry_run)?;
    }
    Ok(if report.succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The services that the keys on standard input affect.
async fn changed_services(client: &Client) -> Result<Changed, Box<dyn Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let keys: Vec<String> = serde_json::from_str(&text).map_err(|e| {
        format!("standard input must be a JSON list of keys, such as [\"settings.motd\"]: {e}")
    })?;
    if keys.is_empty() {
        return Ok(Changed::Services(Vec::new()));
    }
    let list: String = url::form_urlencoded::byte_serialize(keys.join(",").as_bytes()).collect();
    let affected: BTreeMap<String, Vec<String>> =
        client.get(&format!("{}?keys={list}", routes::AFFECTED_SERVICES)).await?;
    Ok(Changed::by_keys(affected))
}

fn render(plan: &FilePlan, host: &Host, renderer: &Renderer<'_>) -> Result<String, RenderError> {
    let path = format!("{TEMPLATES}/{}", plan.file.template_path);
    let text = host.read(&path).context(ReadSnafu)?.context(MissingSnafu { path: &path })?;
    let text = String::from_utf8(text).context(TextSnafu { path: &path })?;
    let template = Template::parse(&plan.file.template_path, &text).context(TemplateSnafu)?;
    let text = renderer.render(&template).context(TemplateSnafu)?;
    parse_check(template.format(), &text).context(ShapeSnafu)?;
    Ok(text)
}

/// Says what was done; what went well only in a dry run, where it is what was asked for.
fn tell(report: &ApplyReport, dry_run: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    for file in &report.files {
        match (&file.error, file.state) {
            (Some(error), _) => writeln!(std::io::stderr(), "{}: {error}", file.path)?,
            (None, FileState::Planned) => writeln!(out, "would write {}", file.path)?,
            (None, _) => {}
        }
    }
    for service in &report.services {
        for command in &service.commands {
            match &command.error {
                Some(error) => {
                    writeln!(std::io::stderr(), "{}: '{}' {error}", service.name, command.command)?;
                }
                None if dry_run => writeln!(out, "would run '{}' for {}", command.command, service.name)?,
                None => {}
            }
        }
    }
    Ok(())
}
