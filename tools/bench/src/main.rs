//! Measures what SPECIFICATION.md promises, each figure beside a bare reference taken in the same run, and fails
//! when a promise is not kept. Absolute figures depend on the machine; the ratios are what is promised.

use bench::suite::Suite;
use clap::Parser;
use host::Host;
use host::program::{Program, SharedArgs};
use std::error::Error;
use std::io::Write;
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

    /// The folder of a built image, whose boots are measured too
    #[arg(long, value_name = "DIR")]
    image: Option<PathBuf>,

    /// Seconds per scenario
    #[arg(long, default_value_t = 2)]
    seconds: u64,

    /// Only installs what a run has prepared there, and prints the memory it took
    #[arg(long, value_name = "DIR", hide = true)]
    install_memory: Option<PathBuf>,
}

impl Program for Args {
    fn shared(&self) -> &SharedArgs {
        &self.shared
    }

    fn run(self, _: &Host) -> Result<ExitCode, Box<dyn Error>> {
        if let Some(folder) = &self.install_memory {
            writeln!(std::io::stdout(), "{}", bench::installs::install_largest(folder)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let suite = Suite::new(&self.programs, &self.scratch, Duration::from_secs(self.seconds))?;
        let kept = suite.run(self.image.as_deref(), &mut std::io::stdout())?;
        Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn main() -> ExitCode {
    host::program::run::<Args>()
}
