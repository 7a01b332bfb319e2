//! Stores that were damaged on the disk, or by a bug: any byte of the file, and, past the checksums
//! of the file, rows and keys of every table.

use std::panic::{AssertUnwindSafe, catch_unwind};

use p2panda_core::{
    AcceptError, EditError, FestivalId, OpenError,
    archive::ExportError,
    schema::{Answer, Decision, Event, PolicySpec, Request, Resource, Terms},
    store::{RedbStore, StoreError},
};

use super::*;

fn key() -> Identity {
    Identity::from_secret(&[8; 32])
}

fn open(store: impl Store + 'static) -> Result<Replica, OpenError> {
    Replica::open(Box::new(store), key(), Box::new(NoResume))
}

/// Store files with any byte changed: opening refuses them, or all is as it was.
#[test]
fn a_damaged_store_file_is_refused_or_holds_what_it_held() {
    let scene = scene();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let open = || open(RedbStore::open(&path)?);
    let mut replica = open().unwrap();
    replica.import(&mut &scene.file[..]).unwrap();
    let expected = (replica.fingerprint_logs().unwrap(), replica.fingerprint_view().unwrap());
    drop(replica);
    let whole = std::fs::read(&path).unwrap();
    let (mut refused, mut whole_again) = (0, 0);
    for seed in 0..runs(300) / 10 {
        let mut rng = rng(seed);
        let mut bytes = whole.clone();
        for _ in 0..1 + pick(&mut rng, 3) {
            let at = if pick(&mut rng, 3) == 0 {
                pick(&mut rng, 512)
            } else {
                pick(&mut rng, bytes.len())
            };
            bytes[at] ^= 1 << pick(&mut rng, 8);
        }
        std::fs::write(&path, &bytes).unwrap();
        match open() {
            Ok(replica) => {
                whole_again += 1;
                let found =
                    (replica.fingerprint_logs().unwrap(), replica.fingerprint_view().unwrap());
                assert_eq!(found, expected, "seed {seed}");
            }
            Err(OpenError::Store(StoreError::Damaged(_))) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(refused > 0 && whole_again > 0, "{refused} refused, {whole_again} held");
}

/// A store with something in every table: the scene's forks and what they cut off, records, a log
/// that is refused, a user who is blocked, and own documents.
fn full(scene: &Scene, store: impl Store + 'static) {
    let id = scene.festival.id();
    let mut rng = rng(401);
    let mut replica = open(store).unwrap();
    replica.import(&mut &scene.file[..]).unwrap();
    let stage = Resource { title: "Stage".into(), ..Resource::default() };
    let edited: Result<(), EditError> = replica.edit(id, NOW, &mut rng, |edit| {
        let (show, stage) = (edit.create(&event("Show"))?, edit.create(&stage)?);
        let span = span(1_000_000, 2_000_000);
        let terms = Terms { event: show, resource: stage, span, units: 1 };
        let request =
            edit.request(Request { terms: terms.clone(), claimed: NOW, note: String::new() })?;
        let policy = PolicySpec::new("manual").hash();
        let (answer, reason) = (Answer::Confirm, String::new());
        edit.decide(Decision { request, terms, policy, answer, reason }).map(drop)
    });
    edited.unwrap();
    let liar = Liar::in_festival(&scene.festival, &mut rng);
    let log = liar.log(1);
    let refused = liar.segment(log, &Tip::start(&log), &["no change", "nor this"]);
    replica.accept(&liar.descriptor, refused.into_segment()).unwrap();
    let log = liar.log(2);
    for name in ["one", "another"] {
        let branch = liar.segment(log, &Tip::start(&log), &[name]);
        replica.accept(&liar.descriptor, branch.into_segment()).unwrap();
    }
    replica.block(Identity::generate(&mut rng).user()).unwrap();
    replica.note(id, b"seen", Some(b"noted")).unwrap();
    replica.close(&mut rng).unwrap();
}

type Row = (Table, Vec<u8>, Vec<u8>);

fn rows(store: &dyn Store) -> Vec<Row> {
    let all = |table| {
        let rows = store.range(table, &[], None, usize::MAX).unwrap();
        rows.into_iter().map(move |(key, value)| (table, key, value))
    };
    Table::ALL.into_iter().flat_map(all).collect()
}

/// A row of a table that is chosen first, so that small tables have their share.
fn any_row(rows: &[Row], rng: &mut ChaCha20Rng) -> usize {
    let wanted = rows[pick(rng, rows.len())].0;
    let tables: Vec<Table> = Table::ALL.into_iter().collect();
    let wanted = if pick(rng, 3) == 0 { wanted } else { tables[pick(rng, tables.len())] };
    let at: Vec<usize> = (0..rows.len()).filter(|at| rows[*at].0 == wanted).collect();
    if at.is_empty() { pick(rng, rows.len()) } else { at[pick(rng, at.len())] }
}

/// One to three damaged rows.
fn damage(rows: &[Row], rng: &mut ChaCha20Rng) -> (Batch, Vec<Table>) {
    let mut batch = Batch::new();
    let mut tables = Vec::new();
    for _ in 0..1 + pick(rng, 3) {
        let (table, key, value) = rows[any_row(rows, rng)].clone();
        let (other_table, other_key, other_value) = rows[any_row(rows, rng)].clone();
        tables.push(table);
        let change = |bytes: &[u8], rng: &mut ChaCha20Rng| {
            let mut bytes = bytes.to_vec();
            mutate(&mut bytes, rng);
            bytes
        };
        match pick(rng, 12) {
            0..=2 => batch.put(table, key, change(&value, rng)),
            3 => {
                let changed = change(&key, rng);
                batch.delete(table, key);
                batch.put(table, changed, value);
            }
            4 => batch.put(table, change(&key, rng), value),
            5 => batch.delete(table, key),
            6 => batch.put(table, key, &value[..pick(rng, value.len() + 1)]),
            7 => batch.put(table, key, [value, vec![0; 1 + pick(rng, 40)]].concat()),
            // Values and rows of other places, also of other tables.
            8 => batch.put(table, key, other_value),
            9 => {
                batch.put(table, key, other_value);
                batch.put(other_table, other_key, value);
                tables.push(other_table);
            }
            10 => {
                batch.put(other_table, key, value);
                tables.push(other_table);
            }
            // Numbers of any size, where there are numbers.
            _ => {
                let mut value = value;
                let number = [0, u64::MAX, 1 << 40, u64::from(rng.next_u32() % 300)][pick(rng, 4)];
                let at = pick(rng, value.len().max(8) - 7);
                if let Some(place) = value.get_mut(at..at + 8) {
                    place.copy_from_slice(&number.to_be_bytes());
                }
                batch.put(table, key, value);
            }
        }
    }
    (batch, tables)
}

/// An error that a damaged store may give.
fn is_told(error: &StoreError) {
    assert!(matches!(error, StoreError::Damaged(_) | StoreError::NewerFormat { .. }), "{error}");
}

fn or_told<T>(done: Result<T, StoreError>) -> Option<T> {
    done.inspect_err(is_told).ok()
}

/// Asks all that can be asked.
fn ask(replica: &mut Replica, scene: &Scene) -> Option<()> {
    let id = scene.festival.id();
    for festival in or_told(replica.festivals())?.iter().map(Festival::id).chain([id]) {
        or_told(replica.stopped_logs(festival));
        or_told(replica.forks(festival));
        for (log, _) in or_told(replica.logs(festival)).into_iter().flatten() {
            let mut from = 0;
            while let Some(segment) = or_told(replica.segment(&log, from)).flatten() {
                assert!(segment.end().length > from, "it goes on");
                from = segment.end().length;
            }
            or_told(replica.run(&log, 0));
            or_told(replica.fork_evidence(&log));
            or_told(replica.automerge(&log.document));
            or_told(replica.document_fingerprint(&log.document));
        }
        view(replica, festival);
        let exported = replica.export(festival, &mut Vec::new());
        if let Err(ExportError::Store(error)) = &exported {
            is_told(error);
        }
    }
    or_told(replica.blocked());
    or_told(replica.fingerprint_logs());
    or_told(replica.fingerprint_view());
    Some(())
}

fn view(replica: &Replica, festival: FestivalId) {
    let view = replica.view(festival);
    or_told(view.info());
    or_told(view.schedule(None));
    or_told(view.malformed());
    or_told(view.list::<Event>());
    or_told(view.cursor());
    or_told(view.changes(0, 1000));
    or_told(view.open_requests(&replica.user()));
    for kind in ["event", "resource", "festival", "amendment"] {
        for id in or_told(view.ids(kind)).into_iter().flatten() {
            or_told(view.fields(&id));
            or_told(view.provenance(&id));
            or_told(view.facts(&id));
            or_told(view.arrivals(&id));
            or_told(view.event_requests(&id));
            or_told(view.bookings(&id, Some(span(0, 3_000_000))));
        }
    }
}

/// Uses a damaged store as a client does. Whatever it says that it took is there after a restart.
/// Returns how far it came.
fn use_damaged<S: Store + 'static>(
    reopen: &dyn Fn() -> Result<S, StoreError>,
    scene: &Scene,
) -> &'static str {
    let told = |error: &StoreError, at: &'static str| {
        is_told(error);
        at
    };
    let Ok(store) = reopen().inspect_err(is_told) else { return "not a store" };
    let mut replica = match open(store) {
        Ok(replica) => replica,
        Err(OpenError::Store(error)) => return told(&error, "not opened"),
        Err(OpenError::OtherUser { .. }) => return "another's",
    };
    if ask(&mut replica, scene).is_none() {
        return "not asked";
    }
    let id = scene.festival.id();
    let mut rng = rng(402);
    // A user whom nothing was damaged of is taken in, or it is said why not.
    let liar = Liar::in_festival(&scene.festival, &mut rng);
    let log = liar.log(7);
    let segment = liar.segment(log, &Tip::start(&log), &["new"]).into_segment();
    let accepted = match replica.accept(&liar.descriptor, segment) {
        Err(AcceptError::Store(error)) => return told(&error, "nothing taken in"),
        accepted => accepted.is_ok(),
    };
    // What the scene has of others, once more.
    match replica.import(&mut &scene.file[..]) {
        Ok(_) => {}
        Err(error) => assert!(format!("{:?}", error.why).contains("Damaged"), "{error}"),
    }
    let written = replica.edit(id, NOW, &mut rng, |edit| edit.create(&event("After")));
    if let Err(EditError::Store(error)) = &written {
        is_told(error);
    }
    assert_eq!(replica.caught(), 0, "the last net caught something");
    replica.flush().unwrap();
    let state = |replica: &Replica| {
        (or_told(replica.fingerprint_logs()), or_told(replica.fingerprint_view()))
    };
    let before = state(&replica);
    drop(replica);
    if !accepted && written.is_err() {
        return "nothing taken in or written";
    }
    let replica = open(reopen().expect("it was written")).expect("it took new entries");
    assert_eq!(state(&replica), before);
    if accepted {
        assert_eq!(replica.held(&log).unwrap().map(|tip| tip.length), Some(1));
    }
    if let Ok(id) = &written {
        assert!(replica.view(scene.festival.id()).fields(id).unwrap().is_some());
    }
    if accepted && written.is_ok() { "taken in and written" } else { "one of them" }
}

