//! Prints what breaks the invariants of the tree, a line each, and fails if anything does.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    let (lines, code) = match tidy::tree::check(Path::new(&root)) {
        Ok(findings) if findings.is_empty() => return ExitCode::SUCCESS,
        Ok(findings) => (findings.iter().map(ToString::to_string).collect::<Vec<_>>(), 1),
        Err(error) => (vec![format!("tidy: {}", tidy::tree::chain(&error))], 2),
    };
    // Nobody is left to tell when stderr is gone; the exit code says it all the same.
    let _ = writeln!(std::io::stderr(), "{}", lines.join("\n"));
    ExitCode::from(code)
}
