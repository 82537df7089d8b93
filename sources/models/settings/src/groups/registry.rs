//! Container registries.

use crate::model::{group, records};
use modeled_types::{Kind, Refusal, Scalar, SingleLineString, Url, ValidBase64};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

group! {
    /// Container registries.
    pub struct ContainerRegistry {
        /// Mirrors: a list of tables with `registry` and a list `endpoint`, one for each registry. A table of
        /// endpoint lists by registry is taken too.
        mirrors: Mirrors,
        /// Credentials: a list of tables with `registry` and what it asks for: `username` and `password`, `auth`
        /// or `identitytoken`.
        #[alias("creds")]
        credentials: Credentials,
    }
}

group! {
    /// The mirrors of one registry.
    pub struct Mirror {
        /// Host of the registry, such as `docker.io`, or `*` for all registries.
        registry: SingleLineString,
        /// URLs of the mirrors, in the order in which they are tried.
        endpoint: Vec<Url>,
    }
}

group! {
    /// The credentials for one registry.
    pub struct Credential {
        /// Host of the registry.
        registry: SingleLineString,
        /// Name of the user.
        username: SingleLineString,
        /// Password of the user.
        password: SingleLineString,
        /// Base64 of `user:password`, in their place.
        auth: ValidBase64,
        /// Token from an earlier login, in the place of user and password.
        identitytoken: SingleLineString,
    }
}

/// Mirrors of registries, at most one entry for each registry: the runtimes would take only one of two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Mirrors(Vec<Mirror>);

impl Mirrors {
    /// The entries in order.
    pub fn entries(&self) -> &[Mirror] {
        &self.0
    }
}

impl TryFrom<Value> for Mirrors {
    type Error = Refusal;

    fn try_from(value: Value) -> Result<Self, Refusal> {
        let list = match value {
            Value::Object(table) => table
                .into_iter()
                .map(|(registry, endpoint)| json!({"registry": registry, "endpoint": endpoint}))
                .collect(),
            other => other,
        };
        let entries: Vec<Mirror> = records(list, Self::RULE, Self::SECRET)?;
        for (n, entry) in entries.iter().enumerate() {
            let Some(registry) = &entry.registry else { continue };
            if entries[..n].iter().any(|earlier| earlier.registry.as_ref() == Some(registry)) {
                return Err(Refusal::new(format!(
                    "must have one entry for each registry; '{registry}' has two"
                )));
            }
        }
        Ok(Self(entries))
    }
}

impl Scalar for Mirrors {
    const NAME: &'static str = "list of mirrors";
    const RULE: &'static str =
        "must be a list of tables such as {registry = \"docker.io\", endpoint = [\"https://mirror\"]}";
    const KIND: Kind = Kind::Json;

    fn json_schema() -> Value {
        let list = json!({"type": "array", "items": crate::json_schema::of::<Mirror>()});
        let endpoints = json!({"type": "array", "items": Url::json_schema()});
        json!({"anyOf": [list, {"type": "object", "additionalProperties": endpoints}]})
    }
}

/// Credentials for registries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Credentials(Vec<Credential>);

impl Credentials {
    /// The entries in order.
    pub fn entries(&self) -> &[Credential] {
        &self.0
    }
}

impl TryFrom<Value> for Credentials {
    type Error = Refusal;

    fn try_from(value: Value) -> Result<Self, Refusal> {
        records(value, Self::RULE, Self::SECRET).map(Self)
    }
}

impl Scalar for Credentials {
    const NAME: &'static str = "list of credentials";
    const RULE: &'static str =
        "must be a list of tables such as {registry = \"docker.io\", username = \"me\", password = \"…\"}";
    const KIND: Kind = Kind::Json;
    const SECRET: bool = true;

    fn json_schema() -> Value {
        json!({"type": "array", "items": crate::json_schema::of::<Credential>()})
    }
}
