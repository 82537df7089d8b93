//! The GUID partition table (UEFI specification 2.10, section 5.3) of our disks: made by the image builder, read by
//! the first program of a boot, changed by whatever picks the next set of partitions.
//!
//! The picture to hold in mind: a disk has two copies of one [`Table`], the primary at its start and the backup at
//! its end, each a header with the checksum of an array of entries. [`read`] takes whichever copy is whole and says
//! in what [`Health`] it found both. A change is a [`Plan`]: it writes one copy and waits until that is on the disk
//! before it touches the other, so that at every moment one copy is whole. The primary counts while it is whole, as
//! for the kernel and for GRUB, so the table is the old one until the primary is replaced, and the new one after.
//!
//! It does not lock: two programs that change one disk must agree on who goes first. It neither knows which set is
//! running nor chooses one, it does not tell the kernel to read the table again (attributes are no part of what the
//! kernel keeps), and it leaves an existing disk's master boot record alone. Run its tests with
//! `cargo test -p partitions`.

mod attributes;
mod bytes;
mod disk;
mod entry;
mod guid;
pub mod kind;
mod locator;
mod plan;
mod reading;
mod table;

pub use attributes::Attributes;
pub use disk::Disk;
pub use entry::{Entry, Label, LabelError};
pub use guid::{Guid, GuidError};
pub use locator::{Locator, LocatorError};
pub use plan::{ExecuteError, Plan, Step, Structure};
pub use reading::{Damage, Health, ReadError, Reading, read};
pub use table::{BOOT_CODE_LEN, MIB, Partition, SectorSize, Table, TableError};
