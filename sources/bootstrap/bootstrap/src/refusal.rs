//! What the server refuses.

use apiclient::ClientError;
use settings::Violation;

/// The rules that a request broke, if that is why the server refused it.
pub(crate) fn violations(error: &ClientError) -> Option<&[Violation]> {
    match error {
        ClientError::Refused { body: Some(body), .. } if !body.violations.is_empty() => {
            Some(&body.violations)
        }
        _ => None,
    }
}

/// Whether the server refused a request as such, rather than failing to serve it.
pub(crate) fn is_refusal(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { status, .. } if status.is_client_error())
}
