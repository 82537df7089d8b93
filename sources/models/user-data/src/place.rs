//! Places in a text.

use crate::Document;
use settings::Key;
use std::collections::BTreeMap;
use std::fmt;

/// A line and a column, both counted from 1. Columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character of the line.
    pub column: usize,
}

impl Position {
    /// The place of a byte of a text.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Self { line, column: before[start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Where the members of a table stand, by their names.
pub(crate) type Places = BTreeMap<String, Place>;

/// Where a member of a table stands, and those below it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// The byte where its name begins.
    pub(crate) offset: usize,
    pub(crate) below: Places,
}

/// How far down a path there are places, and the offset of the last of them.
pub(crate) fn nearest(places: &Places, path: &[&str]) -> Option<(usize, usize)> {
    let (mut here, mut found) = (places, None);
    for (above, segment) in path.iter().enumerate() {
        let Some(place) = here.get(*segment) else { break };
        found = Some((above + 1, place.offset));
        here = &place.below;
    }
    found
}

/// The document to blame for the value of a key, and the place in it: where the last document that has the key
/// names it, or else the nearest table above it that a document names.
pub fn locate<'a>(documents: &'a [Document], key: &str) -> Option<(&'a Document, Position)> {
    let key: Key = key.parse().ok()?;
    let path: Vec<&str> = key.segments().collect();
    let found = documents.iter().filter_map(|document| {
        let (depth, offset) = nearest(&document.places, &path)?;
        Some((depth, document, offset))
    });
    // Of several that are equally near, the last.
    let (_, document, offset) = found.max_by_key(|(depth, ..)| *depth)?;
    Some((document, Position::of(&document.text, offset)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Syntax;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        let text = "ab\ncd\u{e9}f\n";
        for (offset, line, column) in [(0, 1, 1), (1, 1, 2), (3, 2, 1), (7, 2, 4), (9, 3, 1), (99, 3, 1)] {
            assert_eq!(Position::of(text, offset), Position { line, column }, "{offset}");
        }
    }

    #[test]
    fn the_last_document_that_names_a_key_is_blamed() {
        let documents = [
            ("one", "[settings]\nmotd = 'a'\nntp.time-servers = []\n"),
            ("two", "# two\n[settings]\nmotd = 'b'\n"),
            ("three", "[settings.kernel]\n[settings.kernel.sysctl]\n"),
        ]
        .map(|(name, text)| Document::parse(name, text, Syntax::Toml).unwrap());
        for (key, expected) in [
            ("settings.motd", Some("two:3:1")),
            ("settings.ntp.time-servers", Some("one:3:5")),
            ("settings.ntp.x", Some("one:3:1")),
            ("settings.kernel.sysctl.\"a.b\"", Some("three:2:18")),
            ("settings.updates", Some("three:1:2")),
            ("elsewhere", None),
            ("not a key", None),
        ] {
            let found = locate(&documents, key).map(|(document, at)| format!("{}:{at}", document.name));
            assert_eq!(found.as_deref(), expected, "{key}");
        }
        assert_eq!(locate(&[], "settings.motd"), None);
    }
}
