//! What the settings say to the running kernel.
//!
//! [`Config`] is what the settings ask for. [`sysctl::plan`] puts kernel parameters in the order in which they are
//! written, each with the path below `/proc/sys` that its name means; [`lockdown::decide`] compares the lockdown that
//! is wanted with the one in force, which can only be raised; [`hugepages`] chooses the number of huge pages of a host
//! whose user chose none.
//!
//! The crate decides and touches nothing: the verb `corndog` of the program `bootstrap` reads and writes. Run its
//! tests with `cargo test -p corndog`.

mod config;
mod hugepages;
pub mod lockdown;
pub mod sysctl;

pub use config::{Config, ConfigError};
pub use hugepages::{NotANumber, hugepages};
