//! Which set of partitions boots next.

use clap::Subcommand;
use host::Host;
use partitions::Attributes;
use serde_json::{Value, json};
use signpost::{BootState, Command, Lock, SetDevices, SetName, Sets};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

/// Exits with 0 when the command was carried out or had nothing to change, with 1 when it was refused or could not be
/// carried out, with 2 when it was asked wrongly.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print the disk, both sets, the one that runs and the one that boots next
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Change(Change),
    /// Print `true` if any boot of this disk has ever succeeded, and nothing otherwise
    HasBootEverSucceeded,
    /// Make both copies of the partition table whole and equal
    RewriteTable,
}

#[derive(Subcommand)]
enum Change {
    /// The running set has proved itself: keep it
    MarkSuccessfulBoot(Options),
    /// The inactive set is about to be written: it must not boot
    ClearInactive(Options),
    /// The inactive set is written and checked: it may be activated, with 3 tries
    MarkInactiveValid(Options),
    /// Boot the inactive set next; it must be valid and never have booted
    UpgradeToInactive(Options),
    /// Keep booting the running set; a valid inactive set can be activated again
    CancelUpgrade(Options),
    /// Boot the inactive set next; it must have booted successfully before
    RollbackToInactive(Options),
}

#[derive(clap::Args, Clone, Copy)]
struct Options {
    /// Print what would be written to the disk, and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = std::io::stdout();
    let sets = Sets::find(host)?;
    match &args.action {
        Action::Status { json: true } => writeln!(out, "{:#}", as_json(&sets, &sets.state()?))?,
        Action::Status { json: false } => write!(out, "{}", as_text(&sets, &sets.state()?))?,
        Action::Change(change) => {
            let (command, options) = change.command();
            if options.dry_run {
                write!(out, "{}", sets.plan(command)?.plan)?;
            } else {
                let applied = sets.apply(&Lock::acquire(host)?, command)?;
                let changed = applied.before != applied.after;
                tracing::info!(%command, changed, next = %name(applied.after.next()), "boot choice");
            }
        }
        Action::HasBootEverSucceeded => {
            if sets.state()?.has_boot_ever_succeeded() {
                writeln!(out, "true")?;
            }
        }
        Action::RewriteTable => drop(sets.rewrite_table(&Lock::acquire(host)?)?),
    }
    Ok(ExitCode::SUCCESS)
}

impl Change {
    fn command(&self) -> (Command, Options) {
        match *self {
            Self::MarkSuccessfulBoot(options) => (Command::MarkSuccessfulBoot, options),
            Self::ClearInactive(options) => (Command::ClearInactive, options),
            Self::MarkInactiveValid(options) => (Command::MarkInactiveValid, options),
            Self::UpgradeToInactive(options) => (Command::UpgradeToInactive, options),
            Self::CancelUpgrade(options) => (Command::CancelUpgrade, options),
            Self::RollbackToInactive(options) => (Command::RollbackToInactive, options),
        }
    }
}

/// Both sets, A first, with what the table says of each.
fn in_order<'a>(sets: &'a Sets, state: &BootState) -> Vec<(&'a SetDevices, Attributes)> {
    let mut found: Vec<_> = [Some(&sets.active), sets.inactive.as_ref()].into_iter().flatten().collect();
    found.sort_by_key(|set| set.name);
    found.into_iter().filter_map(|set| Some((set, state.of(set.name)?))).collect()
}

fn name(set: Option<SetName>) -> String {
    set.map_or_else(|| "none".to_owned(), |set| set.to_string())
}

fn as_text(sets: &Sets, state: &BootState) -> String {
    let mut lines = vec![format!("OS disk: {}", sets.disk.display())];
    for (set, bits) in in_order(sets, state) {
        lines.push(format!(
            "Set {}:   boot={} root={} hash={} priority={} tries_left={} successful={}",
            set.name,
            set.boot.path.display(),
            set.root.path.display(),
            set.hash.path.display(),
            bits.priority(),
            bits.tries_left(),
            bits.is_successful(),
        ));
    }
    lines.push(format!("Active:  Set {}", state.active));
    lines.push(format!("Next:    {}", state.next().map_or("None".to_owned(), |set| format!("Set {set}"))));
    lines.join("\n") + "\n"
}

fn as_json(sets: &Sets, state: &BootState) -> Value {
    let each = in_order(sets, state).into_iter().map(|(set, bits)| {
        json!({
            "name": set.name.to_string(),
            "boot": set.boot.path,
            "root": set.root.path,
            "hash": set.hash.path,
            "priority": bits.priority(),
            "tries_left": bits.tries_left(),
            "successful": bits.is_successful(),
        })
    });
    json!({
        "os_disk": sets.disk,
        "sets": each.collect::<Vec<_>>(),
        "active": state.active.to_string(),
        "next": state.next().map(|set| set.to_string()),
        "boot_ever_succeeded": state.has_boot_ever_succeeded(),
    })
}
