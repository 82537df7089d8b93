//! One image, from the plan to the last look.

use crate::blocks::{self, offset};
use crate::error::{
    FlushSnafu, PartitionSizeSnafu, ReadHeldSnafu, TooLargeSnafu, TooManyBlocksSnafu, WriteSnafu,
};
use crate::full::expected_size;
use crate::index::chunks;
use crate::plan::{decide, plan};
use crate::progress::{Meter, Phase};
use crate::read_back::{Expected, read_back};
use crate::{
    Active, BLOCK, BlockSet, CHUNK, Check, Decision, Error, FLUSH_EVERY, Fetch, FetchError, Image, Index,
    Plan, Progress, Reason, Request, Run, Source, Target, Totals, frames, full,
};
use snafu::{ResultExt, ensure};
use verity::{Tree, Verified};

/// What is installed, and what the host has.
pub struct Job<'a> {
    /// The new image.
    pub image: Image<'a>,
    /// The same image of the running set; none if there is nothing to copy from.
    pub active: Option<ActiveImage<'a>>,
    /// What is on the partition.
    pub before: Before,
}

/// An image of the running set.
pub struct ActiveImage<'a> {
    /// Its partition.
    pub partition: &'a mut dyn Active,
    /// Bytes of the partition that are worth looking at; the partition's length, if nothing better is known.
    pub len: u64,
    /// Its hash tree, verified or not. It is used if it has the salt of the new one, else the partition is hashed.
    pub tree: Option<Tree>,
}

/// What is on the partition before an install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Anything: it is not read.
    Unknown,
    /// Part of the same image, since installing it was cut off: it is hashed, and what is good is kept.
    SameImage,
}

/// How an image is going to be installed. Nothing has been written yet.
pub struct Prepared<'a> {
    image: Image<'a>,
    active: Option<&'a mut dyn Active>,
    held: BlockSet,
    decision: Decision,
}

/// How an image was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Why the full image was taken; none if it was not.
    pub full: Option<Reason>,
    /// Blocks by where they came from. Those of a full image are fetched.
    pub totals: Totals,
    /// Bytes fetched, compressed.
    pub fetched_len: u64,
    /// In how many requests.
    pub requests: u64,
}

/// Installs an image: [`prepare`], then [`Prepared::install`].
pub fn install(
    job: Job<'_>,
    target: &mut dyn Target,
    fetch: &dyn Fetch,
    listener: &mut dyn FnMut(&Progress<'_>),
) -> Result<Report, Error> {
    prepare(job, target, listener)?.install(target, fetch, listener)
}

/// Finds out what the host has, and decides. Nothing is written or fetched.
pub fn prepare<'a>(
    job: Job<'a>,
    target: &mut dyn Target,
    listener: &mut dyn FnMut(&Progress<'_>),
) -> Result<Prepared<'a>, Error> {
    let Job { image, active, before } = job;
    let room = target.len_bytes().context(PartitionSizeSnafu { image: image.name })?;
    let size = expected_size(&image).unwrap_or(0);
    ensure!(size <= room, TooLargeSnafu { image: image.name, size, room });
    let Check::Tree(tree) = image.check else {
        let decision = Decision::Full { reason: Reason::NoTree };
        return Ok(Prepared { image, active: None, held: BlockSet::default(), decision });
    };
    let blocks = u32::try_from(tree.data_blocks()).ok();
    let Some(blocks) = blocks else { return TooManyBlocksSnafu { image: image.name, size }.fail() };
    let mut meter = Meter { image: image.name, blocks_done: 0, blocks_total: blocks.into(), listener };
    let held = match before {
        Before::Unknown => BlockSet::default(),
        Before::SameImage => held(target, blocks, tree, &mut meter)?,
    };
    meter.blocks_done = held.count();
    let (index, active) = match active {
        None => (Index::default(), None),
        Some(ActiveImage { partition, len, tree: active }) => {
            let comparable = active.filter(|active| active.salt() == tree.salt());
            let index = match comparable {
                Some(active) => Index::of_tree(&active),
                None => Index::of_data(partition, len, tree, &mut meter),
            };
            (index, Some(partition))
        }
    };
    let decision = decide(plan(tree, &held, &index), tree, image.frames, image.full.len);
    Ok(Prepared { image, active, held, decision })
}

