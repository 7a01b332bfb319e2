//! What happens between a replica's logs and its documents: loading, waking, and the net.

mod recovery;
mod standing;

use std::{process::Command, sync::Arc, sync::Mutex};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::*;
use crate::{
    EditError, LocalId, Ticket,
    document::tests::faults::{Fault, clear, plant},
    schema::Value,
    store::{CommitId, MemoryStore, NoResume, RedbStore},
};

const NOW: Instant = Instant::from_millis(0);

/// A store that several openings share, as a file would be.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<MemoryStore>>);

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
        self.0.lock().unwrap().commit(batch)
    }
    fn flush(&mut self) -> Result<(), StoreError> {
        self.0.lock().unwrap().flush()
    }
    fn durable(&self) -> CommitId {
        self.0.lock().unwrap().durable()
    }
    fn mark(&mut self, mark: &[u8]) -> Result<(), StoreError> {
        self.0.lock().unwrap().mark(mark)
    }
    fn marked(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.lock().unwrap().marked()
    }
}

fn open(store: &Shared, identity: &Identity) -> Replica {
    Replica::open(Box::new(store.clone()), identity.clone(), Box::new(NoResume)).unwrap()
}

fn local() -> LocalId {
    "e".parse().unwrap()
}

fn set(replica: &mut Replica, festival: FestivalId, text: &str, rng: &mut ChaCha20Rng) {
    let own = DocumentDescriptor { festival, user: replica.user(), label: String::new() };
    let id = crate::EntityId::new(own.id(), local());
    let made: Result<(), EditError> =
        replica.edit(festival, NOW, rng, |edit| edit.set(&id, &["title"], Value::from(text)));
    made.unwrap();
}

/// A festival in which one user wrote from so many runs, each after the other.
fn runs(count: usize) -> (Shared, Identity, Festival, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let (store, identity) = (Shared::default(), Identity::generate(&mut rng));
    let info = FestivalInfo { title: "Lake".into(), ..FestivalInfo::default() };
    let festival = open(&store, &identity).create_festival(&info, NOW, &mut rng).unwrap();
    for run in 1..count {
        set(&mut open(&store, &identity), festival.id(), &format!("run {run}"), &mut rng);
    }
    (store, identity, festival, rng)
}

fn descriptor(replica: &Replica, festival: &Festival) -> DocumentDescriptor {
    let (log, _) = replica.logs(festival.id()).unwrap()[0];
    replica.descriptor(&log.document).unwrap().unwrap()
}

fn judged(replica: &mut Replica, descriptor: &DocumentDescriptor) -> u64 {
    let cached = replica.take_document(descriptor).unwrap();
    let judged = cached.document.judged();
    replica.cache(descriptor.id(), cached);
    judged
}

#[test]
fn loading_interleaved_runs_judges_each_payload_at_most_twice() {
    for count in [40, 320] {
        let (store, identity, festival, _) = runs(count);
        let mut replica = open(&store, &identity);
        let descriptor = descriptor(&replica, &festival);
        let judged = judged(&mut replica, &descriptor);
        assert!(judged <= 2 * count as u64, "{judged} for {count}");
    }
}

#[test]
fn logs_in_any_order_of_arrival_are_judged_at_most_twice_an_entry() {
    let count = 320;
    let (store, identity, festival, mut rng) = runs(count);
    let (writer, other) = (open(&store, &identity), Shared::default());
    let mut reader = open(&other, &Identity::generate(&mut rng));
    reader.join(&festival).unwrap();
    let descriptor = descriptor(&writer, &festival);
    for (log, _) in writer.logs(festival.id()).unwrap() {
        // In the order of their random ids, so that most wait at first.
        let segment = writer.segment(&log, 0).unwrap().unwrap().into_segment();
        reader.accept(&descriptor, segment).unwrap();
    }
    assert_eq!(reader.stopped_logs(festival.id()).unwrap(), []);
    assert_eq!(reader.fingerprint_view().unwrap(), writer.fingerprint_view().unwrap());
    let judged = judged(&mut reader, &descriptor);
    assert!(judged <= 2 * count as u64, "{judged}");
}

