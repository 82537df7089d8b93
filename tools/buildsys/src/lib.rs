//! Builds packages and images in Docker, when their inputs changed.
//!
//! Cargo orders the builds: every package and every variant is a crate whose build script runs
//! `buildsys build-package` or `build-variant`. What is decided here is whether there is anything to do, and what a
//! build gets to see:
//!
//! ```text
//! manifest, spec, locks  --plan-->  Context  --key-->  as in the marker?  --yes-->  nothing to do
//!                                      |                     no
//!                                      +--lay_out--> folder --docker build--> outputs, swapped in; new marker
//! ```
//!
//! A context names every file of a build and nothing else is in it, so its hash, the build arguments and the tag of
//! the SDK image are all that the outputs depend on. Times of files never count, so a fresh clone or another branch
//! and back builds nothing that was built before.
//!
//! `buildsys build` is what people start: it runs Cargo and shows what the builds below it tell (see [`progress`]),
//! which Cargo itself would keep to itself. It fetches nothing (`lookaside` does), makes no SDK image and knows
//! nothing of what is inside an image (`image` does).
//!
//! Run its tests with `cargo test -p buildsys`; those that need Docker and the SDK image run with
//! `BUILDSYS_SDK_IMAGE=... cargo test -p buildsys -- --ignored`.

pub mod context;
pub mod digest;
pub mod docker;
pub mod environment;
pub mod front;
mod job;
pub mod marker;
mod materials;
mod package;
mod program;
pub mod progress;
mod sources;
pub mod spec;
mod variant;

pub use job::Outcome;
pub use package::build as build_package;
pub use program::Args;
pub use variant::build as build_variant;
