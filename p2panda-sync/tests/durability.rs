//! What is said to a peer holds even if the power fails right after.

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use common::{Author, DONE, Fate, Side, festival, logs, replica, replica_in, sync_over};
use p2panda_core::store::{Batch, CommitId, Entry, MemoryStore, Store, StoreError, Table};
use p2panda_sync::{Fault, SyncError};

/// A store that tells whether something is not durable yet, and fails when it is told to.
#[derive(Clone, Default)]
struct Watch {
    dirty: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
}

struct WatchedStore(MemoryStore, Watch);

impl Store for WatchedStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(table, key)
    }

    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.0.range(table, start, end, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        if self.1.full.load(Relaxed) {
            return Err(StoreError::Io("no space left".into()));
        }
        self.1.dirty.store(true, Relaxed);
        self.0.commit(batch)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.1.dirty.store(false, Relaxed);
        self.0.flush()
    }

    fn durable(&self) -> CommitId {
        self.0.durable()
    }
}

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    let festival = festival(1);
    let watch = Watch::default();
    let store = WatchedStore(MemoryStore::buffered(), watch.clone());
    let (mut a, mut b) = (replica(1, &[&festival]), replica_in(store, 2, &[&festival]));
    Author::new(11, festival.id()).fill(&mut a, 500, 1000);
    Author::new(12, festival.id()).fill(&mut b, 500, 1000);
    // Held, but not durable, and from elsewhere: it is not sent again.
    let mut both = Author::new(13, festival.id());
    let segment = both.write(vec![1]);
    both.store(&mut b, segment.clone());
    both.store(&mut a, segment);
    a.flush().unwrap();
    let mut acknowledged = 0;
    let outcome = sync_over(&mut a, &mut b, |side, frame| {
        if side == Side::Acceptor && frame[0] == DONE {
            assert!(!watch.dirty.load(Relaxed));
            acknowledged += 1;
        }
        Fate::Deliver(frame)
    });
    assert!(outcome.opener.is_ok() && outcome.acceptor.is_ok());
    assert!(acknowledged > 0);
    assert_eq!(logs(&a), logs(&b));
}

#[test]
fn what_arrived_before_a_cut_or_a_bad_frame_is_durable() {
    for garbage in [false, true] {
        let festival = festival(1);
        let watch = Watch::default();
        let store = WatchedStore(MemoryStore::buffered(), watch.clone());
        let (mut a, mut b) = (replica(1, &[&festival]), replica_in(store, 2, &[&festival]));
        // A block of 128 entries fills a frame.
        Author::new(11, festival.id()).fill(&mut a, 1000, 510);
        let mut pushes = 0;
        let outcome = sync_over(&mut a, &mut b, |side, frame| {
            pushes += usize::from(side == Side::Opener && frame[0] == common::PUSH);
            match (pushes, garbage) {
                (6, false) => Fate::Cut,
                (6, true) => Fate::Deliver(frame.slice(..100)),
                _ => Fate::Deliver(frame),
            }
        });
        assert!(outcome.acceptor.is_err());
        assert!(!watch.dirty.load(Relaxed));
        assert_eq!(logs(&b)[0].1.length, 5 * 128);
    }
}

#[test]
fn a_full_disk_is_our_own_fault() {
    let festival = festival(1);
    let watch = Watch::default();
    let store = WatchedStore(MemoryStore::new(), watch.clone());
    let (mut a, mut b) = (replica(1, &[&festival]), replica_in(store, 2, &[&festival]));
    Author::new(11, festival.id()).fill(&mut a, 10, 10);
    watch.full.store(true, Relaxed);
    let outcome = sync_over(&mut a, &mut b, |_, frame| Fate::Deliver(frame));
    let error = outcome.acceptor.unwrap_err();
    assert!(matches!(error, SyncError::Store(_)), "{error}");
    assert_eq!(error.fault(), Fault::Own);
    assert!(matches!(outcome.opener, Err(SyncError::Interrupted)));
}
