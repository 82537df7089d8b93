//! TOML to JSON values and places.

use super::{Refusal, Root, SETTINGS};
use crate::place::{Place, Places};
use serde_json::{Map, Number, Value};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// How deep tables and lists may be nested: as deep as JSON is read, which is how settings travel.
const MAX_DEPTH: usize = 127;

pub(super) fn parse(text: &str) -> Result<Root, Refusal> {
    let root = DeTable::parse(text).map_err(|e| syntax(text, &e))?;
    let mut parsed = Root { settings: None, places: Places::new() };
    for (name, value) in root.get_ref() {
        let offset = name.span().start;
        let mut below = Places::new();
        // What is beside the settings is somebody else's, and may be any TOML.
        if name.get_ref() == SETTINGS {
            parsed.settings = Some(Reader { path: vec![SETTINGS] }.value(value, &mut below)?);
        }
        parsed.places.insert(name.get_ref().to_string(), Place { offset, below });
    }
    Ok(parsed)
}

fn syntax(text: &str, error: &toml::de::Error) -> Refusal {
    let span: Range<usize> = error.span().unwrap_or_default();
    let mut message = error.message().to_owned();
    // The parser shows the key by its place alone.
    if let Some(key) = text.get(span.clone()).filter(|_| message == "duplicate key") {
        message = format!("duplicate key '{}'", key.trim_matches(['\'', '"']));
    }
    Refusal { offset: span.start, what: format!("is not TOML: {message}") }
}

/// Walks the settings, and knows where it is.
struct Reader<'a> {
    path: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn table(&mut self, table: &'a DeTable<'_>, places: &mut Places) -> Result<Map<String, Value>, Refusal> {
        let mut members = Map::new();
        for (name, value) in table {
            let mut below = Places::new();
            self.path.push(name.get_ref());
            members.insert(name.get_ref().to_string(), self.value(value, &mut below)?);
            self.path.pop();
            places.insert(name.get_ref().to_string(), Place { offset: name.span().start, below });
        }
        Ok(members)
    }

    /// Of what is in lists no places are kept: a setting is a whole list.
    fn array(&mut self, array: &'a DeArray<'_>) -> Result<Vec<Value>, Refusal> {
        array.iter().map(|element| self.value(element, &mut Places::new())).collect()
    }

    fn value(&mut self, value: &'a Spanned<DeValue<'_>>, places: &mut Places) -> Result<Value, Refusal> {
        let refuse = |what: String| {
            let what = format!("{} {what}", self.path.join("."));
            Refusal { offset: value.span().start, what }
        };
        if self.path.len() > MAX_DEPTH {
            return Err(Refusal {
                offset: value.span().start,
                what: format!("is nested more than {MAX_DEPTH} tables deep; no setting is"),
            });
        }
        Ok(match value.get_ref() {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(truth) => Value::from(*truth),
            DeValue::Integer(integer) => {
                let (digits, radix) = (integer.as_str(), integer.radix());
                let number = i64::from_str_radix(digits, radix)
                    .map(Number::from)
                    .or_else(|_| u64::from_str_radix(digits, radix).map(Number::from));
                number.map_err(|_| refuse("cannot hold an integer of more than 64 bits".to_owned()))?.into()
            }
            DeValue::Float(float) => {
                let number = float.as_str().parse().ok().and_then(Number::from_f64);
                number.ok_or_else(|| refuse("cannot hold inf, nan or so large a number".to_owned()))?.into()
            }
            DeValue::Datetime(date) => {
                return Err(refuse(format!("cannot hold a date; write it as text, \"{date}\"")));
            }
            DeValue::Array(array) => Value::Array(self.array(array)?),
            DeValue::Table(table) => Value::Object(self.table(table, places)?),
        })
    }
}
