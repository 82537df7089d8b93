//! Names of stores.

use semver::Version;
use std::fmt;

/// Length of the random end of a store's name.
const RANDOM_LENGTH: usize = 16;

/// The name of a store's folder: `v<version>_<16 letters and digits>`. The version is a full semantic one, so that
/// a store of 1.2.3-rc.1 does not pass for one of 1.2.3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreName {
    /// The version its settings are of.
    pub version: Version,
    random: String,
}

impl StoreName {
    /// The name of a new store of a version.
    pub fn new(version: Version, random: u64) -> Self {
        Self { version, random: format!("{random:0RANDOM_LENGTH$x}") }
    }

    /// Reads the name of a folder; `None` where it is not that of a store.
    pub fn parse(name: &str) -> Option<Self> {
        let (version, random) = name.strip_prefix('v')?.split_once('_')?;
        let is_random =
            random.len() == RANDOM_LENGTH && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let version = version.parse().ok()?;
        is_random.then(|| Self { version, random: random.to_owned() })
    }

    /// The name while the store is being made; nothing that starts with a dot is ever taken for a store.
    pub fn unfinished(&self) -> String {
        format!(".{self}.new")
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}_{}", self.version, self.random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_print() {
        for (name, version) in [
            ("v1.26.1_0123456789abcdef", "1.26.1"),
            ("v1.2.3-rc.1_0123456789ABCDEF", "1.2.3-rc.1"),
            ("v1.2.3-rc-1.x+build-7_0123456789abcdef", "1.2.3-rc-1.x+build-7"),
        ] {
            let parsed = StoreName::parse(name).unwrap();
            assert_eq!((parsed.to_string().as_str(), parsed.version.to_string().as_str()), (name, version));
        }
        assert_eq!(StoreName::new(Version::new(1, 2, 3), 0xab).to_string(), "v1.2.3_00000000000000ab");
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "",
            "current",
            "v1",
            "v1.2.3",
            "v1.2.3_",
            "v1.2.3_0123456789abcde",
            "v1.2.3_0123456789abcdefg",
            "v1.2.3_0123456789abcde_",
            "v1.2_0123456789abcdef",
            "1.2.3_0123456789abcdef",
            ".v1.2.3_0123456789abcdef.new",
        ] {
            assert_eq!(StoreName::parse(name), None, "{name}");
        }
    }
}