#[test]
fn a_log_that_waited_while_its_document_was_not_in_memory_goes_on() {
    let (store, identity, festival, mut rng) = runs(30);
    let (writer, other) = (open(&store, &identity), Shared::default());
    let name = Identity::generate(&mut rng);
    open(&other, &name).join(&festival).unwrap();
    let descriptor = descriptor(&writer, &festival);
    for (log, _) in writer.logs(festival.id()).unwrap() {
        let segment = writer.segment(&log, 0).unwrap().unwrap().into_segment();
        open(&other, &name).accept(&descriptor, segment).unwrap();
    }
    let reader = open(&other, &name);
    assert_eq!(reader.stopped_logs(festival.id()).unwrap(), []);
    assert_eq!(reader.fingerprint_view().unwrap(), writer.fingerprint_view().unwrap());
}

#[test]
fn documents_leave_memory_by_their_bytes() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut replica = open(&Shared::default(), &Identity::generate(&mut rng));
    let info = FestivalInfo { title: "Lake".into(), ..FestivalInfo::default() };
    let festival = replica.create_festival(&info, NOW, &mut rng).unwrap().id();
    let long = "x".repeat(32 * 1024);
    for label in 0..12 {
        let made: Result<(), EditError> = replica.edit(festival, NOW, &mut rng, |edit| {
            edit.label(&format!("label {label}"));
            let id = crate::EntityId::new(
                DocumentDescriptor { festival, user: edit.user(), label: format!("label {label}") }
                    .id(),
                local(),
            );
            edit.put(&local(), &crate::schema::Event::default())?;
            (0..64).try_for_each(|n| edit.set(&id, &[&format!("f{n}")], long.as_str().into()))
        });
        made.unwrap();
        let bytes: usize = replica.documents.values().map(|cached| cached.bytes).sum();
        assert!(bytes <= CACHED_BYTES, "{bytes}");
    }
    assert!((2..12).contains(&replica.documents.len()), "{}", replica.documents.len());
}

/// A user's log with an innocent entry, a fatal one and one behind it.
fn fatal() -> (Replica, Festival, Identity) {
    let (store, identity, festival, mut rng) = runs(1);
    let mut writer = open(&store, &identity);
    for text in ["innocent", "fatal", "behind"] {
        set(&mut writer, festival.id(), text, &mut rng);
    }
    (writer, festival, Identity::generate(&mut rng))
}

fn accept_all(reader: &mut Replica, writer: &Replica, festival: &Festival) {
    let descriptor = descriptor(writer, festival);
    for (log, _) in writer.logs(festival.id()).unwrap() {
        while let Some(segment) = {
            let from = reader.held(&log).unwrap().map_or(0, |tip| tip.length);
            writer.segment(&log, from).unwrap()
        } {
            reader.accept(&descriptor, segment.into_segment()).unwrap();
        }
    }
    reader.flush().unwrap();
}

fn title(replica: &Replica, festival: &Festival, writer: &Replica) -> Option<Value> {
    let id = crate::EntityId::new(descriptor(writer, festival).id(), local());
    let fields = replica.view(festival.id()).fields(&id).unwrap();
    fields.and_then(|fields| fields.get("title").cloned())
}

#[test]
fn a_payload_that_panics_is_set_aside_and_the_next_build_takes_it() {
    let (writer, festival, name) = fatal();
    let store = Shared::default();
    let mut reader = open(&store, &name);
    reader.join(&festival).unwrap();
    plant(b"fatal", Fault::Panic);
    accept_all(&mut reader, &writer, &festival);
    let stopped = reader.stopped_logs(festival.id()).unwrap();
    assert!(matches!(stopped[..], [(_, Stopped::Failed)]), "{stopped:?}");
    assert_eq!(title(&reader, &festival, &writer), Some("innocent".into()));
    assert_eq!(reader.caught(), 1);
    // The log is held and served all the same.
    assert_eq!(reader.fingerprint_logs().unwrap(), writer.fingerprint_logs().unwrap());
    drop(reader);
    clear();

    // The same build does not try again.
    let reader = open(&store, &name);
    assert_eq!(reader.stopped_logs(festival.id()).unwrap(), stopped);
    assert_eq!(reader.caught(), 0);
    drop(reader);

    // The next one does.
    let end = prefix_end(aside::ASIDE);
    let marks = store.range(Table::Meta, aside::ASIDE, end.as_deref(), 9).unwrap();
    let [(key, mark)] = &marks[..] else { panic!("{marks:?}") };
    let mut batch = Batch::new();
    batch.put(Table::Meta, key.clone(), aside::of_an_older_build(mark));
    store.clone().commit(batch).unwrap();
    let reader = open(&store, &name);
    assert_eq!(reader.stopped_logs(festival.id()).unwrap(), []);
    assert_eq!(title(&reader, &festival, &writer), Some("behind".into()));
    assert_eq!(reader.fingerprint_view().unwrap(), writer.fingerprint_view().unwrap());
}

