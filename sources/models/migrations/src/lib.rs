//! What a version changes in stored settings, written down so that it can be done and undone.
//!
//! A [`Document`] is a list of [`Row`]s, each a common transform with its inverse: rename, move between groups,
//! remove, add, replace a value. A developer writes it as TOML, `v<version>/<name>.toml` in this crate; it is
//! published as the target [`Name`] prints, whose content [`to_target`] makes; and a host reads that with
//! [`Document::from_target`]. Rows run on a [`State`]: the leaves of every layer that lasts. Defaults are not among
//! them, since every image brings its own, so a changed default needs no migration at all.
//!
//! | stock migration of the Bottlerocket documents | row |
//! | --- | --- |
//! | `AddSettings`, `AddPrefixes` | `add` |
//! | `RemoveSettings` | `remove`; what was removed comes back where the history still has it |
//! | `ReplaceString` | `replace` |
//! | `ReplaceLists` | `replace-list`, one for each list |
//! | `ReplaceTemplate`, `ReplaceSchnauzer` | `regenerate`: generators are tables of the image |
//! | `AddMetadata`, `RemoveMetadata`, `ReplaceMetadata`, `ReplaceMetadataLists` | the same in kebab case; metadata are tables of the image, so these change nothing |
//! | `NoOp` | `no-op` |
//!
//! What no row can say is a program of its own, which sees the store as the documents lay it out in files: paths
//! are made and read by [`layout`], and what such a program did to flat settings is brought back to layers by
//! [`views`].
//!
//! The crate is pure, and checks keys against no schema: the settings of both versions pass through it. Run its
//! tests with `cargo test -p migrations`.

mod document;
mod fault;
pub mod layout;
mod name;
mod row;
mod state;
pub mod views;

pub use document::{Document, MAX_ROWS, MAX_SIZE, to_target};
pub use fault::Fault;
pub use name::Name;
pub use row::Row;
pub use state::{Direction, Layer, Leaves, Removed, RunError, State};
