//! A whole host, in a directory or in a virtual machine.
//!
//! [`Lab::prepare`] lays out what an image would hold: programs, templates, the variant's file, `os-release`.
//! [`Lab::boot`] runs the real programs in boot order, as the units of an image do, and gives the running server.
//! What would act on units of the machine is recorded in the directory instead of run.
//!
//! [`vm`] runs the image itself, in a virtual machine.

mod boot;
mod console;
mod crash;
mod file_server;
pub mod http;
mod image;
mod random;
pub mod vm;

pub use boot::{BootError, Running, Step, StepResult};
pub use console::{HostArgs, host, show_crashes};
pub use crash::{CrashArgs, CrashError, CrashReport, crash};
pub use file_server::{FileServer, GUEST_HOST, Served};
pub use image::{LabError, PROGRAMS};
pub use random::Random;

use host::Host;
use std::path::PathBuf;

/// A directory that plays a host.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The host.
    pub host: Host,
    /// Where the built programs are.
    pub programs: PathBuf,
}
