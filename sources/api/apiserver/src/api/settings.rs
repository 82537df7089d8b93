//! Settings.

use super::extract::{Json, Query};
use super::json;
use super::query::{Change, Select, keys, setting_keys};
use crate::{ApiError, App, Peer, document};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use datastore::{Snapshot, Store};
use serde_json::Value;
use settings::{Key, nest_below};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ErrorBody, KeyPairs, Origin, Validation};

/// Settings: all of them, some keys, or those under a prefix. `keys` wins over `prefix`.
#[utoipa::path(get, path = "/settings", tag = "settings",
    params(
        ("keys" = Option<String>, Query, description = "Comma-separated keys; those without a value are left out"),
        ("prefix" = Option<String>, Query, description = "What keys begin with; `settings.` may be left out"),
    ),
    responses(
        (status = 200, body = Object, description = "The settings, without an outer `settings`"),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "There are no settings at all"),
    ))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Query(select): Query<Select>,
) -> Result<Response, ApiError> {
    let snapshot = app.snapshot();
    if let Some(list) = &select.keys {
        let keys = keys(list)?;
        let leaves = keys.iter().filter_map(|key| snapshot.leaf(key).map(|leaf| (key, &*leaf.value)));
        return Ok(json(nest_below(leaves, 1).to_string().into()));
    }
    match select.prefix()? {
        Some(prefix) => Ok(json(below_prefix(&snapshot, below_settings(prefix)?).to_string().into())),
        None if snapshot.effective().next().is_none() => {
            Err(ApiError::NotFound { what: "there are no settings".to_owned() })
        }
        None => Ok(json(snapshot.settings())),
    }
}

/// A prefix without `settings.`. What no key can begin with is an error.
fn below_settings(prefix: &str) -> Result<&str, ApiError> {
    let below = match prefix.strip_prefix("settings") {
        Some("") => "",
        Some(rest) => rest.strip_prefix('.').unwrap_or(prefix),
        None => prefix,
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '"');
    match prefix.chars().find(|c| !allowed(*c)) {
        Some(found) => {
            let what = format!("the prefix '{prefix}' has the character {found:?}, which no key has");
            Err(ApiError::BadRequest { what })
        }
        None => Ok(below),
    }
}

/// The settings whose names, without `settings.`, begin with a text. A whole name wins over names that only
/// begin with it, so that `motd` does not also give `motd-something`.
pub(super) fn below_prefix(snapshot: &Snapshot, prefix: &str) -> Value {
    let found = keys_below_prefix(snapshot, prefix);
    nest_below(found.iter().filter_map(|key| snapshot.leaf(key).map(|leaf| (*key, &*leaf.value))), 1)
}

fn keys_below_prefix<'a>(snapshot: &'a Snapshot, prefix: &str) -> Vec<&'a Key> {
    let prefix = format!("settings.{prefix}");
    let keys = || snapshot.effective().map(|(key, _)| key);
    if let Ok(whole) = prefix.parse() {
        let exact: Vec<_> = keys().filter(|key| key.is_at_or_below(&whole)).collect();
        if !exact.is_empty() {
            return exact;
        }
    }
    keys().filter(|key| key.as_str().starts_with(&prefix)).collect()
}

/// Writes settings into a transaction. Members that are null are left as they are.
#[utoipa::path(patch, path = "/settings", tag = "settings", request_body = Object,
    params(
        ("tx" = Option<String>, Query, description = "The transaction; `default` when absent"),
        ("layer" = Option<String>, Query, description = "`generated`, `user-data` or `api`"),
    ),
    responses(
        (status = 204), (status = 400, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 413, body = ErrorBody), (status = 429, body = ErrorBody),
    ))]
pub(super) async fn patch(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Query(tx): Query<Change>,
    Json(settings): Json<Value>,
) -> Result<StatusCode, ApiError> {
    app.patch(&tx.name()?, tx.layer(peer)?, &settings)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes `key=value` pairs, read by the types of their keys, into a transaction.
#[utoipa::path(patch, path = "/settings/keypair", tag = "settings", request_body = KeyPairs,
    params(
        ("tx" = Option<String>, Query, description = "The transaction; `default` when absent"),
        ("layer" = Option<String>, Query, description = "`generated`, `user-data` or `api`"),
    ),
    responses(
        (status = 204), (status = 400, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 413, body = ErrorBody), (status = 429, body = ErrorBody),
    ))]
