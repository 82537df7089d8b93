//! Runs the commands that the settings have for the boot.

use crate::api::{Socket, switch_off, with_client};
use crate::config::{load, secret_toml};
use host::program::chain;
use host::{Command, Host};
use modeled_types::{ApiclientCommand, BootstrapMode, Identifier};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The group of settings.
const GROUP: &str = "bootstrap-commands";
/// Limit of one command. The client waits until a setting is applied, which may restart the runtime.
const COMMAND_LIMIT: Duration = Duration::from_mins(10);

const EXIT_CODES: &str = "Exit status: 0 all commands ran, or only such failed as are not essential; 1 an essential \
    one failed, or the configuration cannot be read; 2 wrong usage.";

#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// What the settings say
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "/etc/bootstrap-commands/bootstrap-commands.toml"
    )]
    config_path: PathBuf,

    #[command(flatten)]
    socket: Socket,
}

/// The configuration file, as its template writes it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Config {
    #[serde(default)]
    bootstrap_commands: BTreeMap<Identifier, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    commands: Vec<ApiclientCommand>,
    #[serde(default)]
    mode: BootstrapMode,
    #[serde(default)]
    essential: bool,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let config: Config = load(host, &args.config_path, secret_toml)?;
    let mut code = ExitCode::SUCCESS;
    for (name, entry) in config.bootstrap_commands {
        if entry.mode == BootstrapMode::Off {
            continue;
        }
        let name = name.as_str();
        match run_entry(name, &entry, args, host) {
            Ok(()) => tracing::info!("bootstrap command '{name}' has run"),
            Err(e) if entry.essential => {
                tracing::error!("essential bootstrap command '{name}' failed: {}", chain(e.as_ref()));
                code = ExitCode::FAILURE;
            }
            Err(e) => tracing::warn!("bootstrap command '{name}' failed: {}", chain(e.as_ref())),
        }
    }
    Ok(code)
}

/// Runs the commands of an entry up to the first that fails. What is to run once is switched off after it succeeded.
fn run_entry(name: &str, entry: &Entry, args: &Args, host: &Host) -> Result<(), Box<dyn Error>> {
    for (index, words) in entry.commands.iter().enumerate() {
        let mut command = Command::new(words.words().iter().map(String::as_str));
        command.timeout = COMMAND_LIMIT;
        let output = host.run(&command)?;
        if !output.status.success() {
            // The words themselves may be secrets that are set.
            let number = index + 1;
            return Err(format!(
                "command {number} ended with {}: {}",
                output.status,
                output.stderr.trim_end()
            )
            .into());
        }
    }
    if entry.mode == BootstrapMode::Once {
        with_client(host, &args.socket, |client| async move {
            switch_off(&client, GROUP, name).await?;
            Ok(ExitCode::SUCCESS)
        })?;
    }
    Ok(())
}
