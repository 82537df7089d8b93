//! What a partition holds, by its first bytes.

use crate::build::{EFI_FS_LABEL, PRIVATE_FS_LABEL};
use partitions::{Entry, kind};
use std::fmt;

/// How much of a partition tells what it holds.
pub(super) const HEAD_LEN: u64 = 64 * 1024;

/// What a partition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Empty,
    Erofs,
    /// With its label.
    Ext4(String),
    /// With its label.
    Fat(String),
    /// A hash tree.
    Verity,
    Unknown,
}

impl Content {
    /// What begins with these bytes.
    pub(super) fn of(head: &[u8]) -> Self {
        let has = |at: usize, magic: &[u8]| head.get(at..at + magic.len()) == Some(magic);
        let text = |at: usize, len: usize| {
            let bytes = head.get(at..at + len).unwrap_or_default();
            String::from_utf8_lossy(bytes).trim_end_matches(['\0', ' ']).to_owned()
        };
        // The superblock of ext4 is at 1024; magic and label are at 0x38 and 0x78 of it.
        if has(1024 + 0x38, &[0x53, 0xef]) {
            Self::Ext4(text(1024 + 0x78, 16))
        } else if has(1024, &[0xe2, 0xe1, 0xf5, 0xe0]) {
            Self::Erofs
        } else if has(510, &[0x55, 0xaa]) && has(0x36, b"FAT12   ") {
            Self::Fat(text(0x2b, 11))
        } else if has(0, b"verity\0\0") {
            Self::Verity
        } else if head.iter().all(|byte| *byte == 0) {
            Self::Empty
        } else {
            Self::Unknown
        }
    }

    /// What should be here instead, if this is not what a partition of this type holds.
    pub(super) fn misfit(&self, entry: &Entry) -> Option<String> {
        let ext4 = |label: &str| Self::Ext4(label.into());
        let fitting = match entry.kind {
            kind::EFI_SYSTEM => vec![Self::Fat(EFI_FS_LABEL.into())],
            kind::PRIVATE => vec![ext4(PRIVATE_FS_LABEL)],
            kind::ROOT => vec![Self::Erofs, Self::Empty],
            kind::HASH => vec![Self::Verity, Self::Empty],
            kind::BOOT => vec![ext4(crate::build::BOOT_FS_LABEL), Self::Empty],
            kind::DATA if entry.id == kind::id::DATA_PREFERRED => vec![ext4("")],
            kind::DATA | kind::RESERVED | kind::EFI_BACKUP => vec![Self::Empty],
            _ => return None,
        };
        let is_fitting = fitting.contains(self);
        let names: Vec<String> = fitting.iter().map(ToString::to_string).collect();
        (!is_fitting).then(|| names.join(" or "))
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing"),
            Self::Erofs => f.write_str("erofs"),
            Self::Ext4(label) if label.is_empty() => f.write_str("ext4"),
            Self::Ext4(label) => write!(f, "ext4 '{label}'"),
            Self::Fat(label) => write!(f, "FAT12 '{label}'"),
            Self::Verity => f.write_str("a hash tree"),
            Self::Unknown => f.write_str("something else"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_known_by_its_marks() {
        let head = |marks: &[(usize, &[u8])]| {
            let mut head = vec![0; 4096];
            for (at, mark) in marks {
                head[*at..at + mark.len()].copy_from_slice(mark);
            }
            head
        };
        for (marks, text) in [
            (&[][..], "nothing"),
            (&[(1024, &[0xe2, 0xe1, 0xf5, 0xe0][..])], "erofs"),
            (&[(1080, &[0x53, 0xef])], "ext4"),
            (&[(1080, &[0x53, 0xef]), (1144, b"NAME")], "ext4 'NAME'"),
            (&[(510, &[0x55, 0xaa]), (0x36, b"FAT12   "), (0x2b, b"EFI        ")], "FAT12 'EFI'"),
            (&[(0, b"verity\0\0")], "a hash tree"),
            (&[(4000, b"x")], "something else"),
        ] {
            assert_eq!(Content::of(&head(marks)).to_string(), text);
        }
        assert_eq!(Content::of(&[]), Content::Empty);
    }
}