pub(super) async fn patch_pairs(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Query(tx): Query<Change>,
    Json(pairs): Json<KeyPairs>,
) -> Result<StatusCode, ApiError> {
    app.patch_pairs(&tx.name()?, tx.layer(peer)?, &pairs.request_payload)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes into a transaction that keys, and all keys below them, are unset in a layer. The layer below shows.
#[utoipa::path(delete, path = "/settings", tag = "settings",
    params(
        ("keys" = String, Query, description = "Comma-separated keys or groups; `settings.` may be left out"),
        ("tx" = Option<String>, Query, description = "The transaction; `default` when absent"),
        ("layer" = Option<String>, Query, description = "`generated`, `user-data` or `api`, the default"),
    ),
    responses(
        (status = 204), (status = 400, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "No such key, or it has no value in this layer"),
    ))]
pub(super) async fn unset(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Query(tx): Query<Change>,
) -> Result<StatusCode, ApiError> {
    let keys = setting_keys(tx.keys.as_deref())?;
    app.unset(&tx.name()?, tx.layer(peer)?, &keys)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks settings as if they were set, without storing them.
#[utoipa::path(post, path = "/settings/validate", tag = "settings", request_body = Object,
    responses((status = 200, body = Validation), (status = 400, body = ErrorBody)))]
pub(super) async fn validate(
    State(app): State<Arc<App>>,
    Json(settings): Json<Value>,
) -> Result<axum::Json<Validation>, ApiError> {
    let warnings = app.validate(&settings)?;
    Ok(axum::Json(Validation { valid: true, warnings }))
}

/// Where values come from: what every layer has, and who wrote it.
#[utoipa::path(get, path = "/settings/origin", tag = "settings",
    params(
        ("keys" = Option<String>, Query, description = "Comma-separated keys; `settings.` may be left out"),
        ("prefix" = Option<String>, Query, description = "What keys begin with; `settings.` may be left out"),
    ),
    responses((status = 200, body = Vec<Origin>), (status = 400, body = ErrorBody)))]
pub(super) async fn origin(
    State(app): State<Arc<App>>,
    Query(select): Query<Select>,
) -> Result<axum::Json<Vec<Origin>>, ApiError> {
    let snapshot = app.snapshot();
    let keys: Vec<Key> = match (&select.keys, select.prefix()?) {
        (Some(list), _) => setting_keys(Some(list))?,
        (None, prefix) => {
            let below = prefix.map(below_settings).transpose()?.unwrap_or_default();
            keys_below_prefix(&snapshot, below).into_iter().cloned().collect()
        }
    };
    let mut by = BTreeMap::new();
    for leaf in keys.iter().flat_map(|key| snapshot.origin(key)) {
        by.insert(leaf.commit, None);
    }
    let by = app.with_store(move |store| look_up(store, by)).await?;
    let origins = keys.iter().filter(|key| !snapshot.origin(key).is_empty()).map(|key| Origin {
        key: key.to_string(),
        values: snapshot
            .origin(key)
            .iter()
            .map(|leaf| document::origin_value(leaf, by.get(&leaf.commit).cloned().flatten()))
            .collect(),
    });
    Ok(axum::Json(origins.collect()))
}

type Summaries = BTreeMap<u64, Option<wire::CommitSummary>>;

/// Fills in the commits that the history still has.
fn look_up(store: &mut Store, mut commits: Summaries) -> Summaries {
    for (id, summary) in &mut commits {
        match store.history(1, Some(id + 1)) {
            Ok(found) => *summary = found.into_iter().find(|c| c.id == *id).map(document::summary),
            Err(error) => tracing::warn!(commit = id, %error, "look up a commit"),
        }
    }
    commits
}
