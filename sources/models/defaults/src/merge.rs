//! Merging fragments.

use snafu::Snafu;
use toml::{Table, Value};

/// Two fragments that cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[snafu(display(
    "merge the default '{key}': fragment '{earlier}' has {earlier_type}, fragment '{later}' has {later_type}"
))]
pub struct Conflict {
    key: String,
    earlier: String,
    earlier_type: &'static str,
    later: String,
    later_type: &'static str,
}

/// Merges fragments in order. Tables merge member by member, anything else is replaced by the later side, and
/// a member never changes its type.
pub(crate) fn merge<'a>(
    fragments: impl IntoIterator<Item = (&'a str, &'a Table)>,
) -> Result<Table, Conflict> {
    let mut merged = Table::new();
    let mut earlier: Vec<(&str, &Table)> = Vec::new();
    for (name, fragment) in fragments {
        let layer = Layer { name, earlier: &earlier };
        layer.merge_into(&mut merged, fragment, &mut Vec::new())?;
        earlier.push((name, fragment));
    }
    Ok(merged)
}

/// A fragment on its way onto the ones before it.
struct Layer<'a> {
    name: &'a str,
    earlier: &'a [(&'a str, &'a Table)],
}

impl<'a> Layer<'a> {
    fn merge_into(&self, base: &mut Table, over: &'a Table, path: &mut Vec<&'a str>) -> Result<(), Conflict> {
        for (member, value) in over {
            path.push(member);
            match (base.get_mut(member), value) {
                (Some(Value::Table(below)), Value::Table(above)) => self.merge_into(below, above, path)?,
                (Some(below), above) if !below.same_type(above) => {
                    return Err(self.conflict(path, below, above));
                }
                (Some(below), above) => *below = above.clone(),
                (None, _) => {
                    base.insert(member.clone(), value.clone());
                }
            }
            path.pop();
        }
        Ok(())
    }

    fn conflict(&self, path: &[&str], below: &Value, above: &Value) -> Conflict {
        let has_it = |fragment: &Table| {
            let (last, parents) = path.split_last().expect("a member has a name");
            let table = parents.iter().try_fold(fragment, |t, name| t.get(*name).and_then(Value::as_table));
            table.is_some_and(|t| t.contains_key(*last))
        };
        let earlier = self.earlier.iter().rfind(|(_, fragment)| has_it(fragment));
        Conflict {
            key: path.join("."),
            earlier: earlier.expect("a merged member came from a fragment").0.to_owned(),
            earlier_type: type_name(below),
            later: self.name.to_owned(),
            later_type: type_name(above),
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(fragments: &[(&str, &str)]) -> Result<Table, String> {
        let parsed: Vec<(&str, Table)> =
            fragments.iter().map(|(name, text)| (*name, text.parse().unwrap())).collect();
        merge(parsed.iter().map(|(name, table)| (*name, table))).map_err(|e| e.to_string())
    }

    #[test]
    fn tables_merge_and_anything_else_is_replaced() {
        let fragments = [
            ("a", "x.one = 1\nx.list = [1, 2]\ny = true"),
            ("b", "x.two = 2\nx.list = [3]"),
            ("c", "x.one = 11\nx.deep.er = 'd'"),
        ];
        let expected = "y = true\nx = { one = 11, two = 2, list = [3], deep = { er = 'd' } }";
        assert_eq!(merged(&fragments).unwrap(), expected.parse::<Table>().unwrap());
    }

    #[test]
    fn a_change_of_type_names_the_key_and_both_fragments() {
        let rows = [
            ("x.y = 1", "x.y = 'one'", "'x.y'", "an integer", "a text"),
            ("x.y = 1", "x = 1", "'x'", "a table", "an integer"),
            ("x = []", "x.y = 1", "'x'", "a list", "a table"),
            ("x = 1", "x = 1.0", "'x'", "an integer", "a float"),
        ];
        for (first, last, key, first_type, last_type) in rows {
            let why = merged(&[("first", first), ("other", "z = 1"), ("last", last)]).unwrap_err();
            let expected = format!(
                "merge the default {key}: fragment 'first' has {first_type}, fragment 'last' has {last_type}"
            );
            assert_eq!(why, expected);
        }
    }
}
