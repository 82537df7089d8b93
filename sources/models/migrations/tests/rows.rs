//! What each row does forward and backward, and what becomes of values that were changed in between.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

use migrations::{Document, Layer, Leaves, Removed, Row, State};
use proptest::prelude::*;
use serde_json::{Value, json};
use settings::Key;

fn leaves(value: &Value) -> Leaves {
    value.as_object().unwrap().iter().map(|(key, value)| (key.parse().unwrap(), value.clone())).collect()
}

fn in_api(value: &Value) -> State {
    State { api: leaves(value), ..State::default() }
}

fn document(toml: &str) -> Document {
    Document::from_toml(toml).unwrap_or_else(|fault| panic!("{toml}: {fault}"))
}

/// Runs a document of one row forward, changes what a user changes, and runs it backward.
fn check(row: &str, before: &Value, forward: &Value, changed: &Value, backward: &Value) {
    let document = document(&format!("rows = [{{ {row} }}]"));
    let mut state = in_api(before);
    let removed = document.forward(&mut state).unwrap();
    assert_eq!(state, in_api(forward), "{row}: forward");
    let mut unchanged = state;
    document.backward(&mut unchanged, &removed).unwrap();
    assert_eq!(unchanged, in_api(before), "{row}: forward and backward");
    let mut state = in_api(changed);
    document.backward(&mut state, &removed).unwrap();
    assert_eq!(state, in_api(backward), "{row}: backward after a change");
}

#[test]
fn what_was_changed_in_the_new_version_survives_going_back() {
    check(
        "rename = { from = 'settings.a', to = 'settings.b.c' }",
        &json!({"settings.a": 1, "settings.aa": 2, "settings.x": 3}),
        &json!({"settings.b.c": 1, "settings.aa": 2, "settings.x": 3}),
        &json!({"settings.b.c": "changed", "settings.aa": "changed"}),
        &json!({"settings.a": "changed", "settings.aa": "changed"}),
    );
    check(
        "rename = { from = 'settings.a', to = 'settings.b' }",
        &json!({"settings.a.k.\"v.w\"": 1, "settings.a.l": [2]}),
        &json!({"settings.b.k.\"v.w\"": 1, "settings.b.l": [2]}),
        &json!({"settings.b.k.\"v.w\"": "changed", "settings.b.new": "made"}),
        &json!({"settings.a.k.\"v.w\"": "changed", "settings.a.new": "made"}),
    );
    check(
        "move = { from = 'settings.a', to = 'settings.b', members = ['k', 'l.m'] }",
        &json!({"settings.a.k.x": 1, "settings.a.\"l.m\"": 2, "settings.a.stays": 3}),
        &json!({"settings.b.k.x": 1, "settings.b.\"l.m\"": 2, "settings.a.stays": 3}),
        &json!({"settings.b.k.x": "changed", "settings.b.k.y": "made", "settings.b.other": 4}),
        &json!({"settings.a.k.x": "changed", "settings.a.k.y": "made", "settings.b.other": 4}),
    );
    check(
        "remove = { keys = ['settings.a'], prefixes = ['settings.b'] }",
        &json!({"settings.a": 1, "settings.a.b": 2, "settings.b.c": 3, "settings.bb": 4}),
        &json!({"settings.a.b": 2, "settings.bb": 4}),
        &json!({"settings.bb": "changed"}),
        &json!({"settings.a": 1, "settings.b.c": 3, "settings.bb": "changed"}),
    );
    check(
        "add = { keys = ['settings.a'], prefixes = ['settings.b'] }",
        &json!({"settings.a.b": 2}),
        &json!({"settings.a.b": 2}),
        &json!({"settings.a": "set", "settings.a.b": "changed", "settings.b.c": "set", "settings.b": 1}),
        &json!({"settings.a.b": "changed"}),
    );
    let replace = "replace = { key = 'settings.a', old = 'x', new = 7 }";
    check(
        replace,
        &json!({"settings.a": "x", "settings.b": "x"}),
        &json!({"settings.a": 7, "settings.b": "x"}),
        &json!({"settings.a": "changed", "settings.b": 7}),
        &json!({"settings.a": "changed", "settings.b": 7}),
    );
    check(
        replace,
        &json!({"settings.a": "custom"}),
        &json!({"settings.a": "custom"}),
        // Chosen by hand, but not to be told from what the run forward made; the old version has no such value.
        &json!({"settings.a": 7}),
        &json!({"settings.a": "x"}),
    );
    check(
        "replace-list = { key = 'settings.a', old = ['x', 'y'], new = ['x'] }",
        &json!({"settings.a": ["x", "y"], "settings.b": ["x", "y"]}),
        &json!({"settings.a": ["x"], "settings.b": ["x", "y"]}),
        &json!({"settings.a": ["x", "z"]}),
        &json!({"settings.a": ["x", "z"]}),
    );
    for row in [
        "regenerate = { keys = ['settings.a'] }",
        "add-metadata = { keys = ['settings.a'], metadata = ['affected-services'] }",
        "remove-metadata = { keys = ['settings.a'], metadata = ['affected-services'] }",
        "replace-metadata = { key = 'settings.a', metadata = 'setting-generator', old = 'x', new = 'y' }",
        "replace-metadata-lists = { key = 'services.a', metadata = 'restarts', old = ['x'], new = ['y'] }",
        "no-op = {}",
    ] {
        let (one, other) = (json!({"settings.a": ["x"]}), json!({"settings.a": "changed"}));
        check(row, &one, &one, &other, &other);
    }
}

