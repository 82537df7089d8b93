//! The repository of a host.

use crate::config::Config;
use crate::machine::Machine;
use crate::{Error, ROOT_JSON, TRUST};
use host::Host;
use repository::{Repository, Source};
use serde::Deserialize;
use tracing::warn;

/// The certificates that servers are checked with.
const CA_BUNDLE: &str = "/etc/pki/tls/certs/ca-bundle.crt";
/// Whether the host tells anybody anything about itself.
const METRICS: &str = "/etc/metricdog.toml";

/// Loads the repository that the configuration names.
pub(crate) fn load(host: &Host, config: &Config, machine: &Machine) -> Result<Repository, Error> {
    let source = Source {
        ca_bundle: host.path(CA_BUNDLE),
        proxy: config.proxy.clone(),
        built: machine.built,
        bandwidth: config.bandwidth,
        query: query(host, config, machine),
        ..Source::new(
            host.path(ROOT_JSON),
            &config.metadata_base_url,
            &config.targets_base_url,
            host.path(TRUST),
        )
    };
    Ok(Repository::load(&source)?)
}

/// What the repository is told about the host with each request (update, section 1.8): nothing, unless the host
/// sends metrics.
fn query(host: &Host, config: &Config, machine: &Machine) -> Vec<(String, String)> {
    if !sends_metrics(host) {
        return Vec::new();
    }
    vec![("seed".into(), config.seed.to_string()), ("version".into(), machine.version.to_string())]
}

fn sends_metrics(host: &Host) -> bool {
    #[derive(Deserialize)]
    struct Metrics {
        #[serde(default)]
        send_metrics: bool,
    }
    match host.read(METRICS) {
        Ok(Some(text)) => toml::from_str::<Metrics>(&String::from_utf8_lossy(&text))
            .is_ok_and(|metrics| metrics.send_metrics),
        Ok(None) => false,
        Err(error) => {
            warn!(error = %host::program::chain(&error), "nothing is sent about this host");
            false
        }
    }
}