/// The blocks of a partition that are already what they must be.
fn held(
    target: &mut dyn Target,
    blocks: u32,
    tree: &Verified,
    meter: &mut Meter<'_>,
) -> Result<BlockSet, Error> {
    let mut held = BlockSet::default();
    let mut buffer = vec![0; CHUNK];
    for (start, count) in chunks(blocks) {
        let data = &mut buffer[..count as usize * BLOCK];
        let context = ReadHeldSnafu { image: meter.image, offset: offset(start) };
        target.read_at(offset(start), data).context(context)?;
        for (block, data) in (start..).zip(data.as_chunks().0) {
            if tree.is_good(block.into(), data) {
                held.insert(block);
            }
        }
        meter.blocks_done = held.count();
        meter.tell(Phase::Resume, offset(start + count), offset(blocks));
    }
    Ok(held)
}

impl Prepared<'_> {
    /// What is going to be done.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Does it. When this returns without an error, the partition has the image, flushed and read back.
    pub fn install(
        self,
        target: &mut dyn Target,
        fetch: &dyn Fetch,
        listener: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Report, Error> {
        let Self { image, active, held, decision } = self;
        let name = image.name;
        tracing::info!(image = name, %decision, "installing");
        let room = target.len_bytes().context(PartitionSizeSnafu { image: name })?;
        let blocks_total = expected_size(&image).unwrap_or(0) / BLOCK as u64;
        let meter = Meter { image: name, blocks_done: held.count(), blocks_total, listener };
        let mut sink = Sink { target, meter, room, unflushed: 0 };
        let by_blocks = match (image.check, decision) {
            (Check::Tree(tree), Decision::Blocks { plan, requests }) => {
                let todo = Todo { tree, plan, requests, held };
                todo.perform(&image, active, fetch, &mut sink)?.map(|report| (report, Expected::Tree(tree)))
            }
            (_, Decision::Full { reason }) => Err(reason),
            (Check::Whole(_), Decision::Blocks { .. }) => Err(Reason::NoTree),
        };
        let (report, expected) = match by_blocks {
            Ok(done) => done,
            Err(reason) => {
                tracing::info!(image = name, %reason, "taking the full image");
                let (blocks, expected) = full::stream(&image, fetch, &mut sink)?;
                let totals = Totals { fetched: blocks.into(), ..Totals::default() };
                (Report { full: Some(reason), totals, fetched_len: image.full.len, requests: 1 }, expected)
            }
        };
        sink.flush()?;
        let blocks = report.totals.sum();
        read_back(sink.target, blocks, &expected, &mut sink.meter)?;
        Ok(report)
    }
}

/// What is done block by block.
struct Todo<'a> {
    tree: &'a Verified,
    plan: Plan,
    requests: Vec<Request>,
    held: BlockSet,
}

