//! The SDK image: the container image that every package and image is built in.
//!
//! It is Debian packages, exactly those that `Debian.lock` names under `[sdk]`, and the Rust toolchain that builds the
//! rest of the repository. Its tag is the digest of these inputs, so an image that is there is the right one, and one
//! that is missing is built: in the container engine alone, with no rights on the machine and no network. An image
//! with the same tag may as well be pulled from a registry of one's own before the build.
//!
//! What this crate does not do: fetch packages (`lookaside`), or use the image (`buildsys`).
//!
//! Run its tests with `cargo test -p sdk`.

mod build;
mod inputs;
mod tag;

pub use build::{BuildError, ensure};
pub use inputs::{Inputs, InputsError};