#[test]
fn a_store_with_damaged_rows_says_so_or_works_and_takes_nothing_that_a_restart_refuses() {
    let scene = scene();
    let good = Shared::new();
    full(&scene, good.clone());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    full(&scene, RedbStore::open(&path).unwrap());
    let file = std::fs::read(&path).unwrap();
    let all = rows(&good);
    let filled: std::collections::BTreeSet<Table> = all.iter().map(|(table, ..)| *table).collect();
    assert_eq!(filled.len(), Table::ALL.len(), "something is in every table: {filled:?}");
    let rows_of = |replica: &Replica| {
        (replica.fingerprint_view().unwrap(), titles(replica, scene.festival.id()))
    };
    let expected = rows_of(&open(good.copy()).unwrap());
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..runs(4_000) / 10 {
        let mut rng = rng(seed);
        let (batch, tables) = damage(&all, &mut rng);
        let done = catch_unwind(AssertUnwindSafe(|| {
            // The same through redb's file, now and then: it takes a hundred times as long.
            if seed % 20 == 0 {
                std::fs::write(&path, &file).unwrap();
                let mut store = RedbStore::open(&path).unwrap();
                store.commit(batch).unwrap();
                store.flush().unwrap();
                drop(store);
                return use_damaged(&|| RedbStore::open(&path), &scene);
            }
            let mut store = good.copy();
            store.commit(batch).unwrap();
            // What only the view lost is made anew from the logs.
            if tables.iter().all(|table| matches!(table, Table::Rows | Table::Index)) {
                assert_eq!(rows_of(&rebuilt(&store, &key())), expected);
            }
            use_damaged(&|| Ok(store.clone()), &scene)
        }));
        let Ok(outcome) = done else { panic!("seed {seed}, tables {tables:?}") };
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!("{outcomes:?}");
    assert!(outcomes.len() > 3, "{outcomes:?}");
}
