//! A machine of its own for an image: QEMU, a working copy of the disk, the console, the API.
//!
//! [`Spec`] says what to run; [`Plan`] is the pure answer how, an argument list for QEMU. [`Machine::start`] runs it:
//! three threads read its console, its monitor and its API port into one shared record, and every wait is a question
//! to that record, never a sleep. [`vm`] is the command `hostlab vm` over all that.
//!
//! The API comes through a virtio-serial port and the crate `api-bridge`, which also tells why that is safe. Run its
//! tests with `cargo test -p hostlab`; those that need QEMU are ignored there: `cargo test -p hostlab -- --ignored`.

mod accelerator;
mod channel;
mod check;
mod command;
mod console;
mod disk;
mod iso;
mod machine;
mod monitor;
mod plan;
mod record;
mod update;

pub use accelerator::{Accelerator, choose as choose_accelerator};
pub use command::{VmArgs, vm};
pub use console::{Console, Line, STAGES, Stage, failed_units, trouble};
pub use disk::{DiskError, find_image};
pub use iso::{File as IsoFile, write as write_iso};
pub use machine::{Machine, VmError};
pub use plan::{Files, Firmware, Kernel, NET_TOML, Plan, Spec};
pub use record::{Record, Seen};
pub use update::settings as update_settings;
