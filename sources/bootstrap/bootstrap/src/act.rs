//! Commands that must succeed.

use host::{Command, CommandError, Host};
use snafu::{ResultExt, Snafu, ensure};
use std::process::ExitStatus;

/// A command that was to change the machine, and did not.
#[derive(Debug, Snafu)]
pub(crate) enum ActError {
    #[snafu(display("run '{line}'"))]
    Run { line: String, source: CommandError },
    #[snafu(display("run '{line}': it ended with {status}: {stderr}"))]
    Failed { line: String, status: ExitStatus, stderr: String },
}

/// Runs a command that acts on the machine; a host in a directory records it.
pub(crate) fn act(host: &Host, command: &Command) -> Result<(), ActError> {
    let line = || command.argv.join(" ");
    if let Some(output) = host.act(command).with_context(|_| RunSnafu { line: line() })? {
        let stderr = output.stderr.trim_end();
        ensure!(output.status.success(), FailedSnafu { line: line(), status: output.status, stderr });
    }
    Ok(())
}
