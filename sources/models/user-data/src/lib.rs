//! User data: one document of settings, and where in its text each of them stands.
//!
//! A [`Document`] is made from bytes: plain, gzip or Zstandard, at most [`MAX_SIZE`] of them; text in UTF-8; TOML,
//! or JSON where the caller's [`Syntax`] allows it; with a table `settings`. What stands beside that table is
//! listed, not refused. Documents are joined with [`merge`], and [`locate`] finds the place of a key in them, so
//! that whoever checks the settings can blame a line. Every [`Fault`] prints as `NAME:LINE:COLUMN: WHAT`.
//!
//! Where the bytes come from is the business of the callers, and what a setting must be that of the crate
//! `settings`. The crate is pure: no files, no sockets. Run its tests with `cargo test -p user-data`.

mod content;
mod document;
mod fault;
mod merge;
mod place;

pub use content::{MAX_SIZE, text};
pub use document::{Document, Syntax};
pub use fault::Fault;
pub use merge::merge;
pub use place::{Position, locate};
