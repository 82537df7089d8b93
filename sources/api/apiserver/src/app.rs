//! The server without its socket.

use crate::error::violation;
use crate::events::Events;
use crate::jobs::Jobs;
use crate::metrics::Metrics;
use crate::published::Published;
use crate::trials::Trials;
use crate::{ApiError, Image, Policy};
use datastore::{Edit, Layer, Pending, Quarantined, Snapshot, Store, TransactionName};
use host::Host;
use serde_json::Value;
use settings::{Key, Schema, Violation};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

/// Everything that requests share.
#[derive(Debug)]
pub struct App {
    /// The host.
    pub host: Host,
    /// What the image says of itself.
    pub image: Image,
    /// The settings that this variant has.
    pub schema: Schema,
    /// Who may do what.
    pub policy: Policy,
    /// Apply jobs.
    pub jobs: Jobs,
    /// What happened, for those who listen.
    pub events: Events,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// When the server started.
    pub started: Instant,
    pub(crate) trials: Trials,
    published: RwLock<Arc<Published>>,
    pending: Mutex<Pending>,
    /// What was marked as done, with the commit that did.
    marks: Mutex<BTreeMap<String, u64>>,
    quarantined: Mutex<Vec<Quarantined>>,
    /// Locked by one task at a time, on a thread that may block.
    store: Arc<Mutex<Store>>,
    /// Held from the check of a commit until its snapshot is in place.
    pub(crate) committing: tokio::sync::Mutex<()>,
}

/// What an [`App`] is made of.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Parts {
    pub host: Host,
    pub image: Image,
    pub schema: Schema,
    pub policy: Policy,
    pub jobs: Jobs,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub store: Store,
    pub snapshot: Snapshot,
    pub marks: BTreeMap<String, u64>,
}

impl App {
    /// A server for an opened store.
    pub fn new(parts: Parts) -> Self {
        let quarantined = parts.store.quarantined().cloned().collect();
        Self {
            host: parts.host,
            image: parts.image,
            schema: parts.schema,
            policy: parts.policy,
            jobs: parts.jobs,
            events: parts.events,
            metrics: parts.metrics,
            started: Instant::now(),
            trials: Trials::default(),
            published: RwLock::new(Arc::new(Published::new(parts.snapshot))),
            pending: Mutex::default(),
            marks: Mutex::new(parts.marks),
            quarantined: Mutex::new(quarantined),
            store: Arc::new(Mutex::new(parts.store)),
            committing: tokio::sync::Mutex::new(()),
        }
    }

    /// The state that reads are answered from.
    pub fn snapshot(&self) -> Arc<Published> {
        // Nothing panics while the lock is held for these few instructions; were it to, the state is whole.
        self.published.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was marked as done, with the commit that did.
    pub fn marks(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stored values that are left out.
    pub fn quarantined(&self) -> MutexGuard<'_, Vec<Quarantined>> {
        self.quarantined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, next: Snapshot) {
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Published::new(next));
    }

