//! The lookaside folder: every input of an image build that is not in the repository.
//!
//! ```text
//! sdk/packages.txt, packages/*/Cargo.toml ── update-lock ──▶ Debian.lock      names become versions and digests
//! Debian.lock, Cargo.lock, external-files ── fetch ────────▶ build/lookaside  digests become files
//! ```
//!
//! This is the only part of a build that uses the network. What it leaves behind is named by digest, so everything
//! after it is offline and gives the same bytes again.
//!
//! Debian packages come through `apt-get`, with a state of its own below `build/apt`: the archives, their signatures
//! and the transport are those of the machine, nothing of the machine's own package database is read or written.
//!
//! Run its tests with `cargo test -p lookaside`.

mod apt;
mod archives;
mod crates;
mod digest;
mod external;
mod fetch;
mod lock;
mod stanza;
mod tree;
mod update;
mod wants;

pub use apt::{Apt, AptError};
pub use digest::{DigestError, sha256_of_file, sha512_of_file};
pub use fetch::{FetchError, fetch};
pub use lock::{Lock, LockError, Pin, SdkPins, SourceFile, SourcePin};
pub use tree::Tree;
pub use update::{UpdateError, update_lock};
pub use wants::{Wants, WantsError};
