//! What is to be installed.

use seekable::SeekTable;
use verity::Verified;

/// An image, and what is known of it from signed metadata.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// What it is called in errors, logs and progress: `root` or `boot`.
    pub name: &'a str,
    /// What it must be.
    pub check: Check<'a>,
    /// Where its frames are; none if the release has no seekable image.
    pub frames: Option<&'a SeekTable>,
    /// The image as every release has it, whole.
    pub full: Full,
}

/// What an image is measured by.
#[derive(Debug, Clone, Copy)]
pub enum Check<'a> {
    /// A hash tree: each block on its own.
    Tree(&'a Verified),
    /// All of it at once. None if nothing is published of the image but the digest of its compressed bytes; it is
    /// read back against what was decompressed.
    Whole(Option<Sum>),
}

/// An uncompressed image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// A compressed target as its signed metadata have it: an LZ4 frame of the whole image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// Its length in bytes, as it is stored.
    pub len: u64,
    /// The SHA-256 of those bytes.
    pub sha256: [u8; 32],
}
