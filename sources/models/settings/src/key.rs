//! Dotted names of leaves.

use serde::{Deserialize, Serialize};
use snafu::{Snafu, ensure};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest dotted name, in bytes, quotes included.
pub(crate) const MAX_LENGTH: usize = 255;

/// A dotted name such as `settings.kernel.sysctl."net.ipv4.ip_forward"`, kept in its one canonical spelling:
/// a segment is quoted exactly when it contains a dot. Keys order as their text does, so all keys below a
/// prefix stand next to each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Arc<str>);

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum KeyError {
    #[snafu(display("the name is empty"))]
    Empty,
    #[snafu(display("'{name}' has an empty segment; write names like 'settings.motd'"))]
    EmptySegment { name: String },
    #[snafu(display("'{name}' has a quote without its pair"))]
    UnbalancedQuote { name: String },
    #[snafu(display(
        "'{name}' has the character {found:?}; a segment holds letters, digits, '_', '-' and '/', and dots only \
         inside double quotes"
    ))]
    BadCharacter { name: String, found: char },
    #[snafu(display("the name is {length} bytes long; at most {MAX_LENGTH} are allowed"))]
    TooLong { length: usize },
}

impl Key {
    /// Builds a key from its segments, adding quotes where a segment contains a dot.
    pub fn from_segments<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> Result<Self, KeyError> {
        let mut name = String::new();
        for segment in segments {
            let segment = segment.as_ref();
            if !name.is_empty() {
                name.push('.');
            }
            push_segment(&mut name, segment)?;
        }
        ensure!(!name.is_empty(), EmptySnafu);
        ensure!(name.len() <= MAX_LENGTH, TooLongSnafu { length: name.len() });
        Ok(Self(name.into()))
    }

    /// This key with one more segment.
    pub fn child(&self, segment: &str) -> Result<Self, KeyError> {
        let mut name = String::with_capacity(self.0.len() + segment.len() + 3);
        name.push_str(&self.0);
        name.push('.');
        push_segment(&mut name, segment)?;
        ensure!(name.len() <= MAX_LENGTH, TooLongSnafu { length: name.len() });
        Ok(Self(name.into()))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, without quotes.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        Segments { rest: Some(&self.0) }
    }

    /// Whether this key is `ancestor` or lies below it, by whole segments.
    pub fn is_at_or_below(&self, ancestor: &Key) -> bool {
        self.0.strip_prefix(ancestor.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

fn push_segment(name: &mut String, segment: &str) -> Result<(), KeyError> {
    ensure!(!segment.is_empty(), EmptySegmentSnafu { name: name.as_str() });
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
    if let Some(found) = segment.chars().find(|&c| !allowed(c)) {
        return BadCharacterSnafu { name: segment, found }.fail();
    }
    if segment.contains('.') {
        name.extend(["\"", segment, "\""]);
    } else {
        name.push_str(segment);
    }
    Ok(())
}

/// Walks a canonical name; its quotes are known to be balanced.
struct Segments<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let (segment, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("a canonical key has balanced quotes"),
            None => rest.find('.').map_or((rest, ""), |dot| rest.split_at(dot)),
        };
        self.rest = after.strip_prefix('.');
        Some(segment)
    }
}

impl FromStr for Key {
    type Err = KeyError;

    /// Parses a dotted name. A double quote toggles quoting; quotes are never part of a segment.
    fn from_str(name: &str) -> Result<Self, KeyError> {
        ensure!(!name.is_empty(), EmptySnafu);
        ensure!(name.len() <= MAX_LENGTH, TooLongSnafu { length: name.len() });
        let mut segments: Vec<Cow<'_, str>> = vec![Cow::Borrowed("")];
        let mut quoted = false;
        for c in name.chars() {
            let last = segments.last_mut().expect("there is always a segment");
            match c {
                '"' => quoted = !quoted,
                '.' if !quoted => {
                    ensure!(!last.is_empty(), EmptySegmentSnafu { name });
                    segments.push(Cow::Borrowed(""));
                }
                c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.') => last.to_mut().push(c),
                found => return BadCharacterSnafu { name, found }.fail(),
            }
        }
        ensure!(!quoted, UnbalancedQuoteSnafu { name });
        ensure!(segments.iter().all(|s| !s.is_empty()), EmptySegmentSnafu { name });
        Self::from_segments(segments)
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;

    fn try_from(name: String) -> Result<Self, KeyError> {
        name.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.0.as_ref().to_owned()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_parse_to_their_segments_and_print_canonically() {
        let rows: &[(&str, &[&str], &str)] = &[
            ("a.b-c_d/e", &["a", "b-c_d/e"], "a.b-c_d/e"),
            ("a.\"b.c\".d", &["a", "b.c", "d"], "a.\"b.c\".d"),
            ("a.\"b\"", &["a", "b"], "a.b"),
            ("a.b\".c\"", &["a", "b.c"], "a.\"b.c\""),
        ];
        for (input, segments, canonical) in rows {
            let key: Key = input.parse().unwrap();
            assert_eq!(key.segments().collect::<Vec<_>>(), *segments, "{input}");
            assert_eq!(key.as_str(), *canonical, "{input}");
            assert_eq!(Key::from_segments(*segments).unwrap(), key, "{input}");
        }
    }

    #[test]
    fn malformed_keys_are_refused() {
        let long = "a".repeat(MAX_LENGTH + 1);
        for input in ["", ".a", "a.", "a..b", "a.\"b", "a b", "é", "a.\"\"", "a.b\n", long.as_str()] {
            assert!(input.parse::<Key>().is_err(), "{input:?}");
        }
        assert!("a".repeat(MAX_LENGTH).parse::<Key>().is_ok());
    }

    #[test]
    fn ancestry_goes_by_whole_segments() {
        let key = |s: &str| s.parse::<Key>().unwrap();
        assert!(key("a.b.c").is_at_or_below(&key("a.b")));
        assert!(key("a.b").is_at_or_below(&key("a.b")));
        assert!(!key("a.bc").is_at_or_below(&key("a.b")));
    }
}
