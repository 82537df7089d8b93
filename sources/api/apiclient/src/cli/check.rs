//! Checking user data with no server.

use super::args::Json;
use super::failure::{BadVariantSnafu, Failure, ReadVariantSnafu, usage};
use super::output::{self, Format};
use super::session::{Session, block_on};
use super::{Exit, failure};
use crate::{Checked, ClientError, Source, SourceError, load_all};
use defaults::{Catalog, VARIANT_FILE, Variant};
use serde_json::json;
use snafu::ResultExt;
use wire::{Status, routes};

/// `check`.
#[derive(clap::Args, Debug)]
pub(super) struct Check {
    /// Documents, named as for 'apply'. Each is checked by itself; then, as later ones win, all of them together
    #[arg(value_name = "FILE", required = true)]
    sources: Vec<String>,

    /// Variant to check against [default: the variant of this host]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,

    #[command(flatten)]
    json: Json,
}

pub(super) fn run(session: &Session, check: &Check) -> Result<Exit, Failure> {
    let variant = variant(session, check.variant.as_deref())?;
    let sources = check.sources.iter().map(|name| name.parse::<Source>()).collect::<Result<Vec<_>, _>>();
    let sources = sources.map_err(|e| failure::usage(e.to_string()))?;
    let format = check.json.format();
    let documents = match load_all(&sources) {
        Ok(documents) => documents,
        Err(SourceError::Document { source }) if format == Format::Json => {
            output::json(&json!({"variant": variant.name, "valid": false, "message": source.to_string()}))?;
            return Ok(Exit::Invalid);
        }
        Err(error) => return Err(error.into()),
    };
    let checked = crate::check(&variant, &documents)
        .map_err(|e| Failure::BadVariant { path: VARIANT_FILE, message: e.to_string() })?;
    show(&variant.name, documents.len(), &checked, format)?;
    Ok(if checked.problems.is_empty() { Exit::Done } else { Exit::Invalid })
}

fn show(variant: &str, documents: usize, checked: &Checked, format: Format) -> Result<(), Failure> {
    let Checked { problems, warnings } = checked;
    if format == Format::Json {
        let valid = problems.is_empty();
        let document =
            json!({"variant": variant, "valid": valid, "problems": problems, "warnings": warnings});
        return output::json(&document);
    }
    for problem in problems {
        // What is no setting here may be one of another variant.
        let elsewhere = problem.violation.code == settings::Code::OtherVariant;
        let note = if elsewhere { format!(" (checked for {variant})") } else { String::new() };
        output::say(&format!("{problem}{note}"));
    }
    for warning in warnings {
        output::say(&format!("{warning} (a warning)"));
    }
    if problems.is_empty() {
        let what = if documents == 1 { "the document is" } else { "the documents are" };
        output::say(&format!("{what} valid user data for {variant}"));
    }
    Ok(())
}

/// The named variant; else that of this host, as its image or its server says.
pub(super) fn variant(session: &Session, name: Option<&str>) -> Result<Variant, Failure> {
    if let Some(name) = name {
        return embedded(name);
    }
    if let Some(content) = session.host.read(VARIANT_FILE).context(ReadVariantSnafu)? {
        let text = String::from_utf8_lossy(&content);
        return Variant::parse(&text)
            .map_err(|e| BadVariantSnafu { path: VARIANT_FILE, message: host::program::chain(&e) }.build());
    }
    let asked = block_on(async { Ok(session.client.get::<Status>(routes::STATUS).await) })?;
    match asked {
        Ok(status) => embedded(&status.variant),
        Err(ClientError::NoServer { .. }) => {
            let names = Catalog::embedded().variants().collect::<Vec<_>>().join(", ");
            Err(usage(format!("this is no host, so name a variant with --variant; the variants are {names}")))
        }
        Err(error) => Err(error.into()),
    }
}

fn embedded(name: &str) -> Result<Variant, Failure> {
    Catalog::embedded().variant(name).map_err(|e| usage(host::program::chain(&e)))
}
