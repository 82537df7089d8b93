//! Documents about settings besides their values.

use crate::error::ViolationSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use settings::Violation;
use utoipa::ToSchema;

/// Settings as `key=value`, read by the types of their keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyPairs {
    /// The pairs; the prefix `settings.` may be left out. Of several for one key the last counts.
    pub request_payload: Vec<String>,
}

/// The answer to settings that are valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Validation {
    /// Always true: settings that are not valid are answered with an error.
    pub valid: bool,
    /// What is allowed but deserves a look.
    #[schema(value_type = Vec<ViolationSchema>)]
    pub warnings: Vec<Violation>,
}

/// Where a value comes from: what every layer has for a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Origin {
    /// The key.
    pub key: String,
    /// Its values, topmost layer first; the first is the effective one.
    pub values: Vec<OriginValue>,
}

/// The value of a key in one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OriginValue {
    /// The layer.
    pub layer: String,
    /// The value.
    pub value: Value,
    /// The commit that wrote it.
    pub commit: u64,
    /// When, who and why; absent where the history no longer reaches back to the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<crate::CommitSummary>,
}

/// What committing and applying a transaction would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Diff {
    /// The values it changes; pending writes that change nothing are left out.
    pub changes: Vec<DiffChange>,
    /// The services it concerns.
    pub services: Vec<DiffService>,
    /// The configuration files it makes again.
    pub files: Vec<DiffFile>,
}

/// One value that a transaction changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DiffChange {
    /// The key.
    pub key: String,
    /// The layer.
    pub layer: String,
    /// The value of the layer before; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The value of the layer after; absent where it is unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// The value in effect before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_old: Option<Value>,
    /// The value in effect after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_new: Option<Value>,
}

/// A service that a transaction concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DiffService {
    /// Its name.
    pub name: String,
    /// The keys that concern it.
    pub keys: Vec<String>,
    /// What is run once its files are written, in order.
    pub restart_commands: Vec<String>,
}

/// A configuration file that a transaction makes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DiffFile {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: String,
}

/// What is known about a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// The key in its canonical spelling.
    pub key: String,
    /// What it means.
    pub doc: String,
    /// What stands there: `value`, `group` or `map`.
    pub kind: String,
    /// What a value, or the name of a member of a map, must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The members of a group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The default of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The value in effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The layer of the value in effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// The services that a change concerns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_services: Vec<String>,
}

/// A service: a name that ties configuration files to the commands that make a change of them effective.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Service {
    /// Names of its files.
    pub configuration_files: Vec<String>,
    /// What is run once they are written, in order.
    pub restart_commands: Vec<String>,
}

/// A file made from settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigurationFile {
    /// Where it is.
    pub path: String,
    /// Its template, relative to the folder of templates.
    pub template_path: String,
    /// Its mode in octal digits; `0644` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}
