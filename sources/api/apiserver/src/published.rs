//! A snapshot as requests see it, with the answers that are made of it once.

use bytes::Bytes;
use datastore::Snapshot;
use serde_json::Value;
use settings::nest_below;
use std::ops::Deref;
use std::sync::OnceLock;

/// One immutable state, with the answers that are made of it once.
#[derive(Debug)]
pub struct Published {
    snapshot: Snapshot,
    settings: OnceLock<Bytes>,
    pub(crate) model: OnceLock<Bytes>,
}

impl Deref for Published {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Published {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, settings: OnceLock::new(), model: OnceLock::new() }
    }

    /// All settings, as JSON text. Most reads of the host ask for it, many times between two commits.
    pub fn settings(&self) -> Bytes {
        self.settings.get_or_init(|| self.tree().to_string().into()).clone()
    }

    /// All settings as an object.
    pub(crate) fn tree(&self) -> Value {
        nest_below(self.effective().map(|(key, leaf)| (key, &*leaf.value)), 1)
    }
}
