//! What this host is, as its image says.

use host::{FileError, Host, OS_RELEASE, OsRelease};
use jiff::Timestamp;
use semver::Version;
use snafu::{OptionExt, ResultExt, Snafu};

/// What this host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `VARIANT_ID`.
    pub variant: String,
    /// `VERSION_ID`.
    pub version: Version,
    /// The architecture this program was built for.
    pub arch: &'static str,
    /// When the image was built: the time of its files, which is that of its sources' last change.
    pub built: Option<Timestamp>,
}

/// An image that does not say what it is.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum MachineError {
    #[snafu(display("read what this host is"))]
    ReadOsRelease { source: FileError },
    #[snafu(display("there is no {OS_RELEASE}, which says what this host is"))]
    NoOsRelease,
    #[snafu(display("{OS_RELEASE} has no {field}"))]
    NoField { field: &'static str },
    #[snafu(display("{OS_RELEASE}: VERSION_ID {text:?} is no version"))]
    ParseVersion { text: String, source: semver::Error },
}

impl Machine {
    /// Reads what a host is.
    pub fn load(host: &Host) -> Result<Self, MachineError> {
        let release = host.os_release().context(ReadOsReleaseSnafu)?.context(NoOsReleaseSnafu)?;
        let built = std::fs::metadata(host.path(OS_RELEASE)).and_then(|metadata| metadata.modified()).ok();
        let built = built.and_then(|time| Timestamp::try_from(time).ok());
        Ok(Self { built, ..Self::of(&release)? })
    }

    fn of(release: &OsRelease) -> Result<Self, MachineError> {
        let field = |field: &'static str| {
            release.field(field).filter(|value| !value.is_empty()).context(NoFieldSnafu { field })
        };
        let version = field("VERSION_ID")?;
        Ok(Self {
            variant: field("VARIANT_ID")?.to_owned(),
            version: Version::parse(version).context(ParseVersionSnafu { text: version })?,
            arch: std::env::consts::ARCH,
            built: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_says_what_it_is() {
        let of = |text: &str| Machine::of(&OsRelease::new(text));
        let machine = of("NAME=Visco\nVERSION_ID=1.2.3-rc.1\nVARIANT_ID=\"metal-dev\"\n").unwrap();
        assert_eq!(
            (machine.variant.as_str(), machine.version.to_string().as_str()),
            ("metal-dev", "1.2.3-rc.1")
        );
        for (text, expected) in [
            ("VARIANT_ID=a", "has no VERSION_ID"),
            ("VERSION_ID=1.0.0", "has no VARIANT_ID"),
            ("VERSION_ID=1.0\nVARIANT_ID=a", "\"1.0\" is no version"),
        ] {
            let error = of(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
