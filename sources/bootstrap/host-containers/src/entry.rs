//! What a configuration file says.

use crate::plan::Fault;
use modeled_types::{Identifier, Url, ValidBase64};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use snafu::Snafu;
use toml::{Table, Value};

/// A configuration file that is not one. The text of the file is not told: it can hold secrets.
#[derive(Debug, PartialEq, Eq, Snafu)]
#[snafu(display("read it as TOML with a table for each container: {what}"))]
pub struct ConfigError {
    what: String,
}

/// What containers of both families have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Common {
    pub(crate) source: Option<Url>,
    pub(crate) user_data: Option<ValidBase64>,
}

/// A container by its name, or what is wrong with it.
pub(crate) type Entry<T> = Result<(String, T), Fault>;

/// The entries of a table of a file, or of the file itself, in the order of their names.
pub(crate) fn entries<T: DeserializeOwned>(
    text: &str,
    table: Option<&str>,
) -> Result<Vec<Entry<T>>, ConfigError> {
    let mut file: Table =
        text.parse().map_err(|e: toml::de::Error| ConfigError { what: e.message().to_owned() })?;
    let found = match table {
        None => file,
        Some(name) => match file.remove(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => return ConfigSnafu { what: format!("'{name}' is not a table") }.fail(),
        },
    };
    Ok(found.into_iter().map(|(name, value)| entry(name, value)).collect())
}

fn entry<T: DeserializeOwned>(container: String, value: Value) -> Entry<T> {
    // The name becomes a part of paths and of the name of a unit.
    if let Err(refusal) = container.parse::<Identifier>() {
        return Err(Fault { container, why: format!("its name {refusal}") });
    }
    match value.try_into() {
        Ok(entry) => Ok((container, entry)),
        Err(e) => Err(Fault { container, why: e.message().to_owned() }),
    }
}

/// The fault of a container that is to run and has nothing to run.
pub(crate) fn no_source(family: &str, container: &str) -> Fault {
    let why = format!("it has no image; set settings.{family}.{container}.source");
    Fault { container: container.to_owned(), why }
}
