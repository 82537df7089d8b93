//! Runs a host in a directory.

use clap::{Parser, Subcommand};
use host::Host;
use host::program::{Program, SharedArgs};
use hostlab::vm::{VmArgs, vm};
use hostlab::{CrashArgs, HostArgs, crash, host as run_host, show_crashes};
use std::error::Error;
use std::process::ExitCode;

/// Runs a host in a directory
#[derive(Parser)]
#[command(name = "hostlab", version)]
struct Args {
    #[command(flatten)]
    shared: SharedArgs,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Lay out a host, boot it, and keep its API server running
    Host(HostArgs),
    /// Kill the server of a fresh host while it commits, and look at what is left
    Crash(CrashArgs),
    /// Boot an image in a virtual machine, and reach its API
    Vm(Box<VmArgs>),
}

impl Program for Args {
    fn shared(&self) -> &SharedArgs {
        &self.shared
    }

    fn run(self, _: &Host) -> Result<ExitCode, Box<dyn Error>> {
        let out = &mut std::io::stdout();
        match self.verb {
            Verb::Host(args) => run_host(&args, out),
            Verb::Crash(args) => {
                show_crashes(crash(&args)?, out)?;
                Ok(ExitCode::SUCCESS)
            }
            Verb::Vm(args) => vm(&args, out),
        }
    }
}

fn main() -> ExitCode {
    host::program::run::<Args>()
}
