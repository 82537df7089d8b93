//! What is wrong with a document, and where.

use snafu::Snafu;

/// A migration that cannot be read. Prints as `PLACE: WHAT`, in one line.
#[derive(Clone, Debug, PartialEq, Eq, Snafu)]
#[snafu(display("{place}: {what}"))]
pub struct Fault {
    /// The place: a row by its number from 1, or a line and a column.
    pub place: String,
    /// What is wrong there, and what would be right.
    pub what: String,
}

impl Fault {
    pub(crate) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}
