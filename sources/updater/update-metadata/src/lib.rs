//! What an update repository offers, and which update a host takes.
//!
//! The picture to hold in mind: a repository has one [`Manifest`], signed like every other target. It lists
//! [`Update`]s (a version for a variant and an architecture, its images, the [`Waves`] that say when which host may
//! take it) and the edges of the migration graph. A host is a point in a space of [`SEEDS`] seeds; [`choose`] says
//! which update it takes now, or why none, as a value that prints; [`chain`] says which migrations lie between two
//! versions. On the publisher's side a [`WavePolicy`] becomes waves, a [`Release`] becomes edges, and the methods of
//! [`Manifest`] are the edits a publisher makes.
//!
//! It reads every manifest of the documented shape, and writes one that older clients read: what is ours is optional
//! and beside what is documented. Fields it does not know are kept and written back.
//!
//! It is pure: no file, no network, no clock, no randomness; the time is an argument. It knows no signatures (that is
//! `repository`) and installs nothing. How large a manifest may be is for who reads it from outside to say.
//! Run its tests with `cargo test -p update-metadata`.

mod chain;
mod choice;
mod digest;
mod edge;
mod edit;
mod manifest;
mod offset;
mod policy;
mod release;
mod text;
mod waves;

pub use chain::{Chain, ChainError, chain};
pub use choice::{
    Because, Candidate, Decision, Host, LockError, NoUpdate, Skipped, Standing, VersionLock, candidates,
    choose,
};
pub use digest::{Digest, HexError, Salt};
pub use edge::{Edge, EdgeError};
pub use edit::{EditError, UpdateId};
pub use manifest::{
    HashImage, ImageDetails, Images, Manifest, ManifestError, Migrations, PartitionImage, SCHEMA, Update,
};
pub use offset::{Offset, OffsetError, Unit};
pub use policy::{ExpirationPolicy, Expirations, PolicyError, PolicyWave, WavePolicy};
pub use release::{Release, ReleaseError};
pub use waves::{Bound, SEEDS, Turn, Waves};
