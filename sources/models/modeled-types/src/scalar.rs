//! What every scalar says of itself.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt;

/// Why a value was refused: the rule it breaks, as a phrase that follows "it" ("must be one line").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub Cow<'static, str>);

impl Refusal {
    /// A refusal for breaking `rule`.
    pub fn new(rule: impl Into<Cow<'static, str>>) -> Self {
        Self(rule.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// The JSON form a value takes; decides how the text of `key=value` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// A string, whatever it looks like.
    Text,
    /// A number where the text is one, else a string (`IntegerPercent`).
    IntegerOrText,
    /// A JSON array.
    List,
    /// One string, or a JSON array of strings.
    TextOrList,
    /// Any other JSON.
    Json,
}

/// A type whose values are leaves of the settings tree.
pub trait Scalar: DeserializeOwned + Serialize {
    /// Name of the type in documentation and errors.
    const NAME: &'static str;
    /// What a value must be, as a phrase that follows "it" ("must be one line of text").
    const RULE: &'static str;
    /// The JSON form of a value.
    const KIND: Kind;
    /// Whether a value may be a secret, which an error must not repeat.
    const SECRET: bool = false;

    /// JSON Schema (draft 2020-12) of the type.
    fn json_schema() -> Value;
}

/// Longest text an error repeats, in characters; enough to recognise a value, too little for a document.
const SHOWN_CHARS: usize = 40;

/// Makes a `T` of a JSON value, or says what it must be and what it is.
pub fn check<T: Scalar>(value: &Value) -> Result<T, Refusal> {
    T::deserialize(value).map_err(|e| {
        // The types of this crate refuse in their own words; a value of another JSON form never reaches them,
        // and numbers and booleans have only their range.
        let reached = match T::KIND {
            Kind::Bool | Kind::Integer => false,
            Kind::Text => value.is_string(),
            Kind::IntegerOrText | Kind::List | Kind::TextOrList | Kind::Json => true,
        };
        let rule = if reached { e.to_string() } else { T::RULE.to_owned() };
        if rule == T::RULE && !(T::SECRET && value.is_string()) {
            Refusal::new(format!("{rule}, not {}", describe(value)))
        } else {
            Refusal::new(rule)
        }
    })
}

/// Names a JSON value the way a person would; long text is cut.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) if text.is_empty() => "the empty text".to_owned(),
        Value::String(text) => {
            let shown: String = text.chars().take(SHOWN_CHARS).flat_map(escape).collect();
            let cut = if text.chars().nth(SHOWN_CHARS).is_some() { "…" } else { "" };
            format!("the text '{shown}{cut}'")
        }
        Value::Array(list) if list.is_empty() => "an empty list".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}

/// Keeps an error on one line and free of terminal control sequences.
fn escape(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
        (None, Some(c.escape_default()))
    } else {
        (Some(c), None)
    };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// Implements [`Scalar`] for types of the language, which check only their range.
macro_rules! plain {
    ($($type:ty, $name:literal, $rule:literal, $kind:ident, $schema:tt;)*) => {$(
        impl Scalar for $type {
            const NAME: &'static str = $name;
            const RULE: &'static str = $rule;
            const KIND: Kind = Kind::$kind;

            fn json_schema() -> Value {
                json!($schema)
            }
        }
    )*};
}

plain! {
    bool, "bool", "must be true or false", Bool, {"type": "boolean"};
    u8, "u8", "must be an integer from 0 to 255", Integer, {"type": "integer", "minimum": 0, "maximum": 255};
    u16, "u16", "must be an integer from 0 to 65535", Integer, {"type": "integer", "minimum": 0, "maximum": 65535};
    u32, "u32", "must be an integer from 0 to 4294967295", Integer,
        {"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32};
    i32, "i32", "must be an integer from -2147483648 to 2147483647", Integer,
        {"type": "integer", "minimum": -2_147_483_648_i64, "maximum": 2_147_483_647};
    i64, "i64", "must be a 64-bit integer", Integer, {"type": "integer"};
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SingleLineString, ValidBase64};

    #[test]
    fn refusals_say_what_was_given_and_what_would_be_right() {
        let refusal = |r: Result<(), Refusal>| r.unwrap_err().to_string();
        let long = "x".repeat(100) + "\n";
        let rows = [
            (refusal(check::<bool>(&json!("yes")).map(drop)), "must be true or false, not the text 'yes'"),
            (refusal(check::<u8>(&json!(300)).map(drop)), "must be an integer from 0 to 255, not 300"),
            (refusal(check::<u8>(&json!(1.5)).map(drop)), "must be an integer from 0 to 255, not 1.5"),
            (refusal(check::<bool>(&json!(null)).map(drop)), "must be true or false, not null"),
            (refusal(check::<SingleLineString>(&json!(5)).map(drop)), "must be one line of text, not 5"),
            (
                refusal(check::<SingleLineString>(&json!([])).map(drop)),
                "must be one line of text, not an empty list",
            ),
            (
                refusal(check::<SingleLineString>(&json!("a\nb")).map(drop)),
                "must be one line of text, not the text 'a\\nb'",
            ),
            (
                refusal(check::<SingleLineString>(&json!(long)).map(drop)),
                &format!("must be one line of text, not the text '{}…'", "x".repeat(40)),
            ),
            (refusal(check::<ValidBase64>(&json!("hunter2!")).map(drop)), ValidBase64::RULE),
        ];
        for (actual, expected) in rows {
            assert_eq!(actual, expected);
        }
    }
}
