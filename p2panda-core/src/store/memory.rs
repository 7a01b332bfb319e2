//! A store in memory: for tests, where it is the oracle of the others, and for browsers.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Batch, CommitId, Entry, FORMAT, FORMAT_KEY, Store, StoreError, Table};

type Tables = [BTreeMap<Vec<u8>, Vec<u8>>; Table::ALL.len()];

/// A [`Store`] that holds everything in memory and never fails.
///
/// Cloning it copies the contents, as copying the file of a closed store would.
///
/// ```
/// use p2panda_core::store::{Batch, MemoryStore, Store, Table};
///
/// let mut store = MemoryStore::buffered();
/// let mut batch = Batch::new();
/// batch.put(Table::Rows, *b"stage", *b"main");
/// let commit = store.commit(batch)?;
///
/// // Read at once, yet a power cut may still take it back.
/// assert_eq!(store.get(Table::Rows, b"stage")?.as_deref(), Some(&b"main"[..]));
/// assert!(store.durable() < commit);
/// let restarted = store.after_crash(store.durable());
/// assert_eq!(restarted.get(Table::Rows, b"stage")?, None);
/// # Ok::<(), p2panda_core::store::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    tables: Tables,
    mark: Vec<u8>,
    last: CommitId,
    /// What a crash leaves for certain; `None` where every commit is durable at once.
    buffer: Option<Buffer>,
}

/// The durable state of a buffered store and the batches committed on top of it.
#[derive(Clone, Debug)]
struct Buffer {
    tables: Tables,
    durable: CommitId,
    pending: Vec<Batch>,
}

impl MemoryStore {
    /// An empty store in which every commit is durable at once.
    #[must_use]
    pub fn new() -> Self {
        let mut tables = Tables::default();
        tables[Table::Meta as usize].insert(FORMAT_KEY.to_vec(), FORMAT.to_be_bytes().to_vec());
        Self { tables, mark: Vec::new(), last: CommitId::default(), buffer: None }
    }

    /// An empty store in which a commit is durable only once it is flushed, as on a disk.
    #[must_use]
    pub fn buffered() -> Self {
        Self::new().into_buffered()
    }

    /// The store as it is opened again after a crash that kept the commits up to `kept`, at least
    /// the durable ones and at most all. Every state that a crash can leave is one of these.
    #[must_use]
    pub fn after_crash(&self, kept: CommitId) -> Self {
        let Some(buffer) = &self.buffer else {
            return Self { last: CommitId::default(), ..self.clone() };
        };
        let mut tables = buffer.tables.clone();
        for (_, batch) in (buffer.durable.0..kept.0).zip(&buffer.pending) {
            apply(&mut tables, batch.clone());
        }
        let mark = self.mark.clone();
        Self { tables, mark, last: CommitId::default(), buffer: None }.into_buffered()
    }

    fn into_buffered(mut self) -> Self {
        self.buffer =
            Some(Buffer { tables: self.tables.clone(), durable: self.last, pending: Vec::new() });
        self
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables[table as usize].get(key).cloned())
    }

    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        // `BTreeMap::range` panics where the end is before the start.
        if end.is_some_and(|end| end <= start) {
            return Ok(Vec::new());
        }
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.tables[table as usize]
            .range::<[u8], _>((Bound::Included(start), end))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        if let Some(buffer) = &mut self.buffer {
            buffer.pending.push(batch.clone());
        }
        apply(&mut self.tables, batch);
        self.last.0 += 1;
        Ok(self.last)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if let Some(buffer) = &mut self.buffer {
            for batch in buffer.pending.drain(..) {
                apply(&mut buffer.tables, batch);
            }
            buffer.durable = self.last;
        }
        Ok(())
    }

    fn durable(&self) -> CommitId {
        self.buffer.as_ref().map_or(self.last, |buffer| buffer.durable)
    }

    fn mark(&mut self, mark: &[u8]) -> Result<(), StoreError> {
        self.mark.clear();
        self.mark.extend_from_slice(mark);
        Ok(())
    }

    fn marked(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(Some(self.mark.clone()).filter(|mark| !mark.is_empty()))
    }
}

fn apply(tables: &mut Tables, batch: Batch) {
    for (table, key, value) in batch.into_writes() {
        let table = &mut tables[table as usize];
        match value {
            Some(value) => table.insert(key, value),
            None => table.remove(&key),
        };
    }
}
