//! Fills the lookaside folder, and renews the lock that says with what.

use clap::{Parser, Subcommand};
use host::Host;
use host::program::{Program, SharedArgs};
use lookaside::{Tree, fetch, update_lock};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Fills the lookaside folder of a checkout
#[derive(Parser)]
#[command(name = "lookaside", version)]
struct Args {
    #[command(flatten)]
    shared: SharedArgs,

    /// The checkout
    #[arg(long, value_name = "DIR", env = "BUILDSYS_ROOT_DIR", default_value = ".")]
    tree: PathBuf,

    /// The folder to fill, instead of build/lookaside
    #[arg(long, value_name = "DIR", env = "BUILDSYS_LOOKASIDE_DIR")]
    lookaside: Option<PathBuf>,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Bring every pinned input into the lookaside
    Fetch,
    /// Pin every Debian package anew, at the version of today
    UpdateLock,
}

impl Program for Args {
    fn shared(&self) -> &SharedArgs {
        &self.shared
    }

    fn run(self, _: &Host) -> Result<ExitCode, Box<dyn Error>> {
        let tree = Tree::new(std::path::absolute(&self.tree)?, self.lookaside);
        match self.verb {
            Verb::Fetch => fetch(&tree, &mut std::io::stderr())?,
            Verb::UpdateLock => {
                let changes = update_lock(&tree)?.0;
                let lines = [&changes[..], &[format!("Debian.lock: {} changed", changes.len())]].concat();
                writeln!(std::io::stdout(), "{}", lines.join("\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn main() -> ExitCode {
    host::program::run::<Args>()
}
