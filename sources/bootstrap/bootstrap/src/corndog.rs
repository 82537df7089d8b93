//! Tells the running kernel what the settings say.

use crate::facts::{cpu_count, efa_present};
use ::corndog::lockdown::{self, Step};
use ::corndog::{Config, hugepages, sysctl};
use clap::Subcommand;
use host::Host;
use host::program::chain;
use modeled_types::Lockdown;
use snafu::{OptionExt, ResultExt, Snafu};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use sundog::Outcome;

/// Where kernel parameters are.
const PARAMETERS: &str = "/proc/sys";
/// Where the kernel says how far it is locked down, and is told to go further.
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
/// How many huge pages there are.
const HUGE_PAGES: &str = "/proc/sys/vm/nr_hugepages";

const EXIT_CODES: &str = "Exit status: 0 done; a kernel parameter that cannot be set is named, and is no failure; 1 the \
    configuration cannot be read, or the kernel cannot be locked down; 2 wrong usage.";

#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// What the settings say
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/corndog.toml")]
    config_path: PathBuf,

    #[command(subcommand)]
    verb: CorndogVerb,
}

#[derive(Subcommand)]
enum CorndogVerb {
    /// Set kernel parameters
    Sysctl,
    /// Lock the kernel down
    Lockdown,
    /// Print a number of huge pages for this host
    GenerateHugepagesSetting,
}

#[derive(Debug, Snafu)]
enum LockdownError {
    #[snafu(display("find out how far the kernel is locked down"))]
    Read { source: host::FileError },
    #[snafu(display("lock the kernel down to '{wanted}': it has no lockdown ({LOCKDOWN} does not exist)"))]
    Missing { wanted: Lockdown },
    #[snafu(display("find out from {LOCKDOWN} how far the kernel is locked down"))]
    Decide { source: lockdown::Unreadable },
    #[snafu(display("lock the kernel down to '{wanted}'"))]
    Write { wanted: Lockdown, source: host::FileError },
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    match args.verb {
        CorndogVerb::Sysctl => set_parameters(&config(args, host)?, host),
        CorndogVerb::Lockdown => {
            if let Some(wanted) = config(args, host)?.lockdown {
                lock_down(wanted, host)?;
            }
        }
        CorndogVerb::GenerateHugepagesSetting => return crate::generators::print(generate(host)),
    }
    Ok(ExitCode::SUCCESS)
}

/// What the verb generates, if it is a generator.
pub(crate) fn generator(args: &Args, host: &Host) -> Option<Outcome> {
    matches!(args.verb, CorndogVerb::GenerateHugepagesSetting).then(|| generate(host))
}

fn config(args: &Args, host: &Host) -> Result<Config, Box<dyn Error>> {
    crate::config::load(host, &args.config_path, Config::parse)
}

/// Sets all parameters that can be set, and names the others, each in a line.
fn set_parameters(config: &Config, host: &Host) {
    let (parameters, faults) = sysctl::plan(&config.sysctl);
    for fault in faults {
        tracing::warn!("kernel parameter '{}' is not set: it {}", fault.key, fault.why);
    }
    for parameter in parameters {
        let paths: Vec<String> = parameter.paths.iter().map(|path| format!("{PARAMETERS}/{path}")).collect();
        let path = paths.iter().find(|path| host.path(path).exists()).unwrap_or(&paths[0]);
        if let Err(e) = host.tell_kernel(path, &parameter.value) {
            tracing::warn!("kernel parameter '{}' is not set: {}", parameter.key, chain(&e));
        }
    }
}

fn lock_down(wanted: Lockdown, host: &Host) -> Result<(), LockdownError> {
    let text = match host.read(LOCKDOWN).context(ReadSnafu)? {
        None if wanted == Lockdown::None => return Ok(()),
        text => text.context(MissingSnafu { wanted })?,
    };
    match lockdown::decide(&String::from_utf8_lossy(&text), wanted).context(DecideSnafu)? {
        Step::Nothing => {}
        Step::Keep { active } => {
            tracing::warn!(
                "the kernel is locked down to '{active}' and cannot go back to '{wanted}' before the next boot"
            );
        }
        Step::Raise => {
            host.tell_kernel(LOCKDOWN, wanted.as_str()).context(WriteSnafu { wanted })?;
            tracing::info!("the kernel is locked down to '{wanted}'");
        }
    }
    Ok(())
}

fn generate(host: &Host) -> Outcome {
    let current = match host.read(HUGE_PAGES) {
        Ok(Some(current)) => current,
        Ok(None) => {
            return Outcome::Declined(format!("this kernel has no huge pages: {HUGE_PAGES} does not exist"));
        }
        Err(e) => return Outcome::failed(chain(&e)),
    };
    match hugepages(&String::from_utf8_lossy(&current), efa_present(host), cpu_count()) {
        Ok(pages) => Outcome::Made(pages.to_string().into()),
        Err(e) => Outcome::failed(chain(&e)),
    }
}
