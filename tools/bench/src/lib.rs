//! Measuring tools for [`SPECIFICATION.md`](../../../SPECIFICATION.md).
//!
//! [`suite`] holds the scenarios; [`load`] drives a server on a Unix socket; [`mod@reference`] measures what the
//! machine can do at best: a canned answer, a bare SQLite transaction. [`installs`] installs images, [`migrations`]
//! is the boot after an update.
//!
//! Run it with `./make bench`.

mod boot;
mod check_update;
pub mod installs;
pub mod load;
pub mod migrations;
pub mod reference;
pub mod suite;
