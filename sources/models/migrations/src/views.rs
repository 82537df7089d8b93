//! Layers for programs that know of none.
//!
//! A migration program sees one flat set of settings. Run once on the effective settings, it would lose what lies
//! below the topmost layer, and nobody could tell where a new key belongs. So it is run on several *views*: the
//! defaults, then those with the generated values over them, and so on up to the API. What a layer holds afterwards
//! is what the program made of the layer's own keys, and what its view has and the one below has not.

use crate::{Layer, Leaves, State};

/// A view of the settings up to some layer, lowest first: before the program, and where it is worth a run of its
/// own. One of a layer without values is the one below it.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The topmost layer in it; none is that of the defaults.
    pub layer: Option<Layer>,
    /// The effective settings.
    pub leaves: Leaves,
}

/// The views of a state over the defaults.
pub fn of(defaults: &Leaves, state: &State) -> Vec<View> {
    let mut leaves = defaults.clone();
    let mut views = vec![View { layer: None, leaves: leaves.clone() }];
    for layer in Layer::ALL {
        let held = state.layer(layer);
        if !held.is_empty() {
            leaves.extend(held.iter().map(|(key, value)| (key.clone(), value.clone())));
            views.push(View { layer: Some(layer), leaves: leaves.clone() });
        }
    }
    views
}

/// The state after a program that made `after` of the views that [`of`] gave, in their order.
pub fn state_after(before: &State, views: &[View], after: &[Leaves]) -> State {
    let mut state = State::default();
    let mut below = &Leaves::new();
    for (view, leaves) in views.iter().zip(after) {
        if let Some(layer) = view.layer {
            let held = before.layer(layer);
            let own = leaves
                .iter()
                .filter(|(key, value)| held.contains_key(*key) || below.get(*key) != Some(value));
            *state.layer_mut(layer) = own.map(|(key, value)| (key.clone(), value.clone())).collect();
        }
        below = leaves;
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn leaves(rows: &[(&str, Value)]) -> Leaves {
        rows.iter().map(|(key, value)| (key.parse().unwrap(), value.clone())).collect()
    }

    fn run(defaults: &Leaves, state: &State, program: impl Fn(&mut Leaves)) -> State {
        let views = of(defaults, state);
        let after: Vec<Leaves> = views
            .iter()
            .map(|view| {
                let mut leaves = view.leaves.clone();
                program(&mut leaves);
                leaves
            })
            .collect();
        state_after(state, &views, &after)
    }

    #[test]
    fn every_layer_gets_what_the_program_made_of_it() {
        let defaults = leaves(&[("s.a", json!("default")), ("s.d", json!(1))]);
        let state = State {
            generated: leaves(&[("s.a", json!("generated")), ("s.g", json!(1))]),
            user_data: leaves(&[("s.a", json!("user")), ("s.d", json!(1))]),
            api: leaves(&[("s.gone", json!(1))]),
        };
        assert_eq!(run(&defaults, &state, |_| {}), state, "a program that does nothing changes nothing");
        let after = run(&defaults, &state, |leaves| {
            // Rename one, change one, remove one, make one of another, and add one.
            if let Some(value) = leaves.remove(&"s.a".parse().unwrap()) {
                leaves.insert("s.b".parse().unwrap(), value);
            }
            leaves.remove(&"s.gone".parse().unwrap());
            if let Some(value) = leaves.get_mut(&"s.d".parse().unwrap()) {
                *value = json!(["list"]);
            }
            leaves.insert("s.new".parse().unwrap(), json!("added everywhere"));
            if leaves.contains_key(&"s.g".parse().unwrap()) {
                leaves.insert("s.has-g".parse().unwrap(), json!(true));
            }
        });
        let expected = State {
            generated: leaves(&[("s.b", json!("generated")), ("s.g", json!(1)), ("s.has-g", json!(true))]),
            user_data: leaves(&[("s.b", json!("user")), ("s.d", json!(["list"]))]),
            api: Leaves::new(),
        };
        assert_eq!(after, expected);
    }
}
