//! A piece of a blob with what proves that it is one.

use std::io::{self, Read};

use bao_tree::{
    BaoTree, BlockSize, ChunkNum, ChunkRanges,
    io::{
        outboard::{EmptyOutboard, PreOrderOutboard},
        sync::{CreateOutboard as _, ReadAt, WriteAt, decode_ranges, encode_ranges_validated},
    },
};

use super::{BlobError, BlobId, MAX_BLOB};

/// The size of a piece, but for a blob's last one: what is asked for, proved and stored at once.
pub const PIECE: usize = 64 * 1024;

/// Pieces are the leaves of the hash tree: 2^6 chunks of 1 KiB.
const BLOCK: BlockSize = BlockSize::from_chunk_log(6);

/// The longest proof: two hashes for each level of the tree of the largest blob.
const MAX_PROOF: usize = 64 * 16;

/// A piece of a blob with the hashes from the blob's id down to it, as it travels. Nothing is
/// proved before [`BlobStore::insert`](super::BlobStore::insert) has looked at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobPiece {
    /// The size of the whole blob. The last piece proves it.
    pub size: u64,
    /// Which piece it is.
    pub index: u32,
    /// Hashes and bytes, in the order of a bao stream of this piece alone.
    pub bytes: Vec<u8>,
}

impl BlobPiece {
    /// The most bytes that a piece takes with its proof.
    pub const MAX_BYTES: usize = PIECE + MAX_PROOF;

    /// How many pieces a blob of this size has; `None` where there is no such blob.
    #[must_use]
    pub fn count(size: u64) -> Option<u32> {
        if size == 0 || size > MAX_BLOB {
            return None;
        }
        u32::try_from(size.div_ceil(PIECE as u64)).ok()
    }

    /// Where a piece begins, and how long it is.
    pub(super) fn place(size: u64, index: u32) -> Option<(u64, usize)> {
        let start = u64::from(index) * PIECE as u64;
        let length = size.checked_sub(start)?.min(PIECE as u64);
        Some((start, usize::try_from(length).ok()?)).filter(|(_, length)| *length > 0)
    }

    /// Its bytes, if they are of this blob.
    pub(super) fn verify(&self, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        let garbage = BlobError::Garbage(*id);
        if Self::count(self.size).is_none() || self.bytes.len() > Self::MAX_BYTES {
            return Err(garbage);
        }
        let Some((start, length)) = Self::place(self.size, self.index) else {
            return Err(garbage);
        };
        let tree = BaoTree::new(self.size, BLOCK);
        let outboard = EmptyOutboard { tree, root: blake3::Hash::from_bytes(id.0) };
        let mut window = Window { start, bytes: vec![0; length] };
        let mut rest = &self.bytes[..];
        match decode_ranges(&mut rest, &range(self.index), &mut window, outboard) {
            Ok(()) if rest.is_empty() => Ok(window.bytes),
            _ => Err(garbage),
        }
    }

    /// Proves a piece by the hashes of a tree.
    pub(super) fn prove(
        id: &BlobId,
        size: u64,
        index: u32,
        piece: Vec<u8>,
        tree: &[u8],
    ) -> Option<Self> {
        let (start, _) = Self::place(size, index)?;
        let outboard = PreOrderOutboard {
            root: blake3::Hash::from_bytes(id.0),
            tree: BaoTree::new(size, BLOCK),
            data: tree,
        };
        let window = Window { start, bytes: piece };
        let mut bytes = Vec::new();
        encode_ranges_validated(&window, &outboard, &range(index), &mut bytes).ok()?;
        Some(Self { size, index, bytes })
    }
}

/// The id of data of this size, and the hashes of its tree.
pub(super) fn hash_tree(data: impl Read, size: u64) -> io::Result<(BlobId, Vec<u8>)> {
    let outboard = PreOrderOutboard::<Vec<u8>>::create_sized(data, size, BLOCK)?;
    Ok((BlobId(*outboard.root.as_bytes()), outboard.data))
}

fn range(index: u32) -> ChunkRanges {
    let first = u64::from(index) * (PIECE as u64 / 1024);
    ChunkRanges::from(ChunkNum(first)..ChunkNum(first + PIECE as u64 / 1024))
}

/// One piece in its place.
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl ReadAt for &Window {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let outside = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let from = at.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let rest = from.and_then(|from| self.bytes.get(from..)).ok_or_else(outside)?;
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

impl WriteAt for &mut Window {
    fn write_at(&mut self, at: u64, from: &[u8]) -> io::Result<usize> {
        let outside = || io::Error::from(io::ErrorKind::WriteZero);
        let start = at.checked_sub(self.start).and_then(|start| usize::try_from(start).ok());
        let rest = start.and_then(|start| self.bytes.get_mut(start..)).ok_or_else(outside)?;
        let length = rest.len().min(from.len());
        rest[..length].copy_from_slice(&from[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
