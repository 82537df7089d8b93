//! The packages and variants of the tree, as their manifests describe them.
//!
//! Every package of the image is a crate below `packages/`, every variant one below `variants/`. Cargo reads of
//! them what orders builds: the dependencies. The rest is in two tables that Cargo leaves alone,
//! `package.metadata.build-package` and `package.metadata.build-variant`. A [`Tree`] holds all of them and answers
//! what a package may see while it is built, what a variant is made of, and what has to be fetched first.
//!
//! ```text
//! packages/*/Cargo.toml --Package::parse--+
//!                                          +--> Tree --> closures, cycles, nearest names
//! variants/*/Cargo.toml --Variant::parse--+
//! ```
//!
//! `[build-dependencies]` are the packages whose RPMs a build sees, with all that these need at run time;
//! `[dependencies]` are packages needed at run time only. The crate fetches nothing, builds nothing and reads no
//! spec file. Run its tests with `cargo test -p manifests`.

mod arch;
mod crates;
mod keys;
mod names;
mod package;
mod tree;
mod variant;

pub use arch::{Arch, UnknownArch};
pub use crates::Dependencies;
pub use keys::Error as ManifestError;
pub use names::did_you_mean;
pub use package::{ExternalFile, Package};
pub use tree::{Error as TreeError, Tree};
pub use variant::{
    ImageFeature, ImageFormat, ImageLayout, PartitionPlan, RootCompression, SettingsSource, Variant,
};
