//! Walks a TOML document and blames what it does not understand by its place.

use crate::fault::{Fault, Faults, Rule};
use std::fmt::Display;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use user_data::Position;

/// How many letters of a name may be wrong for another to be meant.
const NEAR: usize = 2;

/// A text, and what is wrong with it so far.
pub(crate) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, faults: Vec::new() }
    }

    /// The top of a document.
    pub(crate) fn parse(&mut self) -> Result<Spanned<DeTable<'a>>, Faults> {
        DeTable::parse(self.text).map_err(|e| {
            let at = e.span().unwrap_or_default().start;
            self.blame(at, "", Rule::Syntax { message: e.message().to_owned() });
            Faults::new(std::mem::take(&mut self.faults))
        })
    }

    pub(crate) fn blame(&mut self, at: usize, key: &str, rule: impl Into<Rule>) {
        let position = Some(Position::of(self.text, at));
        let fault = Fault { file: self.file.to_owned(), position, key: key.to_owned(), rule: rule.into() };
        self.faults.push(fault);
    }

    pub(crate) fn fault_count(&self) -> usize {
        self.faults.len()
    }

    /// What was read, if nothing was wrong with it.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Faults> {
        if self.faults.is_empty() { Ok(value) } else { Err(Faults::new(self.faults)) }
    }
}

