//! Writes the manifests of static pods, where the kubelet looks for them.

use crate::config::{load, secret_toml};
use crate::folder;
use host::Host;
use host::program::chain;
use modeled_types::{Identifier, ValidBase64};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where the kubelet looks. It passes over names that begin with a dot, as the temporaries of a replacement do.
const MANIFESTS: &str = "/etc/kubernetes/static-pods";

const EXIT_CODES: &str = "Exit status: 0 all manifests are as the settings want; 1 some are not, and each is named; 2 wrong usage.";

#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// What the settings say
    #[arg(long, value_name = "FILE", default_value = "/etc/kubernetes/static-pods-manifest.toml")]
    config_path: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pod {
    enabled: Option<bool>,
    manifest: Option<ValidBase64>,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let pods: BTreeMap<Identifier, Pod> = load(host, &args.config_path, secret_toml)?;
    let mut code = ExitCode::SUCCESS;
    for (name, pod) in &pods {
        if let Err(why) = place(name.as_str(), pod, host) {
            tracing::error!("static pod '{name}' is not as it should be: {why}");
            code = ExitCode::FAILURE;
        }
    }
    // What the settings no longer have does not run on.
    for name in folder::names(host, MANIFESTS)? {
        if !pods.keys().any(|pod| pod.as_str() == name) {
            host.remove(format!("{MANIFESTS}/{name}"))?;
        }
    }
    Ok(code)
}

fn place(name: &str, pod: &Pod, host: &Host) -> Result<(), String> {
    let path = format!("{MANIFESTS}/{name}");
    let done = match (pod.enabled, &pod.manifest) {
        (Some(true), Some(manifest)) => host.replace(path, &manifest.decode(), 0o600).map(drop),
        (Some(false), _) => host.remove(path),
        (Some(true), None) => {
            return Err(format!("it has no manifest; set settings.kubernetes.static-pods.{name}.manifest"));
        }
        (None, _) => {
            return Err(format!("it may run or not; set settings.kubernetes.static-pods.{name}.enabled"));
        }
    };
    done.map_err(|e| chain(&e))
}