#[test]
fn a_generated_value_is_made_anew_where_its_generator_changed() {
    let document = document("rows = [{ regenerate = { keys = ['settings.a'] } }]");
    let made = leaves(&json!({"settings.a": 1, "settings.b": 2}));
    let state = State { generated: made.clone(), user_data: made.clone(), api: made.clone() };
    let left = State { generated: leaves(&json!({"settings.b": 2})), ..state.clone() };
    let mut forward = state.clone();
    let removed = document.forward(&mut forward).unwrap();
    assert_eq!((&forward, removed), (&left, Removed::default()));
    let mut backward = state;
    document.backward(&mut backward, &Removed::default()).unwrap();
    assert_eq!(backward, left);
}

#[test]
fn what_was_removed_comes_back_to_its_layer_or_as_the_document_says() {
    let document = document(
        "rows = [{ remove = { keys = ['settings.a'], prefixes = ['settings.b'], back = { 'settings.a' = 9 } } }]",
    );
    let a = |value| leaves(&json!({"settings.a": value}));
    let before = State { user_data: a(1), api: a(2), generated: leaves(&json!({"settings.b.c": 3})) };
    let mut state = before.clone();
    let removed = document.forward(&mut state).unwrap();
    assert_eq!(state, State::default());
    // Where nothing is known, the value of the document comes back, once.
    document.backward(&mut state, &Removed::default()).unwrap();
    assert_eq!(state, State { generated: a(9), ..State::default() });
    let mut state = State::default();
    document.backward(&mut state, &removed).unwrap();
    assert_eq!(state.user_data, before.user_data);
    assert_eq!(state.api, before.api);
    // A leaf that is there when it comes back stays.
    let mut state = State { api: a(5), ..State::default() };
    document.backward(&mut state, &removed).unwrap();
    assert_eq!(state.api, a(5));
}

#[test]
fn rows_are_undone_in_the_reverse_order() {
    let document = document(
        "rows = [
            { rename = { from = 'settings.a', to = 'settings.b' } },
            { replace = { key = 'settings.b', old = 1, new = 2 } },
            { rename = { from = 'settings.b', to = 'settings.c' } },
            { remove = { keys = ['settings.c'] } },
        ]",
    );
    let before = in_api(&json!({"settings.a": 1}));
    let mut state = before.clone();
    let removed = document.forward(&mut state).unwrap();
    assert_eq!(state, State::default());
    document.backward(&mut state, &removed).unwrap();
    assert_eq!(state, before);
}

#[test]
fn every_layer_is_migrated_by_itself() {
    let document = document("rows = [{ rename = { from = 'settings.a', to = 'settings.b' } }]");
    let [a, b] = ["settings.a", "settings.b"].map(|key| move |value: u8| leaves(&json!({key: value})));
    let mut state = State { generated: a(1), user_data: a(2), api: a(3) };
    document.forward(&mut state).unwrap();
    assert_eq!(state, State { generated: b(1), user_data: b(2), api: b(3) });
}