impl Todo<'_> {
    /// Does it, or tells why the full image has to be taken after all.
    fn perform(
        mut self,
        image: &Image<'_>,
        active: Option<&mut dyn Active>,
        fetch: &dyn Fetch,
        sink: &mut Sink<'_, '_>,
    ) -> Result<Result<Report, Reason>, Error> {
        let mut totals = self.plan.totals();
        if !self.write_local(active, sink)? {
            tracing::warn!(image = image.name, "blocks of the running set are not what its hash tree says");
            let rest = plan(self.tree, &self.held, &Index::default());
            totals.fetched = rest.totals().fetched;
            totals.copied = self.tree.data_blocks() - totals.kept - totals.zero - totals.fetched;
            (self.plan, self.requests) = match decide(rest, self.tree, image.frames, image.full.len) {
                Decision::Blocks { plan, requests } => (plan, requests),
                Decision::Full { reason } => return Ok(Err(reason)),
            };
        }
        if let Some(table) = image.frames {
            let wanted =
                frames::Wanted { plan: &self.plan, requests: &self.requests, table, tree: self.tree };
            match frames::fetch(image.name, wanted, fetch, sink) {
                Err(Error::FetchRange { source: FetchError::NoRanges, .. }) => {
                    return Ok(Err(Reason::NoRanges));
                }
                outcome => outcome?,
            }
        }
        let fetched_len = self.requests.iter().map(Request::len).sum();
        Ok(Ok(Report { full: None, totals, fetched_len, requests: self.requests.len() as u64 }))
    }

    /// Writes what needs no network. False if some of it was not what it should have been, and was left out.
    fn write_local(
        &mut self,
        mut active: Option<&mut dyn Active>,
        sink: &mut Sink<'_, '_>,
    ) -> Result<bool, Error> {
        let Self { tree, plan, held, .. } = self;
        let is_local = |run: &&Run| matches!(run.source, Source::Zero | Source::Copy { .. });
        let total = plan.runs.iter().filter(is_local).map(|run| offset(run.count)).sum();
        let mut buffer = vec![0; CHUNK];
        let (mut done, mut told, mut all_good) = (0, 0, true);
        for run in plan.runs.iter().filter(is_local) {
            for (skipped, count) in chunks(run.count) {
                let start = run.start + skipped;
                let data = &mut buffer[..count as usize * BLOCK];
                let is_read = if let (Source::Copy { from }, Some(active)) = (run.source, &mut active) {
                    read_active(*active, from + skipped, data)
                } else {
                    data.fill(0);
                    true
                };
                let is_good = |block: u32| {
                    is_read && tree.is_good(block.into(), &data.as_chunks().0[(block - start) as usize])
                };
                for good in blocks::runs(start..start + count, is_good) {
                    let bytes = |block: u32| (block - start) as usize * BLOCK;
                    sink.write(good.start, &data[bytes(good.start)..bytes(good.end)])?;
                    good.clone().for_each(|block| held.insert(block));
                }
                all_good &= (start..start + count).all(|block| held.contains(block));
                done += data.len() as u64;
                if done - told >= CHUNK as u64 || done == total {
                    told = done;
                    sink.meter.tell(Phase::Copy, done, total);
                }
            }
        }
        Ok(all_good)
    }
}

/// Whether blocks of the running set could be read; if not, they are fetched like any others.
fn read_active(active: &mut dyn Active, from: u32, data: &mut [u8]) -> bool {
    let read = active.read_at(offset(from), data);
    if let Err(e) = &read {
        tracing::warn!(offset = offset(from), error = %e, "unreadable block of the running set");
    }
    read.is_ok()
}

/// Where an image is written, and who is told.
pub(crate) struct Sink<'a, 'm> {
    target: &'a mut dyn Target,
    pub(crate) meter: Meter<'m>,
    room: u64,
    unflushed: u64,
}

impl Sink<'_, '_> {
    /// Bytes of the partition.
    pub(crate) fn room(&self) -> u64 {
        self.room
    }

    /// Forgets the progress of blocks that are written once more.
    pub(crate) fn start_over(&mut self) {
        self.meter.blocks_done = 0;
    }

    /// Writes whole blocks.
    pub(crate) fn write(&mut self, block: u32, bytes: &[u8]) -> Result<(), Error> {
        let (image, offset) = (self.meter.image, offset(block));
        self.target.write_at(offset, bytes).context(WriteSnafu { image, offset })?;
        self.meter.blocks_done += (bytes.len() / BLOCK) as u64;
        self.unflushed += bytes.len() as u64;
        if self.unflushed >= FLUSH_EVERY { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.unflushed = 0;
        self.target.sync().context(FlushSnafu { image: self.meter.image })
    }
}
