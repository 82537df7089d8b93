//! Where in a file an expression stands.

use crate::Format;

/// The kind of place an expression stands in; it decides how a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Between double quotes. On a command line of a unit `$` is written twice.
    Quoted { doubled_dollar: bool },
    /// Outside quotes, in a format that has quotes: numbers and booleans only.
    Bare,
    /// A word of a line.
    Word,
    /// Text without structure.
    Text,
}

impl Place {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Quoted { doubled_dollar: false } => "quoted",
            Self::Quoted { doubled_dollar: true } => "quoted-command",
            Self::Bare => "bare",
            Self::Word => "word",
            Self::Text => "text",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "quoted" => Self::Quoted { doubled_dollar: false },
            "quoted-command" => Self::Quoted { doubled_dollar: true },
            "bare" => Self::Bare,
            "word" => Self::Word,
            "text" => Self::Text,
            _ => return None,
        })
    }
}

/// What the text so far has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Outside,
    Double,
    TripleDouble,
    Single,
    TripleSingle,
    Comment,
}

/// Follows the literal text of a template and knows at each point which quotes are open.
#[derive(Debug, Clone)]
pub(crate) struct Scanner {
    format: Format,
    pub(crate) state: State,
    /// The literal text of the current line.
    line: String,
}

impl Scanner {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, state: State::Outside, line: String::new() }
    }

    /// Goes on over literal text.
    pub(crate) fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let taken = self.step(rest, c).min(rest.len());
            let (done, left) = rest.split_at(taken);
            self.line.push_str(done);
            let continued = self.format == Format::Ini && self.line.ends_with("\\\n");
            if self.line.ends_with('\n') && !continued {
                self.line.clear();
            }
            rest = left;
        }
    }

    /// Goes on over an expression, which is never a quote or a comment sign.
    pub(crate) fn value(&mut self) {
        self.line.push('\u{fffc}');
    }

    /// The place of an expression that stands here.
    pub(crate) fn place(&self) -> Result<Place, &'static str> {
        match (self.format, self.state) {
            (Format::Text, _) => Ok(Place::Text),
            (_, State::Comment) => Err("expressions cannot stand in comments of the file"),
            (Format::Lines | Format::Hosts, _) => Ok(Place::Word),
            (_, State::Outside) => Ok(Place::Bare),
            (_, State::Double | State::TripleDouble) => Ok(Place::Quoted {
                doubled_dollar: self.format == Format::Ini && self.line.starts_with("Exec"),
            }),
            (_, State::Single | State::TripleSingle) => {
                Err("expressions cannot stand in single quotes; use double quotes")
            }
        }
    }

    /// Takes one token off the text; returns its length in bytes.
    fn step(&mut self, rest: &str, c: char) -> usize {
        let one = c.len_utf8();
        if c == '\n' {
            let spans_lines = matches!(self.state, State::TripleDouble | State::TripleSingle)
                || matches!(self.format, Format::Yaml | Format::Env) && self.state != State::Comment;
            if !spans_lines {
                self.state = State::Outside;
            }
            return one;
        }
        let quotes = !matches!(self.format, Format::Text | Format::Lines | Format::Hosts);
        match (self.state, c) {
            (State::Outside, '#' | ';') if self.starts_comment(c) => self.state = State::Comment,
            (State::Outside, '"' | '\'') if quotes && self.opens(c) => {
                let triple = self.format == Format::Toml
                    && rest.starts_with([c, c, c].iter().collect::<String>().as_str());
                self.state = match (c, triple) {
                    ('"', false) => State::Double,
                    ('"', true) => State::TripleDouble,
                    (_, false) => State::Single,
                    (_, true) => State::TripleSingle,
                };
                return if triple { 3 } else { 1 };
            }
            (State::Double | State::TripleDouble, '\\') => {
                return one + rest[one..].chars().next().map_or(0, char::len_utf8);
            }
            (State::Double, '"') | (State::Single, '\'') => self.state = State::Outside,
            (State::TripleDouble, '"') if rest.starts_with("\"\"\"") => {
                self.state = State::Outside;
                return 3;
            }
            (State::TripleSingle, '\'') if rest.starts_with("'''") => {
                self.state = State::Outside;
                return 3;
            }
            _ => {}
        }
        one
    }

    fn starts_comment(&self, c: char) -> bool {
        let line_is_empty = self.line.trim().is_empty();
        match self.format {
            Format::Toml | Format::Hosts => c == '#',
            Format::Yaml => c == '#' && (line_is_empty || self.line.ends_with([' ', '\t'])),
            Format::Env | Format::Ini | Format::Lines => line_is_empty,
            Format::Json | Format::Text => false,
        }
    }

    /// Whether a quote character opens a string here; in YAML it does so only where a value begins.
    fn opens(&self, c: char) -> bool {
        match self.format {
            Format::Json => c == '"',
            Format::Yaml => {
                self.line.trim().is_empty() || self.line.ends_with([' ', '\t', ':', '-', ',', '[', '{'])
            }
            _ => true,
        }
    }
}
