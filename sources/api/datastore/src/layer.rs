//! Layers and what changes them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use settings::Key;
use std::fmt;

/// Who a value comes from. Later layers win over earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The image; replaced at every start.
    Default,
    /// Generators, which ask the machine and its surroundings.
    Generated,
    /// User data, read once at the first boot.
    UserData,
    /// The API.
    Api,
}

impl Layer {
    /// All layers, lowest first.
    pub const ALL: [Self; 4] = [Self::Default, Self::Generated, Self::UserData, Self::Api];

    /// The name, as in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Generated => "generated",
            Self::UserData => "user-data",
            Self::Api => "api",
        }
    }

    /// The layer of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.name() == name)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One leaf to set or unset in one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The layer to change.
    pub layer: Layer,
    /// The leaf.
    pub key: Key,
    /// The value, or `None` to unset.
    pub value: Option<Value>,
}
