//! The settings a migration runs on.

use serde_json::Value;
use settings::{Key, KeyError};
use snafu::Snafu;
use std::collections::BTreeMap;
use std::fmt;

/// Leaves by their keys; a value is a scalar or a whole list.
pub type Leaves = BTreeMap<Key, Value>;

/// A layer that lasts; the defaults do not, they come with every image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// What generators made.
    Generated,
    /// User data.
    UserData,
    /// The API.
    Api,
}

impl Layer {
    /// All of them, lowest first.
    pub const ALL: [Self; 3] = [Self::Generated, Self::UserData, Self::Api];
}

/// The leaves of every layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Of [`Layer::Generated`].
    pub generated: Leaves,
    /// Of [`Layer::UserData`].
    pub user_data: Leaves,
    /// Of [`Layer::Api`].
    pub api: Leaves,
}

impl State {
    /// The leaves of a layer.
    pub fn layer(&self, layer: Layer) -> &Leaves {
        match layer {
            Layer::Generated => &self.generated,
            Layer::UserData => &self.user_data,
            Layer::Api => &self.api,
        }
    }

    /// The leaves of a layer, to change them.
    pub fn layer_mut(&mut self, layer: Layer) -> &mut Leaves {
        match layer {
            Layer::Generated => &mut self.generated,
            Layer::UserData => &mut self.user_data,
            Layer::Api => &mut self.api,
        }
    }
}

/// Which way a migration runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To a newer version.
    Forward,
    /// Back to an older one.
    Backward,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
        })
    }
}

/// What a run forward removed and the run backward can bring back: leaves by the row that removed them, counted
/// from 0, and their layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Removed(pub(crate) Vec<(usize, Layer, Leaves)>);

impl Removed {
    pub(crate) fn of(&self, row: usize, layer: Layer) -> impl Iterator<Item = (&Key, &Value)> {
        self.0.iter().filter(move |(r, l, _)| (*r, *l) == (row, layer)).flat_map(|(_, _, leaves)| leaves)
    }
}

/// A setting that a row could not be run on.
#[derive(Debug, Snafu)]
#[snafu(display("row {row}: give '{key}' its new name below '{to}'"))]
pub struct RunError {
    /// The row, counted from 1.
    pub row: usize,
    /// The setting.
    pub key: Key,
    /// Where the row wants it.
    pub to: Key,
    /// Why it cannot be there.
    pub source: KeyError,
}
