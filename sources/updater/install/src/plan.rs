//! From where each block is taken.

use crate::blocks::offset;
use crate::{BLOCK, BlockSet, Index};
use seekable::SeekTable;
use std::fmt;
use std::ops::Range;
use verity::Verified;

/// Frames less than this apart are fetched together: another request costs more than these bytes do.
const GAP_LEN: u64 = 16 * 1024;

/// Frames are not fetched together beyond this, so that several threads have something to do, and a request that
/// fails costs little.
const MAX_REQUEST_LEN: u64 = 4 * 1024 * 1024;

/// What a request costs beside its bytes, in bytes: its headers and those of the answer.
const REQUEST_COST: u64 = 1024;

/// What becomes of every block of an image, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Neighbours differ in more than their place; together they are the image.
    pub runs: Vec<Run>,
}

/// Successive blocks that come from one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first block.
    pub start: u32,
    /// How many there are; at least one.
    pub count: u32,
    /// Where they come from.
    pub source: Source,
}

/// Where blocks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// They are on the partition already.
    Keep,
    /// They are zero.
    Zero,
    /// The running set has them.
    Copy {
        /// Its first such block.
        from: u32,
    },
    /// Only the release has them.
    Fetch,
}

/// How many blocks come from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Totals {
    pub kept: u64,
    pub zero: u64,
    pub copied: u64,
    pub fetched: u64,
}

/// Frames that are fetched together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The frames.
    pub frames: Range<u32>,
    /// Where they are in the seekable image.
    pub bytes: Range<u64>,
}

/// How an image is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Block by block.
    Blocks {
        /// Where each comes from.
        plan: Plan,
        /// What is fetched for it; nothing, if the host has everything.
        requests: Vec<Request>,
    },
    /// The full image is streamed.
    Full {
        /// Why.
        reason: Reason,
    },
}

/// Why the full image is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The release has no hash tree of the image.
    NoTree,
    /// The release has no seekable image.
    NoFrames,
    /// The seekable image is not as long as the hash tree says.
    OtherFrames {
        /// Its blocks.
        blocks: u64,
        /// The blocks of the tree.
        expected: u64,
    },
    /// Fetching what is missing would cost as much.
    Dearer {
        /// Bytes of all frames needed.
        frames_len: u64,
        /// Bytes of the full image.
        full_len: u64,
    },
    /// The server does not send parts of files.
    NoRanges,
}

/// Takes every block from where it is cheapest. Pure: nothing is read.
pub fn plan(tree: &Verified, held: &BlockSet, active: &Index) -> Plan {
    let zero = tree.digest(&[0; BLOCK]);
    let mut runs: Vec<Run> = Vec::new();
    let mut copied_last = None;
    for (start, digest) in (0..).zip(tree.leaves()) {
        let next = copied_last.map_or(start, |from: u32| from.saturating_add(1));
        let source = if held.contains(start) {
            Source::Keep
        } else if *digest == zero {
            Source::Zero
        } else {
            active.find(digest, next, start).map_or(Source::Fetch, |from| Source::Copy { from })
        };
        if let Source::Copy { from } = source {
            copied_last = Some(from);
        }
        match runs.last_mut() {
            Some(run) if run.goes_on_with(source) => run.count += 1,
            _ => runs.push(Run { start, count: 1, source }),
        }
    }
    Plan { runs }
}

/// Block by block, or the full image of this many compressed bytes. Pure.
pub fn decide(plan: Plan, tree: &Verified, frames: Option<&SeekTable>, full_len: u64) -> Decision {
    if plan.totals().fetched == 0 {
        return Decision::Blocks { plan, requests: Vec::new() };
    }
    let Some(frames) = frames else { return Decision::Full { reason: Reason::NoFrames } };
    let (blocks, expected) = (frames.data_blocks(), tree.data_blocks());
    if blocks != expected {
        return Decision::Full { reason: Reason::OtherFrames { blocks, expected } };
    }
    let requests = plan.requests(frames);
    let frames_len = requests.iter().map(Request::len).sum();
    if frames_len + REQUEST_COST * requests.len() as u64 >= full_len {
        return Decision::Full { reason: Reason::Dearer { frames_len, full_len } };
    }
    Decision::Blocks { plan, requests }
}

