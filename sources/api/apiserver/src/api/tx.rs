//! Pending transactions.

use super::extract::Query;
use super::query::{Change, Select, keys};
use super::{answer, number};
use crate::{ApiError, App, Peer};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::Value;
use settings::{Key, nest_below};
use std::sync::Arc;
use wire::{Diff, ErrorBody, routes};

/// The settings that a transaction would set.
#[utoipa::path(get, path = "/tx", tag = "transactions",
    params(("tx" = Option<String>, Query, description = "The transaction; `default` when absent")),
    responses((status = 200, body = Object), (status = 400, body = ErrorBody)))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Query(tx): Query<Change>,
) -> Result<Json<Value>, ApiError> {
    let edits = app.edits(&tx.name()?);
    let leaves = edits.iter().filter_map(|edit| edit.value.as_ref().map(|value| (&edit.key, value)));
    Ok(Json(nest_below(leaves, 1)))
}

/// Drops a transaction. Gives the keys it was about.
#[utoipa::path(delete, path = "/tx", tag = "transactions",
    params(("tx" = Option<String>, Query, description = "The transaction; `default` when absent")),
    responses((status = 200, body = Vec<String>), (status = 400, body = ErrorBody)))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Query(tx): Query<Change>,
) -> Result<Json<Vec<Key>>, ApiError> {
    let edits = app.pending().take(&tx.name()?).map(|t| t.edits()).unwrap_or_default();
    let mut keys: Vec<Key> = edits.into_iter().map(|edit| edit.key).collect();
    keys.dedup();
    Ok(Json(keys))
}

/// The names of the pending transactions.
#[utoipa::path(get, path = "/tx/list", tag = "transactions", responses((status = 200, body = Vec<String>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Vec<String>> {
    Json(app.pending().names().map(|name| name.as_str().to_owned()).collect())
}

/// What committing and applying a transaction would do.
#[utoipa::path(get, path = "/tx/diff", tag = "transactions",
    params(("tx" = Option<String>, Query, description = "The transaction; `default` when absent")),
    responses((status = 200, body = Diff), (status = 400, body = ErrorBody)))]
pub(super) async fn diff(
    State(app): State<Arc<App>>,
    Query(tx): Query<Change>,
) -> Result<Json<Diff>, ApiError> {
    Ok(Json(app.diff(&app.edits(&tx.name()?))))
}

/// Commits a transaction.
#[utoipa::path(post, path = "/tx/commit", tag = "transactions",
    params(
        ("tx" = Option<String>, Query, description = "The transaction; `default` when absent"),
        ("message" = Option<String>, Query, description = "Why, for the history"),
        ("mark" = Option<String>, Query, description = "What is done with this once and for all"),
        ("try" = Option<u64>, Query, description = "Undo it after so many seconds unless it is confirmed"),
    ),
    responses(
        (status = 200, body = Vec<String>, description = "The keys; header `visco-commit` has the commit"),
        (status = 400, body = ErrorBody), (status = 403, body = ErrorBody), (status = 422, body = ErrorBody),
    ))]
pub(super) async fn commit(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Query(tx): Query<Change>,
) -> Result<Response, ApiError> {
    Ok(answer(app.commit(&tx.name()?, peer, tx.options(peer)?).await?))
}

/// Commits a transaction and has its keys applied.
#[utoipa::path(post, path = "/tx/commit_and_apply", tag = "transactions",
    params(
        ("tx" = Option<String>, Query, description = "The transaction; `default` when absent"),
        ("message" = Option<String>, Query, description = "Why, for the history"),
        ("mark" = Option<String>, Query, description = "What is done with this once and for all"),
        ("try" = Option<u64>, Query, description = "Undo it after so many seconds unless it is confirmed"),
    ),
    responses(
        (status = 200, body = Vec<String>,
            description = "The keys; headers `visco-commit` and `visco-job` have the commit and the job"),
        (status = 400, body = ErrorBody), (status = 403, body = ErrorBody), (status = 422, body = ErrorBody),
    ))]
pub(super) async fn commit_and_apply(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Query(tx): Query<Change>,
) -> Result<Response, ApiError> {
    let committed = app.commit(&tx.name()?, peer, tx.options(peer)?).await?;
    Ok(answer(app.apply(committed)))
}

/// Has keys applied, or everything.
#[utoipa::path(post, path = "/tx/apply", tag = "transactions",
    params(("keys" = Option<String>, Query, description = "Comma-separated keys; everything when absent")),
    responses(
        (status = 204, description = "Header `visco-job` has the job"), (status = 400, body = ErrorBody),
    ))]
pub(super) async fn apply(
    State(app): State<Arc<App>>,
    Query(select): Query<Select>,
) -> Result<Response, ApiError> {
    let keys = select.keys.as_deref().map(keys).transpose()?;
    let job = app.jobs.start(None, keys.map(|keys| keys.iter().map(Key::to_string).collect()));
    Ok((StatusCode::NO_CONTENT, number(routes::JOB_HEADER, job)).into_response())
}
