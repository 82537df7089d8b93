//! Keys of a manifest: known or refused.

use crate::names::did_you_mean;
use snafu::{Snafu, ensure};
use std::path::PathBuf;
use toml::{Table, Value};

/// What is wrong with a manifest.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("read the manifest {}", file.display()))]
    ReadManifest { file: PathBuf, source: std::io::Error },
    #[snafu(display("parse the manifest {}", file.display()))]
    ParseManifest {
        file: PathBuf,
        #[snafu(source(from(toml::de::Error, Box::new)))]
        source: Box<toml::de::Error>,
    },
    #[snafu(display("{} has no table [package.metadata.{table}]", file.display()))]
    NoTable { file: PathBuf, table: &'static str },
    #[snafu(display("{} has an unknown key '{key}' in {table}{hint} (the keys are {})", file.display(), valid.join(", ")))]
    UnknownKey { file: PathBuf, table: String, key: String, hint: String, valid: &'static [&'static str] },
    #[snafu(display("{}: {what}", file.display()))]
    BadValue { file: PathBuf, what: String },
}

/// The keys a table of a manifest may have.
pub(crate) struct Keys<'a> {
    pub(crate) file: &'a std::path::Path,
    /// How messages call the table.
    pub(crate) table: &'a str,
    pub(crate) valid: &'static [&'static str],
}

impl Keys<'_> {
    /// Refuses a table with another key; what is no table is left to the types.
    pub(crate) fn check(&self, value: Option<&Value>) -> Result<(), Error> {
        value.and_then(Value::as_table).map_or(Ok(()), |table| self.check_table(table))
    }

    pub(crate) fn check_table(&self, table: &Table) -> Result<(), Error> {
        for key in table.keys() {
            ensure!(
                self.valid.contains(&key.as_str()),
                UnknownKeySnafu {
                    file: self.file,
                    table: self.table,
                    key,
                    hint: did_you_mean(key, self.valid.iter().copied()),
                    valid: self.valid,
                }
            );
        }
        Ok(())
    }
}
