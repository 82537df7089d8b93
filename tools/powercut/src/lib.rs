//! A disk in memory under SQLite whose power can be cut at any write or sync, for tests of what survives.
//!
//! [`PowerCut::new`] registers an SQLite VFS of its own; open a database through [`PowerCut::vfs`] and every write,
//! truncation, sync, creation and deletion counts as one operation. [`PowerCut::cut_after`] lets everything fail
//! from some operation on. Then [`PowerCut::image`] gives a state that a real disk could be in when the power
//! comes back ([`Loss`]): what was synced is there; what was not may be lost, kept, torn at sectors of 512 bytes, or
//! kept out of order. A new disk starts from that image.
//!
//! It knows no locks and no shared memory: databases must be opened by one connection, in exclusive locking mode
//! before the first access to a write-ahead log. Directories are journaled: their entries survive in order, and a
//! sync of a file makes its entry durable, as SQLite does for its logs by syncing the folder. Sectors are written
//! whole or not at all. Run its tests with `cargo test -p powercut`.

// SQLite takes a VFS as a table of C functions; there is no safe way to give it one.
#![allow(unsafe_code)]

mod disk;
mod vfs;

pub use disk::{Image, Loss};

use disk::Disk;
use std::sync::{Arc, Mutex};

/// A disk, registered with SQLite for as long as it lives.
#[derive(Debug)]
pub struct PowerCut {
    // Goes before the disk: it counts who else has that.
    registered: vfs::Registered,
    disk: Arc<Mutex<Disk>>,
}

impl PowerCut {
    /// An empty disk.
    pub fn new() -> Self {
        Self::from_image(Image::default())
    }

    /// A disk that holds the files of an image, all durable.
    pub fn from_image(image: Image) -> Self {
        let disk = Arc::new(Mutex::new(Disk::from_image(image)));
        let registered = vfs::Registered::new(Arc::clone(&disk));
        Self { registered, disk }
    }

    /// The name to open databases with.
    pub fn vfs(&self) -> &str {
        self.registered.name()
    }

    /// How many operations were performed.
    pub fn operations(&self) -> usize {
        disk::lock(&self.disk).operations
    }

    /// Lets `operations` be performed from the start on, and everything after them fail for good.
    pub fn cut_after(&self, operations: usize) {
        disk::lock(&self.disk).cut_after = Some(operations);
    }

    /// Whether something was refused because the power was cut.
    pub fn is_cut(&self) -> bool {
        disk::lock(&self.disk).is_cut
    }

    /// Lets one operation fail without an effect: the one after `operations` from the start on.
    pub fn fail_once_after(&self, operations: usize) {
        disk::lock(&self.disk).fail_at = Some(operations);
    }

    /// What the disk may hold when the power comes back.
    pub fn image(&self, loss: Loss) -> Image {
        disk::lock(&self.disk).image(loss)
    }
}

impl Default for PowerCut {
    fn default() -> Self {
        Self::new()
    }
}
