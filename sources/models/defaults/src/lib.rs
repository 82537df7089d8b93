//! What every variant starts from: default settings, services, configuration files, metadata.
//!
//! The data is in two places. `fragments/*.toml` hold what belongs together (Docker, a lockdown mode, the ECS
//! agent); `variants.toml` says which fragments, in which order, make up which variant. A [`Catalog`] composes
//! them into a [`Variant`], and a variant prints as the one file that an image carries and the host reads at run
//! time. So a new image brings new defaults, templates and generators, and nothing of it is ever migrated.
//!
//! ```text
//! fragments/*.toml  --Catalog::variant-->  Variant  --to_toml-->  image  --Variant::parse-->  host
//! ```
//!
//! The crate does not know what a valid setting is (`settings` does; a test here holds the two together), renders
//! no template and runs no generator. It is pure: no files, no sockets. Run its tests with `cargo test -p defaults`.

mod catalog;
mod merge;
mod metadata;
mod names;
mod variant;

pub use catalog::{Catalog, Composition, Error as CatalogError};
pub use merge::Conflict;
pub use metadata::{Error as MetadataError, Generator, Metadata, Strength};
pub use variant::{ConfigurationFile, Error as VariantError, Service, VARIANT_FILE, Variant};
