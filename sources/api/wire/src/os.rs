//! The operating system's identity.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The operating system, as `/os` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Os {
    /// Name and version for people.
    pub pretty_name: String,
    /// The variant.
    pub variant_id: String,
    /// The version.
    pub version_id: String,
    /// The build.
    pub build_id: String,
    /// The processor architecture, as the kernel names it.
    pub arch: String,
}
