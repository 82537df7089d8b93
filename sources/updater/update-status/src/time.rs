//! Moments.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A moment, written by RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(Timestamp);

impl Time {
    /// The moment so much later; the last one there is where that is later still.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self(self.0.saturating_add(pause).unwrap_or(Timestamp::MAX))
    }

    /// The minute of its day in UTC, 0 to 1439.
    pub fn minute_of_day(self) -> u32 {
        let clock = self.0.to_zoned(TimeZone::UTC).time();
        u32::from(clock.hour().unsigned_abs()) * 60 + u32::from(clock.minute().unsigned_abs())
    }

    /// How long after `earlier` it is; nothing where it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0.duration_since(earlier.0)).unwrap_or(Duration::ZERO)
    }

    /// Without what is smaller than a second.
    #[must_use]
    pub fn whole_seconds(self) -> Self {
        Self(Timestamp::from_second(self.0.as_second()).unwrap_or(self.0))
    }
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

impl TryFrom<String> for Time {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, jiff::Error> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn moments_are_read_in_any_zone_and_written_in_utc() {
        for (text, written, minute) in [
            ("2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z", 720),
            ("2026-11-21T00:30:00.25+02:00", "2026-11-20T22:30:00.25Z", 1350),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(time(text).to_string(), written);
            assert_eq!(time(text).minute_of_day(), minute, "{text}");
        }
        assert!("yesterday".parse::<Time>().is_err());
    }

    #[test]
    fn pauses_add_up_and_never_wrap() {
        let noon = time("2026-11-21T12:00:00Z");
        assert_eq!(noon.after(Duration::from_secs(90)).to_string(), "2026-11-21T12:01:30Z");
        assert_eq!(noon.after(Duration::MAX), Time(Timestamp::MAX));
        assert_eq!(noon.since(time("2026-11-21T11:59:00Z")), Duration::from_mins(1));
        assert_eq!(noon.since(time("2026-11-21T13:00:00Z")), Duration::ZERO);
    }
}
