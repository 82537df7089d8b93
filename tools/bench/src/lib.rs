//! Measuring tools for [`SPECIFICATION.md`](../../../SPECIFICATION.md).
//!
//! [`suite`] holds the scenarios; [`load`] drives a server on a Unix socket; [`mod@reference`] measures what the
//! machine can do at best: a canned answer, a bare SQLite transaction.
//!
//! Run it with `./make bench`.

pub mod load;
pub mod reference;
pub mod suite;
