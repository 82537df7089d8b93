//! The frame that every program shares: arguments, logging, the error chain, exit codes.

use crate::Host;
use clap::Parser;
use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
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
pub fn run_with<P: Program>(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
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

/// The arguments of a program that has a verb for each of its links, as if it had been called by its own name: where
/// `signpost` is a link to `updater`, `signpost X` is `updater signpost X`.
pub fn with_verb(program: &str, args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let name = args.first().and_then(|arg| Path::new(arg).file_name()).map(ToOwned::to_owned);
    if let Some(name) = name.filter(|name| name != program) {
        args[0] = program.into();
        args.insert(1, name);
    }
    args
}

/// Prints the names that a program is also called by, for the build of an image.
pub fn print_links(links: &[&str]) -> Result<ExitCode, Box<dyn Error>> {
    links.iter().try_for_each(|name| writeln!(std::io::stdout(), "{name}"))?;
    Ok(ExitCode::SUCCESS)
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

    #[test]
    fn a_link_is_read_as_its_verb() {
        for (given, expected) in [
            (&["/usr/bin/signpost", "status"][..], &["updater", "signpost", "status"][..]),
            (&["/x/updater", "signpost"], &["/x/updater", "signpost"]),
            (&[], &[]),
        ] {
            assert_eq!(with_verb("updater", given.iter().map(OsString::from)), expected);
        }
    }
}
