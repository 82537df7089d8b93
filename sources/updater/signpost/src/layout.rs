//! Which partitions of a table make up the sets.

use crate::{BootState, SetName};
use partitions::{Attributes, Guid, Table, TableError, kind};
use snafu::{OptionExt, Snafu, ensure};

/// The numbers of a set's partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Kernel and boot menu; its attributes say how the set boots.
    pub boot: u32,
    /// Root file system.
    pub root: u32,
    /// Hash tree of the root file system.
    pub hash: u32,
}

/// The sets of a disk, and its PRIVATE partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The first set.
    pub a: Numbers,
    /// The second, on a disk that has one.
    pub b: Option<Numbers>,
    /// The partition that outlives updates.
    pub private: u32,
}

/// A table that does not hold our sets.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum LayoutError {
    #[snafu(display("the disk has {found} {what} partitions; a host has one or two"))]
    Count { what: &'static str, found: usize },
    #[snafu(display(
        "the disk has {boot} BOOT, {root} ROOT and {hash} HASH partitions; a set is one of each"
    ))]
    Uneven { boot: usize, root: usize, hash: usize },
    #[snafu(display("the disk has no PRIVATE partition"))]
    NoPrivate,
}

impl Layout {
    /// Finds the sets of a table: of each type the first partition is A's, the second is B's.
    pub fn of(table: &Table) -> Result<Self, LayoutError> {
        let numbers = |kind: Guid| table.of_kind(kind).map(|(number, _)| number).collect::<Vec<_>>();
        let (boot, root, hash) = (numbers(kind::BOOT), numbers(kind::ROOT), numbers(kind::HASH));
        let found = boot.len();
        ensure!((1..=2).contains(&found), CountSnafu { what: "BOOT", found });
        let even = root.len() == found && hash.len() == found;
        ensure!(even, UnevenSnafu { boot: found, root: root.len(), hash: hash.len() });
        let set =
            |at: usize| Some(Numbers { boot: *boot.get(at)?, root: *root.get(at)?, hash: *hash.get(at)? });
        let a = set(0).expect("one of each was found");
        let private = numbers(kind::PRIVATE).first().copied().context(NoPrivateSnafu)?;
        Ok(Self { a, b: set(1), private })
    }

    /// The partitions of a set; none for B on a disk with one set.
    pub fn set(&self, name: SetName) -> Option<Numbers> {
        match name {
            SetName::A => Some(self.a),
            SetName::B => self.b,
        }
    }

    /// The set whose root file system or hash tree is this partition.
    pub fn set_with(&self, number: u32) -> Option<SetName> {
        let has = |set: &SetName| self.set(*set).is_some_and(|set| set.root == number || set.hash == number);
        [SetName::A, SetName::B].into_iter().find(has)
    }

    /// What a table with this layout says when a set runs, which must be one that it has.
    pub fn state(&self, table: &Table, active: SetName) -> BootState {
        let of = |set: SetName| self.set(set).map(|set| attributes(table, set.boot));
        let running = of(active).expect("the running set is one of the disk");
        BootState { active, running, other: of(active.other()), private: attributes(table, self.private) }
    }

    /// Makes a table with this layout say so.
    pub fn write(&self, table: &mut Table, state: &BootState) -> Result<(), TableError> {
        for set in [SetName::A, SetName::B] {
            if let Some((numbers, attributes)) = self.set(set).zip(state.of(set)) {
                table.set_attributes(numbers.boot, attributes)?;
            }
        }
        table.set_attributes(self.private, state.private)
    }
}

fn attributes(table: &Table, number: u32) -> Attributes {
    table.get(number).expect("the layout is the table's").attributes
}
