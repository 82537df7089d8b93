//! One immutable state of all layers.

use crate::{Change, Edit, Layer};
use rpds::RedBlackTreeMapSync;
use serde_json::Value;
use settings::{Key, View};
use std::cmp::Reverse;
use std::ops::Bound;
use std::sync::Arc;

/// A value as one layer holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// The layer.
    pub layer: Layer,
    /// The value.
    pub value: Arc<Value>,
    /// The commit that wrote it.
    pub commit: u64,
}

/// One state of all layers. Cheap to read, never changed. The next state shares all but a few nodes with it: with
/// 1,300 keys, copying a `BTreeMap` took as long as the synced write itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The values of every key, topmost layer first; never empty.
    leaves: RedBlackTreeMapSync<Key, Arc<[Leaf]>>,
    /// The newest commit.
    head: u64,
}

impl Snapshot {
    /// The newest commit in it; 0 where there is none.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The effective leaf of a key.
    pub fn leaf(&self, key: &Key) -> Option<&Leaf> {
        self.leaves.get(key).and_then(|values| values.first())
    }

    /// All values of a key, topmost layer first.
    pub fn origin(&self, key: &Key) -> &[Leaf] {
        self.leaves.get(key).map_or(&[], |values| values)
    }

    /// The value that one layer holds for a key.
    pub fn in_layer(&self, layer: Layer, key: &Key) -> Option<&Leaf> {
        self.origin(key).iter().find(|leaf| leaf.layer == layer)
    }

    /// All effective leaves, in the order of their keys.
    pub fn effective(&self) -> impl Iterator<Item = (&Key, &Leaf)> {
        self.leaves.iter().filter_map(|(key, values)| values.first().map(|leaf| (key, leaf)))
    }

    /// All keys that a layer holds, with their values.
    pub fn layer(&self, layer: Layer) -> impl Iterator<Item = (&Key, &Leaf)> {
        self.leaves
            .iter()
            .filter_map(move |(key, values)| values.iter().find(|l| l.layer == layer).map(|l| (key, l)))
    }

    /// The state after `edits`, as commit `commit`. Shares all it can with this one.
    #[must_use]
    pub fn with(&self, edits: &[Edit], commit: u64) -> Self {
        let mut next = self.clone();
        next.head = commit;
        for Edit { layer, key, value } in edits {
            next.put(*layer, key, value.clone(), commit);
        }
        next
    }

    /// The state after the changes of a commit.
    pub(crate) fn after(&self, changes: &[Change], commit: u64) -> Self {
        let mut next = self.clone();
        next.head = commit;
        for Change { layer, key, new, .. } in changes {
            next.put(*layer, key, new.clone(), commit);
        }
        next
    }

    pub(crate) fn put(&mut self, layer: Layer, key: &Key, value: Option<Value>, commit: u64) {
        let leaf = value.map(|value| Leaf { layer, value: Arc::new(value), commit });
        let others = || self.origin(key).iter().filter(|leaf| leaf.layer != layer).cloned();
        let mut values: Vec<Leaf> = others().chain(leaf).collect();
        values.sort_by_key(|leaf| Reverse(leaf.layer));
        if values.is_empty() {
            self.leaves.remove_mut(key);
        } else {
            self.leaves.insert_mut(key.clone(), values.into());
        }
    }

    pub(crate) fn leave_out(&mut self, layer: Layer, key: &Key) {
        self.put(layer, key, None, self.head);
    }

    pub(crate) fn set_head(&mut self, head: u64) {
        self.head = head;
    }
}

impl View for Snapshot {
    fn get(&self, key: &Key) -> Option<&Value> {
        self.leaf(key).map(|leaf| &*leaf.value)
    }

    fn below<'a>(&'a self, prefix: &Key) -> Box<dyn Iterator<Item = (&'a Key, &'a Value)> + 'a> {
        let prefix = prefix.clone();
        let from = (Bound::Included(prefix.clone()), Bound::Unbounded);
        let range = self.leaves.range(from).take_while({
            let prefix = prefix.clone();
            // Keys such as `a-b` stand between `a` and `a.b`; they share the text and are filtered out below.
            move |(key, _)| key.as_str().starts_with(prefix.as_str())
        });
        Box::new(
            range
                .filter(move |(key, _)| key.is_at_or_below(&prefix))
                .filter_map(|(key, values)| values.first().map(|leaf| (key, &*leaf.value))),
        )
    }
}
