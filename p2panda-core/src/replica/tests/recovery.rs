//! Openings that are interrupted: at whatever call of the store, the next ones come to the same end.

use super::*;
use crate::{LogId, Tip, VerifiedSegment, view::writer::VIEW_VERSION};

/// A store whose calls fail from one on, as on a device that is gone; or one of its reads, once.
struct Failing {
    store: Shared,
    /// Calls until the first that fails.
    left: Arc<Mutex<Option<usize>>>,
    once: bool,
}

impl Failing {
    fn call(&self) -> Result<(), StoreError> {
        let mut left = self.left.lock().unwrap();
        match left.as_mut() {
            Some(0) => {
                if self.once {
                    *left = None;
                }
                Err(StoreError::Io("injected".into()))
            }
            Some(calls) => {
                *calls -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A call that only fails where all do: on a disk that reads badly, marks still work.
    fn other_call(&self) -> Result<(), StoreError> {
        if self.once { Ok(()) } else { self.call() }
    }
}

impl Store for Failing {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.call()?;
        self.store.get(table, key)
    }
    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.call()?;
        self.store.range(table, start, end, limit)
    }
    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        self.other_call()?;
        self.store.commit(batch)
    }
    fn flush(&mut self) -> Result<(), StoreError> {
        self.other_call()?;
        self.store.flush()
    }
    fn durable(&self) -> CommitId {
        self.store.durable()
    }
    fn mark(&mut self, mark: &[u8]) -> Result<(), StoreError> {
        self.other_call()?;
        self.store.mark(mark)
    }
    fn marked(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.call()?;
        self.store.marked()
    }
}

fn copy(store: &Shared) -> Shared {
    Shared(Arc::new(Mutex::new(store.0.lock().unwrap().clone())))
}

/// The store as a crash leaves it that takes back all it can.
fn crashed(store: &Shared) -> Shared {
    let store = store.0.lock().unwrap();
    Shared(Arc::new(Mutex::new(store.after_crash(store.durable()))))
}

fn buffered() -> Shared {
    Shared(Arc::new(Mutex::new(MemoryStore::buffered())))
}

fn marks(store: &Shared) -> Vec<Entry> {
    store.range(Table::Meta, aside::ASIDE, prefix_end(aside::ASIDE).as_deref(), 99).unwrap()
}

/// A reader's store with all that the writer wrote, taken in under a fault or none.
fn taken_in(
    writer: &Replica,
    festival: &Festival,
    name: &Identity,
    fault: Option<Fault>,
) -> Shared {
    let store = buffered();
    let mut reader = open(&store, name);
    reader.join(festival).unwrap();
    fault.into_iter().for_each(|fault| plant(b"fatal", fault));
    accept_all(&mut reader, writer, festival);
    drop(reader);
    clear();
    store
}

/// Whoever reads such a store first has to make its rows anew.
fn outdate_view(store: &Shared) {
    let mut batch = Batch::new();
    batch.put(Table::Meta, *b"view", (VIEW_VERSION + 1).to_be_bytes());
    for (key, _) in store.range(Table::Rows, &[], None, usize::MAX).unwrap() {
        batch.put(Table::Rows, key, *b"of another version");
    }
    store.clone().commit(batch).unwrap();
    store.clone().flush().unwrap();
}

fn of_an_older_build(store: &Shared) {
    let mut batch = Batch::new();
    for (key, mark) in marks(store) {
        batch.put(Table::Meta, key, aside::of_an_older_build(&mark));
    }
    store.clone().commit(batch).unwrap();
    store.clone().flush().unwrap();
}

/// Interrupts work on a store at each of its calls in turn, and has what is left of it checked. How
/// often that was.
fn interrupted(
    store: &Shared,
    work: impl Fn(Box<dyn Store>) -> Result<(), StoreError>,
    check: impl Fn(&Shared, &str),
) -> usize {
    for calls in 0.. {
        let tried = copy(store);
        let left = Arc::new(Mutex::new(Some(calls)));
        let done = work(Box::new(Failing { store: tried.clone(), left, once: false }));
        check(&crashed(&tried), &format!("all unflushed is lost, after {calls} calls"));
        check(&tried, &format!("nothing is lost, after {calls} calls"));
        if done.is_ok() {
            return calls;
        }
    }
    unreachable!("it ends at some call")
}

