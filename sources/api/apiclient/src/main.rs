//! Reads and changes the settings of a host over its API socket.

use std::process::ExitCode;

fn main() -> ExitCode {
    host::program::run::<apiclient::cli::App>()
}
