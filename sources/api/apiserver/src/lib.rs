//! The API server: settings over a Unix socket.
//!
//! [`App`] is the server without its socket: an immutable [`datastore::Snapshot`] that reads are answered from,
//! the pending transactions, and one writer. [`api`] translates HTTP to calls of it; `listen` accepts
//! connections. The server is the only program that opens the datastore; it writes no other file and opens no
//! internet socket. Changes reach the host through the applier, which runs as a child ([`jobs`]).
//!
//! Run its tests with `cargo test -p apiserver`.

pub mod api;
mod app;
mod commit;
mod diff;
mod document;
mod error;
pub mod events;
mod guard;
mod image;
pub mod jobs;
mod listen;
pub mod metrics;
mod peer;
mod policy;
mod published;
mod socket;
mod start;
mod trials;
mod updates;

pub use app::{App, Parts};
pub use commit::{Back, CommitOptions};
pub use defaults::VARIANT_FILE;
pub use error::ApiError;
pub use image::{Image, ImageError};
pub use listen::{Limits, serve};
pub use peer::Peer;
pub use policy::{POLICY_FILE, Policy, PolicyError, Role};
pub use published::Published;
pub use socket::ListenError;
pub use start::{Config, StartError, open, start};
