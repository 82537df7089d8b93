//! Files of systemd: sections of `Name=value` lines (systemd.syntax(7)).

use std::fmt::{Display, Write};

/// A file that is being written. Sections without lines are left out.
#[derive(Default)]
pub(crate) struct Ini {
    text: String,
    section: Option<&'static str>,
}

impl Ini {
    /// Begins a section. Several of one name are several sections.
    pub(crate) fn section(&mut self, name: &'static str) -> &mut Self {
        self.section = Some(name);
        self
    }

    /// Writes a line. A value is a number, a word of ours, or of a type that was parsed: none can hold a line end.
    pub(crate) fn line(&mut self, name: &str, value: impl Display) -> &mut Self {
        if let Some(section) = self.section.take() {
            let space = if self.text.is_empty() { "" } else { "\n" };
            writeln!(self.text, "{space}[{section}]").expect("writing to memory cannot fail");
        }
        writeln!(self.text, "{name}={value}").expect("writing to memory cannot fail");
        self
    }

    /// Writes a line if there is a value.
    pub(crate) fn line_if(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.line(name, value);
        }
        self
    }

    /// Writes a line for each value.
    pub(crate) fn lines(&mut self, name: &str, values: impl IntoIterator<Item = impl Display>) -> &mut Self {
        for value in values {
            self.line(name, value);
        }
        self
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// `yes` or `no`.
pub(crate) fn yes(truth: bool) -> &'static str {
    if truth { "yes" } else { "no" }
}
