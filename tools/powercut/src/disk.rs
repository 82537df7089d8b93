//! The disk: what programs see, what is durable, and what lies between.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The unit that survives or is lost as a whole.
const SECTOR: usize = 512;

/// The files of a disk, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image(pub BTreeMap<String, Vec<u8>>);

/// What of the unsynced operations is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Everything: only what was synced is there.
    All,
    /// Nothing: the disk was quick.
    Nothing,
    /// For each file, everything from some sector of some write on; the seed chooses.
    Tail(u64),
    /// Any of the sectors and truncations, independently of their order; the seed chooses.
    Scattered(u64),
}

/// A change of a file that is not durable yet.
#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Truncate { size: usize },
}

/// A change of the directory that is not durable yet.
#[derive(Clone, Debug)]
enum Entry {
    Link(String, usize),
    Unlink(String),
}

#[derive(Debug, Default)]
struct File {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// The disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    live: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    pending: Vec<Entry>,
    pub(crate) operations: usize,
    pub(crate) cut_after: Option<usize>,
    pub(crate) fail_at: Option<usize>,
    pub(crate) is_cut: bool,
}

/// The disk refused an operation.
#[derive(Debug)]
pub(crate) struct Refused;

pub(crate) fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    pub(crate) fn from_image(image: Image) -> Self {
        let mut disk = Self::default();
        for (name, content) in image.0 {
            disk.durable.insert(name, disk.files.len());
            disk.files.push(File { live: content.clone(), durable: content, pending: Vec::new() });
        }
        disk.live = disk.durable.clone();
        disk
    }

    /// Counts an operation, unless it is to fail.
    fn operate(&mut self) -> Result<(), Refused> {
        if self.cut_after.is_some_and(|limit| self.operations >= limit) {
            self.is_cut = true;
            return Err(Refused);
        }
        if self.fail_at == Some(self.operations) {
            self.fail_at = None;
            return Err(Refused);
        }
        self.operations += 1;
        Ok(())
    }

    /// Reading is no operation, but there is nothing to read from without power.
    fn powered(&self) -> Result<(), Refused> {
        if self.is_cut { Err(Refused) } else { Ok(()) }
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.live.contains_key(name)
    }

    pub(crate) fn open(&mut self, name: &str, create: bool) -> Result<usize, Refused> {
        self.powered()?;
        if let Some(file) = self.live.get(name) {
            return Ok(*file);
        }
        if !create {
            return Err(Refused);
        }
        self.operate()?;
        let file = self.files.len();
        self.files.push(File::default());
        self.live.insert(name.to_owned(), file);
        self.pending.push(Entry::Link(name.to_owned(), file));
        Ok(file)
    }

    pub(crate) fn delete(&mut self, name: &str, sync: bool) -> Result<(), Refused> {
        self.operate()?;
        self.live.remove(name);
        self.pending.push(Entry::Unlink(name.to_owned()));
        if sync {
            self.settle_entries(self.pending.len());
        }
        Ok(())
    }

    pub(crate) fn read(&self, file: usize, offset: usize, into: &mut [u8]) -> Result<usize, Refused> {
        self.powered()?;
        let from = self.files[file].live.get(offset..).unwrap_or_default();
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }

    pub(crate) fn size(&self, file: usize) -> Result<usize, Refused> {
        self.powered()?;
        Ok(self.files[file].live.len())
    }

    pub(crate) fn write(&mut self, file: usize, offset: usize, data: &[u8]) -> Result<(), Refused> {
        self.change(file, Change::Write { offset, data: data.to_vec() })
    }

    pub(crate) fn truncate(&mut self, file: usize, size: usize) -> Result<(), Refused> {
        self.change(file, Change::Truncate { size })
    }

    fn change(&mut self, file: usize, change: Change) -> Result<(), Refused> {
        self.operate()?;
        let file = &mut self.files[file];
        change.apply(&mut file.live);
        file.pending.push(change);
        Ok(())
    }

    pub(crate) fn sync(&mut self, file: usize) -> Result<(), Refused> {
        self.operate()?;
        let linked = |entry: &Entry| matches!(entry, Entry::Link(_, linked) if *linked == file);
        if let Some(last) = self.pending.iter().rposition(linked) {
            self.settle_entries(last + 1);
        }
        let file = &mut self.files[file];
        file.durable.clone_from(&file.live);
        file.pending.clear();
        Ok(())
    }

    fn settle_entries(&mut self, count: usize) {
        for entry in self.pending.drain(..count) {
            entry.apply(&mut self.durable);
        }
    }

    pub(crate) fn image(&self, loss: Loss) -> Image {
        let mut dice = Dice::of(loss);
        let mut names = self.durable.clone();
        for entry in &self.pending[..dice.prefix(self.pending.len())] {
            entry.apply(&mut names);
        }
        let content = |(name, file): (&String, &usize)| (name.clone(), self.files[*file].survivor(&mut dice));
        Image(names.iter().map(content).collect())
    }
}

