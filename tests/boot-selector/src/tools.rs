//! What the tests are given.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The environment variable that names the folder with the files of the packages.
const BOOT_ROOT: &str = "VISCO_BOOT_ROOT";

pub(crate) fn boot_root() -> PathBuf {
    env::var_os(BOOT_ROOT)
        .unwrap_or_else(|| panic!("{BOOT_ROOT} must name the folder with the files of the packages"))
        .into()
}

/// Runs a program that must succeed. Returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.env("MTOOLS_SKIP_CHECK", "1").output();
    let output = output.unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
