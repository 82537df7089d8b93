//! HTTP to calls of [`App`]: handlers translate and delegate.

mod actions;
mod commits;
mod extract;
mod model;
mod openapi;
mod query;
mod settings;
mod status;
mod tables;
mod tx;
mod updates;

pub use extract::{BodyLimit, MAX_BODY};
pub use openapi::document;

use crate::metrics::Route;
use crate::policy::Role;
use crate::{ApiError, App, Peer};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, patch, post};
use bytes::Bytes;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;
use tower::Service as _;
use wire::{Committed, ErrorBody, routes};

/// All routes of a server, and what every request goes through.
#[derive(Clone, Debug)]
pub struct Api {
    app: Arc<App>,
    router: Router,
    body_limit: BodyLimit,
}

impl Api {
    /// The API of a server.
    pub fn new(app: Arc<App>, body_limit: BodyLimit) -> Self {
        Self { router: router(app.clone()), app, body_limit }
    }

    /// The server.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Answers a request of a peer.
    pub async fn answer(&self, peer: Peer, request: axum::http::Request<impl Into<Body>>) -> Response {
        let mut request: Request = request.map(Into::into);
        let started = Instant::now();
        let route = Route::of(request.uri().path());
        let role = Role::of(request.method(), request.uri().path());
        let as_text = wants_text(&request);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(self.body_limit);
        let mut response = if self.app.policy.allows(peer, role) {
            self.run(role, request).await
        } else {
            let what = format!("user {} does not have the role '{}'", peer.uid, role.name());
            ApiError::Forbidden { what }.into_response()
        };
        if as_text {
            response = error_as_text(response);
        }
        self.app.metrics.request(route, response.status(), started.elapsed());
        response
    }

    /// Runs the handler. One that changes something runs to its end even when its client goes away: a commit that
    /// is on the disk must also be shown to readers and applied.
    async fn run(&self, role: Role, request: Request) -> Response {
        let call = self.router.clone().call(request);
        let response = if role == Role::Read {
            call.await
        } else {
            match tokio::spawn(call).await {
                Ok(response) => response,
                Err(e) => return ApiError::Internal { what: format!("run a request: {e}") }.into_response(),
            }
        };
        match response {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// All routes.
fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(routes::ROOT, get(model::root))
        .route(routes::OS, get(model::os))
        .route(routes::SETTINGS, get(settings::get).patch(settings::patch).delete(settings::unset))
        .route(routes::KEYPAIR, patch(settings::patch_pairs))
        .route(routes::SETTINGS_VALIDATE, post(settings::validate))
        .route(routes::SETTINGS_ORIGIN, get(settings::origin))
        .route(routes::TX, get(tx::get).delete(tx::delete))
        .route(routes::TX_LIST, get(tx::list))
        .route(routes::TX_DIFF, get(tx::diff))
        .route(routes::TX_COMMIT, post(tx::commit))
        .route(routes::TX_APPLY, post(tx::apply))
        .route(routes::TX_COMMIT_AND_APPLY, post(tx::commit_and_apply))
        .route(routes::AFFECTED_SERVICES, get(tables::affected_services))
        .route(routes::SETTING_GENERATORS, get(tables::setting_generators))
        .route(routes::TEMPLATES, get(tables::templates))
        .route(routes::SERVICES, get(tables::services))
        .route(routes::CONFIGURATION_FILES, get(tables::configuration_files))
        .route(routes::COMMITS, get(commits::list))
        .route(routes::COMMITS_VERIFY, get(commits::verify))
        .route(routes::COMMIT, get(commits::show))
        .route(routes::COMMIT_REVERT, post(commits::revert))
        .route(routes::COMMIT_RESTORE, post(commits::restore))
        .route(routes::COMMIT_CONFIRM, post(commits::confirm))
        .route(routes::JOBS, get(actions::jobs))
        .route(routes::JOB, get(actions::job))
        .route(routes::EVENTS, get(actions::events))
        .route(routes::REBOOT, post(actions::reboot))
        .route(routes::REFRESH_UPDATES, post(updates::refresh))
        .route(routes::PREPARE_UPDATE, post(updates::prepare))
        .route(routes::ACTIVATE_UPDATE, post(updates::activate))
        .route(routes::DEACTIVATE_UPDATE, post(updates::deactivate))
        .route(routes::FORGET_UPDATE, post(updates::forget))
        .route(routes::UPDATES_STATUS, get(updates::status))
        .route(routes::STATUS, get(status::status))
        .route(routes::METRICS, get(status::metrics))
        .route(routes::SCHEMA, get(status::schema))
        .route(routes::EXPLAIN, get(status::explain))
        .route(routes::OPENAPI, get(status::openapi))
        .fallback(no_route)
        .method_not_allowed_fallback(bad_method)
        .with_state(app)
}

async fn no_route(request: Request) -> ApiError {
    ApiError::NoRoute { path: request.uri().path().to_owned() }
}

async fn bad_method(request: Request) -> ApiError {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    ApiError::BadMethod { method, path }
}

/// Whether the client reads text but no JSON.
fn wants_text(request: &Request) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/plain") && !accept.contains("json"))
}

fn error_as_text(mut response: Response) -> Response {
    let Some(error) = response.extensions_mut().remove::<ErrorBody>() else { return response };
    (response.status(), format!("{}\n", error.message)).into_response()
}

/// JSON text as an answer.
fn json(text: Bytes) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The documented body of a commit is the list of keys; what is new travels in headers.
fn answer(committed: Committed) -> Response {
    let commit = number(routes::COMMIT_HEADER, committed.commit);
    match committed.job {
        Some(job) => (commit, number(routes::JOB_HEADER, job), axum::Json(committed.keys)).into_response(),
        None => (commit, axum::Json(committed.keys)).into_response(),
    }
}

fn number(name: &'static str, number: u64) -> AppendHeaders<[(HeaderName, String); 1]> {
    AppendHeaders([(HeaderName::from_static(name), number.to_string())])
}

/// An answer never fails to be made.
pub type Answered = Result<Response, Infallible>;
