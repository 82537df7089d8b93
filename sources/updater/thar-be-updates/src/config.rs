//! The configuration, made of the settings.

use crate::error::{BadConfigSnafu, Error, ReadConfigSnafu};
use host::Host;
use modeled_types::{AutomaticUpdates, DailyWindow, UpdateCheckInterval};
use serde::Deserialize;
use snafu::ResultExt;
use std::path::Path;
use update_status::Policy;

/// Where it is.
pub const CONFIG_FILE: &str = "/etc/thar-be-updates.toml";

/// What the settings say of what a host does by itself. The documented key, `version-lock`, is in updog's file as well;
/// there it decides, so that nothing is chosen twice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Config {
    /// How much the host does by itself.
    pub automatic: AutomaticUpdates,
    /// How often it looks.
    pub check_interval: UpdateCheckInterval,
    /// When it may activate and reboot by itself.
    pub apply_window: Option<DailyWindow>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            automatic: AutomaticUpdates::Off,
            check_interval: "6h".parse().expect("'6h' is an interval"),
            apply_window: None,
        }
    }
}

impl Config {
    /// Reads it; where there is no file, nothing is done automatically.
    pub fn load(host: &Host, path: &Path) -> Result<Self, Error> {
        let text = host.read(path).context(ReadConfigSnafu)?.unwrap_or_default();
        toml::from_str(&String::from_utf8_lossy(&text)).context(BadConfigSnafu { path })
    }

    /// What decides about automatic updates.
    pub fn policy(&self) -> Policy {
        Policy {
            automatic: self.automatic,
            check_interval: self.check_interval.clone(),
            apply_window: self.apply_window.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, Error> {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        host.replace(CONFIG_FILE, text.as_bytes(), 0o644).unwrap();
        Config::load(&host, Path::new(CONFIG_FILE))
    }

    #[test]
    fn the_documented_file_and_ours_are_read() {
        let documented = load("version-lock = \"v1.2.3\"\n").unwrap();
        assert_eq!(documented, Config::default());
        let ours = "version-lock = \"latest\"\nautomatic = \"apply\"\ncheck-interval = \"90m\"\n\
                    apply-window = \"22:00-02:00\"\n";
        let ours = load(ours).unwrap();
        assert_eq!(ours.automatic, AutomaticUpdates::Apply);
        assert_eq!(ours.apply_window, Some("22:00-02:00".parse().unwrap()));
        let host = Host::new(tempfile::tempdir().unwrap().path());
        assert_eq!(Config::load(&host, Path::new(CONFIG_FILE)).unwrap(), Config::default());
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_place() {
        for text in ["automatic = true", "apply-window = \"noon\"", "check-interval = \"1s\""] {
            let error = host::program::chain(&load(text).unwrap_err());
            assert!(error.starts_with("understand /etc/thar-be-updates.toml: "), "{error}");
        }
    }
}
