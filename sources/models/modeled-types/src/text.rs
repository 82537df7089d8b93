//! Types over plain text.

use crate::{Kind, Refusal, Scalar, describe};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// `Ok` where `good`, else a refusal with the phrase of the type.
pub(crate) fn require(good: bool, rule: &'static str) -> Result<(), Refusal> {
    if good { Ok(()) } else { Err(Refusal::new(rule)) }
}

/// Whether a text has at least one and at most `most` bytes, all of them `allowed`.
pub(crate) fn made_of(text: &str, most: usize, allowed: fn(u8) -> bool) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(allowed)
}

/// Whether a character ends a line in some script or steers a terminal; tabs do neither.
pub(crate) fn is_break_or_control(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Defines a type that wraps one string and checks it when it is made.
///
/// `rule` is the phrase shown to people; `check` says whether a text obeys it, or why not.
macro_rules! text_type {
    ($(#[$meta:meta])* $name:ident, rule: $rule:expr, $(secret: $secret:literal,)? schema: $schema:expr, check: $check:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Refusal;

            fn try_from(text: String) -> Result<Self, Refusal> {
                let check: fn(&str) -> Result<(), Refusal> = $check;
                check(&text)?;
                Ok(Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = Refusal;

            fn from_str(text: &str) -> Result<Self, Refusal> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Scalar for $name {
            const NAME: &'static str = stringify!($name);
            const RULE: &'static str = $rule;
            const KIND: Kind = Kind::Text;
            $(const SECRET: bool = $secret;)?

            fn json_schema() -> Value {
                $schema
            }
        }
    };
}
pub(crate) use text_type;

text_type! {
    /// Any text, of any number of lines.
    AnyText,
    rule: "must be text",
    schema: json!({"type": "string"}),
    check: |_| Ok(())
}

text_type! {
    /// Text without a line break of any script (UAX #14, classes BK, CR, LF and NL) and without control
    /// characters other than tab.
    SingleLineString,
    rule: "must be one line of text",
    schema: json!({
        "type": "string",
        "pattern": "^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$",
    }),
    check: |text| require(!text.contains(is_break_or_control), SingleLineString::RULE)
}

/// Longest identifier: what containerd allows for a container (76 bytes).
const IDENTIFIER_BYTES: usize = 76;

text_type! {
    /// Name of a container, a certificate bundle, a static pod and the like.
    Identifier,
    rule: "must be 1 to 76 ASCII letters, digits and hyphens",
    schema: json!({"type": "string", "pattern": "^[A-Za-z0-9-]{1,76}$"}),
    check: |text| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        require(made_of(text, IDENTIFIER_BYTES, allowed), Identifier::RULE)
    }
}

text_type! {
    /// `latest`, or a version by Semantic Versioning 2.0 with an optional leading `v`.
    FriendlyVersion,
    rule: "must be 'latest' or a version such as '1.2.3' or 'v1.2.3'",
    schema: json!({
        "type": "string",
        "pattern": "^(latest|v?(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?)$",
    }),
    check: |text| {
        let version = text.strip_prefix('v').unwrap_or(text);
        require(text == "latest" || semver::Version::parse(version).is_ok(), FriendlyVersion::RULE)
    }
}

impl FriendlyVersion {
    /// The version, unless it is `latest`.
    pub fn version(&self) -> Option<semver::Version> {
        // `latest` is the only accepted text that is not a version.
        semver::Version::parse(self.0.strip_prefix('v').unwrap_or(&self.0)).ok()
    }
}

/// Longest name of a unit (systemd.unit(5)).
const UNIT_NAME_BYTES: usize = 255;

text_type! {
    /// Name of a systemd unit with its type, as systemd.unit(5) has it.
    UnitName,
    rule: "must be the name of a systemd unit such as 'kubelet.service'",
    schema: json!({"type": "string", "maxLength": 255, "pattern": "^[A-Za-z0-9:_.\\\\@][A-Za-z0-9:_.\\\\@-]*\\.(service|socket|target|mount|path|timer)$"}),
    check: |text| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b":_.\\@-".contains(&b);
        // A name that starts with a hyphen would be read as an option.
        let good = made_of(text, UNIT_NAME_BYTES, allowed) && !text.starts_with('-');
        let typed = text.rsplit_once('.').is_some_and(|(name, kind)| {
            !name.is_empty() && matches!(kind, "service" | "socket" | "target" | "mount" | "path" | "timer")
        });
        require(good && typed, UnitName::RULE)
    }
}

/// A command line of the API client: its words, of which the first is `apiclient`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct ApiclientCommand(Vec<String>);

impl ApiclientCommand {
    /// The words.
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Value> for ApiclientCommand {
    type Error = Refusal;

    fn try_from(value: Value) -> Result<Self, Refusal> {
        let refusal = || Refusal::new(Self::RULE);
        let Value::Array(words) = value else { return Err(refusal()) };
        let words: Vec<String> = words
            .into_iter()
            .enumerate()
            .map(|(n, word)| match word {
                Value::String(word) => Ok(word),
                other => {
                    Err(Refusal::new(format!("must hold texts only; word {} is {}", n + 1, describe(&other))))
                }
            })
            .collect::<Result<_, _>>()?;
        match words.first() {
            Some(first) if first == "apiclient" => Ok(Self(words)),
            Some(first) => {
                let given = describe(&Value::from(first.as_str()));
                Err(Refusal::new(format!("must begin with 'apiclient', not {given}")))
            }
            None => Err(refusal()),
        }
    }
}

impl Scalar for ApiclientCommand {
    const NAME: &'static str = "ApiclientCommand";
    const RULE: &'static str = "must be a list of texts of which the first is 'apiclient'";
    const KIND: Kind = Kind::List;

    fn json_schema() -> Value {
        json!({"type": "array", "minItems": 1, "prefixItems": [{"const": "apiclient"}], "items": {"type": "string"}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{json_rows, rows};

    #[test]
    fn unit_names() {
        let longest = format!("{}.service", "a".repeat(247));
        rows::<UnitName>(
            &["kubelet.service", "a@b-c.service", "dev-disk\\x2d1.mount", "multi-user.target", &longest],
            &[
                "",
                "kubelet",
                ".service",
                "-a.service",
                "a b.service",
                "a/b.service",
                "a.conf",
                &format!("a{longest}"),
            ],
        );
    }

    #[test]
    fn single_line_string_refuses_line_breaks_and_controls_only() {
        rows::<SingleLineString>(
            &["", "a\tb", "Welcome to <&> 'all'", "é"],
            &["a\nb", "a\u{b}", "\u{c}", "\u{85}", "a\u{2028}b", "\u{2029}", "\r", "\u{1b}[0m", "\0"],
        );
        rows::<AnyText>(&["", "a\nb\0"], &[]);
    }

    #[test]
    fn identifiers() {
        let (longest, too_long) = ("X".repeat(76), "X".repeat(77));
        rows::<Identifier>(&["a", "---", "Admin-2", &longest], &["", "a_b", "a.b", "a b", "ä", &too_long]);
    }

    #[test]
    fn friendly_versions() {
        rows::<FriendlyVersion>(
            &["latest", "1.2.3", "v1.2.3", "1.2.3-rc.1+b"],
            &["", "v", "v1", "1.0", "1.2", "vv1.2.3", "LATEST", "1.2.3-01", "latest "],
        );
        assert_eq!(
            "v1.2.3".parse::<FriendlyVersion>().unwrap().version(),
            Some(semver::Version::new(1, 2, 3))
        );
        assert_eq!("latest".parse::<FriendlyVersion>().unwrap().version(), None);
    }

    #[test]
    fn apiclient_commands_begin_with_apiclient() {
        json_rows::<ApiclientCommand>(
            &[json!(["apiclient"]), json!(["apiclient", "set", "motd=x"])],
            &[json!([]), json!(["rm", "-rf", "/"]), json!(["apiclient", 5]), json!("apiclient"), json!({})],
        );
    }
}
