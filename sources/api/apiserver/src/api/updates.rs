//! Updates of the host.

use super::extract::Query;
use crate::{ApiError, App, updates};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use wire::{ErrorBody, UpdateCommand, UpdateStatus};

/// Has the host look for updates. The answer says that it began; `/updates/status` says when it has ended.
#[utoipa::path(post, path = "/actions/refresh-updates", tag = "updates",
    responses((status = 204), (status = 423, body = ErrorBody), (status = 500, body = ErrorBody)))]
pub(super) async fn refresh(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    start(&app, UpdateCommand::Refresh).await
}

/// Has the chosen update written to the inactive set of partitions. The running system stays as it is.
#[utoipa::path(post, path = "/actions/prepare-update", tag = "updates",
    responses((status = 204), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 423, body = ErrorBody), (status = 500, body = ErrorBody)))]
pub(super) async fn prepare(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    start(&app, UpdateCommand::Prepare).await
}

/// Has the update that was written boot next.
#[utoipa::path(post, path = "/actions/activate-update", tag = "updates",
    responses((status = 204), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 423, body = ErrorBody), (status = 500, body = ErrorBody)))]
pub(super) async fn activate(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    start(&app, UpdateCommand::Activate).await
}

/// Has the running system boot next again.
#[utoipa::path(post, path = "/actions/deactivate-update", tag = "updates",
    responses((status = 204), (status = 409, body = ErrorBody), (status = 423, body = ErrorBody),
        (status = 500, body = ErrorBody)))]
pub(super) async fn deactivate(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    start(&app, UpdateCommand::Deactivate).await
}

async fn start(app: &App, command: UpdateCommand) -> Result<StatusCode, ApiError> {
    updates::start(&app.host, command).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Which {
    version: Option<String>,
}

/// Forgets that a version fell back, so that it may be chosen again.
#[utoipa::path(post, path = "/actions/forget-update", tag = "updates",
    params(("version" = String, Query, description = "The version, such as 1.2.3")),
    responses((status = 204), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 423, body = ErrorBody), (status = 500, body = ErrorBody)))]
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
) -> Result<StatusCode, ApiError> {
    let version = which.version.filter(|version| !version.is_empty());
    let version =
        version.ok_or_else(|| ApiError::BadRequest { what: "the query needs 'version'".to_owned() })?;
    updates::forget(&app.host, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the host knows of its update.
#[utoipa::path(get, path = "/updates/status", tag = "updates",
    responses((status = 200, body = UpdateStatus), (status = 404, body = ErrorBody),
        (status = 500, body = ErrorBody)))]
pub(super) async fn status(State(app): State<Arc<App>>) -> Result<Json<UpdateStatus>, ApiError> {
    updates::status(&app.host).await.map(Json)
}