fn opens(store: Box<dyn Store>, name: &Identity) -> Result<Replica, StoreError> {
    Replica::open(store, name.clone(), Box::new(NoResume)).map_err(|error| match error {
        OpenError::Store(error) => error,
        other => panic!("{other}"),
    })
}

/// Opens a store until nothing is to be made up for: a payload that was being judged when the device
/// was gone is blamed at first, and tried once more after that.
fn settled(store: &Shared, name: &Identity) -> Replica {
    drop(open(store, name));
    drop(open(store, name));
    open(store, name)
}

#[test]
fn an_opening_that_tries_again_ends_the_same_wherever_it_was_interrupted() {
    let (writer, festival, name) = fatal();
    let view = writer.fingerprint_view().unwrap();
    for is_outdated in [false, true] {
        let store = taken_in(&writer, &festival, &name, Some(Fault::Panic));
        assert_eq!(marks(&store).len(), 1);
        of_an_older_build(&store);
        if is_outdated {
            outdate_view(&store);
        }
        let calls = interrupted(
            &store,
            |store| opens(store, &name).map(drop),
            |left, context| {
                let reader = settled(left, &name);
                assert_eq!(reader.stopped_logs(festival.id()).unwrap(), [], "{context}");
                assert_eq!(reader.fingerprint_view().unwrap(), view, "{context}");
                assert_eq!((reader.caught(), marks(left).len()), (0, 0), "{context}");
            },
        );
        assert!(calls > 20, "{calls}");
    }
}

#[test]
fn an_opening_after_a_kill_ends_the_same_wherever_it_was_interrupted() {
    let (writer, festival, name) = fatal();
    let view = writer.fingerprint_view().unwrap();
    let logs = writer.logs(festival.id()).unwrap();
    let (log, _) = *logs.iter().find(|(_, tip)| tip.length == 3).unwrap();
    for is_outdated in [false, true] {
        let store = taken_in(&writer, &festival, &name, None);
        let mut reader = open(&store, &name);
        let payload = reader.payloads(&log, 1, 2).unwrap().remove(0);
        assert!(reader.within_net(&log, 1, &payload, || ()).is_ok()); // and is killed
        drop(reader);
        if is_outdated {
            outdate_view(&store);
        }
        interrupted(
            &store,
            |store| opens(store, &name).map(drop),
            |left, context| {
                // If it was innocent, it is taken in.
                let innocent = copy(left);
                let reader = settled(&innocent, &name);
                assert_eq!(reader.stopped_logs(festival.id()).unwrap(), [], "{context}");
                assert_eq!(reader.fingerprint_view().unwrap(), view, "{context}");
                assert_eq!(marks(&innocent), [], "{context}");
                drop(reader);

                // If not, it is set aside for good, and its rows are those before it.
                plant(b"fatal", Fault::Panic);
                let reader = settled(left, &name);
                clear();
                let stopped = reader.stopped_logs(festival.id()).unwrap();
                assert_eq!(stopped, [(log, Stopped::Failed)], "{context}");
                let shown = title(&reader, &festival, &writer);
                assert_eq!(shown, Some("innocent".into()), "{context}");
                assert_eq!((reader.caught(), marks(left).len()), (0, 1), "{context}");
            },
        );
    }
}

