//! Configuration files, as templates write them.

use host::{FileError, Host};
use serde::de::DeserializeOwned;
use snafu::{OptionExt, ResultExt, Snafu};
use std::error::Error;
use std::path::{Path, PathBuf};

/// A configuration file that cannot be used.
#[derive(Debug, Snafu)]
pub(crate) enum ConfigError {
    #[snafu(display("read the configuration"))]
    Read { source: FileError },
    #[snafu(display("read the configuration {}: there is no such file", path.display()))]
    Missing { path: PathBuf },
    #[snafu(display("use the configuration {}", path.display()))]
    Parse { path: PathBuf, source: Box<dyn Error> },
}

/// Loads a configuration file that must be there.
pub(crate) fn load<T, E: Error + 'static>(
    host: &Host,
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Box<dyn Error>> {
    let config = load_if_present(host, path, parse)?;
    Ok(config.context(MissingSnafu { path })?)
}

/// Loads a configuration file, if it is there.
pub(crate) fn load_if_present<T, E: Error + 'static>(
    host: &Host,
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, ConfigError> {
    let Some(content) = host.read(path).context(ReadSnafu)? else { return Ok(None) };
    let text = String::from_utf8(content).map_err(Into::into).context(ParseSnafu { path })?;
    parse(&text).map(Some).map_err(Into::into).context(ParseSnafu { path })
}

/// Reads TOML that can hold secrets: an error names the place, but shows nothing of the text.
pub(crate) fn secret_toml<T: DeserializeOwned>(text: &str) -> Result<T, toml::de::Error> {
    toml::from_str(text).map_err(|mut error: toml::de::Error| {
        error.set_input(None);
        error
    })
}
