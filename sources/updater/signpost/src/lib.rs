//! Which set of partitions boots next, and the one lock for whatever changes that.
//!
//! The picture to hold in mind: a host has two sets of partitions, one of which runs. GRUB picks the set to boot by
//! bits in the partition table, and counts a try of a set that has not proved itself. A [`BootState`] is those bits,
//! and a [`Command`] leads from one state to the next, or is refused with the reason: no command takes away the last
//! set that has proved itself. [`Sets`] are the partitions behind the state, found through the mounted root; under the
//! [`Lock`] they are changed through a plan of [`partitions`], which syncs, and which writes nothing where nothing
//! changes.
//!
//! What each boot came to, and why it failed, is kept in a record beside it ([`attempt`]), so that after a fallback
//! somebody can be told.
//!
//! It neither fills partitions nor decides whether a boot was healthy, and it does not know versions. The bits and
//! commands are those of the Bottlerocket documents (update, section 6); the rule is that of GRUB's module `gptprio`.
//! Run its tests with `cargo test -p signpost`; they compile that module's rule with the system's C compiler and put
//! the same tables to both.

pub mod attempt;
mod layout;
mod lock;
mod sets;
mod state;

pub use layout::{Layout, LayoutError, Numbers};
pub use lock::{LOCK, Lock, LockError};
pub use sets::{Applied, ApplyError, Device, FindError, SetDevices, Sets, StateError};
pub use state::{BootState, Command, Refusal, SetName, TRIES};
