//! What the server knows about itself and its settings.

use super::extract::Query;
use super::{json, openapi};
use crate::app::setting_key;
use crate::metrics::Gauges;
use crate::{ApiError, App};
use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use datastore::Layer;
use serde::Deserialize;
use settings::Node;
use std::sync::Arc;
use wire::{ErrorBody, Explanation, JobState, Quarantined, Status};

/// The state of the server.
#[utoipa::path(get, path = "/status", tag = "server", responses((status = 200, body = Status)))]
pub(super) async fn status(State(app): State<Arc<App>>) -> Json<Status> {
    Json(app.status())
}

impl App {
    /// The state of the server.
    pub fn status(&self) -> Status {
        let jobs = self.jobs.list();
        let failed = jobs.iter().filter(|job| job.state == JobState::Failed).count() as u64;
        let quarantined: Vec<Quarantined> = self
            .quarantined()
            .iter()
            .map(|q| Quarantined { layer: q.layer.clone(), key: q.key.clone(), why: q.why.clone() })
            .collect();
        let mut warnings: Vec<String> = quarantined
            .iter()
            .map(|q| format!("{} is left out of the layer '{}': {}", q.key, q.layer, q.why))
            .collect();
        warnings.extend(self.schema.warnings(&**self.snapshot()).iter().map(ToString::to_string));
        if let Some(job) = jobs.last().filter(|job| job.state == JobState::Failed) {
            warnings.push(format!("the newest job, {}, failed", job.id));
        }
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            variant: self.image.variant.name.clone(),
            uptime_s: self.started.elapsed().as_secs(),
            commit: self.snapshot().head(),
            marks: self.marks().clone(),
            quarantined,
            pending_transactions: self.pending().names().count() as u64,
            jobs_active: jobs.iter().filter(|job| !job.state.is_final()).count() as u64,
            jobs_failed: failed,
            trials: self.trials.list(),
            warnings,
        }
    }
}

/// Counters and times, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", tag = "server",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let snapshot = app.snapshot();
    let gauges = Gauges {
        commit: snapshot.head(),
        keys: snapshot.effective().count() as u64,
        pending: app.pending().names().count() as u64,
        quarantined: app.quarantined().len() as u64,
    };
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render(gauges)).into_response()
}

/// The JSON Schema of the settings of this variant.
#[utoipa::path(get, path = "/schema", tag = "server", responses((status = 200, body = Object)))]
pub(super) async fn schema(State(app): State<Arc<App>>) -> Response {
    json(app.schema.json_schema().to_string().into())
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "server", responses((status = 200, body = Object)))]
pub(super) async fn openapi() -> Response {
    json(serde_json::to_vec(&openapi::document()).expect("the document is JSON").into())
}

#[derive(Deserialize)]
pub(super) struct Which {
    key: Option<String>,
}

/// What is known about a key.
#[utoipa::path(get, path = "/explain", tag = "settings",
    params(("key" = String, Query, description = "The key; `settings.` may be left out")),
    responses((status = 200, body = Explanation), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn explain(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
) -> Result<Json<Explanation>, ApiError> {
    let name = which.key.ok_or_else(|| ApiError::BadRequest { what: "the query needs 'key'".to_owned() })?;
    app.explain(&name).map(Json)
}

impl App {
    /// What is known about a key.
    pub fn explain(&self, name: &str) -> Result<Explanation, ApiError> {
        let key = setting_key(name).map_err(ApiError::BadKey)?;
        let found = self.schema.find(&key).map_err(ApiError::UnknownKey)?;
        let (kind, rule, members) = match found.node {
            Node::Leaf(leaf) => ("value", Some(leaf.rule.clone()), Vec::new()),
            Node::Map(map) => ("map", Some(map.key_rule.to_owned()), Vec::new()),
            Node::Group(group) => {
                ("group", None, group.fields.iter().map(|field| field.name.clone()).collect())
            }
        };
        let snapshot = self.snapshot();
        let effective = snapshot.leaf(&found.key);
        let affected = self.image.variant.metadata.affected_services(&found.key).unwrap_or_default();
        Ok(Explanation {
            doc: found.doc.to_owned(),
            kind: kind.to_owned(),
            rule,
            members,
            default: snapshot.in_layer(Layer::Default, &found.key).map(|leaf| (*leaf.value).clone()),
            value: effective.map(|leaf| (*leaf.value).clone()),
            layer: effective.map(|leaf| leaf.layer.name().to_owned()),
            affected_services: affected.to_vec(),
            key: found.key.to_string(),
        })
    }
}
