//! What the operator sees: lines in the kernel's log.
//!
//! The kernel's log goes to every console there is, keeps its place among the kernel's own lines, and ends up in the
//! journal. The kernel takes about ten lines in five seconds from us and drops the rest, so lines are few.

use std::fs::OpenOptions;
use std::io::Write;

/// How much a line matters, in the kernel's numbers: those below 4 are shown even with `quiet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The boot cannot go on.
    Error = 3,
    /// The boot goes on, but someone should look.
    Warning = 4,
    /// A step is done.
    Notice = 5,
}

/// Prints one line.
pub fn say(level: Level, text: &str) {
    let line = log_line(level, text);
    let written =
        OpenOptions::new().write(true).open("/dev/kmsg").and_then(|mut log| log.write_all(line.as_bytes()));
    if written.is_err() {
        // Before /dev is mounted the console that the kernel opened for us is all there is. When that is gone too,
        // nobody can be told.
        let _ = writeln!(std::io::stderr(), "init: {text}");
    }
}

/// One record of the kernel's log: line breaks would start a second one without a level.
fn log_line(level: Level, text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    format!("<{}>init: {text}\n", level as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_record() {
        assert_eq!(log_line(Level::Error, "a\nb"), "<3>init: a b\n");
        assert_eq!(log_line(Level::Notice, "a"), "<5>init: a\n");
    }
}
