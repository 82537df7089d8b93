//! Writing: JSON and text to stdout, talk to stderr, colour on terminals.

use super::failure::{Failure, WriteSnafu};
use serde::Serialize;
use snafu::ResultExt;
use std::io::{IsTerminal, Write};

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Tables and sentences.
    Human,
    /// JSON documents.
    Json,
}

/// How much a piece of text matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
    Faint,
}

/// Writes a JSON document to stdout.
pub(super) fn json(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document).expect("documents of the API are JSON");
    line(&text)
}

/// Writes a JSON document to stdout as one line, for streams.
pub(super) fn json_line(document: &impl Serialize) -> Result<(), Failure> {
    line(&serde_json::to_string(document).expect("documents of the API are JSON"))
}

/// Writes a line of data to stdout.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context(WriteSnafu)
}

/// Writes bytes to stdout as they are.
pub(super) fn bytes(content: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(content).and_then(|()| out.flush()).context(WriteSnafu)
}

/// Says something on stderr.
pub(super) fn say(text: &str) {
    // Where stderr is closed there is nobody to tell.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Which of the two outputs a text is painted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint(bool);

impl Paint {
    /// Colours for stdout.
    pub(super) fn stdout() -> Self {
        Self(std::io::stdout().is_terminal() && colour_wanted())
    }

    /// Colours for stderr.
    pub(super) fn stderr() -> Self {
        Self(std::io::stderr().is_terminal() && colour_wanted())
    }

    /// No colours.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self(false)
    }

    /// A text in the colour of its tone.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.0 => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Faint => 2,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// See <https://no-color.org>.
fn colour_wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Lines of cells, each column as wide as its widest cell. Colours do not count.
pub(super) fn table(rows: &[Vec<(Tone, String)>], paint: Paint) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        rows.iter()
            .filter_map(|row: &Vec<_>| row.get(column))
            .map(|(_, c): &(_, String)| c.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let render = |row: &Vec<(Tone, String)>| {
        let mut text = String::new();
        for (column, (tone, cell)) in row.iter().enumerate() {
            text.push_str(&paint.paint(*tone, cell));
            if column + 1 < row.len() {
                text.extend(std::iter::repeat_n(' ', widths[column] - cell.chars().count() + 2));
            }
        }
        text.trim_end().to_owned()
    };
    rows.iter().map(render).collect()
}

/// A cell without colour.
pub(super) fn plain(text: impl Into<String>) -> (Tone, String) {
    (Tone::Plain, text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_colours_do_not_count() {
        let rows =
            [vec![plain("a"), (Tone::Good, "bbb".into()), plain("c")], vec![plain("aaaa"), plain("b")]];
        assert_eq!(table(&rows, Paint::none()), ["a     bbb  c", "aaaa  b"]);
        assert_eq!(table(&rows, Paint(true)), ["a     \x1b[32mbbb\x1b[0m  c", "aaaa  b"]);
    }
}
