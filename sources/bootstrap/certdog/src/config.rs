//! What the settings say about trust.

use serde::Deserialize;
use snafu::{ResultExt, Snafu};
use std::collections::BTreeMap;

/// The bundles of the settings, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Config {
    pub(crate) bundles: BTreeMap<String, Bundle>,
}

/// Certificates that are all trusted, or all not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Whether they are.
    #[serde(default)]
    pub trusted: bool,
    /// Base64 of PEM text; blank for no certificates.
    #[serde(default)]
    pub data: String,
}

/// A configuration file that is not one.
#[derive(Debug, PartialEq, Snafu)]
#[snafu(display("read it as TOML with a table for each bundle, each with 'trusted' and 'data'"))]
pub struct ConfigError {
    source: toml::de::Error,
}

impl Config {
    /// Reads the text of a configuration file.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let read: Result<Self, toml::de::Error> = toml::from_str(text);
        // The text stays out of the error: it may be a secret.
        read.map_err(|mut error| {
            error.set_input(None);
            error
        })
        .context(ConfigSnafu)
    }

    /// Whether it neither adds nor takes away anything.
    pub fn is_empty(&self) -> bool {
        self.bundles.values().all(|bundle| bundle.data.trim().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_says_little_is_distrusted_and_empty() {
        let config = Config::parse("[a]\n[b]\ntrusted = true\ndata = \" \"\n").unwrap();
        assert_eq!(config.bundles["a"], Bundle { trusted: false, data: String::new() });
        assert!(config.is_empty() && config.bundles["b"].trusted);
        assert!(!Config::parse("[a]\ndata = \"x\"\n").unwrap().is_empty());
    }

    #[test]
    fn what_is_not_a_configuration_is_refused() {
        for text in ["a = 1", "[a]\ntrusted = 1", "[a]\nother = 1", "[a"] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }
}
