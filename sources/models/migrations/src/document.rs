//! A migration as a document: TOML where it is written, JSON where it is run.

use crate::row::Misfit;
use crate::{Direction, Fault, Layer, Removed, Row, RunError, State};
use serde_json::{Value, json};

/// Largest document, in bytes: a hundred times the largest one can think of.
pub const MAX_SIZE: usize = 1 << 20;
/// Most rows of one document.
pub const MAX_ROWS: usize = 4096;

/// Names the form of a target, and says which.
const MARK: &str = "visco-migration";
/// The form this code reads and writes.
const FORM: u64 = 1;

/// What one version changes: rows, run in their order forward and in the reverse order backward.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// Why, for people.
    pub description: String,
    /// What.
    pub rows: Vec<Row>,
}

/// The content of a target, from the text of a source file.
pub fn to_target(toml: &str) -> Result<Vec<u8>, Fault> {
    Document::from_toml(toml).map(|document| document.to_target())
}

impl Document {
    /// Reads a source file: an optional `description`, and `rows`.
    pub fn from_toml(text: &str) -> Result<Self, Fault> {
        check_size(text.len())?;
        let table: toml::Table = toml::from_str(text).map_err(|e| {
            let start = e.span().map_or(0, |span| span.start).min(text.len());
            let before = &text.as_bytes()[..start];
            let line = before.split(|byte| *byte == b'\n').count();
            let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
            Fault::new(format!("line {line}, column {column}"), one_line(e.message()))
        })?;
        let whole = "the document";
        let value = serde_json::to_value(table).map_err(|e| Fault::new(whole, one_line(&e.to_string())))?;
        Self::from_value(value, &["description", "rows"])
    }

    /// Reads the content of a target.
    pub fn from_target(content: &[u8]) -> Result<Self, Fault> {
        check_size(content.len())?;
        let value: Value = serde_json::from_slice(content).map_err(|e| {
            let text = e.to_string();
            let what = text.rsplit_once(" at line").map_or(text.as_str(), |(what, _)| what);
            Fault::new(format!("line {}, column {}", e.line(), e.column()), one_line(what))
        })?;
        match value.get(MARK) {
            Some(form) if form.as_u64() == Some(FORM) => {
                Self::from_value(value, &[MARK, "description", "rows"])
            }
            Some(form) => Err(Fault::new(
                format!("'{MARK}'"),
                format!("{form} is a form of migrations that this version cannot read; it reads {FORM}"),
            )),
            None => {
                Err(Fault::new("the document", format!("it is not a migration; one has '{MARK}': {FORM}")))
            }
        }
    }

    /// The content of its target: JSON with sorted members, the same bytes every time.
    pub fn to_target(&self) -> Vec<u8> {
        let rows = serde_json::to_value(&self.rows).expect("rows are plain data");
        let mut document = json!({ MARK: FORM, "rows": rows });
        if !self.description.is_empty() {
            document["description"] = json!(self.description);
        }
        document.to_string().into_bytes()
    }

    /// Runs it forward; gives what it removed.
    pub fn forward(&self, state: &mut State) -> Result<Removed, RunError> {
        let mut removed = Removed::default();
        for (at, row) in self.rows.iter().enumerate() {
            for layer in Layer::ALL {
                let leaves = row.forward(layer, state.layer_mut(layer)).map_err(|e| e.at(at))?;
                if !leaves.is_empty() {
                    removed.0.push((at, layer, leaves));
                }
            }
        }
        Ok(removed)
    }

    /// Runs it backward. What a run forward removed comes back, where it is known.
    pub fn backward(&self, state: &mut State, removed: &Removed) -> Result<(), RunError> {
        for (at, row) in self.rows.iter().enumerate().rev() {
            for layer in Layer::ALL {
                let leaves = state.layer_mut(layer);
                row.backward(layer, leaves, removed.of(at, layer)).map_err(|e| e.at(at))?;
            }
        }
        Ok(())
    }

    /// Runs it one way; forward it gives what it removed, backward nothing.
    pub fn run(
        &self,
        direction: Direction,
        state: &mut State,
        removed: &Removed,
    ) -> Result<Removed, RunError> {
        match direction {
            Direction::Forward => self.forward(state),
            Direction::Backward => self.backward(state, removed).map(|()| Removed::default()),
        }
    }

    fn from_value(value: Value, members: &[&str]) -> Result<Self, Fault> {
        let whole = "the document";
        let Value::Object(mut top) = value else { return Err(Fault::new(whole, "it is not a table")) };
        if let Some(unknown) = top.keys().find(|name| !members.contains(&name.as_str())) {
            let known = members.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
            return Err(Fault::new(
                format!("'{unknown}'"),
                format!("there is no such member; there are {known}"),
            ));
        }
        let description = match top.remove("description") {
            None => String::new(),
            Some(Value::String(text)) => text,
            Some(other) => return Err(Fault::new("'description'", format!("{other} is not text"))),
        };
        let rows = match top.remove("rows") {
            Some(Value::Array(rows)) => rows,
            Some(other) => return Err(Fault::new("'rows'", format!("{} is not a list", short(&other)))),
            None => {
                return Err(Fault::new(
                    "'rows'",
                    "they are missing; a migration that does nothing has 'rows = []'",
                ));
            }
        };
        if rows.len() > MAX_ROWS {
            return Err(Fault::new(
                "'rows'",
                format!("{} are too many; at most {MAX_ROWS} are allowed", rows.len()),
            ));
        }
        let row = |(at, row): (usize, Value)| {
            let place = format!("row {}", at + 1);
            let row: Row =
                serde_json::from_value(row).map_err(|e| Fault::new(&place, one_line(&e.to_string())))?;
            row.check().map_err(|what| Fault::new(&place, what))?;
            Ok(row)
        };
        let rows = rows.into_iter().enumerate().map(row).collect::<Result<_, _>>()?;
        Ok(Self { description, rows })
    }
}

impl Misfit {
    fn at(self, row: usize) -> RunError {
        RunError { row: row + 1, key: self.key, to: self.to, source: self.source }
    }
}

fn check_size(size: usize) -> Result<(), Fault> {
    if size > MAX_SIZE {
        return Err(Fault::new(
            "the document",
            format!("it has {size} bytes; at most {MAX_SIZE} are allowed"),
        ));
    }
    Ok(())
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 40 { text.chars().take(40).chain("...".chars()).collect() } else { text }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
