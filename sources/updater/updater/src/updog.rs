//! Finds, installs, activates and reverts an update.

use host::Host;
use std::error::Error;
use std::process::ExitCode;

pub(crate) use updog::Args;

#[expect(clippy::unnecessary_wraps, reason = "as every verb")]
pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let exit = updog::run(args, host).unwrap_or_else(|error| {
        eprintln!("{}", host::program::chain(&error));
        error.exit()
    });
    Ok(exit.into())
}
