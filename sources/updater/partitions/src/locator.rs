//! Partitions named by their distance from another.

use crate::{Entry, Guid, GuidError, Table};
use snafu::{OptionExt, ResultExt, Snafu};
use std::fmt;
use std::str::FromStr;

/// A partition named as the kernel's `root=` takes it: `PARTUUID=ID`, or `PARTUUID=ID/PARTNROFF=N` for the one whose
/// number is greater by `N` (Linux, `block/early-lookup.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locator {
    /// The partition to count from.
    pub id: Guid,
    /// How much greater the number of the meant one is.
    pub offset: i32,
}

/// A text that names no partition, or a partition that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum LocatorError {
    #[snafu(display(
        "'{text}' does not name a partition; write PARTUUID=<id> or PARTUUID=<id>/PARTNROFF=<n>"
    ))]
    Form { text: String },
    #[snafu(display("read the partition's id in '{text}'"))]
    Id { text: String, source: GuidError },
    #[snafu(display("the disk has no partition {id}"))]
    NoSuchPartition { id: Guid },
    #[snafu(display(
        "the disk has no partition whose number is {offset} from that of {id}, which is {number}"
    ))]
    NoneAtOffset { id: Guid, number: u32, offset: i32 },
}

impl FromStr for Locator {
    type Err = LocatorError;

    fn from_str(text: &str) -> Result<Self, LocatorError> {
        let rest = text.strip_prefix("PARTUUID=").context(FormSnafu { text })?;
        let (id, offset) = match rest.split_once("/PARTNROFF=") {
            None => (rest, 0),
            Some((id, offset)) => (id, offset.parse().ok().context(FormSnafu { text })?),
        };
        Ok(Self { id: id.parse().context(IdSnafu { text })?, offset })
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PARTUUID={}", self.id)?;
        if self.offset != 0 {
            write!(f, "/PARTNROFF={}", self.offset)?;
        }
        Ok(())
    }
}

impl Table {
    /// The number and entry of the partition a locator names.
    pub fn locate(&self, locator: Locator) -> Result<(u32, &Entry), LocatorError> {
        let Locator { id, offset } = locator;
        let (number, _) = self.with_id(id).context(NoSuchPartitionSnafu { id })?;
        let meant = number.checked_add_signed(offset);
        let found = meant.and_then(|meant| Some((meant, self.get(meant)?)));
        found.context(NoneAtOffsetSnafu { id, number, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attributes, Partition, SectorSize, kind};
    use proptest::prelude::*;

    const BOOT: Guid = Guid::constant("00000000-0000-0000-0000-00000000000b");

    #[test]
    fn text_leads_to_a_partition() {
        let mut table = Table::new(Guid::NIL, SectorSize::B512, 64 * 2048).unwrap();
        for (start_mib, id) in [(1, kind::HASH), (2, BOOT), (3, kind::ROOT)] {
            let label = "";
            let attributes = Attributes::NONE;
            table
                .add(&Partition { kind: kind::BOOT, id, label, start_mib, size_mib: 1, attributes })
                .unwrap();
        }
        let id = "PARTUUID=00000000-0000-0000-0000-00000000000";
        for (text, number) in [
            (format!("{id}b"), Some(2)),
            (format!("{id}B"), Some(2)),
            (format!("{id}b/PARTNROFF=0"), Some(2)),
            (format!("{id}b/PARTNROFF=1"), Some(3)),
            (format!("{id}b/PARTNROFF=-1"), Some(1)),
            (format!("{id}b/PARTNROFF=2"), None),
            (format!("{id}b/PARTNROFF=-2"), None),
            (format!("{id}b/PARTNROFF=-2147483648"), None),
            (format!("{id}c"), None),
            (format!("{id}b/PARTNROFF="), None),
            (format!("{id}b/PARTNROFF=1/"), None),
            (format!("{id}b/"), None),
            ("/dev/vda3".to_owned(), None),
        ] {
            let located = text.parse().and_then(|locator| table.locate(locator).map(|(number, _)| number));
            assert_eq!(located.clone().ok(), number, "{text}: {located:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_prints_back(offset: i32, bytes: [u8; 16], noise in ".{0,60}") {
            let locator = Locator { id: Guid::from_disk(bytes), offset };
            prop_assert_eq!(locator.to_string().parse::<Locator>().unwrap(), locator);
            let _ = format!("PARTUUID={noise}").parse::<Locator>();
        }
    }
}
