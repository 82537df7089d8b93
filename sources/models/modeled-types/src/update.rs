//! Types of the settings of updates.

use crate::choice::choice_type;
use crate::text::{require, text_type};
use crate::{Kind, Refusal, Scalar};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

choice_type! {
    /// How much of an update a host does by itself.
    #[derive(Default)]
    AutomaticUpdates {
        /// Nothing; somebody asks for each step.
        #[default]
        Off = "off",
        /// Look for updates and write them to the inactive set; the running system stays.
        Download = "download",
        /// Also activate them and reboot.
        Apply = "apply",
    }
}

/// The shortest pause between two looks at the repository.
const SHORTEST_INTERVAL: u64 = 5 * 60;
/// The longest; metadata of a repository is rarely valid for longer than some weeks.
const LONGEST_INTERVAL: u64 = 30 * 24 * 60 * 60;

text_type! {
    /// How often a host looks for updates.
    UpdateCheckInterval,
    rule: "must be a number of minutes, hours or days such as '30m', '6h' or '1d', from 5m to 30d",
    schema: json!({"type": "string", "pattern": "^[1-9][0-9]{0,4}[mhd]$"}),
    check: |text| {
        let good = seconds(text).is_some_and(|s| (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&s));
        require(good, UpdateCheckInterval::RULE)
    }
}

impl UpdateCheckInterval {
    /// The interval.
    pub fn duration(&self) -> std::time::Duration {
        std::time::Duration::from_secs(seconds(self.as_str()).expect("the text was checked"))
    }
}

/// The seconds of a number and its unit.
fn seconds(text: &str) -> Option<u64> {
    let unit = match text.bytes().last()? {
        b'm' => 60,
        b'h' => 60 * 60,
        b'd' => 24 * 60 * 60,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| plain && !digits.starts_with('0'))?;
    Some(number * unit)
}

text_type! {
    /// A part of every day, in UTC. One whose end is before its start goes over midnight.
    DailyWindow,
    rule: "must be two different times of day in UTC such as '02:00-04:30'; the end may be on the next day",
    schema: json!({
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$",
    }),
    check: |text| require(minutes(text).is_some_and(|(start, end)| start != end), DailyWindow::RULE)
}

impl DailyWindow {
    /// Whether a minute of the day, 0 to 1439, is in the window. Its end is not.
    pub fn contains(&self, minute: u32) -> bool {
        let (start, end) = minutes(self.as_str()).expect("the text was checked");
        if start < end { (start..end).contains(&minute) } else { minute >= start || minute < end }
    }
}

/// Start and end in minutes of the day.
fn minutes(text: &str) -> Option<(u32, u32)> {
    let time = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let plain = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(hour) || !plain(minute) {
            return None;
        }
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let (start, end) = text.split_once('-')?;
    Some((time(start)?, time(end)?))
}

/// The slowest rate that still ends: 150 MB in less than seven hours.
const SLOWEST: u64 = 8 * 1024;

/// A limit on a rate of transfer, in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct BandwidthLimit(u64);

impl BandwidthLimit {
    /// Bytes per second.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for BandwidthLimit {
    type Error = Refusal;

    fn try_from(rate: u64) -> Result<Self, Refusal> {
        let good = (SLOWEST..=u64::from(u32::MAX)).contains(&rate);
        if good { Ok(Self(rate)) } else { Err(Refusal::new(Self::RULE)) }
    }
}

impl From<BandwidthLimit> for u64 {
    fn from(limit: BandwidthLimit) -> u64 {
        limit.0
    }
}

impl Scalar for BandwidthLimit {
    const NAME: &'static str = "BandwidthLimit";
    const RULE: &'static str = "must be an integer from 8192 to 4294967295";
    const KIND: Kind = Kind::Integer;

    fn json_schema() -> Value {
        json!({"type": "integer", "minimum": SLOWEST, "maximum": u32::MAX})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{json_rows, rows};
    use std::time::Duration;

    #[test]
    fn automatic_updates_take_their_texts_only() {
        rows::<AutomaticUpdates>(&["off", "download", "apply"], &["", "on", "true", "Apply"]);
    }

    #[test]
    fn intervals_have_a_unit_and_keep_to_their_range() {
        rows::<UpdateCheckInterval>(
            &["5m", "90m", "6h", "1d", "30d", "720h", "43200m"],
            &["", "m", "6", "4m", "31d", "43201m", "06h", "+6h", "6 h", "6H", "1h30m", "0d", "999999m", "6ä"],
        );
        for (text, seconds) in [("5m", 300), ("6h", 21_600), ("2d", 172_800)] {
            let interval: UpdateCheckInterval = text.parse().unwrap();
            assert_eq!(interval.duration(), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn windows_have_a_start_and_another_end() {
        rows::<DailyWindow>(
            &["02:00-04:30", "22:00-02:00", "00:00-23:59"],
            &[
                "",
                "02:00",
                "2:00-4:00",
                "24:00-01:00",
                "02:00-02:00",
                "02:60-03:00",
                "02:00 - 03:00",
                "+2:00-03:00",
            ],
        );
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        let at = |hour: u32, minute: u32| hour * 60 + minute;
        for (window, inside, outside) in [
            ("02:00-04:30", vec![at(2, 0), at(4, 29)], vec![at(1, 59), at(4, 30), at(23, 0)]),
            ("22:00-02:00", vec![at(22, 0), at(23, 59), 0, at(1, 59)], vec![at(2, 0), at(21, 59)]),
        ] {
            let parsed: DailyWindow = window.parse().unwrap();
            assert!(inside.iter().all(|m| parsed.contains(*m)), "{window}");
            assert!(!outside.iter().any(|m| parsed.contains(*m)), "{window}");
        }
    }

    #[test]
    fn limits_of_bandwidth_keep_to_their_range() {
        json_rows::<BandwidthLimit>(
            &[json!(8192), json!(1_000_000), json!(4_294_967_295_u64)],
            &[json!(0), json!(8191), json!(-1), json!(4_294_967_296_u64), json!("8192"), json!(1.5)],
        );
    }
}
