//! The attribute field of an entry.

use std::fmt;

/// The 64 attribute bits of an entry. Those that say how a set boots are on its BOOT partition: the scheme of
/// `ChromeOS` and `CoreOS`, so any boot loader that knows it reads ours. The other bits stay as they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(u64);

const PRIORITY: u32 = 48;
const TRIES: u32 = 52;
const NIBBLE: u64 = 0xf;
const SUCCESSFUL: u64 = 1 << 56;
const EVER_SUCCEEDED: u64 = 1 << 57;

impl Attributes {
    /// No bit set.
    pub const NONE: Self = Self(0);

    /// The greatest priority and number of tries.
    pub const MAX: u8 = 15;

    /// All bits at once.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// All bits at once.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Which set is tried first: the greater one; 0 is never tried. Bits 48 to 51.
    pub const fn priority(self) -> u8 {
        self.nibble(PRIORITY)
    }

    /// The same with another priority, at most [`Self::MAX`].
    #[must_use]
    pub const fn with_priority(self, priority: u8) -> Self {
        self.with_nibble(PRIORITY, priority)
    }

    /// How often the set is yet tried without having been successful. Bits 52 to 55.
    pub const fn tries_left(self) -> u8 {
        self.nibble(TRIES)
    }

    /// The same with other tries, at most [`Self::MAX`].
    #[must_use]
    pub const fn with_tries_left(self, tries: u8) -> Self {
        self.with_nibble(TRIES, tries)
    }

    /// Whether a boot of the set has succeeded. Bit 56.
    pub const fn is_successful(self) -> bool {
        self.0 & SUCCESSFUL != 0
    }

    /// The same with the mark of success set or cleared.
    #[must_use]
    pub const fn with_successful(self, successful: bool) -> Self {
        self.with_flag(SUCCESSFUL, successful)
    }

    /// On the PRIVATE partition: whether any boot has ever succeeded on the disk. Bit 57.
    pub const fn has_ever_succeeded(self) -> bool {
        self.0 & EVER_SUCCEEDED != 0
    }

    /// The same with the mark that a boot has ever succeeded set or cleared.
    #[must_use]
    pub const fn with_ever_succeeded(self, succeeded: bool) -> Self {
        self.with_flag(EVER_SUCCEEDED, succeeded)
    }

    const fn nibble(self, shift: u32) -> u8 {
        self.0.to_be_bytes()[1] >> (shift - PRIORITY) & 0xf
    }

    const fn with_nibble(self, shift: u32, value: u8) -> Self {
        assert!(value <= Self::MAX, "four bits hold at most 15");
        Self(self.0 & !(NIBBLE << shift) | (value as u64) << shift)
    }

    const fn with_flag(self, flag: u64, set: bool) -> Self {
        Self(if set { self.0 | flag } else { self.0 & !flag })
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bits_are_where_boot_loaders_look() {
        for (attributes, bits) in [
            (Attributes::NONE.with_priority(1).with_successful(true), 0x0101_0000_0000_0000),
            (Attributes::NONE.with_priority(15), 0x000f_0000_0000_0000),
            (Attributes::NONE.with_tries_left(15), 0x00f0_0000_0000_0000),
            (Attributes::NONE.with_ever_succeeded(true), 0x0200_0000_0000_0000),
        ] {
            assert_eq!(attributes.bits(), bits, "{attributes:?}");
        }
    }

    proptest! {
        #[test]
        fn a_field_changes_alone(bits: u64, priority in 0..=15u8, tries in 0..=15u8, successful: bool, ever: bool) {
            let before = Attributes::from_bits(bits);
            let after = before.with_priority(priority).with_tries_left(tries);
            let after = after.with_successful(successful).with_ever_succeeded(ever);
            prop_assert_eq!(after.priority(), priority);
            prop_assert_eq!(after.tries_left(), tries);
            prop_assert_eq!(after.is_successful(), successful);
            prop_assert_eq!(after.has_ever_succeeded(), ever);
            let others = !0x03ff_0000_0000_0000;
            prop_assert_eq!(after.bits() & others, bits & others);
            let back = after.with_priority(before.priority()).with_tries_left(before.tries_left());
            let back = back.with_successful(before.is_successful());
            prop_assert_eq!(back.with_ever_succeeded(before.has_ever_succeeded()), before);
        }
    }
}
