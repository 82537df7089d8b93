//! Generators of settings: which of them run, how, and what they give.
//!
//! A generator makes the value of one key, or declines. [`Generator::parse_table`] reads the table of the image,
//! [`due`] decides which of them have work ([`Task`]s), and [`run`] runs those, each with its time limit. Built-in
//! ones are functions of this process ([`Builtin`]); any other command line is run by the documented protocol: a
//! JSON value on standard output and exit status 0, or exit status 2 to leave the setting unset.
//!
//! ```text
//! table ──parse_table──▶ generators ──due──▶ tasks ──run──▶ reports ──▶ one commit
//! ```
//!
//! The crate does not talk to the API server and knows no generator by name. Run its tests with
//! `cargo test -p sundog`.

mod due;
mod generator;
mod proxy;
mod run;

pub use due::{Task, due};
pub use generator::{Generator, Strength, TableError};
pub use proxy::proxy_variables;
pub use run::{Builtin, GeneratorError, Limits, Outcome, Report, run};
