//! Builds packages and images in Docker.

use buildsys::Args;
use clap::Parser;
use host::program::chain;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Args::parse().run() {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell when stderr is gone; the exit code says it all the same.
            let _ = writeln!(std::io::stderr(), "buildsys: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
