//! Blobs as they are kept: whole, or as far as they have come.
//!
//! | file | holds |
//! |---|---|
//! | id | a whole blob |
//! | id`.tree` | the hashes of its pieces, to prove them by |
//! | id`.part` | the pieces that have come, in their places |
//! | id`.got` | its size in eight bytes, then the number of each piece that is durable, in four |
//! | `new` | what is being added |

#[cfg(not(target_arch = "wasm32"))]
use std::path::PathBuf;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
};

use super::{
    BlobId,
    files::Files,
    piece::{BlobPiece, PIECE, hash_tree},
};

/// The largest blob, in bytes: 1 GiB.
pub const MAX_BLOB: u64 = 1 << 30;

/// After so many pieces what has come is made durable without being asked.
const MAX_UNSYNCED: usize = 64;

const NEW: &str = "new";

/// Why something could not be done with a blob.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The sender's fault: this is no piece of the blob. Nothing of it was kept.
    #[error("what came as a piece of blob {0} is none")]
    Garbage(BlobId),
    /// There is nothing to add, or too much of it.
    #[error("a blob has 1 to {MAX_BLOB} bytes")]
    Size,
    /// The device failed, is full or may not be accessed.
    #[error("the blobs cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

/// How much of a blob is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobProgress {
    /// Nothing.
    Absent,
    /// Some pieces.
    Partial {
        /// Its size in bytes.
        size: u64,
        /// How many pieces are here.
        pieces: u32,
    },
    /// All of it.
    Whole {
        /// Its size in bytes.
        size: u64,
    },
}

/// Where a device keeps blobs: a folder of files, beside the store and not in it, or memory.
///
/// Whatever comes is verified piece by piece, and kept: whoever goes on with a blob, with the same
/// peer or another one, asks for what is missing. A blob that is whole is hashed once more before
/// it counts, so that what a power cut spoilt does no harm.
///
/// ```
/// use p2panda_core::{BlobProgress, BlobStore};
///
/// let (mut ada, mut bob) = (BlobStore::memory(), BlobStore::memory());
/// let poster = vec![7; 150_000];
/// let id = ada.add(&poster[..])?;
/// // The last piece tells, and proves, how much there is.
/// let last = ada.last_piece(&id)?.expect("it is here");
/// bob.insert(&id, &last)?;
/// for index in bob.missing(&id, 16)? {
///     bob.insert(&id, &ada.piece(&id, index)?.expect("it is here"))?;
/// }
/// assert_eq!(bob.progress(&id)?, BlobProgress::Whole { size: 150_000 });
/// assert_eq!(bob.read(&id)?.as_deref(), Some(&poster[..]));
/// # Ok::<(), p2panda_core::BlobError>(())
/// ```
#[derive(Debug)]
pub struct BlobStore {
    files: Files,
    /// The sizes of those that are whole.
    whole: BTreeMap<BlobId, u64>,
    partial: BTreeMap<BlobId, Partial>,
    /// The hashes of the blob that was served last.
    tree: Option<(BlobId, u64, Vec<u8>)>,
    /// Pieces that some session has asked its peer for.
    asked: BTreeSet<(BlobId, u32)>,
    /// How many have become whole.
    cursor: u64,
}

/// A blob that is on its way.
#[derive(Debug)]
struct Partial {
    size: u64,
    missing: BTreeSet<u32>,
    unsynced: Vec<u32>,
}

impl BlobStore {
    /// In memory: for tests, and where there are no files.
    #[must_use]
    pub const fn memory() -> Self {
        Self::new(Files::Memory(BTreeMap::new()), BTreeMap::new())
    }

