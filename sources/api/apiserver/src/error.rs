//! The one table from failures to answers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use datastore::{PendingError, StoreError};
use host::CommandError;
use settings::{KeyError, Violation};
use wire::{Code, ErrorBody};

/// What clients are told of failures that are none of their business.
const INTERNAL: &str = "the server could not do this; its log says why";

/// A request that could not be served.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum ApiError {
    /// A part of the request is malformed.
    BadRequest { what: String },
    /// A key in the request is malformed.
    BadKey(KeyError),
    /// Settings break rules.
    Invalid(Vec<Violation>),
    /// What was asked for does not exist.
    NotFound { what: String },
    /// A key that was asked for is not a setting.
    UnknownKey(Violation),
    /// There is nothing under this path.
    NoRoute { path: String },
    /// There is something under this path, but not with this method.
    BadMethod { method: String, path: String },
    /// The body is of another type than JSON.
    MediaType { found: String },
    /// The body is too large.
    BodyTooLarge { limit: usize },
    /// The body did not come in time.
    BodyTimeout { seconds: u64 },
    /// The peer may not do this.
    Forbidden { what: String },
    /// What was asked for contradicts the state of the host.
    Conflict { what: String, violations: Vec<Violation> },
    /// Another program is at work on the same thing.
    Locked { what: String },
    /// The image has no program that makes updates.
    NoUpdates,
    /// The transaction is empty.
    NothingPending { transaction: String },
    /// A write into a transaction was refused.
    Pending(PendingError),
    /// The store failed.
    Store(StoreError),
    /// A command of the host could not be run.
    Command(CommandError),
    /// A command of the host ran and failed.
    CommandFailed { command: String, status: String, stderr: String },
    /// Something else failed.
    Internal { what: String },
}

impl ApiError {
    /// Status, code and text: the whole table.
    fn parts(&self) -> (StatusCode, Code, String) {
        match self {
            Self::BadRequest { what } => (StatusCode::BAD_REQUEST, Code::BadRequest, what.clone()),
            Self::BadKey(e) => (StatusCode::BAD_REQUEST, Code::InvalidSetting, e.to_string()),
            Self::Invalid(violations) => (StatusCode::BAD_REQUEST, Code::InvalidSetting, joined(violations)),
            Self::NotFound { what } => (StatusCode::NOT_FOUND, Code::NotFound, what.clone()),
            Self::UnknownKey(violation) => (StatusCode::NOT_FOUND, Code::NotFound, violation.to_string()),
            Self::NoRoute { path } => {
                (StatusCode::NOT_FOUND, Code::NotFound, format!("there is nothing at '{path}'"))
            }
            Self::BadMethod { method, path } => {
                let text = format!("'{path}' does not understand {method}");
                (StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, text)
            }
            Self::MediaType { found } => {
                let text = format!("the body is '{found}'; it must be 'application/json'");
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedMediaType, text)
            }
            Self::BodyTooLarge { limit } => {
                let text = format!("the body is longer than {limit} bytes");
                (StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, text)
            }
            Self::BodyTimeout { seconds } => {
                let text = format!("the body did not come within {seconds} s");
                (StatusCode::REQUEST_TIMEOUT, Code::Timeout, text)
            }
            Self::Forbidden { what } => (StatusCode::FORBIDDEN, Code::Forbidden, what.clone()),
            Self::Conflict { what, violations } if violations.is_empty() => {
                (StatusCode::CONFLICT, Code::Conflict, what.clone())
            }
            Self::Conflict { what, violations } => {
                (StatusCode::CONFLICT, Code::Conflict, format!("{what}: {}", joined(violations)))
            }
            Self::Locked { what } => (StatusCode::LOCKED, Code::Locked, what.clone()),
            Self::NoUpdates => {
                let text = "this image has no program that makes updates".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, text)
            }
            Self::NothingPending { transaction } => {
                let text = format!("nothing is pending in transaction '{transaction}'");
                (StatusCode::UNPROCESSABLE_ENTITY, Code::NothingPending, text)
            }
            Self::Pending(e) => pending(e),
            Self::Store(e) => store(e),
            Self::CommandFailed { command, status, stderr } => {
                let text = format!("'{command}' ended with {status}: {}", stderr.trim_end());
                (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, text)
            }
            Self::Command(_) | Self::Internal { .. } => internal(),
        }
    }

    fn log(&self) {
        match self {
            Self::Store(e) if store(e).0.is_server_error() => {
                tracing::error!(error = host::program::chain(e), "the store failed");
            }
            Self::Command(e) => tracing::error!(error = host::program::chain(e), "a command failed"),
            Self::CommandFailed { command, status, stderr } => {
                tracing::error!(command, status, stderr, "a command failed");
            }
            Self::Internal { what } => tracing::error!(error = what, "a request failed"),
            _ => {}
        }
    }
}

/// A rule that the server itself knows of.
pub(crate) fn violation(key: &str, rule: &str) -> Violation {
    Violation { key: key.to_owned(), rule: rule.to_owned(), nearest: None, code: settings::Code::BadValue }
}

fn joined(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Paths and causes stay in the log.
fn internal() -> (StatusCode, Code, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, INTERNAL.to_owned())
}

