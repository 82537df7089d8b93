//! Merging of settings.

use serde_json::Value;

/// Merges `later` into `base`: tables member by member, anything else is replaced whole.
pub fn merge(base: &mut Value, later: Value) {
    match (base, later) {
        (Value::Object(base), Value::Object(later)) => {
            for (name, value) in later {
                merge(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, later) => *base = later,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn later_leaves_win_and_lists_are_replaced_whole() {
        let mut base = json!({"a": {"x": 1, "y": [1, 2]}, "b": 1});
        merge(&mut base, json!({"a": {"y": [3], "z": 4}}));
        assert_eq!(base, json!({"a": {"x": 1, "y": [3], "z": 4}, "b": 1}));
    }
}
