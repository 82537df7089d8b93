//! The tables of the image: services, configuration files, metadata.

use super::extract::Query;
use super::query::{Select, split};
use crate::{ApiError, App};
use axum::Json;
use axum::extract::State;
use defaults::{Generator, Strength};
use serde_json::{Map, Value, json};
use settings::Key;
use std::sync::Arc;
use wire::{ConfigurationFile, ErrorBody, Service};

/// The services that changes of keys concern.
#[utoipa::path(get, path = "/metadata/affected-services", tag = "metadata",
    params(("keys" = String, Query, description = "Comma-separated keys; those that concern none are left out")),
    responses((status = 200, body = BTreeMap<String, Vec<String>>), (status = 400, body = ErrorBody)))]
pub(super) async fn affected_services(
    State(app): State<Arc<App>>,
    Query(select): Query<Select>,
) -> Result<Json<Value>, ApiError> {
    let keys = select.required_keys()?;
    let metadata = &app.image.variant.metadata;
    let affected = keys
        .iter()
        .filter_map(|key| metadata.affected_services(key).map(|services| (key.to_string(), json!(services))));
    Ok(Json(Value::Object(affected.collect())))
}

/// The commands that make values of settings.
#[utoipa::path(get, path = "/metadata/setting-generators", tag = "metadata",
    responses((status = 200, body = Object)))]
pub(super) async fn setting_generators(State(app): State<Arc<App>>) -> Json<Value> {
    let generators = app.image.variant.metadata.generators();
    let row = |(key, generator): (_, _)| (Key::to_string(key), row(generator));
    Json(Value::Object(generators.iter().map(row).collect()))
}

/// A generator in its documented forms: a command line, or a table where there is more to say.
fn row(generator: &Generator) -> Value {
    match generator.strength {
        Strength::Strong => Value::from(generator.command.as_str()),
        Strength::Weak => json!({"command": generator.command, "strength": "weak", "depth": 0}),
    }
}

/// Templates of settings. No setting has one: a setting made from others has a generator.
#[utoipa::path(get, path = "/metadata/templates", tag = "metadata",
    params(("keys" = String, Query, description = "Comma-separated keys")),
    responses((status = 200, body = BTreeMap<String, String>), (status = 400, body = ErrorBody)))]
pub(super) async fn templates(Query(select): Query<Select>) -> Result<Json<Value>, ApiError> {
    select.required_keys()?;
    Ok(Json(Value::Object(Map::new())))
}

/// Services: all, by name, or by prefix.
#[utoipa::path(get, path = "/services", tag = "metadata",
    params(
        ("names" = Option<String>, Query, description = "Comma-separated names"),
        ("prefix" = Option<String>, Query, description = "What names begin with; `services.` may be left out"),
    ),
    responses(
        (status = 200, body = BTreeMap<String, Service>),
        (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
    ))]
pub(super) async fn services(
    State(app): State<Arc<App>>,
    Query(select): Query<Select>,
) -> Result<Json<Value>, ApiError> {
    table(&json!(app.image.variant.services), "services", &select)
}

/// Configuration files: all, by name, or by prefix.
#[utoipa::path(get, path = "/configuration-files", tag = "metadata",
    params(
        ("names" = Option<String>, Query, description = "Comma-separated names"),
        ("prefix" = Option<String>, Query,
            description = "What names begin with; `configuration-files.` may be left out"),
    ),
    responses(
        (status = 200, body = BTreeMap<String, ConfigurationFile>),
        (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
    ))]
pub(super) async fn configuration_files(
    State(app): State<Arc<App>>,
    Query(select): Query<Select>,
) -> Result<Json<Value>, ApiError> {
    table(&json!(app.image.variant.configuration_files), "configuration-files", &select)
}

fn table(rows: &Value, name: &str, select: &Select) -> Result<Json<Value>, ApiError> {
    let rows = rows.as_object().expect("tables are maps");
    if let Some(names) = &select.names {
        let mut found = Map::new();
        for wanted in split("names", names)? {
            let row = rows
                .get(wanted)
                .ok_or_else(|| ApiError::NotFound { what: format!("{name} has no '{wanted}'") })?;
            found.insert(wanted.to_owned(), row.clone());
        }
        return Ok(Json(Value::Object(found)));
    }
    let prefix = select.prefix()?;
    if prefix.is_none() && rows.is_empty() {
        return Err(ApiError::NotFound { what: format!("there are no {name}") });
    }
    let prefix = prefix.unwrap_or_default();
    let prefix = prefix.strip_prefix(name).map_or(prefix, |rest| rest.strip_prefix('.').unwrap_or(prefix));
    let prefix = if prefix == name { "" } else { prefix };
    let matching = rows.iter().filter(|(row, _)| row.starts_with(prefix));
    Ok(Json(matching.map(|(row, value)| (row.clone(), value.clone())).collect()))
}
