//! Brings the datastore to the version of the image that boots, in either direction.
//!
//! ```text
//! current ─▶ v1.0.0_… ── copy ──▶ .v1.1.0_….new ── migrations, one commit ──▶ synced ──▶ v1.1.0_…
//!    └───────────────────────────── one rename of the link, last ──────────────────────────▲
//! ```
//!
//! [`plan`] decides everything and writes nothing: which migrations lie between the versions, that each of them is
//! there and can be read, and that there is room. [`execute`] performs the [`Step`]s of a [`Plan`]. The store that
//! `current` leads to is never written to, so a migration that fails, or a power cut at any moment, leaves the
//! settings as they were, and the other set of partitions boots with them. Stores of before are kept, a few.
//!
//! A migration is rows ([`migrations::Document`]), run in memory, or a program under the documented protocol
//! (update.md 8.4), run from a sealed file in memory on a store laid out in files. All of a chain become one commit
//! of the store's history, which marks them as done; going back, that commit still knows what was removed.
//!
//! What the crate does not do: it does not choose a version, and it fetches nothing. Migrations come from the copy of
//! the repository that was kept when the update was staged ([`Cache`]), and [`dry_run`] proves beforehand, with
//! the code of the boot, that the copy will do. Run its tests with `cargo test -p migrator`.

mod content;
mod error;
mod execute;
mod files;
mod folder;
mod migrate;
mod name;
mod plan;
mod program;
mod run;
mod source;

pub use content::{Content, Migration};
pub use error::Error;
pub use execute::{Execution, Work, execute};
pub use folder::{Current, Listing, StoreFolder};
pub use migrate::{Outcome, image_version, migrate};
pub use name::StoreName;
pub use plan::{KEEP, Plan, Planned, Request, Room, Step, decide, plan};
pub use run::{Runner, run};
pub use source::{Cache, OpenCache, Source, SourceError, dry_run};
