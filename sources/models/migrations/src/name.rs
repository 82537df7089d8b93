//! Names of migrations as targets of a repository.

use crate::Fault;
use semver::Version;
use std::fmt;
use std::str::FromStr;

/// The name of a migration: `migrate_v<version>_<name>.lz4` (update.md 8.3). It tells people where a migration
/// belongs; when and in which order it runs, the manifest says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The version that needs it.
    pub version: Version,
    /// What it does: letters, digits, `-` and `_`.
    pub name: String,
}

const RIGHT: &str = "a migration is named like 'migrate_v1.2.0_rename-motd.lz4'";

impl FromStr for Name {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let fault = |why: String| Fault::new(format!("'{text}'"), format!("{why}; {RIGHT}"));
        let middle = text.strip_prefix("migrate_v").and_then(|rest| rest.strip_suffix(".lz4"));
        let parts = middle.and_then(|middle| middle.split_once('_'));
        let (version, name) = parts.ok_or_else(|| fault("is not the name of a migration".to_owned()))?;
        let version =
            version.parse().map_err(|e| fault(format!("'{version}' is not a semantic version ({e})")))?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(fault(format!("'{name}' is not made of letters, digits, '-' and '_'")));
        }
        Ok(Self { version, name: name.to_owned() })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "migrate_v{}_{}.lz4", self.version, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_print_and_others_are_refused() {
        for text in ["migrate_v1.2.0_a.lz4", "migrate_v1.2.0-rc.1+b_rename-foo_bar.lz4"] {
            assert_eq!(text.parse::<Name>().unwrap().to_string(), text);
        }
        for text in
            ["", "migrate_v1.2_a.lz4", "migrate_v1.2.0_.lz4", "migrate_v1.2.0_a", "migrate_v1.2.0_a/b.lz4"]
        {
            let fault = text.parse::<Name>().unwrap_err();
            assert!(fault.to_string().ends_with(RIGHT), "{fault}");
        }
    }
}
