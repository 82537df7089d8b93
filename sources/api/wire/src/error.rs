//! Errors.

use serde::{Deserialize, Serialize};
use settings::Violation;
use utoipa::ToSchema;

/// What went wrong, for programs. Codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request is malformed.
    BadRequest,
    /// A key is malformed or not a setting of this variant, or a value breaks its rule.
    InvalidSetting,
    /// What was asked for does not exist.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The request is too large.
    TooLarge,
    /// Nothing is pending in the transaction.
    NothingPending,
    /// A limit on pending transactions would be passed.
    LimitReached,
    /// The peer may not do this.
    Forbidden,
    /// What was asked for contradicts the state of the host.
    Conflict,
    /// Another program is at work on the same thing; ask again later.
    Locked,
    /// The client took too long to send its request.
    Timeout,
    /// The body is not of a type that the server reads.
    UnsupportedMediaType,
    /// The server could not do what was asked.
    Internal,
}

/// The body of every answer that reports an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ErrorBody {
    /// What went wrong, for people, in one line.
    pub message: String,
    /// What went wrong, for programs.
    pub code: Code,
    /// The rules broken, each with its key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<ViolationSchema>)]
    pub violations: Vec<Violation>,
}

/// How a broken rule looks, for the API document.
#[derive(ToSchema)]
#[schema(as = Violation)]
#[allow(dead_code)]
pub struct ViolationSchema {
    /// The key, as far as it could be read.
    key: String,
    /// The rule, as a sentence without its subject.
    rule: String,
    /// The nearest valid name, when a name was wrong.
    nearest: Option<String>,
    /// The kind of rule, for programs, such as `unknown-key` or `bad-value`.
    code: String,
}
