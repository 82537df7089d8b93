//! From where the network is configured to the files of networkd.

use super::{FaultySnafu, NetdogError, ReadSnafu, apply, names_in, resolver, show};
use ::netdog::{Config, Faults, NETWORKD_FOLDER, STATE, command_line, net_toml, plan_links};
use host::Host;
use snafu::ResultExt;

/// Files that say what the network is to be; the first that exists does.
const NET_TOML: [&str; 2] = ["/var/lib/netdog/net.toml", "/var/lib/bottlerocket/net.toml"];
/// What the kernel was started with.
const COMMAND_LINE: &str = "/proc/cmdline";

pub(super) fn generate(host: &Host, dry_run: bool) -> Result<(), NetdogError> {
    let found = configuration(host).map_err(|error| *error)?;
    let (source, config) = match found {
        Some((source, config)) => (Some(source), config),
        None => (None, Config::default()),
    };
    let plan = plan_links(&config, &resolver::settings(host)?, &existing(host)?);
    if dry_run {
        return show(&plan);
    }
    apply(&plan, host)?;
    let primary = config.primary().map(|device| device.id().to_string());
    match (source, primary) {
        (None, _) => tracing::warn!(
            looked_in = %format!("{}, {COMMAND_LINE} ({})", NET_TOML.join(", "), command_line::PARAMETER),
            "no network configuration was found; no interface is configured"
        ),
        (Some(source), None) => tracing::warn!(source, "it names no device; no interface is configured"),
        (Some(source), Some(primary)) => {
            tracing::info!(source, primary, devices = config.devices().len(), "network configured");
        }
    }
    Ok(())
}

/// The configuration of the first source that exists, and what that is.
fn configuration(host: &Host) -> Result<Option<(&'static str, Config)>, Box<NetdogError>> {
    let faulty = |faults: Faults| Box::new(FaultySnafu { faults }.build());
    let read = |path| host.read(path).context(ReadSnafu).map_err(Box::new);
    for path in NET_TOML {
        if let Some(content) = read(path)? {
            return net_toml::parse_bytes(path, &content).map(|config| Some((path, config))).map_err(faulty);
        }
    }
    let Some(content) = read(COMMAND_LINE)? else { return Ok(None) };
    let config = command_line::parse(COMMAND_LINE, &String::from_utf8_lossy(&content)).map_err(faulty)?;
    Ok(config.map(|config| (COMMAND_LINE, config)))
}

/// The files that an earlier configuration may have left.
fn existing(host: &Host) -> Result<Vec<String>, NetdogError> {
    let mut paths = Vec::new();
    for name in names_in(host, NETWORKD_FOLDER)? {
        let path = format!("{NETWORKD_FOLDER}/{name}");
        if host.path(&path).is_dir() {
            paths.extend(names_in(host, &path)?.iter().map(|inner| format!("{path}/{inner}")));
        } else {
            paths.push(path);
        }
    }
    paths.extend(STATE.into_iter().filter(|path| host.path(path).exists()).map(str::to_owned));
    Ok(paths)
}