/// A build may also fail at what an older one took: its rows go back to what stood before.
#[test]
fn a_payload_that_panics_when_it_is_loaded_again_is_set_aside_with_its_rows() {
    let (writer, festival, name) = fatal();
    let store = Shared::default();
    let mut reader = open(&store, &name);
    reader.join(&festival).unwrap();
    accept_all(&mut reader, &writer, &festival);
    assert_eq!(title(&reader, &festival, &writer), Some("behind".into()));
    drop(reader);
    plant(b"fatal", Fault::Panic);
    let mut reader = open(&store, &name);
    drop(reader.take_document(&descriptor(&writer, &festival)).unwrap());
    assert_eq!(reader.caught(), 1);
    assert_eq!(title(&reader, &festival, &writer), Some("innocent".into()));
    let stopped = reader.stopped_logs(festival.id()).unwrap();
    assert!(matches!(stopped[..], [(_, Stopped::Failed)]), "{stopped:?}");
    clear();
}

const FOLDER: &str = "P2PANDA_TEST_FOLDER";

/// The child process of the next test: takes a fatal payload in, and is killed by it.
#[test]
fn a_process_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (writer, festival, name) = fatal();
    plant(b"fatal", Fault::Abort);
    let store = RedbStore::open(std::path::Path::new(&folder).join("store")).unwrap();
    let mut reader = Replica::open(Box::new(store), name, Box::new(NoResume)).unwrap();
    reader.join(&festival).unwrap();
    accept_all(&mut reader, &writer, &festival);
    // Where the payload is set aside, all goes well.
    let stopped = reader.stopped_logs(festival.id()).unwrap();
    assert!(matches!(stopped[..], [(_, Stopped::Failed)]), "{stopped:?}");
}

#[test]
fn a_payload_that_kills_the_process_is_set_aside_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "replica::tests::a_process_that_is_killed", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(!run(), "the first time it is killed");
    assert!(run(), "at the next start the payload is set aside");
    // It could have been killed for another reason, so the payload is tried once more.
    assert!(!run());
    for start in 0..3 {
        assert!(run(), "after start {start} it is left for the next build");
    }
    let (writer, festival, name) = fatal();
    let store = RedbStore::open(folder.path().join("store")).unwrap();
    let reader = Replica::open(Box::new(store), name, Box::new(NoResume)).unwrap();
    assert_eq!(title(&reader, &festival, &writer), Some("innocent".into()));
    let ticket = Ticket { festival: festival.clone() };
    assert_eq!(reader.festivals().unwrap(), [ticket.festival]);
}

#[test]
fn a_process_that_is_killed_at_an_innocent_payload_takes_it_in_later() {
    let (writer, festival, name) = fatal();
    let store = Shared::default();
    let mut reader = open(&store, &name);
    reader.join(&festival).unwrap();
    accept_all(&mut reader, &writer, &festival);
    // What a kill while loading leaves: the mark of an entry.
    let (log, _) = writer.logs(festival.id()).unwrap()[0];
    let payload = reader.payloads(&log, 0, 1).unwrap().remove(0);
    assert!(reader.within_net(&log, 0, &payload, || ()).is_ok());
    drop(reader);
    let reader = open(&store, &name);
    assert_eq!(reader.caught(), 1);
    let stopped = reader.stopped_logs(festival.id()).unwrap();
    assert!(stopped.contains(&(log, Stopped::Failed)), "{stopped:?}");
    assert_eq!(title(&reader, &festival, &writer), None);
    drop(reader);
    let reader = open(&store, &name);
    assert_eq!((reader.caught(), reader.stopped_logs(festival.id()).unwrap()), (0, vec![]));
    assert_eq!(title(&reader, &festival, &writer), Some("behind".into()));
}
