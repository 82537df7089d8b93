//! The verbs, and how a link's name becomes one.

use crate::{boot_attempt, migrator, signpost, thar_be_updates, updog};
use clap::Subcommand;
use host::Host;
use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
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
            Self::Links => {
                LINKS.iter().try_for_each(|name| writeln!(std::io::stdout(), "{name}"))?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// The arguments as if the program had been called by its own name: `signpost X` is `updater signpost X`.
pub(crate) fn with_verb(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let name = args.first().and_then(|arg| Path::new(arg).file_name()).map(ToOwned::to_owned);
    if let Some(name) = name.filter(|name| name != "updater") {
        args[0] = "updater".into();
        args.insert(1, name);
    }
    args
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

    #[test]
    fn a_link_is_read_as_its_verb() {
        for (given, expected) in [
            (&["/usr/bin/signpost", "status"][..], &["updater", "signpost", "status"][..]),
            (&["/x/updater", "signpost"], &["/x/updater", "signpost"]),
            (&[], &[]),
        ] {
            assert_eq!(with_verb(given.iter().map(OsString::from)), expected);
        }
    }
}
