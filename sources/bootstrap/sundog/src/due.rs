//! Which generators run.

use crate::{Generator, Strength};
use serde_json::Value;
use settings::Key;
use std::collections::BTreeMap;

/// A generator to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The key it makes.
    pub key: Key,
    /// Its command line.
    pub command: String,
}

/// The work that generators have, in the order of their keys.
///
/// One runs when nothing is set at or below its key. A weak one runs also when all that is set there was itself
/// generated, which `is_generated` says of a key, so that a new image brings new values; a value from anywhere else
/// is somebody's wish and stays. `model` holds the effective settings under `settings`.
pub fn due(generators: &[Generator], model: &Value, is_generated: impl Fn(&Key) -> bool) -> Vec<Task> {
    let mut rows: Vec<&Generator> = generators.iter().collect();
    // A generator for a concrete key replaces what a general one says of it.
    rows.sort_by_key(|generator| std::cmp::Reverse(generator.depth));
    let mut by_key: BTreeMap<Key, &Generator> = BTreeMap::new();
    for generator in rows {
        by_key.extend(targets(generator, model).into_iter().map(|key| (key, generator)));
    }
    let has_work = |(key, generator): &(Key, &Generator)| {
        let set = set_at_or_below(model, key);
        set.is_empty() || (generator.strength == Strength::Weak && set.iter().all(&is_generated))
    };
    by_key
        .into_iter()
        .filter(has_work)
        .map(|(key, generator)| Task { key, command: generator.command.clone() })
        .collect()
}

/// The keys a generator makes: its own, or one for each table that stands `depth` segments below its parent.
fn targets(generator: &Generator, model: &Value) -> Vec<Key> {
    if generator.depth == 0 {
        return vec![generator.key.clone()];
    }
    let segments: Vec<&str> = generator.key.segments().collect();
    let Some((leaf, parent)) = segments.split_last() else { return Vec::new() };
    let Some(start) = parent.iter().try_fold(model, |here, segment| here.get(segment)) else {
        return Vec::new();
    };
    let mut level = vec![(parent.iter().map(|&s| s.to_owned()).collect::<Vec<_>>(), start)];
    for _ in 0..generator.depth {
        level = level
            .into_iter()
            .flat_map(|(path, value)| {
                let members = value.as_object().into_iter().flatten();
                members
                    .map(move |(name, value)| (path.iter().cloned().chain([name.clone()]).collect(), value))
            })
            .collect();
    }
    let key = |(path, _): (Vec<String>, &Value)| {
        Key::from_segments(path.iter().map(String::as_str).chain([*leaf])).ok()
    };
    level.into_iter().filter_map(key).collect()
}

/// The leaves that stand at or below a key.
fn set_at_or_below(model: &Value, key: &Key) -> Vec<Key> {
    let mut leaves = Vec::new();
    if let Some(value) = key.segments().try_fold(model, |here, segment| here.get(segment)) {
        collect_leaves(key, value, &mut leaves);
    }
    leaves
}

fn collect_leaves(key: &Key, value: &Value, leaves: &mut Vec<Key>) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (name, value) in members {
                // A member whose name is no segment cannot have come from the store.
                if let Ok(child) = key.child(name) {
                    collect_leaves(&child, value, leaves);
                }
            }
        }
        _ => leaves.push(key.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn generator(key: &str, strength: Strength, depth: usize) -> Generator {
        Generator { key: key.parse().unwrap(), command: format!("make {key}"), strength, depth }
    }

    fn keys(generators: &[Generator], settings: &Value, generated: &[&str]) -> Vec<String> {
        let model = json!({ "settings": settings });
        let tasks = due(generators, &model, |key| generated.contains(&key.as_str()));
        tasks.into_iter().map(|task| task.key.to_string()).collect()
    }

    #[test]
    fn what_is_set_is_not_made_again() {
        let rows =
            [generator("settings.a", Strength::Strong, 0), generator("settings.b.c", Strength::Strong, 0)];
        for (settings, expected) in [
            (json!({}), &["settings.a", "settings.b.c"][..]),
            (json!({"a": 1, "b": {"d": 1}}), &["settings.b.c"]),
            (json!({"a": {"x": {"y": 1}}}), &["settings.b.c"]),
            (json!({"a": {"x": {}}, "b": {"c": []}}), &["settings.a"]),
            (json!({"a": null, "ab": 1, "b": {"c": false}}), &["settings.a"]),
        ] {
            assert_eq!(keys(&rows, &settings, &["settings.a"]), expected, "{settings}");
        }
    }

    #[test]
    fn weak_values_are_made_again_unless_somebody_else_set_them() {
        let rows = [generator("settings.a", Strength::Weak, 0)];
        assert_eq!(keys(&rows, &json!({"a": 1}), &["settings.a"]), ["settings.a"]);
        assert!(keys(&rows, &json!({"a": 1}), &[]).is_empty());
        assert!(keys(&rows, &json!({"a": {"x": 1, "y": 1}}), &["settings.a.x"]).is_empty());
    }

    #[test]
    fn a_deep_generator_works_for_every_table_there_is() {
        let rows = [
            generator("settings.boxes.source", Strength::Strong, 1),
            generator("settings.boxes.one.source", Strength::Strong, 0),
        ];
        let settings = json!({"boxes": {"one": {"x": 1}, "two.x": {"x": 1}, "three": {"source": "set"}}});
        let model = json!({ "settings": settings });
        let tasks = due(&rows, &model, |_| false);
        let made: Vec<_> = tasks.iter().map(|task| (task.key.as_str(), task.command.as_str())).collect();
        let expected = [
            ("settings.boxes.\"two.x\".source", "make settings.boxes.source"),
            ("settings.boxes.one.source", "make settings.boxes.one.source"),
        ];
        assert_eq!(made, expected);
        assert_eq!(keys(&rows[..1], &json!({}), &[]), [""; 0]);
    }
}
