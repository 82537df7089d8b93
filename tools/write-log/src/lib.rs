//! What a virtual machine wrote to its disk, in order, and the disks that a power cut could have left.
//!
//! The picture to hold in mind: QEMU's filter `blklogwrites` wrote every write, discard and flush of a disk to a [`Log`].
//! A [`Replay`] lays the log over a copy of the disk from before, one entry after the other, without copying a byte: it
//! only knows for each sector who wrote it last. At any place, [`Replay::after_cut`] gives a [`State`]: everything a
//! flush had promised is there; what was written since may be lost, kept, kept in part, or torn at sectors ([`Loss`]).
//! A state reads like a disk, and tells regions of equal content by a [`Fingerprint`], so that what was judged once
//! need not be judged again.
//!
//! It knows nothing of what is on the disk, and it cannot reorder what a flush separates, as a disk may not either. Run
//! its tests with `cargo test -p write-log`.

mod log;
mod replay;
mod state;

pub use log::{Entry, Kind, Log, LogError, SECTOR};
pub use replay::{Loss, Replay};
pub use state::{Fingerprint, State};
