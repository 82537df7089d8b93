//! What is wrong with user data, and where.

use crate::Position;
use std::fmt;

/// One thing that is wrong with user data. It prints as one line, `NAME:LINE:COLUMN: WHAT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The source or document, for people.
    pub name: String,
    /// The place in it, if one is to blame.
    pub position: Option<Position>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Fault {
    /// A fault of a source as a whole.
    pub fn of(name: &str, what: impl Into<String>) -> Self {
        Self { name: name.to_owned(), position: None, what: what.into() }
    }

    /// A fault at a place.
    pub fn at(name: &str, position: Position, what: impl Into<String>) -> Self {
        Self { position: Some(position), ..Self::of(name, what) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.name)?;
        if let Some(position) = self.position {
            write!(f, "{position}:")?;
        }
        // One fault is one line, whatever the parser's words were.
        write!(f, " {}", self.what.trim().replace('\n', ", "))
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line() {
        let mut fault = Fault::of("/a.toml", "one\ntwo\n");
        assert_eq!(fault.to_string(), "/a.toml: one, two");
        fault.position = Some(Position { line: 3, column: 4 });
        assert_eq!(fault.to_string(), "/a.toml:3:4: one, two");
    }
}
