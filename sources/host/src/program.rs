//! The frame that every program shares: arguments, logging, the error chain, exit codes.

use crate::Host;
use clap::Parser;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

/// Names the root directory where no `--root` is given; set for the children of a host in a directory.
pub const ROOT_VARIABLE: &str = "VISCO_ROOT";

/// Exit status of a program that could not do what it was asked.
pub const EXIT_FAILURE: u8 = 1;
/// Exit status of a program that was asked wrongly.
pub const EXIT_USAGE: u8 = 2;

/// Options that every program of the host has.
#[derive(clap::Args, Clone, Debug)]
pub struct SharedArgs {
    /// Act on the host in this directory instead of the machine itself
    #[arg(long, global = true, value_name = "DIR", env = ROOT_VARIABLE, default_value = "/", hide_env = true)]
    pub root: PathBuf,

    /// Least important messages to show: trace, debug, info, warn, error
    #[arg(short = 'l', long, global = true, value_name = "LEVEL", default_value = "info")]
    pub log_level: LevelFilter,
}

/// A program: its arguments and what it does with them.
pub trait Program: Parser {
    /// The options it shares with all programs.
    fn shared(&self) -> &SharedArgs;

    /// Does what was asked. An `Ok` exit code may still be a failure that was already reported.
    fn run(self, host: &Host) -> Result<ExitCode, Box<dyn Error>>;
}

/// Runs a program on the arguments of this process.
pub fn run<P: Program>() -> ExitCode {
    run_with::<P>(std::env::args_os())
}

/// Runs a program on the given arguments, the first of which is its name.
pub fn run_with<P: Program>(
    args: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
) -> ExitCode {
    let program = match P::try_parse_from(args) {
        Ok(program) => program,
        Err(e) => {
            // Where even the usage cannot be printed there is nobody to tell.
            drop(e.print());
            return ExitCode::from(if e.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    let shared = program.shared().clone();
    log_to_stderr(shared.log_level);
    program.run(&Host::new(shared.root)).unwrap_or_else(|e| {
        eprintln!("{}", chain(e.as_ref()));
        ExitCode::from(EXIT_FAILURE)
    })
}

/// The text of an error and of what caused it, outermost first.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn log_to_stderr(level: LevelFilter) {
    let format = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        // The journal adds the time.
        .without_time();
    // A second call in one process keeps the first subscriber, which writes to the same place.
    drop(format.try_init());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CommandError;

    #[test]
    fn a_chain_names_every_cause_once() {
        let source = std::io::Error::other("no such thing");
        let error = CommandError::Start { program: "x".into(), source };
        assert_eq!(chain(&error), "start x: no such thing");
    }
}
