//! The command line.
//!
//! [`args`](self) says which verbs there are and what they take; each verb is one module that asks the server and
//! hands what it learnt to `output`. Data goes to stdout, talk to stderr. A verb fails with a `Failure`, which knows its
//! line on stderr and its [`Exit`].

mod args;
mod change;
mod check;
mod commits;
mod completions;
mod exit;
mod explain;
mod failure;
mod get;
mod output;
mod raw;
mod render;
mod session;
mod status;
mod update;
mod update_text;
mod watch;

pub use args::App;
pub use exit::Exit;
