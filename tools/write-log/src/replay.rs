//! A log laid over a disk.

use crate::log::{Kind, Log, SECTOR, SECTOR_LEN};
use crate::state::{Fingerprint, Source, State};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;

/// What a power cut does to what no flush had promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of it is lost.
    All,
    /// All of it is there.
    Nothing,
    /// Each write is there or not, as the seed says: they reached the disk in another order than they were made.
    Some(u64),
    /// Each sector of each write, of 512 bytes, is there or not, as the seed says. Many disks write 4096 bytes whole;
    /// no disk writes less than a sector.
    Torn(u64),
}

/// A log laid over a disk, up to some entry.
#[derive(Debug)]
pub struct Replay<'a> {
    log: &'a Log,
    base: &'a File,
    len: u64,
    regions: Vec<Range<u64>>,
    /// What lasts: who wrote each sector.
    durable: BTreeMap<u64, Source>,
    /// Fingerprints of what lasts, of each region.
    fingerprints: Vec<Fingerprint>,
    /// Entries that no flush has followed.
    pending: Vec<usize>,
    place: usize,
}

impl<'a> Replay<'a> {
    /// A log over the disk as it was before its first entry. `regions`, in bytes, are those that will be told from
    /// others by their fingerprints.
    pub fn new(log: &'a Log, base: &'a File, regions: Vec<Range<u64>>) -> io::Result<Self> {
        let len = base.metadata()?.len();
        let fingerprints = vec![Fingerprint::default(); regions.len()];
        Ok(Self {
            log,
            base,
            len,
            regions,
            durable: BTreeMap::new(),
            fingerprints,
            pending: Vec::new(),
            place: 0,
        })
    }

    /// How many entries have been laid over the disk.
    pub fn place(&self) -> usize {
        self.place
    }

    /// Goes on to the state after so many entries; a replay does not go back.
    pub fn advance_to(&mut self, place: usize) -> io::Result<()> {
        assert!(place >= self.place, "a replay goes on, from {} to {place}", self.place);
        for index in self.place..place.min(self.log.entries().len()) {
            let entry = self.log.entries()[index];
            if entry.is_flush {
                for earlier in std::mem::take(&mut self.pending) {
                    self.keep(earlier)?;
                }
            }
            match entry.kind {
                Kind::Nothing => {}
                Kind::Discard | Kind::Write { .. } if entry.is_forced => self.keep(index)?,
                Kind::Discard | Kind::Write { .. } => self.pending.push(index),
            }
            self.place = index + 1;
        }
        Ok(())
    }

    /// The disk that a power cut at this place could leave.
    pub fn after_cut(&self, loss: Loss) -> io::Result<State<'_>> {
        let mut state = State {
            log: self.log,
            base: self.base,
            len: self.len,
            durable: &self.durable,
            lucky: BTreeMap::new(),
            regions: &self.regions,
            fingerprints: self.fingerprints.clone(),
            position: 0,
        };
        for &index in &self.pending {
            let of_write = dice(loss, index as u64, 0);
            if matches!(loss, Loss::All) || (matches!(loss, Loss::Some(_)) && !of_write) {
                continue;
            }
            for (sector, source) in sources(self.log, index)? {
                if matches!(loss, Loss::Torn(_)) && !dice(loss, index as u64, sector + 1) {
                    continue;
                }
                let before = state.lucky.insert(sector, source);
                let before = before.or_else(|| self.durable.get(&sector).copied());
                mark(&self.regions, &mut state.fingerprints, sector, before, source);
            }
        }
        Ok(state)
    }

    /// How many writes no flush had promised yet.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn keep(&mut self, index: usize) -> io::Result<()> {
        for (sector, source) in sources(self.log, index)? {
            let before = self.durable.insert(sector, source);
            mark(&self.regions, &mut self.fingerprints, sector, before, source);
        }
        Ok(())
    }
}

/// What an entry put where.
fn sources(log: &Log, index: usize) -> io::Result<Vec<(u64, Source)>> {
    let entry = log.entries()[index];
    let mut list = Vec::new();
    let mut content = [0; SECTOR_LEN];
    for number in 0..entry.sectors {
        let sector = entry.sector + number;
        let place = match entry.kind {
            Kind::Write { data } => Some(data + number * SECTOR),
            Kind::Discard | Kind::Nothing => None,
        };
        match place {
            Some(place) => log.read(place, &mut content)?,
            None => content.fill(0),
        }
        list.push((sector, Source { place, mark: mark_of(sector, &content) }));
    }
    Ok(list)
}

/// What a sector with this content adds to the fingerprint of its region.
fn mark_of(sector: u64, content: &[u8]) -> u128 {
    let digest = Sha256::new().chain_update(sector.to_le_bytes()).chain_update(content).finalize();
    u128::from_le_bytes(digest[..16].try_into().expect("sixteen bytes"))
}

fn mark(
    regions: &[Range<u64>],
    fingerprints: &mut [Fingerprint],
    sector: u64,
    before: Option<Source>,
    after: Source,
) {
    for (region, fingerprint) in regions.iter().zip(fingerprints) {
        if region.contains(&(sector * SECTOR)) {
            fingerprint.0 ^= before.map_or(0, |source| source.mark) ^ after.mark;
        }
    }
}

/// Heads or tails, the same for the same seed.
fn dice(loss: Loss, index: u64, sector: u64) -> bool {
    let (Loss::Some(seed) | Loss::Torn(seed)) = loss else { return true };
    // SplitMix64, whose constants these are.
    let mut mixed = seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ sector.rotate_left(32);
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(factor);
    }
    (mixed ^ (mixed >> 31)) & 1 == 1
}