    /// In a folder, which is made where there is none. One process at a time may use it: whoever
    /// has the replica's store open.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn folder(path: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let path = path.into();
        std::fs::create_dir_all(&path)?;
        let files = Files::Folder(path);
        let mut whole = BTreeMap::new();
        for name in files.names()? {
            if let Ok(id) = name.parse::<BlobId>() {
                whole.extend(files.size(&name)?.map(|size| (id, size)));
            }
        }
        Ok(Self::new(files, whole))
    }

    const fn new(files: Files, whole: BTreeMap<BlobId, u64>) -> Self {
        let partial = BTreeMap::new();
        Self { files, whole, partial, tree: None, asked: BTreeSet::new(), cursor: 0 }
    }

    /// Adds a blob from its bytes, as they come. It is durable when this returns.
    ///
    /// # Errors
    /// [`BlobError`], with nothing added.
    pub fn add(&mut self, mut from: impl Read) -> Result<BlobId, BlobError> {
        self.files.remove(NEW)?;
        let mut size = 0;
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            piece.clear();
            from.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
            self.files.write(NEW, size, &piece)?;
            size += piece.len() as u64;
            if piece.len() < PIECE || size > MAX_BLOB {
                break;
            }
        }
        if BlobPiece::count(size).is_none() {
            self.files.remove(NEW)?;
            return Err(BlobError::Size);
        }
        let (id, tree) = hash_tree(self.files.reader(NEW), size)?;
        self.keep(&id, NEW, &tree)?;
        Ok(id)
    }

    /// How many blobs have become whole since the store was opened.
    pub(crate) const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Whether a blob is here, whole.
    #[must_use]
    pub fn has(&self, id: &BlobId) -> bool {
        self.whole.contains_key(id)
    }

    /// How much of a blob is here.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn progress(&mut self, id: &BlobId) -> Result<BlobProgress, BlobError> {
        if let Some(size) = self.whole.get(id) {
            return Ok(BlobProgress::Whole { size: *size });
        }
        Ok(match self.partial(id)? {
            None => BlobProgress::Absent,
            Some(partial) => {
                let all = BlobPiece::count(partial.size).unwrap_or(0);
                let missing = u32::try_from(partial.missing.len()).unwrap_or(u32::MAX);
                BlobProgress::Partial { size: partial.size, pieces: all.saturating_sub(missing) }
            }
        })
    }

    /// A whole blob's bytes; `None` where it is not here, or not whole.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn read(&self, id: &BlobId) -> Result<Option<Vec<u8>>, BlobError> {
        Ok(if self.has(id) { Some(self.files.read_all(&id.to_string())?) } else { None })
    }

    /// The blobs that are here whole, with their sizes, by id.
    pub fn list(&self) -> impl Iterator<Item = (BlobId, u64)> {
        self.whole.iter().map(|(id, size)| (*id, *size))
    }

    /// Removes a blob, or what has come of it.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn remove(&mut self, id: &BlobId) -> Result<(), BlobError> {
        self.whole.remove(id);
        self.partial.remove(id);
        self.asked.retain(|(of, _)| of != id);
        self.tree.take_if(|(of, ..)| of == id);
        for name in [id.to_string(), name(id, "tree"), name(id, "part"), name(id, "got")] {
            self.files.remove(&name)?;
        }
        Ok(self.files.sync_names()?)
    }

    /// A piece of a whole blob, with its proof; `None` where it is not here, or has no such piece.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn piece(&mut self, id: &BlobId, index: u32) -> Result<Option<BlobPiece>, BlobError> {
        if self.tree.as_ref().is_none_or(|(of, ..)| of != id) {
            let Some(size) = self.whole.get(id) else { return Ok(None) };
            self.tree = Some((*id, *size, self.files.read_all(&name(id, "tree"))?));
        }
        let Some((_, size, tree)) = &self.tree else { return Ok(None) };
        let Some((start, length)) = BlobPiece::place(*size, index) else { return Ok(None) };
        let bytes = self.files.read(&id.to_string(), start, length)?;
        let piece = BlobPiece::prove(id, *size, index, bytes, tree);
        if piece.is_none() {
            // Damaged here: it can be fetched again, and is not served meanwhile.
            self.remove(id)?;
        }
        Ok(piece)
    }

    /// The last piece of a whole blob, which proves its size.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn last_piece(&mut self, id: &BlobId) -> Result<Option<BlobPiece>, BlobError> {
        match self.whole.get(id).copied().and_then(BlobPiece::count) {
            Some(count) => self.piece(id, count - 1),
            None => Ok(None),
        }
    }

    /// The first pieces, at most `limit`, that are still missing of a blob whose size is known.
    /// Those that no session has asked for come first.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn missing(&mut self, id: &BlobId, limit: usize) -> Result<Vec<u32>, BlobError> {
        let asked: BTreeSet<u32> =
            self.asked.range((*id, 0)..=(*id, u32::MAX)).map(|(_, index)| *index).collect();
        let Some(partial) = self.partial(id)? else { return Ok(Vec::new()) };
        let free = partial.missing.difference(&asked);
        let rest = partial.missing.intersection(&asked);
        Ok(free.chain(rest).take(limit).copied().collect())
    }

    /// A session asks its peer for a piece: others ask for other pieces first.
    pub fn ask(&mut self, id: &BlobId, index: u32) {
        self.asked.insert((*id, index));
    }

    /// Takes in a piece, if it is one; the last one first. Whether it was missing. It is durable after the next
    /// [`flush`](Self::flush), and a blob that is whole at once.
    ///
    /// # Errors
    /// [`BlobError::Garbage`], with nothing of it kept, or [`BlobError::Io`].
    pub fn insert(&mut self, id: &BlobId, piece: &BlobPiece) -> Result<bool, BlobError> {
        self.asked.remove(&(*id, piece.index));
        let bytes = piece.verify(id)?;
        if self.has(id) {
            return Ok(false);
        }
        let count = BlobPiece::count(piece.size).ok_or(BlobError::Garbage(*id))?;
        if self.partial(id)?.is_none() {
            // Only the last piece says for certain how much there is.
            if piece.index != count - 1 {
                return Ok(false);
            }
            self.files.write(&name(id, "got"), 0, &piece.size.to_be_bytes())?;
            let missing = (0..count).collect();
            let partial = Partial { size: piece.size, missing, unsynced: Vec::new() };
            self.partial.insert(*id, partial);
        }
        let Some(partial) = self.partial.get_mut(id) else { return Ok(false) };
        if partial.size != piece.size {
            return Err(BlobError::Garbage(*id));
        }
        if !partial.missing.contains(&piece.index) {
            return Ok(false);
        }
        self.files.write(&name(id, "part"), u64::from(piece.index) * PIECE as u64, &bytes)?;
        partial.missing.remove(&piece.index);
        partial.unsynced.push(piece.index);
        if partial.missing.is_empty() {
            self.finish(id)?;
        } else if partial.unsynced.len() >= MAX_UNSYNCED {
            self.flush()?;
        }
        Ok(true)
    }

    /// Whether everything that has come is durable.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.partial.values().all(|partial| partial.unsynced.is_empty())
    }

    /// Makes what has come durable.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn flush(&mut self) -> Result<(), BlobError> {
        for (id, partial) in &mut self.partial {
            if partial.unsynced.is_empty() {
                continue;
            }
            // First the pieces, and then that they are here.
            self.files.sync(&name(id, "part"))?;
            let indexes: Vec<u8> =
                partial.unsynced.iter().flat_map(|index| index.to_be_bytes()).collect();
            self.files.append(&name(id, "got"), &indexes)?;
            self.files.sync(&name(id, "got"))?;
            self.files.sync_names()?;
            partial.unsynced.clear();
        }
        Ok(())
    }

    /// All pieces have come: it counts if it is the blob.
    fn finish(&mut self, id: &BlobId) -> Result<(), BlobError> {
        let part = name(id, "part");
        let size = self.files.size(&part)?.unwrap_or(0);
        let (hash, tree) = hash_tree(self.files.reader(&part), size)?;
        if hash != *id {
            // The pieces were right as they came, so a crash has spoilt some: from the beginning.
            return self.remove(id);
        }
        self.partial.remove(id);
        self.keep(id, &part, &tree)?;
        Ok(self.files.remove(&name(id, "got"))?)
    }

    /// Makes a file a whole blob.
    fn keep(&mut self, id: &BlobId, from: &str, tree: &[u8]) -> Result<(), BlobError> {
        let name_of_tree = name(id, "tree");
        self.files.remove(&name_of_tree)?;
        self.files.write(&name_of_tree, 0, tree)?;
        self.files.sync(&name_of_tree)?;
        self.files.sync(from)?;
        self.files.rename(from, &id.to_string())?;
        self.files.sync_names()?;
        self.whole.extend(self.files.size(&id.to_string())?.map(|size| (*id, size)));
        self.cursor += 1;
        Ok(())
    }

    /// A blob that is on its way, from memory or as it was left.
    fn partial(&mut self, id: &BlobId) -> Result<Option<&Partial>, BlobError> {
        if !self.partial.contains_key(id)
            && let Some(partial) = self.left(id)?
        {
            self.partial.insert(*id, partial);
        }
        Ok(self.partial.get(id))
    }

    fn left(&self, id: &BlobId) -> Result<Option<Partial>, BlobError> {
        let got = name(id, "got");
        if self.files.size(&got)?.is_none() {
            return Ok(None);
        }
        let got = self.files.read_all(&got)?;
        let Some((size, indexes)) = got.split_first_chunk() else { return Ok(None) };
        let size = u64::from_be_bytes(*size);
        let Some(count) = BlobPiece::count(size) else { return Ok(None) };
        let mut missing: BTreeSet<u32> = (0..count).collect();
        // What follows the last whole number was cut off by a crash.
        for index in indexes.as_chunks::<4>().0 {
            missing.remove(&u32::from_be_bytes(*index));
        }
        Ok(Some(Partial { size, missing, unsynced: Vec::new() }))
    }
}

fn name(id: &BlobId, kind: &str) -> String {
    format!("{id}.{kind}")
}
