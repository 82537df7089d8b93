//! Measures what SPECIFICATION.md promises, each figure beside a bare reference taken in the same run, and fails
//! when a promise is not kept. Absolute figures depend on the machine; the ratios are what is promised.

use bench::suite::Suite;
use clap::Parser;
use host::Host;
use host::program::{Program, SharedArgs};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Measures the promises of SPECIFICATION.md
#[derive(Parser)]
#[command(name = "bench", version)]
struct Args {
    #[command(flatten)]
    shared: SharedArgs,

    /// Where the built programs are; measure release builds only
    #[arg(long, value_name = "DIR", default_value = "target/release")]
    programs: PathBuf,

    /// Where the measured host and the references keep their files
    #[arg(long, value_name = "DIR", default_value = "build")]
    scratch: PathBuf,

    /// Seconds per scenario
    #[arg(long, default_value_t = 2)]
    seconds: u64,
}

impl Program for Args {
    fn shared(&self) -> &SharedArgs {
        &self.shared
    }

    fn run(self, _: &Host) -> Result<ExitCode, Box<dyn Error>> {
        let suite = Suite::new(&self.programs, &self.scratch, Duration::from_secs(self.seconds))?;
        let kept = suite.run(&mut std::io::stdout())?;
        Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn main() -> ExitCode {
    host::program::run::<Args>()
}
