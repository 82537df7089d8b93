//! The history, and the way back.

use super::answer;
use super::extract::{Number, Query};
use super::query::Change;
use crate::{ApiError, App, Back, Peer, document};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;
use std::sync::Arc;
use wire::{Commit, CommitSummary, ErrorBody, Tampered, Verification};

/// Commits of one page where none is asked for, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 1000;

#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<usize>,
    before: Option<u64>,
}

/// The history, newest commit first.
#[utoipa::path(get, path = "/commits", tag = "history",
    params(
        ("limit" = Option<usize>, Query, description = "At most so many; 50 when absent, never more than 1000"),
        ("before" = Option<u64>, Query, description = "Only commits older than this one"),
    ),
    responses((status = 200, body = Vec<CommitSummary>), (status = 400, body = ErrorBody)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<CommitSummary>>, ApiError> {
    let limit = page.limit.unwrap_or(PAGE).min(LARGEST_PAGE);
    let history = app.with_store(move |store| store.history(limit, page.before)).await?;
    Ok(Json(history.map_err(ApiError::Store)?.into_iter().map(document::summary).collect()))
}

/// One commit with its changes.
#[utoipa::path(get, path = "/commits/{id}", tag = "history",
    params(("id" = u64, Path, description = "The commit")),
    responses((status = 200, body = Commit), (status = 404, body = ErrorBody)))]
pub(super) async fn show(State(app): State<Arc<App>>, Number(id): Number) -> Result<Json<Commit>, ApiError> {
    let commit = app.with_store(move |store| store.commit_by_id(id)).await?.map_err(ApiError::Store)?;
    let commit = commit.ok_or_else(|| ApiError::NotFound { what: format!("there is no commit {id}") })?;
    Ok(Json(document::commit(commit)))
}

/// Checks the history against its chain of hashes.
#[utoipa::path(get, path = "/commits/verify", tag = "history", responses((status = 200, body = Verification)))]
pub(super) async fn verify(State(app): State<Arc<App>>) -> Result<Json<Verification>, ApiError> {
    let verified = app.with_store(|store| store.verify_history()).await?;
    Ok(Json(match verified {
        Ok(datastore::Verified { commits, first, last }) => {
            Verification { intact: true, commits, first, last, fault: None }
        }
        Err(datastore::Tampered { commit, why }) => {
            tracing::warn!(commit, why, "the history is not as it was made");
            let fault = Some(Tampered { commit, why });
            Verification { intact: false, commits: 0, first: 0, last: 0, fault }
        }
    }))
}

/// Undoes one commit and nothing that came after it, as a new commit that is applied.
#[utoipa::path(post, path = "/commits/{id}/revert", tag = "history",
    params(
        ("id" = u64, Path, description = "The commit"),
        ("message" = Option<String>, Query, description = "Why, for the history"),
        ("try" = Option<u64>, Query, description = "Undo it after so many seconds unless it is confirmed"),
    ),
    responses(
        (status = 200, body = Vec<String>,
            description = "The keys; headers `visco-commit` and `visco-job` have the commit and the job"),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Later commits changed the same keys"),
    ))]
pub(super) async fn revert(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Number(id): Number,
    Query(tx): Query<Change>,
) -> Result<Response, ApiError> {
    let committed = app.go_back(Back::Revert(id), peer, tx.options(peer)?).await?;
    Ok(answer(app.apply(committed)))
}

/// Goes back to the state right after a commit, as a new commit that is applied.
#[utoipa::path(post, path = "/commits/{id}/restore", tag = "history",
    params(
        ("id" = u64, Path, description = "The commit"),
        ("message" = Option<String>, Query, description = "Why, for the history"),
        ("try" = Option<u64>, Query, description = "Undo it after so many seconds unless it is confirmed"),
    ),
    responses(
        (status = 200, body = Vec<String>,
            description = "The keys; headers `visco-commit` and `visco-job` have the commit and the job"),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
    ))]
pub(super) async fn restore(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Number(id): Number,
    Query(tx): Query<Change>,
) -> Result<Response, ApiError> {
    let committed = app.go_back(Back::Restore(id), peer, tx.options(peer)?).await?;
    Ok(answer(app.apply(committed)))
}

/// Ends the trial of a commit: it stays.
#[utoipa::path(post, path = "/commits/{id}/confirm", tag = "history",
    params(("id" = u64, Path, description = "The commit")),
    responses(
        (status = 204), (status = 409, body = ErrorBody, description = "The commit is not on trial"),
    ))]
pub(super) async fn confirm(State(app): State<Arc<App>>, Number(id): Number) -> Result<StatusCode, ApiError> {
    app.confirm(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
