//! Exit statuses.

use std::process::ExitCode;

/// How the program ends. Scripts rely on the numbers; `--help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was asked is done.
    Done = 0,
    /// It could not be done: no server, no network, refused.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Settings were refused as invalid; nothing changed.
    Invalid = 3,
    /// Settings were committed, but files or services could not be brought in line with them.
    NotApplied = 4,
}

/// The list in `--help`.
pub(super) const HELP: &str = "\
Exit status:
  0  done
  1  failed: no server, no network, or the server refused
  2  the command line is wrong
  3  settings are invalid; nothing was changed
  4  settings are committed, but applying them failed

Without a command, 'apiclient -u URI' is 'apiclient raw -u URI'.";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_exit_status() {
        for exit in [Exit::Done, Exit::Failed, Exit::Usage, Exit::Invalid, Exit::NotApplied] {
            assert!(HELP.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
        }
    }
}
