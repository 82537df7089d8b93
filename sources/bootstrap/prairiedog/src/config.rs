//! What the settings say about booting.

use crate::BootConfig;
use modeled_types::{BootConfigKey, BootConfigValue};
use serde::Deserialize;
use snafu::{ResultExt, Snafu};
use std::collections::BTreeMap;

/// The configuration file, as its template writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Config {
    /// Whether to reboot when the running kernel was started with something else.
    pub reboot_to_reconcile: bool,
    kernel: BTreeMap<BootConfigKey, Vec<BootConfigValue>>,
    init: BTreeMap<BootConfigKey, Vec<BootConfigValue>>,
}

/// A configuration file that is not one.
#[derive(Debug, PartialEq, Snafu)]
#[snafu(display("read it as TOML with 'reboot-to-reconcile' and tables 'kernel' and 'init' of lists"))]
pub struct ConfigError {
    source: toml::de::Error,
}

impl Config {
    /// Reads the text of a configuration file.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).context(ConfigSnafu)
    }

    /// The parameters of the next boot.
    pub fn wanted(&self) -> BootConfig {
        BootConfig::new(&self.kernel, &self.init)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_may_say_everything_or_nothing() {
        let text = "reboot-to-reconcile = true\n[kernel]\n\"a.b\" = [\"1\", \"x\"]\nquiet = []\n[init]\n";
        let config = Config::parse(text).unwrap();
        assert!(config.reboot_to_reconcile);
        assert_eq!(config.wanted().text(), "kernel.a.b = \"1\", \"x\"\nkernel.quiet\n");
        assert_eq!(Config::parse(""), Ok(Config::default()));
    }

    #[test]
    fn what_is_not_a_configuration_is_refused() {
        for text in
            ["kernel = 1", "[kernel]\na = \"1\"", "[init]\n\"a b\" = []", "[init]\na = [\"é\"]", "x = 1"]
        {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }
}
