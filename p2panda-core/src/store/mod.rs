//! Where a replica keeps its bytes: a small blocking key-value seam.
//!
//! A [`Store`] holds a few ordered [`Table`]s of byte keys and byte values and applies [`Batch`]es
//! atomically. Everything above it (logs, documents, views) is laid out by the replica.

mod memory;
#[cfg(feature = "redb")]
mod redb;
mod resume;

use std::{collections::BTreeMap, ops::Bound};

pub use memory::MemoryStore;
#[cfg(feature = "redb")]
pub use redb::RedbStore;
#[cfg(not(target_arch = "wasm32"))]
pub use resume::RuntimeDir;
pub use resume::{NoResume, ResumeTokens};

/// The format of stores that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The key in [`Table::Meta`] of the format number, four bytes, big-endian: every store has it from
/// its creation, and nobody else writes it.
pub const FORMAT_KEY: &[u8] = b"format";

/// The tables of a store. Keys and values are bytes; keys are ordered bytewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Format version, clean-close token, counters.
    Meta,
    /// Festivals that this replica follows.
    Festivals,
    /// Users of whom nothing is taken in, each followed by logs of theirs that were seen.
    Blocked,
    /// Descriptors of documents.
    Documents,
    /// The state of each log.
    Logs,
    /// Segments of logs, by log and length at their end.
    Segments,
    /// Fork proofs, by log and the length at which its chains part.
    Forks,
    /// Entries that a fork cut off, as segments.
    Cut,
    /// Entities and records of the view.
    Rows,
    /// Secondary keys of the view.
    Index,
    /// The changes feed: which row changed at which cursor.
    Feed,
    /// What programs note of a festival beside its facts.
    Notes,
}

impl Table {
    /// Every table, in a fixed order.
    pub const ALL: [Self; 12] = [
        Self::Meta,
        Self::Festivals,
        Self::Blocked,
        Self::Documents,
        Self::Logs,
        Self::Segments,
        Self::Forks,
        Self::Cut,
        Self::Rows,
        Self::Index,
        Self::Feed,
        Self::Notes,
    ];

    /// The name under which the table is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Festivals => "festivals",
            Self::Blocked => "blocked",
            Self::Documents => "documents",
            Self::Logs => "logs",
            Self::Segments => "segments",
            Self::Forks => "forks",
            Self::Cut => "cut",
            Self::Rows => "rows",
            Self::Index => "index",
            Self::Feed => "feed",
            Self::Notes => "notes",
        }
    }
}

/// One write of a [`Batch`]: the table, the key, and the new value or `None` to delete.
pub type Write = (Table, Vec<u8>, Option<Vec<u8>>);

/// An entry read from a table: key and value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Writes that are applied together or not at all; a later write of one key wins.
///
/// It can be read before it is applied, so that what is added next can build on it. Each key is
/// held once, however often it is written.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    writes: [BTreeMap<Vec<u8>, Option<Vec<u8>>>; Table::ALL.len()],
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes[table as usize].insert(key.into(), Some(value.into()));
    }

    /// Deletes a key; deleting what is not there is no error.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.writes[table as usize].insert(key.into(), None);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.iter().all(BTreeMap::is_empty)
    }

    /// What is written to a key: the new value, or `None` within where it is deleted. `None` where
    /// the batch leaves the key alone.
    #[must_use]
    pub fn get(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        self.writes[table as usize].get(key).map(Option::as_deref)
    }

    /// What is written to the keys with `start <= key`, and `key < end` where an end is given, in
    /// ascending order.
    pub fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        // `BTreeMap::range` panics where the end is before the start.
        let end = end.map_or(Bound::Unbounded, |end| Bound::Excluded(end.max(start)));
        let written = self.writes[table as usize].range::<[u8], _>((Bound::Included(start), end));
        written.map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// The writes, by table and key: one for each key.
    pub fn into_writes(self) -> impl Iterator<Item = Write> {
        let tables = Table::ALL.into_iter().zip(self.writes);
        tables.flat_map(|(table, writes)| {
            writes.into_iter().map(move |(key, value)| (table, key, value))
        })
    }
}

/// Names a commit of one open store; later commits are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub u64);

/// A store of ordered byte tables with atomic batches and group commit.
///
/// `commit` applies a batch atomically and returns at once; it is visible to every later read but
/// may be lost in a crash until [`flush`](Store::flush) has returned. A crash loses whole commits
/// from the newest backwards, never a part of one. Commits up to [`durable`](Store::durable)
/// survive.
pub trait Store: Send {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` entries with `start <= key`, and `key < end` where an end is given, in
    /// ascending order of keys.
    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Applies a batch atomically.
    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError>;

    /// Makes every commit so far durable.
    fn flush(&mut self) -> Result<(), StoreError>;

    /// The newest commit that a crash cannot take back.
    fn durable(&self) -> CommitId;

    /// Leaves a mark that outlives the process, though not a power cut, in place of the last one;
    /// an empty one takes it away. No part of any batch, and cheap: it is called for each entry. A
    /// store that keeps no marks cannot tell the next opening what killed the last one.
    fn mark(&mut self, mark: &[u8]) -> Result<(), StoreError> {
        let _ = mark;
        Ok(())
    }

    /// The mark that the last process left, if any.
    fn marked(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}

/// Why a store could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The device failed, is full or may not be accessed.
    #[error("the storage device failed: {0}")]
    Io(String),
    /// Another process has the file open.
    #[error("the store {0} is in use by another process")]
    InUse(String),
    /// The file is not a store, or is damaged.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The file was written by a newer version of this library.
    #[error("the store has format {found}, this version reads up to {supported}; use a newer one")]
    NewerFormat {
        /// The format of the file.
        found: u32,
        /// The newest format this version knows.
        supported: u32,
    },
}

/// The smallest key after every key that starts with `prefix`, for use as the end of a range;
/// `None` where there is no such key.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