impl Entry {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, file) => names.insert(name.clone(), *file),
            Self::Unlink(name) => names.remove(name),
        };
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Truncate { size } => content.resize(*size, 0),
            Self::Write { offset, data } => {
                let end = offset + data.len();
                content.resize(content.len().max(end), 0);
                content[*offset..end].copy_from_slice(data);
            }
        }
    }

    /// The change in parts that survive or are lost as a whole.
    fn sectors(&self) -> Vec<Self> {
        let Self::Write { offset, data } = self else { return vec![self.clone()] };
        let (mut sectors, mut at) = (Vec::new(), *offset);
        while at < offset + data.len() {
            let end = ((at / SECTOR + 1) * SECTOR).min(offset + data.len());
            sectors.push(Self::Write { offset: at, data: data[at - offset..end - offset].to_vec() });
            at = end;
        }
        sectors
    }
}

impl File {
    fn survivor(&self, dice: &mut Dice) -> Vec<u8> {
        let sectors: Vec<Change> = self.pending.iter().flat_map(Change::sectors).collect();
        let mut content = self.durable.clone();
        for (sector, survives) in sectors.iter().zip(dice.survivors(sectors.len())) {
            if survives {
                sector.apply(&mut content);
            }
        }
        content
    }
}

/// Decides what survives. The numbers are those of `SplitMix64`, so that a seed always gives the same image.
struct Dice {
    loss: Loss,
    state: u64,
}

impl Dice {
    fn of(loss: Loss) -> Self {
        let state = match loss {
            Loss::All | Loss::Nothing => 0,
            Loss::Tail(seed) | Loss::Scattered(seed) => seed,
        };
        Self { loss, state }
    }

    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// How many of the first of `count` things survive.
    fn prefix(&mut self, count: usize) -> usize {
        match self.loss {
            Loss::All => 0,
            Loss::Nothing => count,
            Loss::Tail(_) | Loss::Scattered(_) => {
                usize::try_from(self.roll() % (count as u64 + 1)).expect("no more than count")
            }
        }
    }

