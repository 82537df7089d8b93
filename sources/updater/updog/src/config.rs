//! `/etc/updog.toml` (update, section 3.1).

use host::{FileError, Host};
use repository::{Proxy, ProxyError};
use serde::Deserialize;
use snafu::{OptionExt, ResultExt, Snafu};
use std::num::NonZeroU64;
use update_metadata::{LockError, VersionLock};

/// Where it is.
pub(crate) const PATH: &str = "/etc/updog.toml";

/// What the settings say of updates.
#[derive(Clone, Debug)]
pub struct Config {
    /// `settings.updates.metadata-base-url`.
    pub metadata_base_url: String,
    /// `settings.updates.targets-base-url`.
    pub targets_base_url: String,
    /// `settings.updates.seed`.
    pub seed: u32,
    /// `settings.updates.version-lock`.
    pub version_lock: VersionLock,
    /// `settings.updates.ignore-waves`.
    pub ignore_waves: bool,
    /// `settings.network.https-proxy` and `settings.network.no-proxy`.
    pub proxy: Option<Proxy>,
    /// `max_bytes_per_second`, ours: what downloads take of the line at most.
    pub bandwidth: Option<NonZeroU64>,
}

/// A configuration that cannot be used.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ConfigError {
    #[snafu(display("read the configuration of updates"))]
    ReadConfig { source: FileError },
    #[snafu(display("there is no {PATH}; it is written when settings are applied"))]
    NoConfig,
    #[snafu(display("read {PATH}"))]
    ParseConfig { source: Box<toml::de::Error> },
    #[snafu(display("{PATH} has no {key}: {setting} is not set"))]
    Missing { key: &'static str, setting: &'static str },
    #[snafu(display("{PATH}: settings.updates.version-lock"))]
    Lock { source: LockError },
    #[snafu(display("{PATH}: settings.network.https-proxy"))]
    UseProxy { source: ProxyError },
}

/// The file as it is. Keys that are not known are left alone, as the documented program does.
#[derive(Deserialize)]
struct File {
    metadata_base_url: Option<String>,
    targets_base_url: Option<String>,
    seed: Option<u32>,
    version_lock: Option<String>,
    ignore_waves: Option<bool>,
    https_proxy: Option<String>,
    #[serde(default)]
    no_proxy: Vec<String>,
    max_bytes_per_second: Option<NonZeroU64>,
}

impl Config {
    /// Reads the configuration of a host.
    pub fn load(host: &Host) -> Result<Self, ConfigError> {
        let text = host.read(PATH).context(ReadConfigSnafu)?.context(NoConfigSnafu)?;
        Self::parse(&String::from_utf8_lossy(&text))
    }

    /// Reads a configuration; every documented key but those of the proxy has to be there.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(Box::new).context(ParseConfigSnafu)?;
        let missing = |key, setting| MissingSnafu { key, setting };
        let version_lock =
            file.version_lock.context(missing("version_lock", "settings.updates.version-lock"))?;
        let https_proxy = file.https_proxy.filter(|proxy| !proxy.is_empty());
        let proxy = https_proxy.map(|https_proxy| Proxy::new(&https_proxy, &file.no_proxy));
        Ok(Self {
            metadata_base_url: file
                .metadata_base_url
                .context(missing("metadata_base_url", "settings.updates.metadata-base-url"))?,
            targets_base_url: file
                .targets_base_url
                .context(missing("targets_base_url", "settings.updates.targets-base-url"))?,
            seed: file.seed.context(missing("seed", "settings.updates.seed"))?,
            version_lock: version_lock.parse().context(LockSnafu)?,
            ignore_waves: file
                .ignore_waves
                .context(missing("ignore_waves", "settings.updates.ignore-waves"))?,
            proxy: proxy.transpose().context(UseProxySnafu)?,
            bandwidth: file.max_bytes_per_second,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::program::chain;

    const WHOLE: &str = "metadata_base_url = \"https://u.example/m/\"\ntargets_base_url = \"https://u.example/t/\"\n\
                         seed = 7\nversion_lock = \"latest\"\nignore_waves = false\n";

    #[test]
    fn the_documented_keys_are_read() {
        let config = Config::parse(WHOLE).unwrap();
        assert_eq!((config.seed, config.ignore_waves, config.proxy.is_none()), (7, false, true));
        let more = format!("{WHOLE}https_proxy = \"http://p:3128\"\nno_proxy = [\"localhost\"]\nother = 1\n");
        assert!(Config::parse(&more).unwrap().proxy.is_some());
        let more = format!("{WHOLE}https_proxy = \"\"\nmax_bytes_per_second = 1000\n");
        let config = Config::parse(&more).unwrap();
        assert_eq!((config.proxy.is_none(), config.bandwidth.map(NonZeroU64::get)), (true, Some(1000)));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (from, to, expected) in [
            ("seed = 7\n", "", "seed: settings.updates.seed is not set"),
            ("version_lock = \"latest\"\n", "", "version_lock: settings.updates.version-lock is not set"),
            ("ignore_waves = false\n", "", "ignore_waves: settings.updates.ignore-waves is not set"),
            ("metadata_base_url", "x", "metadata_base_url: settings.updates.metadata-base-url is not set"),
            ("targets_base_url", "x", "targets_base_url: settings.updates.targets-base-url is not set"),
            ("seed = 7", "seed = -7", "seed"),
            ("seed = 7", "seed = \"7\"", "seed"),
            ("latest", "newest", "'newest' is neither 'latest' nor a version"),
            ("seed = 7", "seed = 7\nhttps_proxy = \"ftp://x\"", "settings.network.https-proxy"),
            ("seed = 7", "seed = 7\nmax_bytes_per_second = 0", "max_bytes_per_second"),
        ] {
            let text = chain(&Config::parse(&WHOLE.replacen(from, to, 1)).unwrap_err());
            assert!(text.contains(expected), "{text}");
        }
    }
}
