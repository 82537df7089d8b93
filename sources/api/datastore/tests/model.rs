//! The store against a toy: every state it ever had, as a list of maps.

// Helpers of tests unwrap, too.
#![allow(clippy::unwrap_used)]

mod home;

use datastore::{Edit, Layer, Opened, Pending, Snapshot, Store, TransactionName};
use home::{Home, author, request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use settings::{Key, View};
use std::collections::BTreeMap;
use std::time::Instant;

/// The value and the commit of every leaf of every layer.
type State = BTreeMap<(Layer, Key), (Value, u64)>;

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Edit>),
    Pend(usize, Vec<Edit>),
    CommitPending(usize),
    Defaults(Vec<(Key, Value)>),
    Revert(prop::sample::Index),
    Restore(prop::sample::Index),
    Reopen,
}

fn keys() -> impl Strategy<Value = Key> {
    select(vec!["a", "a.b", "a.b.c", "a.b-c", "a.\"b.c\"", "a.bc", "z"])
        .prop_map(|name| name.parse().unwrap())
}

fn values() -> impl Strategy<Value = Value> {
    let fixed = vec![json!(null), json!(1), json!("two"), json!([3, "x"]), json!({"four": {}}), json!("")];
    prop_oneof![4 => select(fixed), 1 => any::<f64>().prop_map(|number| json!(number))]
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = (select(Layer::ALL.to_vec()), keys(), proptest::option::of(values()));
    vec(edit.prop_map(|(layer, key, value)| Edit { layer, key, value }), 0..6)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => edits().prop_map(Step::Commit),
        2 => (0..2usize, edits()).prop_map(|(tx, edits)| Step::Pend(tx, edits)),
        1 => (0..2usize).prop_map(Step::CommitPending),
        1 => vec((keys(), values()), 0..6).prop_map(Step::Defaults),
        2 => any::<prop::sample::Index>().prop_map(Step::Revert),
        2 => any::<prop::sample::Index>().prop_map(Step::Restore),
        1 => Just(Step::Reopen),
    ];
    vec(step, 1..16)
}

/// The toy: `states[n]` is the state after commit n.
struct Toy {
    states: Vec<State>,
    pending: [BTreeMap<(Key, Layer), Option<Value>>; 2],
}

impl Toy {
    fn now(&self) -> &State {
        self.states.last().unwrap()
    }

    fn commit(&mut self, edits: impl IntoIterator<Item = Edit>) {
        let (mut next, id) = (self.now().clone(), self.states.len() as u64);
        let wanted: BTreeMap<_, _> = edits.into_iter().map(|e| ((e.layer, e.key), e.value)).collect();
        for (leaf, value) in wanted {
            if next.get(&leaf).map(|(value, _)| value) != value.as_ref() {
                match value {
                    Some(value) => next.insert(leaf, (value, id)),
                    None => next.remove(&leaf),
                };
            }
        }
        self.states.push(next);
    }

    fn value(state: &State, leaf: &(Layer, Key)) -> Option<Value> {
        state.get(leaf).map(|(value, _)| value.clone())
    }

    /// All leaves that two states hold different values for.
    fn differing(one: &State, other: &State) -> Vec<(Layer, Key)> {
        let mut leaves: Vec<_> = one.keys().chain(other.keys()).cloned().collect();
        leaves.sort();
        leaves.dedup();
        leaves.retain(|leaf| Self::value(one, leaf) != Self::value(other, leaf));
        leaves
    }

    fn check(&self, store: &Store, snapshot: &Snapshot) {
        let seen = Layer::ALL.iter().flat_map(|layer| {
            snapshot
                .layer(*layer)
                .map(|(k, leaf)| ((*layer, k.clone()), ((*leaf.value).clone(), leaf.commit)))
        });
        assert_eq!(&seen.collect::<State>(), self.now());
        assert_eq!(snapshot.head(), self.states.len() as u64 - 1);
        let effective: BTreeMap<&Key, &Value> =
            self.now().iter().map(|((_, key), (value, _))| (key, value)).collect();
        let seen: Vec<_> = snapshot.effective().map(|(key, leaf)| (key, &*leaf.value)).collect();
        assert_eq!(seen, effective.iter().map(|(k, v)| (*k, *v)).collect::<Vec<_>>());
        for prefix in ["a", "a.b", "a.b.c", "b"] {
            let prefix: Key = prefix.parse().unwrap();
            let below: Vec<_> = snapshot.below(&prefix).collect();
            let expected = effective.iter().filter(|(k, _)| k.is_at_or_below(&prefix)).map(|(k, v)| (*k, *v));
            assert_eq!(below, expected.collect::<Vec<_>>(), "below {prefix}");
        }
        let verified = store.verify_history().unwrap();
        assert_eq!((verified.commits, verified.last), (snapshot.head(), snapshot.head()));
    }

