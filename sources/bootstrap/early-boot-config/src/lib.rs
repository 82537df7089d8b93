//! User data: where it comes from, and in which order.
//!
//! A [`Provider`] knows one source; [`providers`] lists those of a platform in their order. [`collect`] asks all of
//! them and gives a [`Collected`]: the settings merged, later sources winning leaf by leaf, and every [`user_data::Fault`] that
//! was found, each with its file, line and column. What a setting must be is not decided here: the API server
//! checks, and [`Collected::locate`] finds the line of what it refuses.
//!
//! What user data is, as a text, the crate `user-data` knows; this one decides which of it there is.
//!
//! The crate reads files of the host and nothing else; sources in a cloud's network are not part of it. Run its
//! tests with `cargo test -p early-boot-config`.

mod cdrom;
mod collect;
mod ovf;
mod provider;

pub use cdrom::CdRom;
pub use collect::{Collected, collect};
pub use provider::{LocalFile, Provider, providers};
