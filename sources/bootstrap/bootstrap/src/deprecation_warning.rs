//! The warning that a setting in use is deprecated; a timer repeats it.

use host::Host;
use snafu::{OptionExt, Snafu, ensure};
use std::error::Error;
use std::process::ExitCode;

/// Where the applier writes what there is to warn of, a file for each setting.
const FOLDER: &str = "/etc/deprecated-settings";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of the file that says what is deprecated
    #[arg(value_name = "NAME")]
    name: String,
}

/// A warning that cannot be given.
#[derive(Debug, Snafu)]
enum WarningError {
    #[snafu(display("'{name}' is no plain file name"))]
    Name { name: String },
    #[snafu(display("{FOLDER}/{name} does not exist: the setting is not in use"))]
    NotInUse { name: String },
}

pub(crate) fn run(args: &Args, host: &Host) -> Result<ExitCode, Box<dyn Error>> {
    let name = &args.name;
    ensure!(!name.is_empty() && !name.contains('/') && !name.starts_with('.'), NameSnafu { name });
    let content = host.read(format!("{FOLDER}/{name}"))?.context(NotInUseSnafu { name })?;
    for line in String::from_utf8_lossy(&content).lines().filter(|line| !line.trim().is_empty()) {
        tracing::warn!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_setting_in_use_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        host.replace("/etc/deprecated-settings/a", b"a goes away\n", 0o644).unwrap();
        let run = |name: &str| run(&Args { name: name.to_owned() }, &host).map_err(|e| e.to_string());
        assert!(run("a").is_ok());
        assert!(run("b").unwrap_err().contains("not in use"));
        assert!(run("../a").unwrap_err().contains("no plain file name"));
    }
}
