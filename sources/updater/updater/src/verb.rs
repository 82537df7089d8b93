//! The verbs.

use crate::{boot_attempt, migrator, signpost, thar_be_updates, updog};
use clap::Subcommand;
use host::Host;
use host::program::print_links;
use std::error::Error;
use std::process::ExitCode;

/// The names this program is also called by; each is the name of its verb.
pub const LINKS: &[&str] = &["boot-attempt", "migrator", "signpost", "thar-be-updates", "updog"];

/// One step of an update.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Keep a record of what each boot came to, and act when it fails
    BootAttempt(boot_attempt::Args),
    /// Bring the settings to the version of the image
    Migrator(migrator::Args),
    /// Say and change which set of partitions boots next
    Signpost(signpost::Args),
    /// Find, install, activate and revert an update
    Updog(updog::Args),
    /// Do the steps of an update that the API asks for
    TharBeUpdates(thar_be_updates::Args),
    /// Print the names that this program is also called by
    Links,
}

impl Verb {
    pub(crate) fn run(self, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
        match self {
            Self::BootAttempt(args) => boot_attempt::run(&args, host),
            Self::Migrator(args) => migrator::run(&args, host),
            Self::Signpost(args) => signpost::run(&args, host),
            Self::Updog(args) => updog::run(&args, host),
            Self::TharBeUpdates(args) => thar_be_updates::run(&args, host),
            Self::Links => print_links(LINKS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_link_is_a_verb() {
        let command = crate::Args::command();
        command.clone().debug_assert();
        for link in LINKS {
            assert!(command.find_subcommand(link).is_some(), "{link}");
        }
    }
}
