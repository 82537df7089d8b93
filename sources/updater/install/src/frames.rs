//! Frames, fetched and decompressed by several threads, written by one.

use crate::blocks;
use crate::error::{
    BadFrameSnafu, FetchRangeSnafu, LongRangeSnafu, ReadFrameSnafu, ReceiveRangeSnafu, ShortRangeSnafu,
};
use crate::progress::Phase;
use crate::run::Sink;
use crate::{BLOCK, Error, Fetch, Plan, Request, Source};
use seekable::{Decoder, SeekTable};
use snafu::{ResultExt, ensure};
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use verity::Verified;

/// Requests under way at once: enough to hide the way to the server, few enough that each has a frame in memory.
const THREADS: usize = 4;

/// What all threads share.
struct Job<'a> {
    image: &'a str,
    wanted: Wanted<'a>,
    fetch: &'a dyn Fetch,
    /// The request that is taken next; beyond the last once one has failed.
    next: AtomicUsize,
}

/// A frame with blocks that are needed, which are good.
struct Piece {
    start: u32,
    data: Vec<u8>,
    compressed_len: u64,
}

/// What is fetched, and what it must be.
pub(crate) struct Wanted<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) requests: &'a [Request],
    pub(crate) table: &'a SeekTable,
    pub(crate) tree: &'a Verified,
}

/// Fetches what a plan lacks. All threads have ended when this returns.
pub(crate) fn fetch(
    image: &str,
    wanted: Wanted<'_>,
    fetch: &dyn Fetch,
    sink: &mut Sink<'_, '_>,
) -> Result<(), Error> {
    let requests = wanted.requests;
    let job = Job { image, wanted, fetch, next: AtomicUsize::new(0) };
    let total = requests.iter().map(Request::len).sum();
    let mut done = 0;
    thread::scope(|scope| {
        let (sender, pieces) = sync_channel(THREADS);
        for _ in 0..THREADS.min(requests.len()) {
            let (sender, job) = (sender.clone(), &job);
            scope.spawn(move || job.work(&sender));
        }
        drop(sender);
        let outcome = pieces.iter().try_for_each(|piece| {
            let piece = piece?;
            for blocks in job.needed(&piece) {
                let bytes = |block: u32| (block - piece.start) as usize * BLOCK;
                sink.write(blocks.start, &piece.data[bytes(blocks.start)..bytes(blocks.end)])?;
            }
            done += piece.compressed_len;
            sink.meter.tell(Phase::Fetch, done, total);
            Ok(())
        });
        job.next.store(requests.len(), Ordering::Relaxed);
        // Whoever still has a piece finds nobody to give it to, and ends.
        drop(pieces);
        outcome
    })
}

impl Job<'_> {
    fn work(&self, pieces: &SyncSender<Result<Piece, Error>>) {
        while let Some(request) = self.wanted.requests.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(e) = self.answer(request, pieces) {
                self.next.store(self.wanted.requests.len(), Ordering::Relaxed);
                drop(pieces.send(Err(e)));
                return;
            }
        }
    }

    /// Performs a request; stops without an error when nobody wants the pieces.
    fn answer(&self, request: &Request, pieces: &SyncSender<Result<Piece, Error>>) -> Result<(), Error> {
        let Self { image, wanted: Wanted { table, tree, .. }, .. } = *self;
        let range = || request.bytes.clone();
        let asked = self.fetch.range(range());
        let mut answer = asked.context(FetchRangeSnafu { image, range: range() })?;
        let mut decoder = Decoder::new().context(ReadFrameSnafu { image, frame: request.frames.start })?;
        let mut compressed = Vec::new();
        for frame in request.frames.clone() {
            let (bytes, blocks) = (table.compressed_range(frame), table.blocks(frame));
            compressed.resize(len(&bytes), 0);
            match answer.read_exact(&mut compressed) {
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                    return ShortRangeSnafu { image, range: range() }.fail();
                }
                read => read.context(ReceiveRangeSnafu { image, range: range() })?,
            }
            let start = u32::try_from(blocks.start).expect("as long as the tree, whose blocks were counted");
            let mut piece =
                Piece { start, data: vec![0; len(&blocks) * BLOCK], compressed_len: bytes.end - bytes.start };
            decoder.decode(&compressed, &mut piece.data).context(ReadFrameSnafu { image, frame })?;
            for block in self.needed(&piece).flatten() {
                let data = &piece.data.as_chunks().0[(block - start) as usize];
                ensure!(tree.is_good(block.into(), data), BadFrameSnafu { image, frame, block });
            }
            if pieces.send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
        let rest = io::copy(&mut answer.take(1), &mut io::sink());
        let rest = rest.context(ReceiveRangeSnafu { image, range: range() })?;
        ensure!(rest == 0, LongRangeSnafu { image, range: range() });
        Ok(())
    }

    /// The blocks of a frame that the plan takes from it.
    fn needed(&self, piece: &Piece) -> impl Iterator<Item = Range<u32>> {
        let end =
            piece.start + u32::try_from(piece.data.len() / BLOCK).expect("a frame has at most 256 blocks");
        let runs = &self.wanted.plan.runs;
        let is_fetched = move |block: u32| {
            let run = runs.partition_point(|run| run.start <= block).checked_sub(1);
            run.is_some_and(|run| runs[run].source == Source::Fetch)
        };
        blocks::runs(piece.start..end, is_fetched)
    }
}

fn len(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).expect("a frame has at most little more than 1 MiB")
}
