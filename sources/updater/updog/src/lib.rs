//! Finds, installs, activates and reverts an update.
//!
//! The picture to hold in mind: [`check`] loads the repository and decides; its [`Offer`] is a value that prints. An
//! offer and a version make a [`Chosen`], which names what was decided on by the digest of its manifest, so that what
//! is installed is what was chosen. [`update_image`] installs it into the set that does not run, in an order in which a
//! power cut at any point leaves a host that boots what it ran before:
//!
//! 1. the chain of migrations is found, partitions and free space are looked at: nothing has changed yet;
//! 2. manifest, migrations and metadata are written to [`CACHE`] and opened again as the next boot will;
//! 3. [`Staged`] says that the set is being written, and the set loses its right to boot;
//! 4. root, boot and hash image are written, flushed, read back;
//! 5. [`Staged`] says that the set is complete, and the set may be activated.
//!
//! After an error the set stays without the right to boot; the next run goes on with what is already there. [`activate`]
//! and [`revert`] change bits in the partition table and need no network. Whatever changes a set takes the
//! [`signpost::Lock`].
//!
//! It prints results to standard output and everything else to standard error; its exit statuses are [`Exit`]. It does
//! not choose by itself (that is `update-metadata`), nor decide how an image is assembled (`install`). Run its tests
//! with `cargo test -p updog`; they update hosts in directories from repositories on the loopback interface.

mod activate;
mod check;
mod command;
mod config;
mod error;
mod images;
mod machine;
mod migrations;
mod source;
mod staged;
mod update;

pub use activate::{Activated, activate, revert};
pub use check::{Chosen, Offer, Options, bad_versions, check};
pub use command::{Args, run};
pub use config::{Config, ConfigError};
pub use error::{Error, Exit};
pub use machine::{Machine, MachineError};
pub use staged::{Staged, StagedError, StagedState};
pub use update::{Installed, Progress, Step, update_image};

/// The folder in which is kept what lasts from one boot to the next.
pub const UPDATES: &str = "/var/lib/bottlerocket/updates";
/// The trust store of the repository.
pub const TRUST: &str = "/var/lib/bottlerocket/updates/trust";
/// Copies of the repository for the next boot; `current` in it leads to the one that counts.
pub const CACHE: &str = "/var/lib/bottlerocket/updates/cache";
/// The root of trust in the image.
pub const ROOT_JSON: &str = "/usr/share/updog/root.json";
