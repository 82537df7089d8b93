//! The formats of files, and how each writes a value.

use crate::place::Place;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write as _;

/// The format of a rendered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// TOML 1.0.
    Toml,
    /// JSON.
    Json,
    /// YAML; values stand in double quotes.
    Yaml,
    /// `NAME="value"` lines, as systemd's `EnvironmentFile=` reads them.
    Env,
    /// A systemd unit or drop-in.
    Ini,
    /// Lines of blank-separated words (chrony, modprobe, modules-load).
    Lines,
    /// `/etc/hosts`.
    Hosts,
    /// Text without structure; values are written as they are.
    Text,
}

impl Format {
    pub(crate) const ALL: [Self; 8] =
        [Self::Toml, Self::Json, Self::Yaml, Self::Env, Self::Ini, Self::Lines, Self::Hosts, Self::Text];
    pub(crate) const NAMES: [&'static str; 8] =
        ["toml", "json", "yaml", "env", "ini", "lines", "hosts", "text"];

    /// The text of a scalar at a place, so that reading the file gives the scalar back.
    pub(crate) fn scalar(self, place: Place, value: &Value) -> Result<String, String> {
        match (place, value) {
            (_, Value::Null) => Err("has no value".into()),
            (_, Value::Array(_) | Value::Object(_)) => {
                Err("is a list or map; use 'literal', 'join_array' or 'each' to write it".into())
            }
            (_, Value::Bool(flag)) => Ok(flag.to_string()),
            (_, Value::Number(number)) => Ok(number.to_string()),
            (Place::Text, Value::String(text)) => Ok(text.clone()),
            (Place::Bare, Value::String(_)) => {
                Err("is text and stands outside quotes; put quotes around it or use 'literal'".into())
            }
            (Place::Word, Value::String(text)) => word(text).map(str::to_owned),
            (Place::Quoted { doubled_dollar }, Value::String(text)) => match self {
                Self::Env => env_body(text),
                Self::Ini => ini_body(text, doubled_dollar),
                _ => Ok(quoted_body(text)),
            },
        }
    }

    /// A complete literal of the format.
    pub(crate) fn literal(self, value: &Value) -> Result<String, String> {
        match (self, value) {
            (Self::Json | Self::Yaml, value) => Ok(json_literal(value)),
            (Self::Toml | Self::Text, value) => toml_literal(value),
            (Self::Env | Self::Ini, Value::String(_)) => {
                Ok(format!("\"{}\"", self.scalar(Place::Quoted { doubled_dollar: false }, value)?))
            }
            (Self::Env | Self::Ini, value) => self.scalar(Place::Bare, value),
            (Self::Lines | Self::Hosts, value) => self.scalar(Place::Word, value),
        }
    }
}

/// Text for the inside of a double-quoted string. The escapes used are those that TOML basic strings, JSON strings
/// and YAML double-quoted scalars share; what any of the three cannot hold raw is escaped for all.
fn quoted_body(text: &str) -> String {
    let mut body = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => body.push_str("\\\""),
            '\\' => body.push_str("\\\\"),
            '\n' => body.push_str("\\n"),
            '\r' => body.push_str("\\r"),
            '\t' => body.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(body, "\\u{:04X}", u32::from(c));
            }
            c => body.push(c),
        }
    }
    body
}

/// Text for the inside of double quotes in an environment file (systemd.exec(5), `EnvironmentFile=`): a backslash
/// protects these four. systemd refuses variables with control characters other than tab and line feed, and
/// other readers of the file read by line.
fn env_body(text: &str) -> Result<String, String> {
    refuse_controls(text, "an environment file")?;
    Ok(backslashed(text, &['"', '\\', '$', '`']))
}

/// Text for the inside of double quotes in a unit file (systemd.syntax(7), systemd.unit(5)): `%` starts a
/// specifier everywhere, `$` a variable only on command lines.
fn ini_body(text: &str, doubled_dollar: bool) -> Result<String, String> {
    refuse_controls(text, "a unit file")?;
    let text = backslashed(text, &['"', '\\']).replace('%', "%%");
    Ok(if doubled_dollar { text.replace('$', "$$") } else { text })
}

fn backslashed(text: &str, special: &[char]) -> String {
    let mut body = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(&c) {
            body.push('\\');
        }
        body.push(c);
    }
    body
}

fn refuse_controls(text: &str, holder: &str) -> Result<(), String> {
    match text.chars().find(|c| c.is_control() && *c != '\t') {
        Some(c) => Err(format!("has the character {c:?}, which {holder} cannot hold")),
        None => Ok(()),
    }
}

/// Text that stays one word of its line: no blank ends it, and no reader takes it for a comment, a quote or a
/// continued line.
pub(crate) fn word(text: &str) -> Result<&str, String> {
    let refused = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\\' | '"' | '\'' | '#');
    if text.is_empty() {
        Err("is empty; the line needs a word there".into())
    } else if let Some(c) = text.chars().find(|c| refused(*c)) {
        Err(format!("has the character {c:?}, which a word of a line cannot hold"))
    } else if text.starts_with([';', '!', '%']) {
        Err(format!("starts with {:?}, which makes the line a comment", &text[..1]))
    } else {
        Ok(text)
    }
}

fn json_literal(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", quoted_body(text)),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(json_literal))),
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                format!("\"{}\": {}", quoted_body(key), json_literal(value))
            };
            format!("{{{}}}", joined(members.iter().map(member)))
        }
        scalar => scalar.to_string(),
    }
}

fn toml_literal(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::Null => return Err("has no value, and TOML has no null".into()),
        Value::Number(number) if number.is_u64() && !number.is_i64() => {
            return Err(format!("is {number}, more than a TOML integer holds"));
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("\"{}\"", quoted_body(text)),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml_literal).collect::<Result<_, _>>()?;
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                Ok(format!("\"{}\" = {}", quoted_body(key), toml_literal(value)?))
            };
            let members: Vec<String> = members.iter().map(member).collect::<Result<_, String>>()?;
            format!("{{ {} }}", members.join(", "))
        }
    })
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