    pub(crate) fn pending(&self) -> MutexGuard<'_, Pending> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.expire(Instant::now());
        pending
    }

    /// Does something with the store, on a thread that may block.
    pub(crate) async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || {
            work(&mut store.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.map_err(|e| ApiError::Internal { what: format!("work on the store: {e}") })
    }

    /// The edits of a transaction, in the order of their keys.
    pub(crate) fn edits(&self, tx: &TransactionName) -> Vec<Edit> {
        self.pending().get(tx).map(datastore::Transaction::edits).unwrap_or_default()
    }

    /// Checks a settings object and writes its leaves into a transaction: all or none.
    pub fn patch(&self, tx: &TransactionName, layer: Layer, settings: &Value) -> Result<(), ApiError> {
        let leaves = self.schema.flatten(settings).map_err(ApiError::Invalid)?;
        self.write(tx, layer, leaves.into_iter().map(|(key, value)| (key, Some(value))))
    }

    /// Checks `key=value` pairs, read by the types of their keys, and writes them into a transaction.
    pub fn patch_pairs(&self, tx: &TransactionName, layer: Layer, pairs: &[String]) -> Result<(), ApiError> {
        let (mut leaves, mut wrong) = (Vec::new(), Vec::new());
        for pair in pairs {
            match self.read_pair(pair) {
                Ok((key, value)) => leaves.push((key, Some(value))),
                Err(violation) => wrong.push(violation),
            }
        }
        if wrong.is_empty() { self.write(tx, layer, leaves) } else { Err(ApiError::Invalid(wrong)) }
    }

    fn read_pair(&self, pair: &str) -> Result<(Key, Value), Violation> {
        let fault = |rule: String| violation(pair, &rule);
        let (name, text) =
            pair.split_once('=').ok_or_else(|| fault("must have the form key=value".to_owned()))?;
        let key = setting_key(name).map_err(|e| fault(format!("has no valid key: {e}")))?;
        self.schema.check_text(&key, text)
    }

    /// Writes into a transaction that keys, and all keys below them, are to be unset in a layer.
    pub fn unset(&self, tx: &TransactionName, layer: Layer, keys: &[Key]) -> Result<(), ApiError> {
        let snapshot = self.snapshot();
        let written = self.edits(tx);
        let mut gone = Vec::new();
        for key in keys {
            let left_out = |key: &Key| {
                self.quarantined().iter().any(|q| q.layer == layer.name() && q.key == key.as_str())
            };
            let key = match self.schema.find(key) {
                Ok(found) => found.key,
                Err(_) if left_out(key) => key.clone(),
                Err(violation) => return Err(ApiError::UnknownKey(violation)),
            };
            let stored = snapshot.layer(layer).map(|(key, _)| key);
            let pending = written.iter().filter(|e| e.layer == layer && e.value.is_some()).map(|e| &e.key);
            let below: Vec<Key> =
                stored.chain(pending).filter(|below| below.is_at_or_below(&key)).cloned().collect();
            if below.is_empty() && !left_out(&key) {
                return Err(ApiError::NotFound { what: self.nothing_to_unset(&key, layer) });
            }
            gone.extend(if below.is_empty() { vec![key] } else { below });
        }
        self.write(tx, layer, gone.into_iter().map(|key| (key, None)))
    }

    fn nothing_to_unset(&self, key: &Key, layer: Layer) -> String {
        let snapshot = self.snapshot();
        let elsewhere = Layer::ALL.into_iter().filter(|other| {
            *other != layer && snapshot.layer(*other).any(|(below, _)| below.is_at_or_below(key))
        });
        let elsewhere: Vec<&str> = elsewhere.map(Layer::name).collect();
        let what = format!("{key} has no value in the layer '{layer}'");
        match elsewhere.as_slice() {
            [] => format!("{what}, nor in any other"),
            layers => format!("{what}; it comes from '{}'", layers.join("', '")),
        }
    }

    fn write(
        &self,
        tx: &TransactionName,
        layer: Layer,
        leaves: impl IntoIterator<Item = (Key, Option<Value>)>,
    ) -> Result<(), ApiError> {
        let edits = leaves.into_iter().map(|(key, value)| Edit { layer, key, value }).collect();
        self.pending().write(tx, edits, Instant::now()).map_err(ApiError::Pending)
    }

    /// Checks settings as if they were set, without storing them. Gives what deserves a look.
    pub fn validate(&self, settings: &Value) -> Result<Vec<Violation>, ApiError> {
        let leaves = self.schema.flatten(settings).map_err(ApiError::Invalid)?;
        let edit = |(key, value)| Edit { layer: Layer::Api, key, value: Some(value) };
        let edits: Vec<Edit> = leaves.into_iter().map(edit).collect();
        Ok(self.schema.warnings(&self.check_rules(&edits)?))
    }

    /// The state after edits, if no rule between keys is broken in it.
    pub(crate) fn check_rules(&self, edits: &[Edit]) -> Result<Snapshot, ApiError> {
        let before = self.snapshot();
        let after = before.with(edits, before.head() + 1);
        let keys: Vec<Key> = edits.iter().map(|edit| edit.key.clone()).collect();
        let broken = self.schema.broken_rules(&after, &keys);
        if broken.is_empty() { Ok(after) } else { Err(ApiError::Invalid(broken)) }
    }
}

/// A key as users may write it: the first segment `settings` may be left out.
pub(crate) fn setting_key(name: &str) -> Result<Key, settings::KeyError> {
    if name == "settings" || name.starts_with("settings.") {
        name.parse()
    } else {
        format!("settings.{name}").parse()
    }
}