    fn survivors(&mut self, count: usize) -> Vec<bool> {
        if matches!(self.loss, Loss::Scattered(_)) {
            return (0..count).map(|_| self.roll() & 1 == 0).collect();
        }
        let kept = self.prefix(count);
        (0..count).map(|at| at < kept).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSSES: [Loss; 4] = [Loss::All, Loss::Nothing, Loss::Tail(3), Loss::Scattered(3)];

    fn content(disk: &Disk, loss: Loss) -> Option<Vec<u8>> {
        disk.image(loss).0.get("f").cloned()
    }

    fn durable_file(size: usize) -> (Disk, usize) {
        let mut disk = Disk::default();
        let file = disk.open("f", true).unwrap();
        disk.write(file, 0, &vec![b'-'; size]).unwrap();
        disk.sync(file).unwrap();
        (disk, file)
    }

    #[test]
    fn synced_data_is_in_every_image() {
        let (disk, _) = durable_file(1000);
        for loss in LOSSES {
            assert_eq!(content(&disk, loss), Some(vec![b'-'; 1000]), "{loss:?}");
        }
    }

    #[test]
    fn an_unsynced_write_is_torn_at_sectors_only() {
        let (mut disk, file) = durable_file(2048);
        disk.write(file, 100, &[b'+'; 1500]).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            for loss in [Loss::Tail(seed), Loss::Scattered(seed)] {
                let image = content(&disk, loss).unwrap();
                assert_eq!(image.len(), 2048);
                let sectors: Vec<u8> = [100, 512, 1024, 1536].iter().map(|at| image[*at]).collect();
                let whole: [(usize, usize); 4] = [(100, 512), (512, 1024), (1024, 1536), (1536, 1600)];
                for ((from, to), byte) in whole.into_iter().zip(&sectors) {
                    assert!(image[from..to].iter().all(|b| b == byte), "{loss:?} {from}");
                }
                assert!(image[..100].iter().chain(&image[1600..]).all(|b| *b == b'-'), "{loss:?}");
                seen.insert((matches!(loss, Loss::Tail(_)), sectors));
            }
        }
        let (ordered, scattered): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(tail, _)| *tail);
        assert_eq!((ordered.len(), scattered.len()), (5, 16), "every way to tear it was met");
    }

    #[test]
    fn of_two_writes_the_earlier_may_survive_alone_or_the_later() {
        let (mut disk, file) = durable_file(0);
        disk.write(file, 0, b"a").unwrap();
        disk.write(file, 512, b"b").unwrap();
        let images: std::collections::BTreeSet<_> =
            (0..50).map(|seed| content(&disk, Loss::Scattered(seed)).unwrap()).collect();
        let mut later = vec![0; 512];
        later.push(b'b');
        assert!(images.contains(&later) && images.contains(b"a".as_slice()), "{images:?}");
        assert_eq!(content(&disk, Loss::All), Some(Vec::new()));
    }

    #[test]
    fn names_come_and_go_with_syncs() {
        let mut disk = Disk::default();
        let file = disk.open("f", true).unwrap();
        disk.write(file, 0, b"x").unwrap();
        assert_eq!(content(&disk, Loss::All), None);
        assert_eq!(content(&disk, Loss::Nothing), Some(b"x".to_vec()));
        disk.sync(file).unwrap();
        assert_eq!(content(&disk, Loss::All), Some(b"x".to_vec()));
        disk.delete("f", false).unwrap();
        assert_eq!(content(&disk, Loss::All), Some(b"x".to_vec()), "the deletion may be lost");
        assert_eq!(content(&disk, Loss::Nothing), None);
        let again = disk.open("f", true).unwrap();
        disk.write(again, 0, b"y").unwrap();
        disk.delete("f", true).unwrap();
        assert!(LOSSES.iter().all(|loss| content(&disk, *loss).is_none()));
    }

    #[test]
    fn after_the_cut_everything_fails_and_nothing_changes() {
        let (mut disk, file) = durable_file(1);
        disk.cut_after = Some(disk.operations + 1);
        disk.write(file, 0, b"1").unwrap();
        assert!(disk.write(file, 0, b"2").is_err() && disk.is_cut);
        assert!(
            disk.sync(file).is_err() && disk.truncate(file, 0).is_err() && disk.delete("f", true).is_err()
        );
        assert!(disk.read(file, 0, &mut [0]).is_err() && disk.open("f", true).is_err());
        assert_eq!(content(&disk, Loss::Nothing), Some(b"1".to_vec()));
        assert_eq!(content(&disk, Loss::All), Some(b"-".to_vec()));
    }

    #[test]
    fn one_failure_passes() {
        let (mut disk, file) = durable_file(1);
        disk.fail_at = Some(disk.operations);
        assert!(disk.write(file, 0, b"1").is_err());
        disk.write(file, 0, b"2").unwrap();
        assert_eq!(content(&disk, Loss::Nothing), Some(b"2".to_vec()));
    }
}
