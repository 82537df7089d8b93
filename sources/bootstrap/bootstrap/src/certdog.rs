//! Writes the trust store.

use ::certdog::{Config, trust_store};
use host::{Host, Replaced};
use snafu::{OptionExt, Snafu};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the settings say; without this file the store is the image's bundle
    #[arg(short, long, value_name = "FILE", default_value = "/etc/certdog.toml")]
    config_path: PathBuf,

    /// The file to write
    #[arg(short, long, value_name = "FILE", default_value = "/etc/pki/tls/certs/ca-bundle.crt")]
    trust_store: PathBuf,

    /// The bundle of the image
    #[arg(
        short = 'b',
        long,
        value_name = "FILE",
        default_value = "/usr/share/factory/etc/pki/tls/certs/ca-bundle.crt"
    )]
    source_bundle: PathBuf,
}

#[derive(Debug, Snafu)]
#[snafu(display("read the bundle of the image, {}: there is no such file", path.display()))]
struct NoBundle {
    path: PathBuf,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let config = crate::config::load_if_present(host, &args.config_path, Config::parse)?.unwrap_or_default();
    let bundle = host.read(&args.source_bundle)?.context(NoBundleSnafu { path: &args.source_bundle })?;
    let store = trust_store(&bundle, &config)?;
    for note in &store.notes {
        let bundle = args.source_bundle.display();
        tracing::warn!("{bundle}: {note}; it is left out of the trust store");
    }
    if host.replace(&args.trust_store, &store.content, 0o644)? == Replaced::Written {
        tracing::info!("{} is written", args.trust_store.display());
    }
    Ok(ExitCode::SUCCESS)
}
