//! The table of generators.

use serde::Deserialize;
use serde_json::{Map, Value};
use settings::{Key, KeyError};
use snafu::{ResultExt, Snafu, ensure};

/// Deepest generator that is accepted; no tree of settings goes deeper.
const MAX_DEPTH: usize = 16;

/// A row of the table: how the value of a key is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    /// The key it is written at.
    pub key: Key,
    /// Its command line.
    pub command: String,
    /// What becomes of the value at the next start.
    pub strength: Strength,
    /// How many segments are missing between the last two of the key: with 1, `settings.a.b` stands for
    /// `settings.a.*.b`.
    pub depth: usize,
}

/// What becomes of a generated value at the next start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// It stays, as if the user had set it.
    #[default]
    Strong,
    /// It is made again.
    Weak,
}

/// A table of generators that cannot be understood.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum TableError {
    #[snafu(display("read the key of a generator"))]
    ReadKey { source: KeyError },
    #[snafu(display("read the generator of {key}"))]
    ReadRow { key: Key, source: serde_json::Error },
    #[snafu(display("the generator of {key} has depth {depth}; at most {MAX_DEPTH} is possible"))]
    TooDeep { key: Key, depth: usize },
}

/// The written form of a row, beside a mere command line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    command: String,
    #[serde(default)]
    strength: Strength,
    #[serde(default)]
    depth: usize,
}

impl Generator {
    /// Reads the table as the API shows it: command lines or tables, by key.
    pub fn parse_table(table: &Map<String, Value>) -> Result<Vec<Self>, TableError> {
        table.iter().map(|(key, row)| Self::parse(key, row)).collect()
    }

    fn parse(key: &str, row: &Value) -> Result<Self, TableError> {
        let key: Key = key.parse().context(ReadKeySnafu)?;
        let row = match row {
            Value::String(command) => Row { command: command.clone(), strength: Strength::Strong, depth: 0 },
            other => Row::deserialize(other).with_context(|_| ReadRowSnafu { key: key.clone() })?,
        };
        ensure!(row.depth <= MAX_DEPTH, TooDeepSnafu { key, depth: row.depth });
        Ok(Self { key, command: row.command, strength: row.strength, depth: row.depth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_are_command_lines_or_tables() {
        for (row, strength, depth) in [
            (json!("x y"), Strength::Strong, 0),
            (json!({"command": "x y"}), Strength::Strong, 0),
            (json!({"command": "x y", "strength": "weak", "depth": 1}), Strength::Weak, 1),
        ] {
            let table = Map::from_iter([("settings.motd".to_owned(), row)]);
            let key = "settings.motd".parse().unwrap();
            let expected = Generator { key, command: "x y".to_owned(), strength, depth };
            assert_eq!(Generator::parse_table(&table).unwrap(), [expected]);
        }
    }

    #[test]
    fn malformed_rows_are_refused() {
        for (key, row) in [
            ("a..b", json!("x")),
            ("a", json!(1)),
            ("a", json!({"strength": "weak"})),
            ("a", json!({"command": "x", "strength": "mild"})),
            ("a", json!({"command": "x", "more": 1})),
            ("a", json!({"command": "x", "depth": -1})),
            ("a", json!({"command": "x", "depth": 17})),
        ] {
            let table = Map::from_iter([(key.to_owned(), row.clone())]);
            assert!(Generator::parse_table(&table).is_err(), "{key} {row}");
        }
    }
}
