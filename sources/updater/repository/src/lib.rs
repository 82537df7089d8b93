//! An update repository as a host sees it: TUF with a trust store that lasts, over files and HTTP.
//!
//! The picture to hold in mind: [`Repository::load`] fetches the signed metadata once, checks it with `tough` against
//! the root of trust in the image and against what earlier runs saw, and keeps the very bytes that were checked.
//! From then on a [`Target`] is a length and a digest. [`Repository::read_target`] gives nothing before both are right;
//! [`Repository::open_target`] streams, and only [`TargetReader::finish`] says whether what passed may be used;
//! [`Repository::open_range`] gives bytes that the caller has to check by other means, as the updater does with a hash
//! tree. [`Repository::cache`] writes what was checked as a repository of its own, which the migrator opens at the next
//! boot with [`Repository::load_cached`], without network and clock.
//!
//! What is remembered between runs, in the *trust store*: every root seen, one file each, so that a repository cannot
//! hide a rotation of keys that this host has seen (they are checked from the image's root upward at every load: the
//! store is no root of trust); the last timestamp and snapshot, so that it cannot go back; and the latest time at which
//! all was well. Files are replaced whole. One that is damaged all the same is set aside, and said.
//!
//! | step of the TUF specification (1.0, section 5) | where |
//! | --- | --- |
//! | 5.2 the trusted root, 5.3 its successors | here for stored roots, `tough` for fetched ones |
//! | 5.3.10 expiry, 5.3.11 fast-forward recovery | `tough`; keys are compared with the last trusted root |
//! | 5.4 timestamp, 5.5 snapshot, 5.6 targets | `tough` |
//! | 5.7 targets | here: length and SHA-256 |
//!
//! `tests/conformance.rs` has a row for each of these rules, and all pass; `tests/hostile.rs` has one for each way a
//! server can be bad. Versions may go back after keys were replaced (5.3.11) only if the replacement is new to this host.
//! Not tested: delegations of targets, which these repositories do not have.
//!
//! It does not choose an update, and writes nothing but the trust store and the cache. Everything blocks; `tough` runs
//! on a runtime of one thread inside [`Repository::load`]. Run its tests with `cargo test -p repository`: they serve
//! repositories on the loopback interface.

mod body;
mod cache;
mod error;
mod fetch;
mod load;
mod proxy;
mod source;
mod target;
mod transport;
mod trust;

pub use cache::Cached;
pub use error::{Error, Kind, is_out_of_space};
pub use fetch::FetchError;
pub use load::Repository;
pub use proxy::{Proxy, ProxyError};
pub use source::{Limits, Source};
pub use target::{RangeError, RangeReader, Target, TargetReader};

/// The name of the target that says what the repository offers (update, section 1.5).
pub const MANIFEST: &str = "manifest.json";
