//! Keeps the status of updates, and has each step of one done.
//!
//! The picture to hold in mind: [`start`] checks under the lock whether a step may be taken, writes down that it
//! begins, and leaves a [`work`]er running, which inherits the locked descriptor as its standard input; so there is no
//! moment at which somebody else could begin. The worker does the step with `updog` and writes down what came of it.
//! [`automatic`] does the same steps in one process, as the settings ask for. [`boot`] tells after a boot what became
//! of the update before it.
//!
//! What is permitted, what a result means and what a host does by itself is decided in the crate `update-status`;
//! which update is chosen, and how it gets onto the disk, in `updog`. Here is what touches the machine: the status
//! file, the lock, the process that works, signals.
//!
//! Run its tests with `cargo test -p thar-be-updates`; those of the program are in `updater`.

mod automatic;
mod boot;
mod config;
mod error;
mod machine;
mod progress;
mod run;
mod start;
mod status_file;
mod work;

pub use automatic::{Ended, automatic};
pub use boot::boot;
pub use config::{CONFIG_FILE, Config};
pub use error::Error;
pub use start::{PROGRAM, forget, start};
pub use status_file::load;
pub use work::work;
