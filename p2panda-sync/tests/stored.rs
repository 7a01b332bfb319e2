//! Opening a replica again costs no look at its logs, nor does a peer that holds the same.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use common::{Author, festival, logs, rng};
use futures::{executor::block_on, future::try_join};
use p2panda_core::{
    Identity, Replica,
    store::{Batch, CommitId, Entry, MemoryStore, NoResume, Store, StoreError, Table},
};
use p2panda_sync::{Node, Stats, StoppedClock, memory};

/// A store that several openings share, and that counts what is read of each table.
#[derive(Clone)]
struct Counting(Arc<Mutex<(MemoryStore, BTreeMap<Table, usize>)>>);

impl Counting {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((MemoryStore::new(), BTreeMap::new()))))
    }

    /// How many entries of logs, and of what belongs to them, were read.
    fn take(&self) -> usize {
        let reads = std::mem::take(&mut self.0.lock().unwrap().1);
        let tables = [Table::Logs, Table::Documents, Table::Segments, Table::Forks, Table::Cut];
        tables.iter().filter_map(|table| reads.get(table)).sum()
    }

    fn open(&self, seed: u64) -> Node {
        let identity = Identity::generate(&mut rng(seed));
        let store = Box::new(self.clone());
        let mut replica = Replica::open(store, identity, Box::new(NoResume)).unwrap();
        replica.join(&festival(1)).unwrap();
        self.take();
        Node::new(replica, StoppedClock, rng(seed + 100))
    }
}

impl Store for Counting {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let (store, reads) = &mut *self.0.lock().unwrap();
        *reads.entry(table).or_default() += 1;
        store.get(table, key)
    }

    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let (store, reads) = &mut *self.0.lock().unwrap();
        let entries = store.range(table, start, end, limit)?;
        *reads.entry(table).or_default() += entries.len().max(1);
        Ok(entries)
    }

    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        self.0.lock().unwrap().0.commit(batch)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.0.lock().unwrap().0.flush()
    }

    fn durable(&self) -> CommitId {
        self.0.lock().unwrap().0.durable()
    }
}

const LOGS: usize = 300;

/// Two stores that hold the same, closed after having met.
fn met() -> [Counting; 2] {
    let stores = [Counting::new(), Counting::new()];
    let nodes = [0, 1].map(|side| stores[side].open(side as u64));
    for seed in 0..LOGS as u64 {
        let mut author = Author::new(1000 + seed, festival(1).id());
        nodes[usize::from(seed % 3 == 0)].with(|replica| author.fill(replica, 2, 20));
    }
    meet(&nodes);
    // A second time, as the salt under which they first met is not all that the first one knew.
    meet(&nodes);
    nodes.into_iter().for_each(close);
    stores
}

fn meet(nodes: &[Node; 2]) -> Stats {
    let (here, there) = memory(4);
    block_on(try_join(nodes[0].sync(here), nodes[1].accept(there))).unwrap().0
}

fn close(node: Node) {
    node.into_replica().unwrap().close(&mut rng(1)).unwrap();
}

#[test]
fn two_that_hold_the_same_look_at_no_log_after_an_opening() {
    let stores = met();
    for opening in 0..3 {
        let nodes = [0, 1].map(|side| stores[side].open(side as u64));
        let stats = meet(&nodes);
        assert_eq!(stats.segments_sent + stats.segments_received, 0);
        for store in &stores {
            assert_eq!(store.take(), 0, "opening {opening}");
        }
        nodes.into_iter().for_each(close);
    }
}

#[test]
fn after_a_kill_with_changes_the_logs_are_read_and_what_differs_is_found() {
    let stores = met();
    for killed in [false, true] {
        let nodes = [0, 1].map(|side| stores[side].open(side as u64));
        let mut author = Author::new(5000 + u64::from(killed), festival(1).id());
        nodes[0].with(|replica| author.fill(replica, 1, 20));
        if !killed {
            let stats = meet(&nodes);
            assert_eq!(stats.entries_sent, 1);
            // The opener has to know which log it was; the other one is only sent it.
            assert!(stores[0].take() >= LOGS);
            let read = stores[1].take();
            assert!(read < 40, "{read}");
        }
        nodes.into_iter().for_each(if killed { drop } else { close });
    }
    let nodes = [0, 1].map(|side| stores[side].open(side as u64));
    let stats = meet(&nodes);
    assert!(stores[0].take() >= LOGS, "what was kept is not right any more");
    assert_eq!((stats.entries_sent, stats.entries_received), (1, 0));
    let held = nodes.each_ref().map(|node| node.with(|replica| logs(replica)));
    assert_eq!(held[0], held[1]);
    assert_eq!(held[0].len(), LOGS + 2);
}

#[test]
fn two_that_hold_the_same_of_many_festivals_look_at_no_log() {
    let stores = [Counting::new(), Counting::new()];
    let nodes = [0, 1].map(|side| stores[side].open(side as u64));
    for number in 2..40 {
        let founded = festival(number);
        for node in &nodes {
            node.with(|replica| replica.join(&founded)).unwrap();
        }
        let mut author = Author::new(2000 + number, founded.id());
        nodes[0].with(|replica| author.fill(replica, 1, 20));
    }
    meet(&nodes);
    meet(&nodes);
    nodes.into_iter().for_each(close);
    let nodes = [0, 1].map(|side| stores[side].open(side as u64));
    let stats = meet(&nodes);
    assert_eq!(stats.segments_sent + stats.segments_received, 0);
    assert_eq!(stores.each_ref().map(Counting::take), [0, 0]);
}
