//! Makes, signs, checks and refreshes update repositories.

use clap::Parser;
use host::Host;
use host::program::{Program, SharedArgs};
use pubsys::verbs::{Place, Verb};
use std::error::Error;
use std::process::ExitCode;

/// Makes, signs, checks and refreshes update repositories
///
/// Nothing is uploaded: what is made is below build/repos, to be copied to a server, targets first.
#[derive(Parser)]
#[command(name = "pubsys", version)]
struct Args {
    #[command(flatten)]
    shared: SharedArgs,

    #[command(flatten)]
    place: Place,

    #[command(subcommand)]
    verb: Verb,
}

impl Program for Args {
    fn shared(&self) -> &SharedArgs {
        &self.shared
    }

    fn run(self, _: &Host) -> Result<ExitCode, Box<dyn Error>> {
        // The library that reads repositories is asynchronous; one thread is enough for a command.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.verb.run(&self.place))
    }
}

fn main() -> ExitCode {
    host::program::run::<Args>()
}