    /// Checks what the store says a revert is, and gives its edits.
    fn revert(&self, store: &Store, snapshot: &Snapshot, id: usize) -> Vec<Edit> {
        let (before, after) = (&self.states[id - 1], &self.states[id]);
        let mut conflicts = Vec::new();
        let mut wanted = Vec::new();
        for leaf in Self::differing(before, after) {
            if leaf.0 == Layer::Default || Self::value(self.now(), &leaf) != Self::value(after, &leaf) {
                conflicts.push(leaf.1);
            } else {
                wanted.push((leaf.0, leaf.1.clone(), Self::value(before, &leaf)));
            }
        }
        conflicts.sort();
        conflicts.dedup();
        let revert = store.revert_edits(snapshot, id as u64).unwrap();
        assert_eq!(revert.conflicts, conflicts);
        let mut edits: Vec<_> =
            revert.edits.iter().map(|e| (e.layer, e.key.clone(), e.value.clone())).collect();
        edits.sort_by_key(|(layer, key, _)| (*layer, key.clone()));
        assert_eq!(edits, wanted);
        revert.edits
    }
}

fn play(steps: Vec<Step>) {
    let home = Home::new();
    let Opened { mut store, mut snapshot, .. } = home.open();
    let mut toy = Toy { states: vec![State::new()], pending: Default::default() };
    let mut pending = Pending::default();
    let (now, names) = (Instant::now(), ["one", "two"].map(|name| TransactionName::parse(name).unwrap()));
    for step in steps {
        let edits = match step {
            Step::Commit(edits) => edits,
            Step::Pend(tx, edits) => {
                toy.pending[tx].extend(edits.iter().map(|e| ((e.key.clone(), e.layer), e.value.clone())));
                pending.write(&names[tx], edits, now).unwrap();
                continue;
            }
            Step::CommitPending(tx) => {
                let edits = pending.get(&names[tx]).map(datastore::Transaction::edits).unwrap_or_default();
                let expected = std::mem::take(&mut toy.pending[tx]);
                let expected = expected.into_iter().map(|((key, layer), value)| Edit { layer, key, value });
                assert_eq!(edits, expected.collect::<Vec<_>>());
                pending.settle(&names[tx], &edits);
                assert!(pending.get(&names[tx]).is_none());
                edits
            }
            Step::Defaults(leaves) => {
                let wanted: BTreeMap<Key, Value> = leaves.iter().cloned().collect();
                let old = toy.now().keys().filter(|(layer, _)| *layer == Layer::Default);
                let edits = old.map(|(layer, key)| Edit { layer: *layer, key: key.clone(), value: None });
                let new = |(key, value)| Edit { layer: Layer::Default, key, value: Some(value) };
                let edits: Vec<Edit> = edits.chain(wanted.into_iter().map(new)).collect();
                toy.commit(edits);
                if Toy::differing(toy.now(), &toy.states[toy.states.len() - 2]).is_empty() {
                    toy.states.pop();
                }
                snapshot = store.replace_defaults(snapshot, leaves, author(), 2).unwrap();
                toy.check(&store, &snapshot);
                continue;
            }
            Step::Revert(_) if toy.states.len() == 1 => continue,
            Step::Revert(index) => toy.revert(&store, &snapshot, index.index(toy.states.len() - 1) + 1),
            Step::Restore(index) => {
                let id = index.index(toy.states.len());
                let edits = store.restore_edits(&snapshot, id as u64).unwrap();
                let mut differing = Toy::differing(&toy.states[id], toy.now());
                differing.retain(|(layer, _)| *layer != Layer::Default);
                assert_eq!(edits.iter().map(|e| (e.layer, e.key.clone())).collect::<Vec<_>>(), differing);
                assert!(
                    edits.iter().all(|e| e.value == Toy::value(&toy.states[id], &(e.layer, e.key.clone())))
                );
                edits
            }
            Step::Reopen => {
                drop(store);
                let opened = home.open();
                assert_eq!(opened.snapshot, snapshot);
                assert_eq!(opened.quarantined, []);
                store = opened.store;
                continue;
            }
        };
        toy.commit(edits.clone());
        let (commit, after) = store.commit(&snapshot, request(edits)).unwrap();
        let differing = Toy::differing(toy.now(), &toy.states[toy.states.len() - 2]);
        assert_eq!(commit.changes.len(), differing.len());
        assert_eq!(store.commit_by_id(commit.id).unwrap().as_ref(), Some(&commit));
        snapshot = after;
        toy.check(&store, &snapshot);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_store_does_what_a_list_of_maps_does(steps in steps()) {
        play(steps);
    }
}
