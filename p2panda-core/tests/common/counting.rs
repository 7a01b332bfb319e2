//! A store that counts what is written to it and read from it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use p2panda_core::store::{Batch, CommitId, Entry, MemoryStore, Store, StoreError, Table};

/// What was written and read, by table.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub writes: BTreeMap<Table, (usize, usize)>,
    pub reads: BTreeMap<Table, usize>,
}

impl Counts {
    /// Writes and bytes into the tables of the view.
    pub fn view(&self) -> (usize, usize) {
        let tables = [Table::Rows, Table::Index, Table::Feed];
        let of = |table| self.writes.get(table).copied().unwrap_or_default();
        tables.iter().map(of).fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1))
    }

    /// Entries read.
    pub fn read(&self) -> usize {
        self.reads.values().sum()
    }
}

/// A store that counts.
#[derive(Clone)]
pub struct Counting {
    store: Arc<Mutex<MemoryStore>>,
    counts: Arc<Mutex<Counts>>,
}

impl Counting {
    pub fn new() -> Self {
        Self { store: Arc::new(Mutex::new(MemoryStore::new())), counts: Arc::default() }
    }

    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap())
    }

    fn read(&self, table: Table, entries: usize) {
        *self.counts.lock().unwrap().reads.entry(table).or_default() += entries;
    }
}

impl Store for Counting {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(table, 1);
        self.store.lock().unwrap().get(table, key)
    }
    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let entries = self.store.lock().unwrap().range(table, start, end, limit)?;
        self.read(table, entries.len());
        Ok(entries)
    }
    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        for (table, key, value) in batch.clone().into_writes() {
            let mut counts = self.counts.lock().unwrap();
            let (number, bytes) = counts.writes.entry(table).or_default();
            *number += 1;
            *bytes += key.len() + value.map_or(0, |value| value.len());
        }
        self.store.lock().unwrap().commit(batch)
    }
    fn flush(&mut self) -> Result<(), StoreError> {
        self.store.lock().unwrap().flush()
    }
    fn durable(&self) -> CommitId {
        self.store.lock().unwrap().durable()
    }
}
