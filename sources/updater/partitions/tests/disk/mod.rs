//! A disk in memory whose power can be cut.

#![allow(dead_code, reason = "not every test needs all of it")]

use partitions::Disk;
use std::collections::BTreeMap;
use std::io;

/// What a disk writes whole or not at all.
const ATOM: usize = 512;

/// Pieces of [`ATOM`] bytes by their number; what is not there is zero.
type Pieces = BTreeMap<usize, Vec<u8>>;

/// A disk with a cache: what was written since the last sync may be lost, each 512 bytes on their own.
#[derive(Clone, Default)]
pub(crate) struct MemoryDisk {
    len: usize,
    durable: Pieces,
    /// What reads see and a power cut may lose.
    cached: Pieces,
    /// What a power cut just before each sync may leave.
    pub(crate) cuts: Vec<Cut>,
    /// Writes so far.
    pub(crate) writes: usize,
}

/// The state of a disk when its power goes.
#[derive(Clone)]
pub(crate) struct Cut {
    len: usize,
    durable: Pieces,
    /// Only pieces that change something: any of them may be kept and any lost.
    pending: Vec<(usize, Vec<u8>)>,
}

impl MemoryDisk {
    pub(crate) fn with(bytes: &[u8]) -> Self {
        let mut disk = Self { len: bytes.len(), ..Self::default() };
        for (number, piece) in bytes.chunks(ATOM).enumerate() {
            if piece.iter().any(|byte| *byte != 0) {
                let mut piece = piece.to_vec();
                piece.resize(ATOM, 0);
                disk.durable.insert(number, piece);
            }
        }
        disk
    }

    pub(crate) fn zeroed(len: u64) -> Self {
        Self { len: len.try_into().unwrap(), ..Self::default() }
    }

    /// The disk with everything durable, and no history.
    #[must_use]
    pub(crate) fn settled(mut self) -> Self {
        self.durable.append(&mut self.cached);
        Self { len: self.len, durable: self.durable, ..Self::default() }
    }

    #[must_use]
    pub(crate) fn flipped(mut self, at: u64, bits: u8) -> Self {
        let at = usize::try_from(at).unwrap();
        self.durable.entry(at / ATOM).or_insert_with(|| vec![0; ATOM])[at % ATOM] ^= bits;
        self
    }

    #[must_use]
    pub(crate) fn grown(mut self, by: u64) -> Self {
        self.len += usize::try_from(by).unwrap();
        self
    }

    /// All its bytes, the cached ones too.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.clone().read_at(0, &mut bytes).unwrap();
        bytes
    }

    fn piece(&self, number: usize) -> &[u8] {
        let piece = self.cached.get(&number).or_else(|| self.durable.get(&number));
        piece.map_or(&[0; ATOM], Vec::as_slice)
    }

    fn cut(&self) -> Cut {
        let changes = |(number, piece): &(&usize, &Vec<u8>)| {
            self.durable.get(*number).map_or(&[0; ATOM][..], Vec::as_slice) != piece.as_slice()
        };
        let pending = self.cached.iter().filter(changes).map(|(at, piece)| (*at, piece.clone())).collect();
        Cut { len: self.len, durable: self.durable.clone(), pending }
    }
}

impl Cut {
    /// Every disk that may be there when the power comes back.
    pub(crate) fn survivors(&self) -> impl Iterator<Item = MemoryDisk> {
        assert!(self.pending.len() <= 12, "{} pieces are too many to try all subsets", self.pending.len());
        (0..1u32 << self.pending.len()).map(|kept| {
            let mut durable = self.durable.clone();
            let kept = self.pending.iter().enumerate().filter(|(index, _)| kept >> index & 1 == 1);
            durable.extend(kept.map(|(_, piece)| piece.clone()));
            MemoryDisk { len: self.len, durable, ..MemoryDisk::default() }
        })
    }
}

impl Disk for MemoryDisk {
    fn len_bytes(&mut self) -> io::Result<u64> {
        Ok(self.len as u64)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        if start + buffer.len() > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut filled = 0;
        while filled < buffer.len() {
            let at = start + filled;
            let piece = &self.piece(at / ATOM)[at % ATOM..];
            let len = piece.len().min(buffer.len() - filled);
            buffer[filled..filled + len].copy_from_slice(&piece[..len]);
            filled += len;
        }
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        assert!(at.is_multiple_of(ATOM) && bytes.len().is_multiple_of(ATOM), "writes are of whole sectors");
        assert!(at + bytes.len() <= self.len, "a write beyond the end");
        let pieces = bytes.chunks(ATOM).map(<[u8]>::to_vec);
        self.cached.extend((at / ATOM..).zip(pieces));
        self.writes += 1;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.cuts.push(self.cut());
        self.durable.append(&mut self.cached);
        Ok(())
    }
}
