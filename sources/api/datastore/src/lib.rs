//! Where settings live: layers, pending transactions, durable commits and their history.
//!
//! Each [`Layer`] holds leaves; the effective value of a key is that of the topmost layer that has one. A
//! [`Snapshot`] is one immutable state of all layers: readers hold one and never wait. Writers collect [`Edit`]s
//! in a named [`Pending`] transaction, in memory; [`Store::commit`] makes them durable in one synced SQLite
//! transaction together with their history row, and gives the next snapshot.
//!
//! History is bounded ([`HistoryLimits`]), chained by hash ([`Store::verify_history`]), and can be gone back in:
//! [`Store::revert_edits`] undoes one commit, [`Store::restore_edits`] returns to the state after one. A commit on
//! [`Trial`] is one that its maker promised to undo unless it is confirmed in time; the store remembers the
//! promise over crashes, the caller keeps it.
//!
//! Between two versions the file is [`Closed`]: the migrator copies it and writes to the copy as to any store.
//!
//! The crate checks keys against no schema: it is handed edits that were checked, and hands back leaves that
//! could not be read as [`Quarantined`] instead of failing. It has no clock, no threads and no locks of its own.
//! Run its tests with `cargo test -p datastore`.

mod closed;
mod commit;
mod error;
mod history;
mod layer;
mod open;
mod pending;
mod revert;
mod snapshot;
mod store;
mod verify;

pub use closed::Closed;
pub use commit::{Author, Change, Commit, CommitRequest, CommitSummary, Trial};
pub use error::StoreError;
pub use history::HistoryLimits;
pub use layer::{Edit, Layer};
pub use open::{OpenOptions, Opened, Quarantined};
pub use pending::{EDIT_OVERHEAD, Limits, Pending, PendingError, Transaction, TransactionName};
pub use revert::Revert;
pub use snapshot::{Leaf, Snapshot};
pub use store::Store;
pub use verify::{Tampered, Verified};
