//! redb on a disk that fails, or loses power, at every call in turn.
#![allow(clippy::cast_possible_truncation)]

mod replicas;

use std::io;
use std::sync::{Arc, Mutex};

use ::redb::StorageBackend;

use super::RedbStore;
use crate::store::{Batch, Store, StoreError, Table};

/// Writes smaller than this reach the disk whole.
const SECTOR: u64 = 512;

/// When a [`Disk`] fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// One call fails, and the next one works again.
    Once(usize),
    /// One call fails, and all later ones.
    From(usize),
    Never,
}

#[derive(Clone, Debug)]
enum Change {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

/// A disk that knows what a power cut may take back.
#[derive(Clone, Debug)]
struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    calls: usize,
    fault: Fault,
}

impl Disk {
    fn new(bytes: Vec<u8>, fault: Fault) -> Self {
        Self(Arc::new(Mutex::new(State {
            synced: bytes.clone(),
            bytes,
            unsynced: Vec::new(),
            calls: 0,
            fault,
        })))
    }

    fn call<T>(&self, call: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        let now = state.calls;
        state.calls += 1;
        let fails = match state.fault {
            Fault::Once(at) => now == at,
            Fault::From(at) => now >= at,
            Fault::Never => false,
        };
        if fails {
            return Err(io::Error::other("injected"));
        }
        call(&mut state)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        self.call(|state| {
            apply(&mut state.bytes, &change);
            state.unsynced.push(change);
            Ok(())
        })
    }

    fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    /// The disk after a power cut that kept each unsynced sector for which `keep` says so.
    fn after_power_cut(&self, mut keep: impl FnMut() -> bool) -> Vec<u8> {
        let state = self.0.lock().unwrap();
        let mut bytes = state.synced.clone();
        for change in &state.unsynced {
            match change {
                Change::Length(_) if keep() => apply(&mut bytes, change),
                Change::Length(_) => {}
                Change::Bytes(start, data) => {
                    let (mut at, mut rest) = (*start, data.as_slice());
                    while !rest.is_empty() {
                        let length = rest.len().min((SECTOR - at % SECTOR) as usize);
                        let (sector, later) = rest.split_at(length);
                        if keep() {
                            apply(&mut bytes, &Change::Bytes(at, sector.to_vec()));
                        }
                        (at, rest) = (at + length as u64, later);
                    }
                }
            }
        }
        bytes
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => bytes.resize(*length as usize, 0),
        // A sector past the end is one whose growth of the file was lost.
        Change::Bytes(start, data) => {
            if let Some(target) = bytes.get_mut(*start as usize..*start as usize + data.len()) {
                target.copy_from_slice(data);
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.call(|state| Ok(state.bytes.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.call(|state| {
            let start = offset as usize;
            let bytes = state.bytes.get(start..start + out.len());
            out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call(|state| {
            state.synced = state.bytes.clone();
            state.unsynced.clear();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Bytes(offset, data.to_vec()))
    }
}

const BATCHES: u32 = 10;

fn open(disk: &Disk) -> Result<RedbStore, StoreError> {
    RedbStore::with_backend(disk.clone(), "disk".into())
}

/// The `number`th batch: an entry in each of several tables, and the number itself.
fn batch(number: u32) -> Batch {
    let mut batch = Batch::new();
    for (table, size) in [(Table::Rows, 10), (Table::Segments, 9000), (Table::Index, 700)] {
        batch.put(table, number.to_be_bytes(), vec![number as u8; size]);
        batch.delete(table, number.saturating_sub(3).to_be_bytes());
    }
    batch.put(Table::Feed, *b"newest", number.to_be_bytes());
    batch
}

/// Commits every batch, flushing after each third, and does not stop at errors. Returns the newest
/// batch that was acknowledged as durable, and how many calls of the disk that took.
fn work(disk: &Disk) -> (u32, usize) {
    let mut acknowledged = 0;
    if let Ok(mut store) = open(disk) {
        let mut committed = 0;
        for number in 1..=BATCHES {
            if store.commit(batch(number)).is_ok() {
                assert_eq!(committed + 1, number, "a commit was acknowledged after one failed");
                committed = number;
            }
            if number % 3 == 0 && store.flush().is_ok() {
                acknowledged = committed;
            }
        }
    }
    (acknowledged, disk.calls())
}

/// Asserts that the store in `bytes` has the batches up to some number, at least `acknowledged`,
/// each whole.
fn assert_whole(bytes: Vec<u8>, acknowledged: u32, context: &str) {
    let store = open(&Disk::new(bytes, Fault::Never)).expect(context);
    let newest = store.get(Table::Feed, b"newest").expect(context);
    let newest = newest.map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
    assert!(newest >= acknowledged, "{context}: {newest} < {acknowledged}");
    let mut expected = crate::store::MemoryStore::new();
    for number in 1..=newest {
        expected.commit(batch(number)).unwrap();
    }
    for table in Table::ALL {
        let all = |store: &dyn Store| store.range(table, b"", None, usize::MAX).expect(context);
        assert!(all(&store) == all(&expected), "{context}: {table:?} at {newest}");
    }
}

fn new_store() -> Vec<u8> {
    let disk = Disk::new(Vec::new(), Fault::Never);
    drop(open(&disk).unwrap());
    disk.bytes()
}

#[test]
fn an_io_error_at_any_call_loses_nothing_flushed() {
    let new = new_store();
    let (all, calls) = work(&Disk::new(new.clone(), Fault::Never));
    assert_eq!(all, BATCHES / 3 * 3);
    for at in 0..calls {
        for fault in [Fault::Once(at), Fault::From(at)] {
            let disk = Disk::new(new.clone(), fault);
            let (acknowledged, _) = work(&disk);
            assert_whole(disk.bytes(), acknowledged, &format!("{fault:?}"));
        }
    }
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_flushed_and_leaves_no_part_of_a_batch() {
    let new = new_store();
    let (_, calls) = work(&Disk::new(new.clone(), Fault::Never));
    let mut seen = 0;
    for at in 0..=calls {
        let disk = Disk::new(new.clone(), Fault::From(at));
        let (acknowledged, _) = work(&disk);
        seen += images(&disk, at as u64, |bytes, kept| {
            assert_whole(bytes, acknowledged, &format!("cut at {at}, {kept} % kept"));
        });
    }
    assert!(seen > 300, "{seen} images");
    println!("{seen} images");
}

/// Calls with images of what a power cut leaves of a disk: nothing, all, and random parts of what
/// was not synced; returns how many. More: `P2PANDA_POWER_CUTS=20 cargo test -p p2panda-core --lib
/// power_cut -- --nocapture`
fn images(disk: &Disk, seed: u64, mut check: impl FnMut(Vec<u8>, u64)) -> usize {
    let rounds = std::env::var("P2PANDA_POWER_CUTS").ok().and_then(|rounds| rounds.parse().ok());
    let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ (seed << 20);
    let mut seen = 0;
    for _ in 0..rounds.unwrap_or(1_u32) {
        for percent in [0, 20, 50, 80, 98, 100] {
            let bytes = disk.after_power_cut(|| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % 100 < percent
            });
            check(bytes, percent);
            seen += 1;
        }
    }
    seen
}

#[test]
fn an_error_while_a_store_is_set_up_is_reported() {
    let whole = Disk::new(Vec::new(), Fault::Never);
    open(&whole).unwrap();
    for at in 0..whole.0.lock().unwrap().calls {
        let disk = Disk::new(Vec::new(), Fault::From(at));
        match open(&disk) {
            Err(error) => assert!(matches!(error, StoreError::Io(_)), "{at}: {error}"),
            // The calls of closing the store.
            Ok(mut store) => assert!(store.flush().is_ok()),
        }
    }
}
