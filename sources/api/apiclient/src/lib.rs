//! Client of the API socket, and the program `apiclient`.
//!
//! [`Client`] sends one request per connection and turns error answers into [`ClientError`]s that carry the
//! server's own words; every step of the boot uses it. For the program there is also where user data is fetched
//! from ([`Source`]), and a [`check`] that needs no server. [`cli`] is the command line over all of it.
//!
//! What user data is, as a text, the crate `user-data` knows, and what a setting must be the crate `settings`, here
//! as on the host and in the server; nothing is decided twice.
//!
//! Run its tests with `cargo test -p apiclient`; those in `tests/` run the program against a real server on a
//! socket of their own.

mod check;
pub mod cli;
mod client;
mod source;
mod transaction;

pub use check::{Checked, Problem, check};
pub use client::{Answer, Client, ClientError, Events, encode_query};
pub use source::{Source, SourceError, load_all};
pub use transaction::transaction_name;
