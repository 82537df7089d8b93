//! One partition of a table.

use crate::bytes::{array_at, put, u64_at};
use crate::{Attributes, Guid};
use snafu::{Snafu, ensure};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Length of an entry (UEFI specification 2.10, table 5.6).
pub(crate) const ENTRY_LEN: usize = 128;

const LABEL_UNITS: usize = 36;

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its type; see [`crate::kind`].
    pub kind: Guid,
    /// Its own identifier, what `PARTUUID=` names.
    pub id: Guid,
    /// Its first sector.
    pub first: u64,
    /// Its last sector, which is still its own.
    pub last: u64,
    /// How it boots, among others.
    pub attributes: Attributes,
    /// Its name.
    pub label: Label,
}

impl Entry {
    /// How many sectors it has; none if it ends before it starts, as only somebody else's table has it.
    pub fn sectors(&self) -> u64 {
        if self.last < self.first { 0 } else { (self.last - self.first).saturating_add(1) }
    }

    /// The entry in these [`ENTRY_LEN`] bytes, unless it is unused.
    pub(crate) fn from_disk(bytes: &[u8]) -> Option<Self> {
        let kind = Guid::from_disk(array_at(bytes, 0));
        (kind != Guid::NIL).then(|| Self {
            kind,
            id: Guid::from_disk(array_at(bytes, 16)),
            first: u64_at(bytes, 32),
            last: u64_at(bytes, 40),
            attributes: Attributes::from_bits(u64_at(bytes, 48)),
            label: Label::from_disk(&array_at(bytes, 56)),
        })
    }

    pub(crate) fn to_disk(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        put(&mut bytes, 0, &self.kind.to_disk());
        put(&mut bytes, 16, &self.id.to_disk());
        put(&mut bytes, 32, &self.first.to_le_bytes());
        put(&mut bytes, 40, &self.last.to_le_bytes());
        put(&mut bytes, 48, &self.attributes.bits().to_le_bytes());
        put(&mut bytes, 56, &self.label.to_disk());
        bytes
    }

    pub(crate) fn range(&self) -> Range<u64> {
        self.first..self.first.saturating_add(self.sectors())
    }
}

/// The name of a partition: at most 36 units of UTF-16. What another program wrote is kept to the unit, even where
/// it is no text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label([u16; LABEL_UNITS]);

/// A text that cannot be a label.
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum LabelError {
    #[snafu(display("the label '{label}' has {units} UTF-16 units; at most 36 fit"))]
    TooLong { label: String, units: usize },
    #[snafu(display("the label {label:?} has a zero character, which ends a label"))]
    Zero { label: String },
}

impl Label {
    /// No name.
    pub const EMPTY: Self = Self([0; LABEL_UNITS]);

    fn from_disk(bytes: &[u8; 2 * LABEL_UNITS]) -> Self {
        let mut units = [0; LABEL_UNITS];
        for (unit, pair) in units.iter_mut().zip(bytes.chunks_exact(2)) {
            *unit = u16::from_le_bytes([pair[0], pair[1]]);
        }
        Self(units)
    }

    fn to_disk(self) -> [u8; 2 * LABEL_UNITS] {
        let mut bytes = [0; 2 * LABEL_UNITS];
        for (pair, unit) in bytes.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&unit.to_le_bytes());
        }
        bytes
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(label: &str) -> Result<Self, LabelError> {
        ensure!(!label.contains('\0'), ZeroSnafu { label });
        let units = label.encode_utf16().count();
        ensure!(units <= LABEL_UNITS, TooLongSnafu { label, units });
        let mut filled = Self::EMPTY;
        for (unit, value) in filled.0.iter_mut().zip(label.encode_utf16()) {
            *unit = value;
        }
        Ok(filled)
    }
}

impl PartialEq<str> for Label {
    fn eq(&self, text: &str) -> bool {
        text.parse().is_ok_and(|label: Self| label == *self)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.0.into_iter().take_while(|unit| *unit != 0);
        char::decode_utf16(units).try_for_each(|c| write!(f, "{}", c.unwrap_or(char::REPLACEMENT_CHARACTER)))
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_label_has_at_most_36_units() {
        assert!("x".repeat(36).parse::<Label>().is_ok());
        assert!("😀".repeat(18).parse::<Label>().is_ok());
        for refused in ["x".repeat(37), "😀".repeat(19), "a\0b".to_owned()] {
            assert!(refused.parse::<Label>().is_err(), "{refused:?}");
        }
    }

    proptest! {
        #[test]
        fn an_entry_is_kept_to_the_byte(mut bytes: [u8; 32], more in proptest::array::uniform32(any::<[u8; 3]>())) {
            bytes[0] |= 1;
            let disk = [&bytes[..], more.as_flattened()].concat();
            let entry = Entry::from_disk(&disk).unwrap();
            prop_assert_eq!(&entry.to_disk()[..], &disk[..]);
            let _ = (entry.sectors(), entry.range(), format!("{entry:?}"));
        }

        #[test]
        fn an_accepted_label_prints_back(text in ".{0,40}") {
            if let Ok(label) = text.parse::<Label>() {
                prop_assert_eq!(label.to_string(), text.clone());
                prop_assert!(label == *text.as_str());
            }
        }
    }
}
