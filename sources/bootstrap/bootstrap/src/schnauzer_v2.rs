//! Renders a template over the settings.

use crate::api::{Socket, with_client};
use crate::facts::facts;
use crate::generators;
use apiclient::Client;
use clap::Subcommand;
use host::Host;
use schnauzer::{Context, Renderer, Requirement, Template, parse_check, render_inline};
use serde::Deserialize;
use serde_json::Value;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sundog::Outcome;
use wire::routes;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    socket: Socket,

    #[command(subcommand)]
    verb: SchnauzerVerb,
}

#[derive(Subcommand)]
enum SchnauzerVerb {
    /// Render a template given here, and print the text as JSON
    Render {
        /// An extension that the template uses, like 'aws@v1(helpers=[ecr-prefix])'
        #[arg(long, value_name = "NAME@VERSION")]
        requires: Vec<Requirement>,
        /// The template
        #[arg(long)]
        template: String,
    },
    /// Render a template file, and print the text
    RenderFile {
        /// The file
        #[arg(long)]
        path: PathBuf,
    },
}

/// What templates are rendered over.
#[derive(Deserialize)]
struct Model {
    settings: Value,
    os: Value,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    with_client(host, &args.socket, |client: Client| async move {
        let Model { settings, os } = client.get(routes::ROOT).await?;
        let context = Context { settings, os, facts: facts(host) };
        if let SchnauzerVerb::RenderFile { path } = &args.verb {
            write!(std::io::stdout(), "{}", render_file(path, host, &context)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        generators::print(generate(args, host, &context))
    })
}

/// The rendered text, as a generator gives it.
pub(crate) fn generate(args: &Args, host: &Host, context: &Context) -> Outcome {
    match &args.verb {
        SchnauzerVerb::Render { requires, template } => match render_inline(requires, template, context) {
            Ok(text) => Outcome::Made(text.into()),
            Err(error) => match unset_input(template, &context.settings) {
                Some(key) => Outcome::Declined(format!("it needs {key}, which is not set")),
                None => Outcome::failed(error),
            },
        },
        SchnauzerVerb::RenderFile { path } => match render_file(path, host, context) {
            Ok(text) => Outcome::Made(text.into()),
            Err(error) => Outcome::failed(error.to_string()),
        },
    }
}

/// The first setting that a template names and that is not set: then the template is not wrong, only early.
fn unset_input<'a>(template: &'a str, settings: &Value) -> Option<&'a str> {
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    template.split(|c: char| !of_a_name(c)).find(|word| {
        let Some(path) = word.strip_prefix("settings.") else { return false };
        path.split('.').try_fold(settings, |here, segment| here.get(segment)).is_none()
    })
}

fn render_file(path: &Path, host: &Host, context: &Context) -> Result<String, Box<dyn Error>> {
    let bytes = host.read(path)?.ok_or_else(|| format!("the template {} does not exist", path.display()))?;
    let text =
        String::from_utf8(bytes).map_err(|_| format!("the template {} is not text", path.display()))?;
    let template = Template::parse(&path.display().to_string(), &text)?;
    let text = Renderer::new(context).render(&template)?;
    parse_check(template.format(), &text)?;
    Ok(text)
}