/// Between a payload's being set aside and its document's being made anew, the process can end.
#[test]
fn a_document_that_panics_when_it_is_loaded_ends_the_same_wherever_that_was_interrupted() {
    let (writer, festival, name) = fatal();
    let descriptor = descriptor(&writer, &festival);
    let store = taken_in(&writer, &festival, &name, None);
    let shown = |replica: &Replica| {
        let stopped = replica.stopped_logs(festival.id()).unwrap();
        (stopped, replica.fingerprint_view().unwrap(), title(replica, &festival, &writer))
    };
    let expected = {
        let other = taken_in(&writer, &festival, &name, Some(Fault::Panic));
        shown(&open(&other, &name))
    };
    assert_eq!(expected.2, Some("innocent".into()));
    interrupted(
        &store,
        |store| {
            let mut reader = opens(store, &name)?;
            plant(b"fatal", Fault::Panic);
            let done = reader.take_document(&descriptor).map(drop);
            clear();
            done
        },
        |left, context| {
            plant(b"fatal", Fault::Panic);
            let mut reader = settled(left, &name);
            let loaded = reader.take_document(&descriptor);
            clear();
            loaded.expect(context);
            assert_eq!(shown(&reader), expected, "{context}");
            assert_eq!(marks(left).len(), 1, "{context}");
        },
    );
}

#[test]
fn a_store_that_fails_while_a_document_is_built_blames_no_payload() {
    let (writer, festival, name) = fatal();
    let descriptor = descriptor(&writer, &festival);
    let mut failed = 0;
    for calls in 0.. {
        let store = taken_in(&writer, &festival, &name, None);
        let left = Arc::new(Mutex::new(None));
        let failing = Failing { store: store.clone(), left: left.clone(), once: true };
        let mut reader = opens(Box::new(failing), &name).unwrap();
        *left.lock().unwrap() = Some(calls);
        let done = reader.remake(&descriptor).and_then(|()| {
            reader.documents.clear();
            reader.take_document(&descriptor).map(drop)
        });
        drop(reader);
        assert_eq!(store.marked().unwrap(), None, "after {calls} calls");
        let reader = open(&store, &name);
        assert_eq!(reader.stopped_logs(festival.id()).unwrap(), [], "after {calls} calls");
        assert_eq!(reader.caught(), 0);
        failed += usize::from(done.is_err());
        if done.is_ok() {
            break;
        }
    }
    assert!(failed > 5, "{failed}");
}

/// A user whose log is cut at its first entry: three entries behind that stand aside.
fn cut() -> (Replica, Festival, LogId, Tip) {
    let (store, identity, festival, mut rng) = runs(1);
    let mut writer = open(&store, &identity);
    set(&mut writer, festival.id(), "first", &mut rng);
    for text in ["innocent", "fatal", "behind"] {
        set(&mut writer, festival.id(), text, &mut rng);
    }
    let incarnation = writer.incarnation.unwrap();
    let descriptor = descriptor(&writer, &festival);
    let log = LogId { document: descriptor.id(), incarnation };
    let end = writer.held(&log).unwrap().unwrap();
    let first = writer.payloads(&log, 0, 1).unwrap();
    let other = [first, vec![b"another".to_vec()]].concat();
    let forked = VerifiedSegment::sign(&identity, log, &Tip::start(&log), other).unwrap();
    writer.accept(&descriptor, forked.into_segment()).unwrap();
    assert_eq!(writer.held(&log).unwrap().unwrap().length, 1);
    (writer, festival, log, end)
}

#[test]
fn reissuing_a_branch_with_a_payload_that_panics_writes_what_comes_before_it() {
    let (mut writer, festival, log, end) = cut();
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    plant(b"fatal", Fault::Panic);
    let changes = writer.reissue(&log, &end.chain, NOW, &mut rng);
    clear();
    assert_eq!((changes.unwrap(), writer.caught()), (1, 1));
    assert_eq!(writer.store.marked().unwrap(), None);
    assert_eq!(title(&writer, &festival, &writer), Some("innocent".into()));
    // What it could not read is not thrown away.
    assert_eq!(writer.forks(festival.id()).unwrap()[0].branches.len(), 2);

    let (mut writer, _, log, end) = cut();
    assert_eq!(writer.reissue(&log, &end.chain, NOW, &mut rng).unwrap(), 3);
    assert_eq!(title(&writer, &festival, &writer), Some("behind".into()));
}