/// The members of a table that were not asked for yet, in the order of the text.
pub(crate) struct Fields<'a> {
    pub(crate) key: String,
    pub(crate) at: usize,
    rest: Vec<Field<'a>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(key: &str, at: usize, table: &'a DeTable<'a>) -> Self {
        let member = |(name, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &'a std::borrow::Cow<'a, str> = name.get_ref();
            let key = if key.is_empty() { quoted(name) } else { format!("{key}.{}", quoted(name)) };
            Field { key, name, at: 0, value }
        };
        let mut rest: Vec<Field<'a>> = table
            .iter()
            .map(|(name, value)| Field { at: name.span().start, ..member((name, value)) })
            .collect();
        rest.sort_by_key(|field| field.at);
        Self { key: key.to_owned(), at, rest }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Field<'a>> {
        let index = self.rest.iter().position(|field| field.name == name)?;
        Some(self.rest.remove(index))
    }

    /// Takes a member that must be there.
    pub(crate) fn need(
        &mut self,
        name: &str,
        expected: &'static str,
        reader: &mut Reader<'_>,
    ) -> Option<Field<'a>> {
        let field = self.take(name);
        if field.is_none() {
            reader.blame(self.at, &format!("{}.{name}", self.key), Rule::Missing { expected });
        }
        field
    }

    /// All members that are left.
    pub(crate) fn into_rest(self) -> Vec<Field<'a>> {
        self.rest
    }

    /// Blames what nobody asked for. `known` is all that could have been asked for; `later` is what a later
    /// version of the file knows, with that version.
    pub(crate) fn refuse_rest(
        self,
        known: &[&'static str],
        later: &[(&'static str, u8)],
        reader: &mut Reader<'_>,
    ) {
        for field in self.rest {
            let since = later.iter().find(|(name, _)| *name == field.name);
            let rule = match since {
                Some((_, since)) => Rule::Later { since: *since },
                None => Rule::Unknown { near: nearest(field.name, known), known: known.to_vec() },
            };
            reader.blame(field.at, &field.key, rule);
        }
    }
}

/// The known name that was probably meant.
fn nearest(name: &str, known: &[&'static str]) -> Option<String> {
    let distance = |other: &&&str| strsim::damerau_levenshtein(name, other);
    known.iter().min_by_key(distance).filter(|other| distance(other) <= NEAR).map(|other| (*other).to_owned())
}

fn quoted(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if bare { name.to_owned() } else { format!("{name:?}") }
}

/// A member of a table.
pub(crate) struct Field<'a> {
    pub(crate) key: String,
    pub(crate) name: &'a str,
    pub(crate) at: usize,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Field<'a> {
    pub(crate) fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    /// Where the value stands.
    pub(crate) fn value_at(&self) -> usize {
        self.value.span().start
    }

    pub(crate) fn blame(&self, reader: &mut Reader<'_>, rule: impl Into<Rule>) {
        reader.blame(self.value_at(), &self.key, rule);
    }

    pub(crate) fn wrong_type(&self, expected: &'static str, reader: &mut Reader<'_>) {
        self.blame(reader, Rule::Type { expected, found: found(self.value()) });
    }

    pub(crate) fn boolean(&self, reader: &mut Reader<'_>) -> Option<bool> {
        let value = self.value().as_bool();
        if value.is_none() {
            self.wrong_type("true or false", reader);
        }
        value
    }

    pub(crate) fn wrong_version(&self, reader: &mut Reader<'_>) {
        self.blame(reader, Rule::Version { found: found(self.value()) });
    }

    /// A number that is not negative and at most `max`; `expected` says so.
    pub(crate) fn number<T: TryFrom<u64>>(
        &self,
        max: u64,
        expected: &'static str,
        reader: &mut Reader<'_>,
    ) -> Option<T> {
        let integer = self.value().as_integer();
        let number = integer.and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok());
        let number = number.filter(|number| *number <= max).and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.wrong_type(expected, reader);
        }
        number
    }

    pub(crate) fn text(&self, reader: &mut Reader<'_>) -> Option<&'a str> {
        let text = self.value().as_str();
        if text.is_none() {
            self.wrong_type("text in quotes", reader);
        }
        text
    }

    /// A text that `T` is made from.
    pub(crate) fn parsed<T: FromStr<Err: Into<Rule>>>(&self, reader: &mut Reader<'_>) -> Option<T> {
        self.text(reader)?.parse().map_err(|e: T::Err| self.blame(reader, e)).ok()
    }

    /// A list of texts that values are made from; what is wrong with one text is blamed at it.
    pub(crate) fn list<T>(
        &self,
        expected: &'static str,
        reader: &mut Reader<'_>,
        make: impl Fn(&str) -> Result<T, Rule>,
    ) -> Vec<(T, usize)> {
        let Some(array) = self.value().as_array() else {
            self.wrong_type(expected, reader);
            return Vec::new();
        };
        let mut values = Vec::new();
        for value in array {
            let at = value.span().start;
            let rule = match value.get_ref().as_str().map(&make) {
                Some(Ok(value)) => {
                    values.push((value, at));
                    continue;
                }
                Some(Err(rule)) => rule,
                None => Rule::Type { expected, found: format!("a list with {}", found(value.get_ref())) },
            };
            reader.blame(at, &self.key, rule);
        }
        values
    }

    pub(crate) fn table(&self, expected: &'static str, reader: &mut Reader<'_>) -> Option<Fields<'a>> {
        let table = self.value().as_table();
        if table.is_none() {
            self.wrong_type(expected, reader);
        }
        table.map(|table| Fields::new(&self.key, self.at, table))
    }

    /// A list of tables, as `[[...]]` makes it.
    pub(crate) fn tables(&self, expected: &'static str, reader: &mut Reader<'_>) -> Vec<Fields<'a>> {
        let tables: Option<Vec<Fields<'a>>> = self.value().as_array().and_then(|array| {
            let table = |(number, value): (usize, &'a Spanned<DeValue<'a>>)| {
                let key = format!("{}[{number}]", self.key);
                Some(Fields::new(&key, value.span().start, value.get_ref().as_table()?))
            };
            array.iter().enumerate().map(table).collect()
        });
        if tables.is_none() {
            self.wrong_type(expected, reader);
        }
        tables.unwrap_or_default()
    }
}

fn found(value: &DeValue<'_>) -> String {
    let quote = |value: &dyn Display| format!("'{value}'");
    match value {
        DeValue::String(text) => quote(text),
        DeValue::Integer(integer) => quote(integer),
        DeValue::Float(float) => quote(float),
        DeValue::Boolean(truth) => quote(truth),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
