//! The tree of settings: which keys exist, what their values must be, and in words what they mean.
//!
//! Each group of settings is a Rust struct written with the `group!` macro. Its doc comments become the
//! documentation, the JSON Schema and `apiclient explain`; its field types check values. A [`Schema`] is the
//! part of the tree that one variant has: a list of groups, chosen at run time.
//!
//! A *key* names a leaf by its path (`settings.kernel.sysctl."net.core.somaxconn"`); a *leaf* is a scalar or a
//! whole list. Structure is checked leaf by leaf, so any subset of a valid tree is valid; what must hold between
//! leaves is a [`rules`](Schema::broken_rules) check on a whole tree.
//!
//! The crate is pure: no files, no sockets. Run its tests with `cargo test -p settings`.

mod explain;
pub mod groups;
mod json_schema;
mod key;
mod model;
mod reference;
mod rules;
mod schema;
mod tree;

pub use explain::{Explanation, LeafDoc, Member};
pub use groups::Settings;
pub use key::{Key, KeyError};
pub use model::{Field, Group, Leaf, Map, Model, Node};
pub use reference::reference_markdown;
pub use rules::{RULES, Rule, Severity, View};
pub use schema::{Code, Found, Schema, UnknownGroup, Violation};
pub use tree::{nest, nest_below};
