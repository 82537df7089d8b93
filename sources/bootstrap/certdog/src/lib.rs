//! The certificates that this host trusts.
//!
//! The image brings a bundle of authorities. The settings ([`Config`]) add bundles and take certificates away;
//! [`trust_store`] makes the one file that programs read. What the image's bundle holds besides certificates is left
//! out with a [`Note`], so that one odd block cannot take all trust away; what is wrong with a bundle of the
//! settings is an error, and the store stays as it was.
//!
//! ```text
//! bundle of the image + trusted bundles - distrusted certificates = /etc/pki/tls/certs/ca-bundle.crt
//! ```
//!
//! The crate decides and touches nothing: the verb `certdog` of the program `bootstrap` reads and writes. It checks no
//! signature and no date: that a certificate stands in the store says that its owner is believed, no more. Run its
//! tests with `cargo test -p certdog`.

mod certificate;
mod config;
mod store;

pub use certificate::Note;
pub use config::{Bundle, Config, ConfigError};
pub use store::{Error, TrustStore, trust_store};
