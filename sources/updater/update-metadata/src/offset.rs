//! Points in time as policies and command lines have them.

use crate::text::by_text;
use jiff::{SignedDuration, Timestamp};
use snafu::{OptionExt, ResultExt, Snafu};
use std::fmt;
use std::str::FromStr;

/// A time, or how long after another time: `2031-03-02T08:00:00Z`, `3 days` or `in 3 days`, with minutes, hours, days
/// and weeks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// At that time.
    At(Timestamp),
    /// So many of a unit later.
    After(u32, Unit),
}

/// Units of time of fixed length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
    /// 7 days.
    Week,
}

/// Names and seconds.
const UNITS: [(Unit, &str, i64); 4] = [
    (Unit::Minute, "minute", 60),
    (Unit::Hour, "hour", 3600),
    (Unit::Day, "day", 86_400),
    (Unit::Week, "week", 604_800),
];

/// A text that is no offset, or one that leads out of time.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum OffsetError {
    #[snafu(display(
        "'{text}' is neither a time like '2031-03-02T08:00:00Z' nor like '3 days' (minutes, hours, days, weeks)"
    ))]
    Form { text: String },
    #[snafu(display("'{offset}' after {start} is after the last year there is"))]
    TooFar { offset: Offset, start: Timestamp, source: jiff::Error },
}

impl Offset {
    /// The time it means, counted from `start`.
    pub fn from(self, start: Timestamp) -> Result<Timestamp, OffsetError> {
        match self {
            Self::At(time) => Ok(time),
            Self::After(count, unit) => {
                let duration = SignedDuration::from_secs(i64::from(count) * unit.seconds());
                start.checked_add(duration).context(TooFarSnafu { offset: self, start })
            }
        }
    }
}

impl Offset {
    /// How long it is; `None` for a time.
    pub fn span(self) -> Option<SignedDuration> {
        match self {
            Self::At(_) => None,
            Self::After(count, unit) => Some(SignedDuration::from_secs(i64::from(count) * unit.seconds())),
        }
    }
}

impl Unit {
    fn row(self) -> (Self, &'static str, i64) {
        *UNITS.iter().find(|row| row.0 == self).expect("every unit has its row")
    }

    fn seconds(self) -> i64 {
        self.row().2
    }
}

impl FromStr for Offset {
    type Err = OffsetError;

    fn from_str(text: &str) -> Result<Self, OffsetError> {
        let after = || {
            let mut words = text.strip_prefix("in ").unwrap_or(text).split_ascii_whitespace();
            let count: u32 =
                words.next().filter(|word| word.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
            let name = words.next()?;
            let name = name.strip_suffix('s').unwrap_or(name);
            let unit = UNITS.iter().find(|row| row.1 == name)?.0;
            words.next().is_none().then_some(Self::After(count, unit))
        };
        after().or_else(|| text.parse().ok().map(Self::At)).context(FormSnafu { text })
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => write!(formatter, "{time}"),
            Self::After(count, unit) => {
                write!(formatter, "{count} {}{}", unit.row().1, if *count == 1 { "" } else { "s" })
            }
        }
    }
}

by_text!(Offset);
