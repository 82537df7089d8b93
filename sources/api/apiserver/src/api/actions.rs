//! Jobs, events, and actions on the host.

use super::extract::{Number, Query};
use crate::{ApiError, App};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use host::Command;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use wire::{ErrorBody, Event, Job};

/// How long one request may wait for a job; a client asks again after it.
const LONGEST_WAIT: u64 = 60;

/// The apply jobs that are remembered, oldest first.
#[utoipa::path(get, path = "/jobs", tag = "jobs", responses((status = 200, body = Vec<Job>)))]
pub(super) async fn jobs(State(app): State<Arc<App>>) -> Json<Vec<Job>> {
    Json(app.jobs.list())
}

#[derive(Deserialize)]
pub(super) struct Wait {
    wait: Option<u64>,
}

/// One apply job.
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs",
    params(
        ("id" = u64, Path, description = "The job"),
        ("wait" = Option<u64>, Query, description = "Wait so many seconds, at most 60, for it to end"),
    ),
    responses((status = 200, body = Job), (status = 404, body = ErrorBody)))]
pub(super) async fn job(
    State(app): State<Arc<App>>,
    Number(id): Number,
    Query(query): Query<Wait>,
) -> Result<Json<Job>, ApiError> {
    let limit = Duration::from_secs(query.wait.unwrap_or(0).min(LONGEST_WAIT));
    let job = app.jobs.wait(id, limit).await;
    job.map(Json).ok_or_else(|| ApiError::NotFound { what: format!("there is no job {id}") })
}

/// Commits, jobs and ends of trials, as they happen.
#[utoipa::path(get, path = "/events", tag = "jobs",
    responses((status = 200, body = Event, content_type = "text/event-stream")))]
pub(super) async fn events(State(app): State<Arc<App>>) -> Response {
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    (headers, app.events.stream()).into_response()
}

/// Reboots the host, unless a program asked not to. A host in a directory only records it.
#[utoipa::path(post, path = "/actions/reboot", tag = "actions",
    responses((status = 204), (status = 403, body = ErrorBody), (status = 500, body = ErrorBody)))]
pub(super) async fn reboot(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    let command = Command::new(["systemctl", "reboot", "--check-inhibitors=yes"]);
    let host = app.host.clone();
    let line = command.argv.join(" ");
    let acted = tokio::task::spawn_blocking(move || host.act(&command)).await;
    let acted = acted.map_err(|e| ApiError::Internal { what: format!("reboot: {e}") })?;
    match acted.map_err(ApiError::Command)? {
        Some(output) if !output.status.success() => Err(ApiError::CommandFailed {
            command: line,
            status: output.status.to_string(),
            stderr: output.stderr,
        }),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}