impl Plan {
    /// How many blocks come from where.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for run in &self.runs {
            let of_kind = match run.source {
                Source::Keep => &mut totals.kept,
                Source::Zero => &mut totals.zero,
                Source::Copy { .. } => &mut totals.copied,
                Source::Fetch => &mut totals.fetched,
            };
            *of_kind += u64::from(run.count);
        }
        totals
    }

    /// What has to be fetched, in order, when the frames are these.
    pub fn requests(&self, table: &SeekTable) -> Vec<Request> {
        let mut requests: Vec<Request> = Vec::new();
        for run in self.runs.iter().filter(|run| run.source == Source::Fetch) {
            let frame_of = |block| table.frame_of_block(u64::from(block));
            let (Some(first), Some(last)) = (frame_of(run.start), frame_of(run.start + (run.count - 1)))
            else {
                continue;
            };
            let asked = requests.last().map_or(0, |request| request.frames.end);
            for frame in first.max(asked)..=last {
                let bytes = table.compressed_range(frame);
                match requests.last_mut() {
                    Some(request) if request.reaches(&bytes) => {
                        request.frames.end = frame + 1;
                        request.bytes.end = bytes.end;
                    }
                    _ => requests.push(Request { frames: frame..frame + 1, bytes }),
                }
            }
        }
        requests
    }
}

impl Totals {
    /// All blocks.
    pub fn sum(&self) -> u64 {
        self.kept + self.zero + self.copied + self.fetched
    }
}

impl Run {
    /// Its blocks.
    pub fn blocks(&self) -> Range<u32> {
        self.start..self.start + self.count
    }

    fn goes_on_with(&self, source: Source) -> bool {
        match (self.source, source) {
            (Source::Copy { from }, Source::Copy { from: next }) => {
                from.checked_add(self.count) == Some(next)
            }
            (here, next) => here == next,
        }
    }
}

impl Request {
    /// Bytes that are fetched.
    pub fn len(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }

    /// Whether nothing is fetched, which is never so in a plan.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn reaches(&self, bytes: &Range<u64>) -> bool {
        bytes.start - self.bytes.end <= GAP_LEN && bytes.end - self.bytes.start <= MAX_REQUEST_LEN
    }
}

impl Decision {
    /// Bytes that cross the network, headers not counted.
    pub fn fetched_len(&self, full_len: u64) -> u64 {
        match self {
            Self::Blocks { requests, .. } => requests.iter().map(Request::len).sum(),
            Self::Full { .. } => full_len,
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = self.blocks();
        match self.source {
            Source::Keep => write!(f, "keep blocks {} to {}", blocks.start, blocks.end),
            Source::Zero => write!(f, "zero blocks {} to {}", blocks.start, blocks.end),
            Source::Copy { from } => write!(f, "copy blocks {} to {} from {from}", blocks.start, blocks.end),
            Source::Fetch => write!(f, "fetch blocks {} to {}", blocks.start, blocks.end),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runs.iter().try_for_each(|run| writeln!(f, "{run}"))
    }
}

/// In bytes of the image.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = |blocks| blocks * offset(1);
        let Self { kept, zero, copied, fetched } = *self;
        write!(
            f,
            "{} bytes kept, {} zero, {} copied, {} fetched",
            len(kept),
            len(zero),
            len(copied),
            len(fetched)
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTree => f.write_str("the release has no hash tree of it"),
            Self::NoFrames => f.write_str("the release has no seekable image of it"),
            Self::OtherFrames { blocks, expected } => {
                write!(f, "the seekable image has {blocks} blocks and the hash tree {expected}")
            }
            Self::Dearer { frames_len, full_len } => {
                write!(f, "the frames that are needed have {frames_len} bytes and the full image {full_len}")
            }
            Self::NoRanges => f.write_str("the server does not send parts of files"),
        }
    }
}

/// One line.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocks { plan, requests } => {
                let len: u64 = requests.iter().map(Request::len).sum();
                write!(
                    f,
                    "block by block: {}, in {} requests of {len} compressed bytes",
                    plan.totals(),
                    requests.len()
                )
            }
            Self::Full { reason } => write!(f, "the full image, since {reason}"),
        }
    }
}
