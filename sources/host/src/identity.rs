//! What a host says of itself: its image, its kernel, its boot.

use crate::{FileError, Host};
use snafu::{OptionExt, Snafu};
use std::time::Duration;

/// Where an image says what it is (os-release(5)).
pub const OS_RELEASE: &str = "/usr/lib/os-release";
/// The kernel's name for a boot (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// How long the kernel has been running (proc(5)).
const UPTIME: &str = "/proc/uptime";

/// What an image says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsRelease(String);

/// A kernel that does not say how long it has been running.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum UptimeError {
    #[snafu(transparent)]
    ReadUptime { source: FileError },
    #[snafu(display("read how long the kernel has been running in {UPTIME}"))]
    NoSeconds,
    #[snafu(transparent)]
    Seconds { source: std::time::TryFromFloatSecsError },
}

impl OsRelease {
    /// Takes the text of an `os-release`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The value of a field, without the quotes that it may have; none where the field is missing.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.lines().filter_map(|line| line.split_once('='));
        let (_, value) = fields.find(|(key, _)| key.trim() == name)?;
        Some(value.trim().trim_matches(['"', '\'']))
    }
}

impl Host {
    /// What the image says it is; none where it says nothing.
    pub fn os_release(&self) -> Result<Option<OsRelease>, FileError> {
        let content = self.read(OS_RELEASE)?;
        Ok(content.map(|content| OsRelease::new(String::from_utf8_lossy(&content))))
    }

    /// The kernel's name for this boot; empty where it has none.
    pub fn boot_id(&self) -> Result<String, FileError> {
        let content = self.read(BOOT_ID)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&content).trim().to_owned())
    }

    /// How long the kernel has been running.
    pub fn uptime(&self) -> Result<Duration, UptimeError> {
        let content = self.read(UPTIME)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&content);
        let seconds = text.split_whitespace().next().and_then(|first| first.parse().ok());
        Ok(Duration::try_from_secs_f64(seconds.context(NoSecondsSnafu)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_without_their_quotes() {
        let release =
            OsRelease::new("NAME=Visco\n VERSION_ID = '1.2.3' \nVARIANT_ID=\"metal-dev\"\nBUILD_ID=\n");
        for (name, expected) in [
            ("NAME", Some("Visco")),
            ("VERSION_ID", Some("1.2.3")),
            ("VARIANT_ID", Some("metal-dev")),
            ("BUILD_ID", Some("")),
            ("ID", None),
        ] {
            assert_eq!(release.field(name), expected, "{name}");
        }
    }
}
