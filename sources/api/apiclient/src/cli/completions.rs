//! Scripts that complete command lines.

use super::args::Line;
use super::failure::Failure;
use super::output;
use clap::CommandFactory;
use clap_complete::Shell;

pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Line::command(), "apiclient", &mut script);
    output::bytes(&script)
}
