//! Which groups of settings and which helpers a template asks for.

use crate::vocabulary;
use serde::Deserialize;
use snafu::{OptionExt, Snafu, ensure};
use std::collections::BTreeMap;
use std::str::FromStr;

/// One required extension: a group of settings that becomes visible, and helpers that become usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The extension: a settings group in kebab-case, or `std`.
    pub name: String,
    /// Its version. It is kept and not compared: all extensions have one version.
    pub version: String,
    /// The helpers of the extension that the template uses.
    pub helpers: Vec<String>,
    /// Whether the template does without the extension. It documents intent: a variant that lacks a group has an
    /// empty group.
    pub optional: bool,
}

/// Why requirements make no sense.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum RequirementError {
    #[snafu(display("'{text}' is not of the form NAME@VERSION or NAME@VERSION(helpers=[a, b])"))]
    Malformed { text: String },
    #[snafu(display("no extension '{extension}' has helpers; those that do: {}", vocabulary::extensions().join(", ")))]
    UnknownExtension { extension: String },
    #[snafu(display(
        "extension '{extension}' has no helper '{helper}'; it has: {}",
        vocabulary::of_extension(extension).join(", ")
    ))]
    UnknownHelper { extension: String, helper: String },
    #[snafu(display("helper '{helper}' comes from both '{first}' and '{second}'"))]
    HelperTwice { helper: String, first: String, second: String },
    #[snafu(display("extension '{extension}' is required twice"))]
    ExtensionTwice { extension: String },
}

/// A requirement as the front matter writes it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a version text, or a table of version, helpers, optional")]
pub(crate) enum Declared {
    Version(String),
    Detailed(Detailed),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Detailed {
    version: String,
    #[serde(default)]
    helpers: Vec<String>,
    #[serde(default)]
    optional: bool,
}

impl Requirement {
    pub(crate) fn from_declared(declared: BTreeMap<String, Declared>) -> Vec<Self> {
        let requirement = |(name, declared)| match declared {
            Declared::Version(version) => Self { name, version, helpers: Vec::new(), optional: false },
            Declared::Detailed(Detailed { version, helpers, optional }) => {
                Self { name, version, helpers, optional }
            }
        };
        declared.into_iter().map(requirement).collect()
    }
}

/// Checks that extensions and helpers exist and that no name stands for two things.
pub(crate) fn check(requirements: &[Requirement]) -> Result<(), RequirementError> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (index, Requirement { name, helpers: wanted, .. }) in requirements.iter().enumerate() {
        ensure!(
            requirements[..index].iter().all(|earlier| earlier.name != *name),
            ExtensionTwiceSnafu { extension: name }
        );
        let offered = vocabulary::of_extension(name);
        ensure!(wanted.is_empty() || !offered.is_empty(), UnknownExtensionSnafu { extension: name });
        for helper in wanted {
            ensure!(offered.contains(&helper.as_str()), UnknownHelperSnafu { extension: name, helper });
            if let Some(first) = owners.insert(helper, name) {
                return HelperTwiceSnafu { helper, first, second: name }.fail();
            }
        }
    }
    Ok(())
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let malformed = || MalformedSnafu { text };
        let (name, rest) = text.trim().split_once('@').with_context(malformed)?;
        let (version, helpers) = match rest.split_once('(') {
            None => (rest, Vec::new()),
            Some((version, rest)) => (version, parse_helpers(rest).with_context(malformed)?),
        };
        ensure!(is_word(name) && is_word(version), MalformedSnafu { text });
        Ok(Self { name: name.into(), version: version.into(), helpers, optional: false })
    }
}

/// Parses `helpers=[a, b])`, what follows the opening parenthesis.
fn parse_helpers(rest: &str) -> Option<Vec<String>> {
    let list =
        rest.trim().strip_suffix(')')?.trim().strip_prefix("helpers")?.trim_start().strip_prefix('=')?;
    let list = list.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    if list.is_empty() {
        return Some(Vec::new());
    }
    list.split(',').map(str::trim).map(|helper| is_word(helper).then(|| helper.to_owned())).collect()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_form_names_version_and_helpers() {
        for (text, name, version, helpers) in [
            ("updates@v1", "updates", "v1", &[][..]),
            ("aws@v1(helpers=[ecr-prefix])", "aws", "v1", &["ecr-prefix"]),
            ("std@v1(helpers = [ default , goarch ])", "std", "v1", &["default", "goarch"]),
            (" std@v1(helpers=[]) ", "std", "v1", &[]),
        ] {
            let found: Requirement = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!((found.name.as_str(), found.version.as_str()), (name, version), "{text}");
            assert_eq!(found.helpers, helpers, "{text}");
        }
    }

    #[test]
    fn inline_form_refuses_malformed_text() {
        for text in [
            "",
            "aws",
            "@v1",
            "aws@",
            "aws@v1(",
            "aws@v1()",
            "aws@v1(helpers=a)",
            "aws@v1(helpers=[a)",
            "aws@v1(helpers=[a,])",
            "aws@v1(helpers=[a b])",
            "aws@v1(helpers=[a])x",
            "a b@v1",
        ] {
            assert!(text.parse::<Requirement>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn helpers_must_exist_and_have_one_owner() {
        for (texts, expected) in [
            (&["nope@v1(helpers=[a])"][..], "no extension 'nope'"),
            (&["std@v1(helpers=[nope])"], "no helper 'nope'"),
            (&["std@v1(helpers=[default, default])"], "comes from both"),
            (&["std@v1", "std@v1"], "required twice"),
        ] {
            let requirements: Vec<Requirement> = texts.iter().map(|t| t.parse().unwrap()).collect();
            let error = check(&requirements).unwrap_err().to_string();
            assert!(error.contains(expected), "{texts:?}: {error}");
        }
        check(&["motd@v1".parse().unwrap(), "std@v1(helpers=[default])".parse().unwrap()]).unwrap();
    }
}
