//! From leaves to a tree.

use crate::Key;
use serde_json::{Map, Value};

/// Builds the JSON object whose leaves are `leaves`; its members are the first segments of the keys.
pub fn nest<'a>(leaves: impl IntoIterator<Item = (&'a Key, &'a Value)>) -> Value {
    nest_below(leaves, 0)
}

/// As [`nest`], leaving out the first `skip` segments of every key.
pub fn nest_below<'a>(leaves: impl IntoIterator<Item = (&'a Key, &'a Value)>, skip: usize) -> Value {
    let mut root = Map::new();
    for (key, value) in leaves {
        let mut segments = key.segments().skip(skip).peekable();
        let mut here = &mut root;
        while let Some(segment) = segments.next() {
            if segments.peek().is_none() {
                here.insert(segment.to_owned(), value.clone());
                break;
            }
            let below = here.entry(segment).or_insert_with(|| Value::Object(Map::new()));
            // A leaf above a leaf cannot come out of a checked tree; the deeper one wins.
            if !below.is_object() {
                *below = Value::Object(Map::new());
            }
            here = below.as_object_mut().expect("made an object just above");
        }
    }
    Value::Object(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn leaves_nest_by_segment() {
        let leaves =
            [("settings.a.\"b.c\"", json!(1)), ("settings.a.d", json!([2])), ("settings.e", json!("f"))]
                .map(|(k, v)| (k.parse::<Key>().unwrap(), v));
        let all = || leaves.iter().map(|(k, v)| (k, v));
        assert_eq!(nest(all()), json!({"settings": {"a": {"b.c": 1, "d": [2]}, "e": "f"}}));
        assert_eq!(nest_below(all(), 1), json!({"a": {"b.c": 1, "d": [2]}, "e": "f"}));
    }
}
