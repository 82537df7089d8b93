//! What the settings ask of the kernel.

use modeled_types::Lockdown;
use serde::Deserialize;
use snafu::{ResultExt, Snafu};
use std::collections::BTreeMap;

/// The configuration file, as its template writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How far the kernel is to be locked down; none where the settings do not say.
    pub lockdown: Option<Lockdown>,
    /// Kernel parameters by name, each with the text to write.
    #[serde(default)]
    pub sysctl: BTreeMap<String, String>,
}

/// A configuration file that is not one.
#[derive(Debug, PartialEq, Snafu)]
#[snafu(display("read it as TOML with 'lockdown' and a table 'sysctl' of texts"))]
pub struct ConfigError {
    source: toml::de::Error,
}

impl Config {
    /// Reads the text of a configuration file.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).context(ConfigSnafu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_may_say_everything_or_nothing() {
        let config = Config::parse("lockdown = \"none\"\n[sysctl]\n\"a.b\" = \"1 2\"\n").unwrap();
        assert_eq!(config.lockdown, Some(Lockdown::None));
        assert_eq!(config.sysctl["a.b"], "1 2");
        assert_eq!(Config::parse(""), Ok(Config::default()));
    }

    #[test]
    fn what_is_not_a_configuration_is_refused() {
        for text in ["lockdown = \"full\"", "[sysctl]\na = 1", "other = 1", "[sysctl"] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }
}
