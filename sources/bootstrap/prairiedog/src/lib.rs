//! The boot configuration: parameters of the kernel and of init that are not on the command line.
//!
//! The settings ([`Config`]) say what the next boot is to be started with. [`blob`] writes it in the container that a
//! boot loader puts behind an initial RAM disk; the kernel shows what it was started with as text, which
//! [`BootConfig::parse`] reads. [`reconcile`] compares the two and says whether a reboot is due.
//! [`boot_partition`] reads off the command line which BOOT partition this system was started from.
//!
//! ```text
//! settings ▶ Config ▶ blob ▶ boot loader ▶ kernel ▶ /proc/bootconfig ▶ BootConfig ▶ settings
//! ```
//!
//! The crate decides and touches nothing: the verb `prairiedog` of the program `bootstrap` reads, writes, mounts and
//! reboots. Crash kernels are not part of it: images have neither `kexec` nor `makedumpfile`. Run its tests with
//! `cargo test -p prairiedog`.

mod active;
mod blob;
mod boot_config;
mod config;
mod reconcile;

pub use active::{NotSaid, boot_partition};
pub use blob::{TooLong, blob};
pub use boot_config::{BootConfig, ParseError};
pub use config::{Config, ConfigError};
pub use reconcile::{Verdict, ignored, reconcile};
