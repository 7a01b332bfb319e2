//! The storage of a simulated device: it survives its owner, loses what was not flushed when the
//! power fails, and can be told to fail at any write.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use p2panda_core::store::{
    Batch, CommitId, Entry, MemoryStore, ResumeTokens, Store, StoreError, Table,
};

use super::Random;

/// A disk, as many openings as there are of it: cloning gives another handle.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    store: MemoryStore,
    last: CommitId,
    /// Writes and flushes so far.
    steps: u64,
    /// The power fails instead of this step.
    fuse: Option<u64>,
    is_off: bool,
    /// Entries that are read come out changed.
    lies: bool,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self::of(MemoryStore::buffered())
    }

    fn of(store: MemoryStore) -> Self {
        let last = CommitId::default();
        let inner = Inner { store, last, steps: 0, fuse: None, is_off: false, lies: false };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// What is on it if the power fails now: any commits that were not flushed may be gone, the
    /// newest first.
    pub(crate) fn after_power_failure(&self, random: &mut Random) -> Self {
        let inner = self.lock();
        let (durable, last) = (inner.store.durable().0, inner.last.0);
        // Both ends are likelier than what lies between them.
        let kept = match random.below(3) {
            0 => durable,
            1 => last.max(durable),
            _ => durable + random.below(last.saturating_sub(durable) + 1),
        };
        Self::of(inner.store.after_crash(CommitId(kept)))
    }

    /// A copy of what is durable.
    pub(crate) fn copy(&self) -> Self {
        let inner = self.lock();
        Self::of(inner.store.after_crash(inner.store.durable()))
    }

    /// Lets the power fail at the so-manyth write or flush from now.
    pub(crate) fn blow_after(&self, steps: u64) {
        let mut inner = self.lock();
        inner.fuse = Some(inner.steps + steps);
    }

    /// No power failure is to come any more.
    pub(crate) fn disarm(&self) {
        self.lock().fuse = None;
    }

    /// Whether the power has failed.
    pub(crate) fn is_off(&self) -> bool {
        self.lock().is_off
    }

    /// Writes and flushes so far.
    pub(crate) fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// Whether entries come out changed from here on, as with a peer that serves what nobody signed.
    pub(crate) fn lie(&self, lies: bool) {
        self.lock().lies = lies;
    }

    /// Bytes of keys and values, by table.
    pub(crate) fn bytes(&self, tables: &[Table]) -> Result<usize, StoreError> {
        let inner = self.lock();
        let mut bytes = 0;
        for table in tables {
            for (key, value) in inner.store.range(*table, &[], None, usize::MAX)? {
                bytes += key.len() + value.len();
            }
        }
        Ok(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn step(&mut self) -> Result<(), StoreError> {
        self.is_off |= self.fuse.is_some_and(|fuse| self.steps >= fuse);
        self.steps += 1;
        if self.is_off { Err(StoreError::Io("the power has failed".to_owned())) } else { Ok(()) }
    }

    fn told(&self, table: Table, mut value: Vec<u8>) -> Vec<u8> {
        // Somewhere among the payloads, behind the chain value before them.
        let at = 36 + value.len() / 3;
        if self.lies && table == Table::Segments && at + 70 < value.len() {
            value[at] ^= 1;
        }
        value
    }
}

impl Store for Disk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let inner = self.lock();
        Ok(inner.store.get(table, key)?.map(|value| inner.told(table, value)))
    }

    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let inner = self.lock();
        let entries = inner.store.range(table, start, end, limit)?;
        Ok(entries.into_iter().map(|(key, value)| (key, inner.told(table, value))).collect())
    }

    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        let mut inner = self.lock();
        inner.step()?;
        let commit = inner.store.commit(batch)?;
        inner.last = commit;
        Ok(commit)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.step()?;
        inner.store.flush()
    }

    fn durable(&self) -> CommitId {
        self.lock().store.durable()
    }
}

/// Single-use names that outlive an opening but not a crash of the machine, as those of the
/// runtime directory do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens(Arc<Mutex<BTreeSet<[u8; 16]>>>);

impl Tokens {
    /// Another place with the same names in it: what only a memory snapshot of a machine brings
    /// about.
    pub(crate) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.lock().clone())))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<[u8; 16]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResumeTokens for Tokens {
    fn leave(&mut self, name: &[u8; 16]) -> io::Result<()> {
        self.lock().insert(*name);
        Ok(())
    }

    fn claim(&mut self, name: &[u8; 16]) -> bool {
        self.lock().remove(name)
    }
}
