//! Reads a rendered file again by its format, before it replaces anything.

use crate::Format;
use crate::format::word;
use core::net::IpAddr;
use snafu::Snafu;

/// Where a file breaks the rules of its format.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[snafu(display("line {line}: {message}"))]
pub struct ShapeError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Checks that `text` is a file of `format`.
pub fn parse_check(format: Format, text: &str) -> Result<(), ShapeError> {
    match format {
        Format::Toml => toml::from_str::<toml::Table>(text).map(drop).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text[..at.min(text.len())].matches('\n').count() + 1;
            ShapeError { line, message: error.message().to_owned() }
        }),
        Format::Json => serde_json::from_str::<serde_json::Value>(text)
            .map(drop)
            .map_err(|error| ShapeError { line: error.line(), message: error.to_string() }),
        Format::Yaml => serde_yaml_ng::from_str::<serde_yaml_ng::Value>(text).map(drop).map_err(|error| {
            let line = error.location().map_or(1, |location| location.line());
            ShapeError { line, message: error.to_string() }
        }),
        Format::Env => each_line(text, env_line),
        Format::Ini => ini(text),
        Format::Lines => each_line(text, plain_line),
        Format::Hosts => each_line(text, hosts_line),
        Format::Text => Ok(()),
    }
}

fn each_line(text: &str, check: fn(&str) -> Result<(), String>) -> Result<(), ShapeError> {
    for (index, line) in text.split('\n').enumerate() {
        plain_line(line)
            .and_then(|()| check(line))
            .map_err(|message| ShapeError { line: index + 1, message })?;
    }
    Ok(())
}

fn plain_line(line: &str) -> Result<(), String> {
    match line.chars().find(|c| c.is_control() && *c != '\t') {
        Some(c) => Err(format!("the character {c:?} does not belong in the file")),
        None => Ok(()),
    }
}

fn is_comment(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with(['#', ';'])
}

/// `NAME=value`, the value bare or in double quotes as a whole.
fn env_line(line: &str) -> Result<(), String> {
    if is_comment(line) {
        return Ok(());
    }
    let (name, value) = line.split_once('=').ok_or("a line must be NAME=value")?;
    let starts_right = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_right || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!("'{name}' is not the name of a variable"));
    }
    let Some(inside) = value.strip_prefix('"') else {
        let blank = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\');
        return if value.contains(blank) {
            Err("a value with such characters needs double quotes".into())
        } else {
            Ok(())
        };
    };
    match closing_quote(inside) {
        Some(end) if end + 1 == inside.len() => Ok(()),
        Some(_) => Err("text follows the closing quote".into()),
        None => Err("the closing quote is missing".into()),
    }
}

/// Where the double-quoted text ends that began before `text`.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })
}

/// Sections, `Name=value` lines, comments, and lines continued with a backslash.
fn ini(text: &str) -> Result<(), ShapeError> {
    let mut in_section = false;
    let mut continued = false;
    for (index, line) in text.split('\n').enumerate() {
        let fail = |message: &str| Err(ShapeError { line: index + 1, message: message.into() });
        if let Err(message) = plain_line(line) {
            return fail(&message);
        }
        let is_continuation = continued;
        if is_comment(line) {
            continued = is_continuation && !line.trim().is_empty();
            continue;
        }
        continued = line.ends_with('\\');
        if is_continuation {
            continue;
        }
        if line.starts_with('[') {
            if !line.ends_with(']') || line.len() < 3 {
                return fail("a section must be [Name]");
            }
            in_section = true;
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { return fail("a line must be Name=value") };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            return fail("a line must be Name=value");
        }
        if !in_section {
            return fail("a line must stand below a [Section]");
        }
        if !continued && quotes_left_open(value) {
            return fail("the closing quote is missing");
        }
    }
    if continued {
        Err(ShapeError { line: text.lines().count(), message: "the last line is continued".into() })
    } else {
        Ok(())
    }
}

fn quotes_left_open(mut value: &str) -> bool {
    while let Some(start) = value.find('"') {
        match closing_quote(&value[start + 1..]) {
            Some(end) => value = &value[start + end + 2..],
            None => return true,
        }
    }
    false
}

/// An address and at least one name.
fn hosts_line(line: &str) -> Result<(), String> {
    let entry = line.split('#').next().unwrap_or_default();
    let mut words = entry.split_whitespace();
    let Some(address) = words.next() else { return Ok(()) };
    address.parse::<IpAddr>().map_err(|_| format!("'{address}' is not an address"))?;
    let mut names = words.peekable();
    if names.peek().is_none() {
        return Err(format!("'{address}' has no name"));
    }
    names.try_for_each(|name| word(name).map(drop).map_err(|why| format!("'{name}' {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_files_name_their_line() {
        for (format, text, line) in [
            (Format::Toml, "a = 1\nb = \n", 2),
            (Format::Toml, "a = 1\na = 2\n", 2),
            (Format::Json, "{\n\"a\": 1,\n}", 3),
            (Format::Yaml, "a: 1\nb: [\n", 3),
            (Format::Env, "A=1\nB C\n", 2),
            (Format::Env, "A=\"x\" y\n", 1),
            (Format::Env, "A=\"x\n", 1),
            (Format::Env, "A=x y\n", 1),
            (Format::Env, "9A=x\n", 1),
            (Format::Ini, "[Service]\nEnvironment\n", 2),
            (Format::Ini, "A=b\n", 1),
            (Format::Ini, "[Service]\nA=\"b\n", 2),
            (Format::Ini, "[Service]\nA=b\\", 2),
            (Format::Hosts, "127.0.0.1 a\nnope b\n", 2),
            (Format::Hosts, "127.0.0.1\n", 1),
            (Format::Lines, "a\nb\u{1}\n", 2),
        ] {
            let error = parse_check(format, text).expect_err(text);
            assert_eq!(error.line, line, "{format:?} {text:?}: {error}");
        }
    }

    #[test]
    fn whole_files_pass() {
        for (format, text) in [
            (Format::Toml, "a = 1\n[b]\n"),
            (Format::Json, "{}\n"),
            (Format::Yaml, "a: \"b\"\n"),
            (Format::Env, "# note\nA=\"x \\\" y\"\n\nB=1\nC=\n"),
            (Format::Ini, "# note\n[Service]\nExecStart=\nExecStart=/bin/a \\\n  -b \"c\"\n"),
            (Format::Hosts, "# note\n127.0.0.1 a b # c\n\n::1 d\n"),
            (Format::Lines, "pool a iburst\n\n"),
            (Format::Text, "\u{1}\""),
        ] {
            parse_check(format, text).unwrap_or_else(|error| panic!("{format:?} {text:?}: {error}"));
        }
    }
}
