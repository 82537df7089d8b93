//! The command line (update, section 3.2).

use crate::activate::{Activated, activate, revert};
use crate::check::{Options, bad_versions, check, offer};
use crate::config::Config;
use crate::error::{PrintSnafu, RestartSnafu};
use crate::machine::Machine;
use crate::update::install_chosen;
use crate::{Error, Exit, Installed, Offer, Progress, Step, source};
use clap::Subcommand;
use host::{Command, Host};
use semver::Version;
use serde::Serialize;
use signpost::Lock;
use snafu::ResultExt;
use std::cell::Cell;
use std::io::Write;
use tracing::info;

/// Results go to standard output, everything else to standard error. Exits with 0 when done, also when `update` finds
/// nothing to do; 1 when `check-update` finds no update; 2 when asked wrongly or the configuration cannot be used; 3
/// when the repository was not reached; 4 when what it gave is not to be trusted; 5 when there is no space; 6 when
/// another program has the lock; 7 when it was refused; 8 when the clock cannot be right; 9 when anything else failed.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    action: Action,

    /// Print JSON instead of text
    #[arg(short, long, global = true)]
    json: bool,

    /// Act as if this host were another variant
    #[arg(long, global = true, value_name = "NAME", hide = true)]
    variant: Option<String>,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Print the update this host would take
    #[command(alias = "whats")]
    CheckUpdate {
        /// Print all updates this host may take
        #[arg(short, long)]
        all: bool,
        #[command(flatten)]
        choice: Choice,
    },
    /// Do nothing (reserved)
    Prepare,
    /// Install the update into the inactive set, and make it the next to boot
    Update {
        #[command(flatten)]
        choice: Choice,
        #[command(flatten)]
        restart: Restart,
    },
    /// Install the update into the inactive set, and leave that inactive
    UpdateImage {
        #[command(flatten)]
        choice: Choice,
    },
    /// Make the update in the inactive set the next to boot
    UpdateApply {
        #[command(flatten)]
        restart: Restart,
    },
    /// Keep the running set the next to boot
    UpdateRevert,
}

#[derive(clap::Args, Debug)]
struct Choice {
    /// Take this version, newer or older
    #[arg(short, long, value_name = "VERSION")]
    image: Option<Version>,
    /// Take an update before the wave of this host
    #[arg(short = 'n', long = "now", visible_alias = "ignore-waves")]
    ignore_waves: bool,
}

#[derive(clap::Args, Debug)]
struct Restart {
    /// Restart the host afterwards
    #[arg(short, long)]
    reboot: bool,
}

/// Does what was asked.
pub fn run(args: &Args, host: &Host) -> Result<Exit, Error> {
    match &args.action {
        Action::Prepare => Ok(Exit::Done),
        Action::CheckUpdate { all, choice } => {
            let offer = check(host, &args.options(host, choice))?;
            if *all { print_all(&offer, args.json) } else { print_choice(&offer, args.json) }
        }
        Action::Update { choice, restart } => match install(host, args, choice)? {
            None => Ok(Exit::Done),
            Some((lock, installed)) => {
                activate(host, &lock)?;
                print_installed(&installed, "update applied", args.json)?;
                restart.after(host)
            }
        },
        Action::UpdateImage { choice } => {
            if let Some((_, installed)) = install(host, args, choice)? {
                print_installed(&installed, "update installed", args.json)?;
            }
            Ok(Exit::Done)
        }
        Action::UpdateApply { restart } => {
            print_activated(&activate(host, &Lock::acquire(host)?)?, "update applied", args.json)?;
            restart.after(host)
        }
        Action::UpdateRevert => {
            print_activated(&revert(host, &Lock::acquire(host)?)?, "update reverted", args.json)?;
            Ok(Exit::Done)
        }
    }
}

impl Args {
    fn options(&self, host: &Host, choice: &Choice) -> Options {
        Options {
            image: choice.image.clone(),
            ignore_waves: choice.ignore_waves,
            variant: self.variant.clone(),
            bad: bad_versions(host),
        }
    }
}

impl Restart {
    fn after(&self, host: &Host) -> Result<Exit, Error> {
        if self.reboot {
            host.order(&Command::new(["systemctl", "reboot"])).context(RestartSnafu)?;
        }
        Ok(Exit::Done)
    }
}

/// Chooses and installs, from one load of the repository.
fn install(host: &Host, args: &Args, choice: &Choice) -> Result<Option<(Lock, Installed)>, Error> {
    let lock = Lock::acquire(host)?;
    let (config, machine) = (Config::load(host)?, Machine::load(host)?);
    let repository = source::load(host, &config, &machine)?;
    let offer = offer(&repository, &config, &machine, &args.options(host, choice))?;
    let Some(chosen) = offer.chosen() else {
        info!("no update required: {}", offer.decision());
        return Ok(None);
    };
    info!("starting update to {}", chosen.version);
    let installed = install_chosen(host, &lock, (&repository, &machine), &chosen, &log_steps())?;
    Ok(Some((lock, installed)))
}

/// Logs each step once, and where it stands every eighth.
fn log_steps() -> impl Fn(Progress<'_>) {
    let last: Cell<Option<(Step, u64)>> = Cell::new(None);
    move |progress| {
        let eighth = (progress.blocks_done * 8).checked_div(progress.blocks_total).unwrap_or(0);
        if last.replace(Some((progress.step, eighth))) != Some((progress.step, eighth)) {
            let Progress { step, phase, blocks_done, blocks_total, .. } = progress;
            info!(step = step.name(), phase, blocks_done, blocks_total, "update");
        }
    }
}

fn print_choice(offer: &Offer, json: bool) -> Result<Exit, Error> {
    let decision = offer.decision();
    let Some(update) = decision.update() else {
        eprint_line(&format!("no update available: {decision}"));
        return Ok(Exit::NoUpdate);
    };
    if json {
        print_json(update)?;
    } else {
        print(&format!("{} {}", update.variant, update.version))?;
    }
    Ok(Exit::Done)
}

fn print_all(offer: &Offer, json: bool) -> Result<Exit, Error> {
    let updates = offer.applicable();
    if json {
        print_json(&updates)?;
    } else {
        for update in updates {
            print(&format!("{} {}", update.variant, update.version))?;
        }
    }
    Ok(Exit::Done)
}

fn print_installed(installed: &Installed, text: &str, json: bool) -> Result<(), Error> {
    let update = &installed.update;
    if json { print_json(update) } else { print(&format!("{text}: {} {}", update.variant, update.version)) }
}

fn print_activated(activated: &Activated, text: &str, json: bool) -> Result<(), Error> {
    let version = activated.version.as_ref().map(ToString::to_string);
    let next = activated.next.map(|set| set.to_string());
    if json {
        return print_json(
            &serde_json::json!({ "version": version, "next": next, "changed": activated.changed }),
        );
    }
    print(&format!("{text}: set {} boots next", next.as_deref().unwrap_or("none")))
}

fn print_json(value: &impl Serialize) -> Result<(), Error> {
    print(&serde_json::to_string_pretty(value).expect("all keys are texts"))
}

fn print(text: &str) -> Result<(), Error> {
    writeln!(std::io::stdout(), "{text}").context(PrintSnafu)
}

/// What a person reads, apart from the log and its levels.
fn eprint_line(text: &str) {
    eprintln!("{text}");
}
