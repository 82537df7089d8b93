//! The steps of the boot, one verb each, in one program.
//!
//! Every verb is also a command of its own: a link to this program, under the name the command is known by
//! ([`LINKS`]). A verb is thin: what it decides is in the crate of its subject. None keeps state of its own; what
//! must last is a commit of the API server, which is why a boot that is cut short anywhere goes on at the next.
//!
//! ```text
//! storewolf ▶ (apiserver) ▶ early-boot-config ▶ sundog ▶ thar-be-settings
//! ```
//!
//! Run its tests with `cargo test -p bootstrap`; they start the program against a server in the same process.

mod api;
mod boot_report;
mod bootstrap_commands;
mod certdog;
mod config;
mod containers;
mod corndog;
mod deprecation_warning;
mod early_boot_config;
mod facts;
mod folder;
mod generators;
mod health_check;
mod netdog;
mod prairiedog;
mod refusal;
mod schnauzer_v2;
mod settings_committer;
mod static_pods;
mod storewolf;
mod sundog;
mod thar_be_settings;
mod verb;

pub use early_boot_config::{EXIT_REFUSED, REPORT};
pub use verb::LINKS;

use clap::Parser;
use host::Host;
use host::program::{Program, SharedArgs, run_with, with_verb};
use std::error::Error;
use std::process::ExitCode;

/// Brings a host from its image and user data to configuration files
#[derive(Parser)]
#[command(name = "bootstrap", version)]
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
    run_with::<Args>(with_verb("bootstrap", std::env::args_os()))
}
