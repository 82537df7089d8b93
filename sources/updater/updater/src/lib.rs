//! The steps of an update, one verb each, in one program.
//!
//! Every verb is also a command of its own: a link to this program, under the name the command is known by
//! ([`LINKS`]). A verb is thin: what it decides is in the crate of its subject.
//!
//! Run its tests with `cargo test -p updater`; they start the program on a host in a directory.

mod boot_attempt;
mod migrator;
mod signpost;
mod thar_be_updates;
mod updog;
mod verb;

pub use verb::LINKS;

use clap::Parser;
use host::Host;
use host::program::{Program, SharedArgs, run_with, with_verb};
use std::error::Error;
use std::process::ExitCode;

/// Finds, installs and activates updates of the host, and migrates its settings
#[derive(Parser)]
#[command(name = "updater", version)]
struct Args {
    #[command(flatten)]
    shared: SharedArgs,

    #[command(subcommand)]
    verb: verb::Verb,
}

impl Program for Args {
    fn shared(&self) -> &SharedArgs {
        &self.shared
    }

    fn run(self, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
        self.verb.run(host)
    }
}

/// Runs the verb that the arguments of this process name.
pub fn main() -> ExitCode {
    run_with::<Args>(with_verb("updater", std::env::args_os()))
}
