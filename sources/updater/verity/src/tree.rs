//! The tree itself: built from data, or read from a hash image.

use crate::digest::DIGEST_LEN;
use crate::geometry::levels;
use crate::{BLOCK, Digest, RootHash, Salt, Superblock, SuperblockError};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};

/// How much data is read at once.
pub(crate) const READ_LEN: usize = 1024 * 1024;

/// A hash tree, every level of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Tree {
    pub(crate) salt: Salt,
    pub(crate) data_blocks: u64,
    /// Whole blocks, the digests of data first, the single block last.
    pub(crate) levels: Vec<Vec<u8>>,
    pub(crate) root: RootHash,
}

/// Data that no tree was built of.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum BuildError {
    #[snafu(display("read the data from block {block} on to hash them"))]
    ReadData { block: u64, source: io::Error },
    #[snafu(display("the data end {len} bytes into block {block}; fill them up to a multiple of 4096"))]
    PartialBlock { block: u64, len: usize },
    #[snafu(display("there are no data to build a hash tree of"))]
    NoData,
}

/// A hash image that was not read.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ReadError {
    #[snafu(display("read the superblock of the hash image"))]
    ReadSuperblock { source: io::Error },
    #[snafu(display("understand the superblock of the hash image"))]
    Understand { source: SuperblockError },
    #[snafu(display("read the hash tree of {data_blocks} blocks"))]
    ReadLevels { data_blocks: u64, source: io::Error },
    #[snafu(display("the hash image covers one block, whose root hash it cannot tell"))]
    NoLevels,
}

impl Tree {
    /// Builds the tree of everything that `data` yields.
    pub fn build(mut data: impl Read, salt: Salt) -> Result<Self, BuildError> {
        let hasher = salt.hasher();
        let mut buffer = Vec::with_capacity(READ_LEN);
        let (mut leaves, mut data_blocks) = (Vec::new(), 0);
        loop {
            buffer.clear();
            let read = data.by_ref().take(READ_LEN as u64).read_to_end(&mut buffer);
            let len = read.context(ReadDataSnafu { block: data_blocks })?;
            let (blocks, rest) = buffer.as_chunks::<BLOCK>();
            data_blocks += blocks.len() as u64;
            ensure!(rest.is_empty(), PartialBlockSnafu { block: data_blocks, len: rest.len() });
            leaves.extend(blocks.iter().flat_map(|block| hasher.digest(block)));
            if len < READ_LEN {
                break;
            }
        }
        ensure!(data_blocks > 0, NoDataSnafu);
        Ok(Self::of_leaves(salt, data_blocks, leaves))
    }

    fn of_leaves(salt: Salt, data_blocks: u64, mut digests: Vec<u8>) -> Self {
        let hasher = salt.hasher();
        let mut levels = Vec::new();
        while digests.len() > DIGEST_LEN {
            digests.resize(digests.len().next_multiple_of(BLOCK), 0);
            let above = digests.chunks_exact(BLOCK).flat_map(|block| hasher.digest(block)).collect();
            levels.push(std::mem::replace(&mut digests, above));
        }
        let root = RootHash(digests.try_into().expect("the loop ends with a single digest"));
        Self { salt, data_blocks, levels, root }
    }

    /// Reads a hash image: its superblock and its tree, to be measured by a root hash from elsewhere. What follows,
    /// as on a partition that is larger, is not read. [`Tree::bad_blocks`] and [`Tree::verify_block`] tell what of
    /// it the root hash vouches for.
    pub fn read(mut image: impl Read, root: RootHash) -> Result<(Superblock, Self), ReadError> {
        let mut block = [0; BLOCK];
        image.read_exact(&mut block).context(ReadSuperblockSnafu)?;
        let superblock = Superblock::parse(&block).context(UnderstandSnafu)?;
        let data_blocks = superblock.data_blocks;
        // From the top, so that a superblock that lies about its size soon finds the image at its end.
        let from_top = levels(data_blocks).into_iter().rev().map(|blocks| read_level(&mut image, blocks));
        let mut levels = from_top.collect::<io::Result<Vec<_>>>().context(ReadLevelsSnafu { data_blocks })?;
        levels.reverse();
        let salt = superblock.salt.clone();
        Ok((superblock, Self { salt, data_blocks, levels, root }))
    }

    /// Reads a hash image that is trusted as a whole, such as a signed target. Its root hash is that of its topmost
    /// block; of one block of data there is none, and no root hash.
    pub fn read_trusted(image: impl Read) -> Result<(Superblock, Self), ReadError> {
        let (superblock, mut tree) = Self::read(image, RootHash([0; DIGEST_LEN]))?;
        let (top, _) = tree.levels.last().context(NoLevelsSnafu)?.as_chunks::<BLOCK>();
        tree.root = RootHash(tree.salt.hasher().digest(&top[0]));
        Ok((superblock, tree))
    }

    /// Writes the hash image: the superblock, then the levels from the top.
    pub fn write_to(&self, mut image: impl Write, uuid: [u8; 16]) -> io::Result<()> {
        let Self { salt, data_blocks, levels, .. } = self;
        let superblock = Superblock { uuid, data_blocks: *data_blocks, salt: salt.clone() };
        image.write_all(&superblock.to_block())?;
        levels.iter().rev().try_for_each(|level| image.write_all(level))
    }

    /// Bytes in the hash image.
    pub fn image_len(&self) -> u64 {
        (BLOCK + self.levels.iter().map(Vec::len).sum::<usize>()) as u64
    }

    /// The digest that vouches for everything else.
    pub fn root_hash(&self) -> RootHash {
        self.root
    }

    /// How many blocks of data the tree covers.
    pub fn data_blocks(&self) -> u64 {
        self.data_blocks
    }

    /// What is hashed before each block.
    pub fn salt(&self) -> &Salt {
        &self.salt
    }

    /// The digests of the blocks of data, in order.
    pub fn leaves(&self) -> impl Iterator<Item = &Digest> {
        let stored = self.levels.first().map_or(self.root.0.as_slice(), Vec::as_slice);
        let (digests, _) = stored.as_chunks::<DIGEST_LEN>();
        let count = usize::try_from(self.data_blocks).unwrap_or(usize::MAX);
        digests.iter().take(count)
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree of {} blocks, salt {}, root hash {}", self.data_blocks, self.salt, self.root)
    }
}

fn read_level(image: &mut impl Read, blocks: u64) -> io::Result<Vec<u8>> {
    let len = blocks.saturating_mul(BLOCK as u64);
    let mut level = Vec::new();
    image.take(len).read_to_end(&mut level)?;
    if (level.len() as u64) < len { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(level) }
}
