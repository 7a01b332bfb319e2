//! Replicas in memory, and what tests do with them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod counting;
pub mod end;
pub mod forks;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use p2panda_core::{
    EntityId, Festival, FestivalId, Identity, LocalId, Replica,
    schema::{Event, FestivalInfo, Instant, Span},
    store::{Batch, CommitId, Entry, MemoryStore, NoResume, Store, StoreError, Table},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

pub const NOW: Instant = Instant::from_millis(1_700_000_000_000);

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn replica(identity: &Identity) -> Replica {
    Replica::open(Box::new(MemoryStore::new()), identity.clone(), Box::new(NoResume)).unwrap()
}

pub fn event(title: &str) -> Event {
    Event {
        title: title.into(),
        starts: Some(Instant::from_millis(1_000_000)),
        ends: Some(Instant::from_millis(2_000_000)),
        ..Event::default()
    }
}

pub fn put(
    replica: &mut Replica,
    festival: FestivalId,
    local: &str,
    entity: &Event,
    rng: &mut ChaCha20Rng,
) -> EntityId {
    let local: LocalId = local.parse().unwrap();
    replica.edit(festival, NOW, rng, |edit| edit.put(&local, entity)).unwrap()
}

/// Hands everything that `from` has and `to` lacks over; returns the number of segments.
pub fn hand_over(from: &Replica, to: &mut Replica, festival: FestivalId) -> usize {
    let mut segments = 0;
    for (log, _) in from.logs(festival).unwrap() {
        let descriptor = from.descriptor(&log.document).unwrap().unwrap();
        let held = |to: &Replica| to.held(&log).unwrap().map_or(0, |tip| tip.length);
        while let Some(segment) = from.segment(&log, held(to)).unwrap() {
            to.accept(&descriptor, segment.into_segment()).unwrap();
            segments += 1;
        }
    }
    to.flush().unwrap();
    segments
}

pub fn assert_equal(left: &Replica, right: &Replica) {
    assert_eq!((left.caught(), right.caught()), (0, 0), "the last net caught something");
    assert_eq!(left.fingerprint_logs().unwrap(), right.fingerprint_logs().unwrap(), "logs differ");
    assert_eq!(left.fingerprint_view().unwrap(), right.fingerprint_view().unwrap(), "views differ");
}

pub fn festival_of(founder: &mut Replica, rng: &mut ChaCha20Rng) -> Festival {
    let info = FestivalInfo { title: "Lake".into(), ..FestivalInfo::default() };
    founder.create_festival(&info, NOW, rng).unwrap()
}

/// A store that several openings share, as a file would be.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<MemoryStore>>, Arc<AtomicBool>);

impl Shared {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(MemoryStore::new())), Arc::default())
    }

    /// What a backup of the file would hold.
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().unwrap().clone())), Arc::default())
    }

    /// Whether commits fail from here on, as on a full disk.
    pub fn fail(&self, fails: bool) {
        self.1.store(fails, Ordering::SeqCst);
    }
}

impl Store for Shared {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.lock().unwrap().get(table, key)
    }
    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.0.lock().unwrap().range(table, start, end, limit)
    }
    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        if self.1.load(Ordering::SeqCst) {
            return Err(StoreError::Io("the disk is full".into()));
        }
        self.0.lock().unwrap().commit(batch)
    }
    fn flush(&mut self) -> Result<(), StoreError> {
        self.0.lock().unwrap().flush()
    }
    fn durable(&self) -> CommitId {
        self.0.lock().unwrap().durable()
    }
}

pub fn span(starts: i64, ends: i64) -> Span {
    Span::new(Instant::from_millis(starts), Instant::from_millis(ends)).unwrap()
}
