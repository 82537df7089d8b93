//! An edge of the migration graph: what lies between two versions.

use crate::text::by_text;
use semver::Version;
use snafu::{OptionExt, Snafu, ensure};
use std::fmt;
use std::str::FromStr;

/// From a version to a later one; `(FROM, TO)` in a document. A step back is the same edge, walked backwards.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    from: Version,
    to: Version,
}

/// A text that is no edge.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum EdgeError {
    #[snafu(display("'{text}' is not of the form '(FROM, TO)'"))]
    Form { text: String },
    #[snafu(display("'{version}' in '{text}' is not a version: {problem}"))]
    VersionText { text: String, version: String, problem: semver::Error },
    #[snafu(display("({from}, {to}) does not lead from a version to a later one"))]
    Order { from: Version, to: Version },
}

impl Edge {
    /// The edge between two versions, of which the first is the lower.
    pub fn new(from: Version, to: Version) -> Result<Self, EdgeError> {
        ensure!(from < to, OrderSnafu { from, to });
        Ok(Self { from, to })
    }

    /// The lower version.
    pub fn from(&self) -> &Version {
        &self.from
    }

    /// The higher version.
    pub fn to(&self) -> &Version {
        &self.to
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "({}, {})", self.from, self.to)
    }
}

impl FromStr for Edge {
    type Err = EdgeError;

    /// Reads `(FROM, TO)`; blanks around the versions are free.
    fn from_str(text: &str) -> Result<Self, EdgeError> {
        let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
        let (from, to) = inner.and_then(|text| text.split_once(',')).context(FormSnafu { text })?;
        let version = |part: &str| {
            let version = part.trim_matches(' ');
            Version::parse(version).map_err(|problem| VersionTextSnafu { text, version, problem }.build())
        };
        Self::new(version(from)?, version(to)?)
    }
}

by_text!(Edge);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_prints_back() {
        for (text, printed) in [
            ("(4.1.0, 4.1.1)", "(4.1.0, 4.1.1)"),
            ("(4.1.0,4.1.1)", "(4.1.0, 4.1.1)"),
            ("( 4.1.0 ,  4.1.1 )", "(4.1.0, 4.1.1)"),
            ("(1.0.0-rc.1, 1.0.0)", "(1.0.0-rc.1, 1.0.0)"),
        ] {
            assert_eq!(text.parse::<Edge>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, error) in [
            ("", "not of the form"),
            ("1.0.0, 2.0.0", "not of the form"),
            ("(1.0.0 2.0.0)", "not of the form"),
            ("(1.0.0, 2.0.0) ", "not of the form"),
            ("x(1.0.0, 2.0.0)", "not of the form"),
            ("(1.0, 2.0.0)", "'1.0' in"),
            ("(v1.0.0, 2.0.0)", "'v1.0.0' in"),
            ("(1.0.0, 2.0.0, 3.0.0)", "'2.0.0, 3.0.0' in"),
            ("(1.0.0,\t2.0.0)", "is not a version"),
            ("(2.0.0, 1.0.0)", "(2.0.0, 1.0.0) does not lead"),
            ("(1.0.0, 1.0.0)", "does not lead"),
        ] {
            let found = text.parse::<Edge>().unwrap_err().to_string();
            assert!(found.contains(error), "{text}: {found}");
        }
    }
}