#[test]
fn a_name_that_becomes_too_long_stops_the_run_and_says_which() {
    let long = format!("settings.a.{}", "k".repeat(240));
    let to = format!("settings.{}", "b".repeat(20));
    let document = document(&format!(
        "rows = [{{ no-op = {{}} }}, {{ rename = {{ from = 'settings.a', to = '{to}' }} }}]"
    ));
    let error = document.forward(&mut in_api(&json!({ &long: 1 }))).unwrap_err();
    assert_eq!(error.to_string(), format!("row 2: give '{long}' its new name below '{to}'"));
}

/// Names that rows and settings of the property below are made of, so that they meet often.
fn key() -> impl Strategy<Value = Key> {
    prop::collection::vec("[ab]", 1..=3)
        .prop_map(|rest| format!("settings.{}", rest.join(".")).parse().unwrap())
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("x")),
        Just(json!("y")),
        Just(json!(["x"])),
        Just(json!(["y", "x"])),
        Just(json!(true))
    ]
}

fn some_leaves() -> impl Strategy<Value = Leaves> {
    prop::collection::btree_map(key(), value(), 0..5)
}

fn state() -> impl Strategy<Value = State> {
    (some_leaves(), some_leaves(), some_leaves()).prop_map(|(generated, user_data, api)| State {
        generated,
        user_data,
        api,
    })
}

/// Rows that can be undone exactly.
fn row() -> impl Strategy<Value = Row> {
    let keys = || prop::collection::vec(key(), 0..3);
    let list = || prop::collection::vec("[xy]", 0..3);
    prop_oneof![
        (key(), key()).prop_map(|(from, to)| Row::Rename { from, to }),
        (key(), key(), prop::collection::vec("[ab]", 1..3)).prop_map(|(from, to, members)| Row::Move {
            from,
            to,
            members
        }),
        (keys(), keys()).prop_map(|(keys, prefixes)| Row::Remove { keys, prefixes, back: Leaves::new() }),
        (keys(), keys()).prop_map(|(keys, prefixes)| Row::Add { keys, prefixes }),
        (key(), value(), value()).prop_map(|(key, old, new)| Row::Replace { key, old, new }),
        (key(), list(), list()).prop_map(|(key, old, new)| Row::ReplaceList { key, old, new }),
        Just(Row::NoOp {}),
    ]
}

/// Whether a version that the row leads away from could hold these leaves: none of what only the newer one has.
fn old_could_hold(row: &Row, state: &State) -> bool {
    let below = |key: &Key, prefixes: &[Key]| prefixes.iter().any(|prefix| key.is_at_or_below(prefix));
    let held = |test: &dyn Fn(&Key, &Value) -> bool| {
        Layer::ALL.iter().any(|layer| state.layer(*layer).iter().any(|(key, value)| test(key, value)))
    };
    match row {
        Row::Rename { to, .. } => !held(&|key, _| key.is_at_or_below(to)),
        Row::Move { to, members, .. } => {
            let to: Vec<Key> = members.iter().map(|member| to.child(member).unwrap()).collect();
            !held(&|key, _| below(key, &to))
        }
        Row::Add { keys, prefixes } => !held(&|key, _| keys.contains(key) || below(key, prefixes)),
        Row::Replace { key, new, .. } => !held(&|k, value| k == key && value == new),
        Row::ReplaceList { key, new, .. } => !held(&|k, value| k == key && *value == json!(new)),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn forward_and_backward_is_the_identity(rows in prop::collection::vec(row(), 1..6), before in state()) {
        // Keep what a developer could have written, and of that what the state could have met.
        let mut document = Document::default();
        let mut at = before.clone();
        for row in rows {
            let one = Document { rows: vec![row.clone()], ..Document::default() };
            let is_meant = Document::from_target(&one.to_target()).is_ok();
            if is_meant && old_could_hold(&row, &at) {
                one.forward(&mut at).unwrap();
                document.rows.push(row);
            }
        }
        prop_assume!(!document.rows.is_empty());
        let mut state = before.clone();
        let removed = document.forward(&mut state).unwrap();
        prop_assert_eq!(&state, &at);
        document.backward(&mut state, &removed).unwrap();
        prop_assert_eq!(state, before);
    }
}
