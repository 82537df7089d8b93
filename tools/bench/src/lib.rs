//! Measuring tools for [`SPECIFICATION.md`](../../../SPECIFICATION.md).
//!
//! [`suite`] holds the scenarios; [`load`] drives a server on a Unix socket; [`mod@reference`] measures what the
//! machine can do at best: a canned answer, a bare SQLite transaction. [`installs`] installs images, `deltas` counts
//! what an update fetches, [`migrations`] is the boot after an update.
//!
//! Run it with `./make bench`.

mod boot;
mod check_update;
mod deltas;
pub mod installs;
pub mod load;
pub mod migrations;
pub mod reference;
pub mod suite;

/// What a scenario gives, or why it could not be run.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
