//! Makes, signs, checks and refreshes update repositories.
//!
//! The picture to hold in mind: a repository is a set of signed metadata for each variant and architecture, and one
//! folder of targets for all (update reference, 1 and 14). A command loads what is published, decides what the new
//! manifest says (`release`, `edits`: pure), writes targets and signed metadata into a staging folder, loads that
//! as a host would, and puts it in place by a list of [`Step`]s, of which the metadata are the last: before them the
//! old repository counts, after them the new one.
//!
//! ```text
//! build/images/...  ── images ──▶ targets: the .lz4 images, frames to fetch in parts, hash trees
//! Release.toml      ── migrations ▶ targets: migrate_v<version>_<name>.lz4
//! published         ── release, edits ──▶ manifest ── publish ──▶ build/repos/REPO/...
//! Infra.toml, keys/, roles/ ── publisher, root ──▶ who signs, whom hosts trust
//! policies/waves    ── waves, delta ──▶ how a release would spread, and what that would serve
//! ```
//!
//! It uploads nothing, and keeps no key anywhere but in files. Run its tests with `cargo test -p pubsys`; that other
//! implementations read its repositories is checked by `./make test-image -- repository`.

mod delta;
mod digest;
mod edits;
mod existing;
mod images;
mod infra;
mod keys;
mod migrations;
mod publish;
mod publisher;
mod release;
mod root;
mod steps;
mod transport;
mod validate;
pub mod verbs;
mod waves;

pub use edits::{Pause, Refresh, Resume, SetMaxVersion, SetWaves, Withdraw};
pub use existing::{Existing, ExistingError, Location, MANIFEST, Product, RoleExpiry};
pub use images::{Build, ImageError, Prepared, TargetFile, prepare};
pub use infra::{DEFAULT_REPO, Infra, InfraError, KeyFile, KeyKind, KeySource, KeySources, Repo};
pub use keys::{KeyError, LocalKey};
pub use migrations::{MigrationError, Packed, collect};
pub use publish::{Content, NewTarget, Publication, PublishError, Staged, products, stage};
pub use publisher::{Publisher, PublisherError, ROOT_LIFE, Rotation};
pub use release::{Change, Edit, NewRelease, ReleaseError, Terms, publish_change, publish_release};
pub use root::{Keys, RootError, RootFiles, RootVersion};
pub use steps::{Step, StepError, execute};
pub use transport::Fetcher;
pub use validate::{Report, ValidateError, expiring, validate};
