//! The whole model, and the operating system.

use super::extract::Query;
use super::json;
use super::query::Select;
use super::settings::below_prefix;
use crate::{ApiError, App};
use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json as value};
use std::sync::Arc;
use wire::{ErrorBody, Os};

/// The whole model: settings, services, configuration files, operating system.
#[utoipa::path(get, path = "/", tag = "model",
    params(("prefix" = Option<String>, Query, description = "Only what begins with this, such as `settings.kernel`")),
    responses((status = 200, body = Object), (status = 400, body = ErrorBody)))]
pub(super) async fn root(
    State(app): State<Arc<App>>,
    Query(select): Query<Select>,
) -> Result<Response, ApiError> {
    let prefix = select.prefix()?;
    if prefix.is_none() {
        let snapshot = app.snapshot();
        let whole = snapshot.model.get_or_init(|| model(&app, None).to_string().into());
        return Ok(json(whole.clone()));
    }
    Ok(json(model(&app, prefix).to_string().into()))
}

fn model(app: &App, prefix: Option<&str>) -> Value {
    let mut model = Map::new();
    for (name, part) in [
        ("settings", settings_part as fn(&App, &str) -> Value),
        ("services", |app, below| filtered(&value!(app.image.variant.services), below)),
        ("configuration-files", |app, below| filtered(&value!(app.image.variant.configuration_files), below)),
        ("os", |app, below| filtered(&value!(app.image.os), below)),
    ] {
        let Some(below) = below(name, prefix) else { continue };
        let value = part(app, below);
        if prefix.is_none() || value.as_object().is_none_or(|members| !members.is_empty()) {
            model.insert(name.to_owned(), value);
        }
    }
    Value::Object(model)
}

/// With what the names of a part's members must begin so that a prefix selects them; any name begins with nothing.
/// `None` where the prefix is about other parts.
fn below<'a>(part: &str, prefix: Option<&'a str>) -> Option<&'a str> {
    let Some(prefix) = prefix else { return Some("") };
    let canonical = format!("{part}.");
    if canonical.starts_with(prefix) { Some("") } else { prefix.strip_prefix(&canonical) }
}

fn settings_part(app: &App, below: &str) -> Value {
    below_prefix(&app.snapshot(), below)
}

fn filtered(value: &Value, below: &str) -> Value {
    let Value::Object(members) = value else { return value.clone() };
    members.iter().filter(|(name, _)| name.starts_with(below)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// The operating system.
#[utoipa::path(get, path = "/os", tag = "model",
    params(("prefix" = Option<String>, Query, description = "Only members whose names begin with this")),
    responses((status = 200, body = Os), (status = 400, body = ErrorBody)))]
pub(super) async fn os(
    State(app): State<Arc<App>>,
    Query(select): Query<Select>,
) -> Result<Response, ApiError> {
    let prefix = select.prefix()?.unwrap_or_default();
    let below = prefix.strip_prefix("os.").unwrap_or(prefix);
    Ok(json(filtered(&value!(app.image.os), below).to_string().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_select_parts() {
        let rows: &[(&str, Option<&str>, Option<&str>)] = &[
            ("settings", None, Some("")),
            ("settings", Some("se"), Some("")),
            ("settings", Some("settings."), Some("")),
            ("settings", Some("settings.motd"), Some("motd")),
            ("services", Some("se"), Some("")),
            ("services", Some("set"), None),
            ("os", Some("o"), Some("")),
            ("os", Some("os.arch"), Some("arch")),
            ("os", Some("xyz"), None),
        ];
        for (part, prefix, expected) in rows {
            assert_eq!(below(part, *prefix), *expected, "{part} {prefix:?}");
        }
    }
}