fn pending(error: &PendingError) -> (StatusCode, Code, String) {
    let (status, code) = match error {
        PendingError::BadName { .. } => (StatusCode::BAD_REQUEST, Code::BadRequest),
        PendingError::TooLarge { .. } | PendingError::TooManyEdits { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge)
        }
        PendingError::TooMany { .. } | PendingError::Full { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, Code::LimitReached)
        }
    };
    (status, code, error.to_string())
}

fn store(error: &StoreError) -> (StatusCode, Code, String) {
    match error {
        StoreError::NoCommit { .. } | StoreError::Forgotten { .. } => {
            (StatusCode::NOT_FOUND, Code::NotFound, error.to_string())
        }
        StoreError::NoTrial { .. } => (StatusCode::CONFLICT, Code::Conflict, error.to_string()),
        _ => internal(),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, message) = self.parts();
        self.log();
        let violations = match self {
            Self::Invalid(violations) | Self::Conflict { violations, .. } => violations,
            Self::UnknownKey(violation) => vec![violation],
            _ => Vec::new(),
        };
        let body = ErrorBody { message, code, violations };
        let mut response = (status, Json(&body)).into_response();
        // For those who would rather read text.
        response.extensions_mut().insert(body);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn violation() -> Violation {
        super::violation("settings.a", "is wrong")
    }

    #[test]
    fn every_failure_has_its_status_and_code_and_no_path_gets_out() {
        let path = || PathBuf::from("/secret");
        let text = String::new;
        let io = || std::io::Error::other("/secret");
        let sql = || rusqlite::Error::InvalidPath("/secret".into());
        let rows = [
            (ApiError::BadRequest { what: text() }, 400, Code::BadRequest),
            (ApiError::BadKey(KeyError::Empty), 400, Code::InvalidSetting),
            (ApiError::Invalid(vec![violation()]), 400, Code::InvalidSetting),
            (ApiError::NotFound { what: text() }, 404, Code::NotFound),
            (ApiError::UnknownKey(violation()), 404, Code::NotFound),
            (ApiError::NoRoute { path: "/x".into() }, 404, Code::NotFound),
            (ApiError::BadMethod { method: text(), path: text() }, 405, Code::MethodNotAllowed),
            (ApiError::MediaType { found: text() }, 415, Code::UnsupportedMediaType),
            (ApiError::BodyTooLarge { limit: 1 }, 413, Code::TooLarge),
            (ApiError::BodyTimeout { seconds: 1 }, 408, Code::Timeout),
            (ApiError::Forbidden { what: text() }, 403, Code::Forbidden),
            (ApiError::Conflict { what: text(), violations: vec![violation()] }, 409, Code::Conflict),
            (ApiError::Locked { what: text() }, 423, Code::Locked),
            (ApiError::NoUpdates, 500, Code::Internal),
            (ApiError::NothingPending { transaction: text() }, 422, Code::NothingPending),
            (ApiError::Pending(PendingError::BadName { name: text() }), 400, Code::BadRequest),
            (ApiError::Pending(PendingError::TooMany { limit: 1 }), 429, Code::LimitReached),
            (ApiError::Pending(PendingError::Full { limit: 1 }), 429, Code::LimitReached),
            (ApiError::Pending(PendingError::TooManyEdits { name: text(), limit: 1 }), 413, Code::TooLarge),
            (ApiError::Pending(PendingError::TooLarge { name: text(), limit: 1 }), 413, Code::TooLarge),
            (ApiError::Store(StoreError::Open { path: path(), source: sql() }), 500, Code::Internal),
            (ApiError::Store(StoreError::Prepare { path: path(), source: io() }), 500, Code::Internal),
            (ApiError::Store(StoreError::InUse { path: path() }), 500, Code::Internal),
            (ApiError::Store(StoreError::Damaged { path: path(), report: text() }), 500, Code::Internal),
            (ApiError::Store(StoreError::SetAside { path: path(), source: io() }), 500, Code::Internal),
            (ApiError::Store(StoreError::TooNew { path: path(), found: 2, known: 1 }), 500, Code::Internal),
            (ApiError::Store(StoreError::Read { source: sql() }), 500, Code::Internal),
            (ApiError::Store(StoreError::Write { source: sql() }), 500, Code::Internal),
            (ApiError::Store(StoreError::Stale { found: 1, head: 2 }), 500, Code::Internal),
            (ApiError::Store(StoreError::NoCommit { id: 1, head: 2 }), 404, Code::NotFound),
            (ApiError::Store(StoreError::Forgotten { id: 1, oldest: 2 }), 404, Code::NotFound),
            (ApiError::Store(StoreError::BadCommit { id: 1, why: text() }), 500, Code::Internal),
            (ApiError::Store(StoreError::NoTrial { id: 1 }), 409, Code::Conflict),
            (ApiError::Command(CommandError::Start { program: text(), source: io() }), 500, Code::Internal),
            (
                ApiError::CommandFailed { command: text(), status: text(), stderr: text() },
                500,
                Code::Internal,
            ),
            (ApiError::Internal { what: "/secret".into() }, 500, Code::Internal),
        ];
        for (error, status, code) in rows {
            let name = format!("{error:?}");
            let response = error.into_response();
            assert_eq!(response.status().as_u16(), status, "{name}");
            let body = response.extensions().get::<ErrorBody>().unwrap();
            assert_eq!(body.code, code, "{name}");
            assert!(!body.message.contains("/secret"), "{name}: {}", body.message);
        }
    }
}
