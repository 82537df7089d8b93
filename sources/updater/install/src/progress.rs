//! How far an install is.

use std::fmt;

/// What is being done, and how far it is. Rates and times are computed by who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Which image.
    pub image: &'a str,
    /// What is being done.
    pub phase: Phase,
    /// Bytes done of this phase: compressed ones where they are fetched.
    pub bytes_done: u64,
    /// Bytes of this phase in all.
    pub bytes_total: u64,
    /// Blocks of the image that are on the partition.
    pub blocks_done: u64,
    /// Blocks of the image; 0 as long as its size is not known.
    pub blocks_total: u64,
}

/// What is being done, in this order; not all of them are always needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Reading what an install that was cut off has left.
    Resume,
    /// Hashing the running set, whose tree has another salt or is not at hand.
    Index,
    /// Copying blocks from the running set.
    Copy,
    /// Fetching frames.
    Fetch,
    /// Fetching the full image.
    Stream,
    /// Reading everything back.
    ReadBack,
}

impl Phase {
    /// A word for it, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Index => "index",
            Self::Copy => "copy",
            Self::Fetch => "fetch",
            Self::Stream => "stream",
            Self::ReadBack => "read-back",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tells whoever listens.
pub(crate) struct Meter<'a> {
    pub(crate) image: &'a str,
    pub(crate) blocks_done: u64,
    pub(crate) blocks_total: u64,
    pub(crate) listener: &'a mut dyn FnMut(&Progress<'_>),
}

impl Meter<'_> {
    pub(crate) fn tell(&mut self, phase: Phase, bytes_done: u64, bytes_total: u64) {
        let Self { image, blocks_done, blocks_total, ref mut listener } = *self;
        listener(&Progress { image, phase, bytes_done, bytes_total, blocks_done, blocks_total });
    }
}
