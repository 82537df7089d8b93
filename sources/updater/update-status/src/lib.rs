//! The states of an update, and the document that tells them.
//!
//! The picture to hold in mind: a [`Status`] is what a host knows of its update. A [`Verb`] is permitted in it or
//! refused ([`Status::permit`]); what came of a permitted one is written into it ([`Status::done`]); and what the disk
//! says always wins over what the document says ([`Status::observe`]), so that a lost or old document, or a tool used
//! by hand, never leads to a wrong state. After a boot, [`Status::conclude_boot`] tells whether the update that was
//! activated runs or fell back, and why. [`decide`] is what a host does by itself.
//!
//! The document is that of the Bottlerocket documents (update, section 4.3; API, section 23.3) with more fields, all
//! optional. The program that keeps it, the server that gives it to clients, and the clients share this crate.
//!
//! The crate is pure: it reads no clock, file or partition table. Run its tests with `cargo test -p update-status`.

mod automatic;
mod boot;
mod disk;
mod document;
mod files;
mod time;
mod verb;

pub use automatic::{Action, Policy, RETRY, decide};
pub use boot::{Attempt, AttemptStage, Booted};
pub use disk::{Disk, Inactive, Slot};
pub use document::{
    BadVersion, CommandResult, CommandStatus, Concluded, Image, LastUpdate, Partition, Progress,
    Result as UpdateResult, State, Status, Turn, Worker,
};
pub use files::{LOCK_FILE, PROGRESS_FILE, STATUS_FILE};
pub use time::Time;
pub use verb::{Failure, Outcome, Refusal, Unknown, Verb};
