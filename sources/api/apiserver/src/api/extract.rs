//! Reading requests, so that what is wrong with one is told in our words.

use crate::{ApiError, App};
use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Largest body of a request: room for a thousand long settings, not for filling the memory of the host.
pub const MAX_BODY: usize = 2 << 20;

/// How long the body of a request may take to come; in the extensions of a request where it is not the default.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub Duration);

impl Default for BodyLimit {
    fn default() -> Self {
        Self(Duration::from_secs(30))
    }
}

/// The query.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(e) => {
                let what = format!("the query cannot be read: {}", host::program::chain(&e));
                Err(ApiError::BadRequest { what })
            }
        }
    }
}

/// The number in the path.
pub(super) struct Number(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for Number {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let number = axum::extract::Path::<u64>::from_request_parts(parts, state).await;
        number
            .map(|axum::extract::Path(number)| Self(number))
            .map_err(|_| ApiError::NoRoute { path: parts.uri.path().to_owned() })
    }
}

/// A JSON body. A request that does not say what its body is may have one too.
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, ApiError> {
        if let Some(found) = request.headers().get(CONTENT_TYPE) {
            let found = String::from_utf8_lossy(found.as_bytes());
            if !is_json(&found) {
                return Err(ApiError::MediaType { found: found.into_owned() });
            }
        }
        let BodyLimit(limit) = request.extensions().get().copied().unwrap_or_default();
        let body = tokio::time::timeout(limit, to_bytes(request.into_body(), MAX_BODY)).await;
        let body = body.map_err(|_| ApiError::BodyTimeout { seconds: limit.as_secs() })?;
        let body = body.map_err(|e| body_error(&e))?;
        serde_json::from_slice(&body).map(Self).map_err(|e| {
            let what = format!("the body is not the JSON that is expected here: {e}");
            ApiError::BadRequest { what }
        })
    }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn body_error(error: &axum::Error) -> ApiError {
    let text = host::program::chain(error);
    if text.contains("length limit exceeded") {
        ApiError::BodyTooLarge { limit: MAX_BODY }
    } else {
        ApiError::BadRequest { what: "the body did not come whole".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_by_several_names() {
        for (name, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            assert_eq!(is_json(name), json, "{name}");
        }
    }
}
