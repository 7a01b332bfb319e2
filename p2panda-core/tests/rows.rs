//! What an edit costs in rows, and that opening and asking costs no documents.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    counting::{Counting, Counts},
    *,
};
use p2panda_core::{
    EditError, EntityId, FestivalId, Identity, Replica,
    schema::{Event, Request, Terms, Value},
    store::{Batch, NoResume, Store, Table},
};
use rand_chacha::ChaCha20Rng;

struct Bed {
    store: Counting,
    ada: Replica,
    identity: Identity,
    festival: FestivalId,
    rng: ChaCha20Rng,
}

fn bed() -> Bed {
    let mut rng = rng(1);
    let store = Counting::new();
    let identity = Identity::generate(&mut rng);
    let mut ada =
        Replica::open(Box::new(store.clone()), identity.clone(), Box::new(NoResume)).unwrap();
    let festival = festival_of(&mut ada, &mut rng).id();
    Bed { store, ada, identity, festival, rng }
}

impl Bed {
    fn set(&mut self, id: &EntityId, path: &[&str], value: Value) -> Counts {
        self.store.take();
        self.ada.edit(self.festival, NOW, &mut self.rng, |edit| edit.set(id, path, value)).unwrap();
        self.store.take()
    }

    fn fill(&mut self, entities: usize) -> EntityId {
        self.ada
            .edit(self.festival, NOW, &mut self.rng, |edit| {
                for number in 0..entities {
                    edit.put(&format!("e{number:04}").parse().unwrap(), &event("x"))?;
                }
                edit.put(&"mine".parse().unwrap(), &event("mine"))
            })
            .unwrap()
    }
}

#[test]
fn an_edit_writes_the_rows_of_the_fields_it_changed_however_much_else_there_is() {
    let mut few = bed();
    let id = few.fill(10);
    // A row, its place in the feed (the old one deleted) and its newest change.
    let (writes, bytes) = few.set(&id, &["title"], "new".into()).view();
    assert_eq!(writes, 4);
    assert!(bytes < 700, "{bytes}");

    let mut many = bed();
    let id = many.fill(2000);
    let edit = many.set(&id, &["title"], "new".into());
    assert_eq!(edit.view(), (writes, bytes));
    assert!(edit.read() < 40, "{edit:?}");

    let mut large = bed();
    let id = large.fill(10);
    for number in 0..100 {
        large.set(&id, &[&format!("text {number}")], "x".repeat(32 * 1024).into());
    }
    let edit = large.set(&id, &["title"], "new".into());
    assert_eq!(edit.view(), (writes, bytes), "100 long texts in the entity change nothing");
    let edit = large.set(&id, &["text 7"], "y".repeat(32 * 1024).into());
    let (text_writes, text_bytes) = edit.view();
    assert_eq!(text_writes, writes);
    assert!(text_bytes < bytes + 33 * 1024, "{text_bytes}");
    let edit = large.set(&id, &["set", "item"], true.into());
    assert_eq!(edit.view().0, writes + 1, "the set and its item");
    let edit = large.set(&id, &["set", "another"], true.into());
    assert_eq!(edit.view().0, writes);
}

#[test]
fn one_received_edit_writes_as_much_as_one_made() {
    let mut few = bed();
    let mut many = bed();
    let counts = [(&mut few, 10), (&mut many, 2000)].map(|(bed, entities)| {
        let id = bed.fill(entities);
        let store = Counting::new();
        let user = Identity::generate(&mut bed.rng);
        let mut bob = Replica::open(Box::new(store.clone()), user, Box::new(NoResume)).unwrap();
        bob.join(&bed.ada.festival(bed.festival).unwrap().unwrap()).unwrap();
        hand_over(&bed.ada, &mut bob, bed.festival);
        bed.set(&id, &["title"], "new".into());
        store.take();
        hand_over(&bed.ada, &mut bob, bed.festival);
        assert_equal(&bed.ada, &bob);
        let received = store.take();
        (received.writes.values().map(|(number, _)| number).sum::<usize>(), received.view())
    });
    assert_eq!(counts[0], counts[1]);
}

#[test]
fn opening_and_asking_load_no_documents() {
    let mut bed = bed();
    let id = bed.fill(500);
    let before = bed.ada.fingerprint_view().unwrap();
    drop(bed.ada);
    bed.store.take();
    let ada = Replica::open(Box::new(bed.store.clone()), bed.identity.clone(), Box::new(NoResume))
        .unwrap();
    let opening = bed.store.take();
    assert!(opening.read() < 10, "{opening:?}");
    let view = ada.view(bed.festival);
    assert_eq!(view.schedule(None).unwrap().len(), 501);
    bed.store.take();
    assert_eq!(view.entity::<Event>(&id).unwrap().unwrap().unwrap(), event("mine"));
    let reading = bed.store.take();
    assert!(reading.read() < 10, "one entity is one scan: {reading:?}");
    view.changes(0, 100).unwrap();
    assert_eq!(ada.fingerprint_view().unwrap(), before);
    assert_eq!(bed.store.take().reads.get(&Table::Segments), None);
}

#[test]
fn a_view_of_another_version_is_made_anew_and_keeps_what_arrived_when() {
    let mut bed = bed();
    let id = bed.fill(700);
    for _ in 0..3 {
        bed.set(&id, &["tags", "a"], true.into());
        bed.set(&id, &["title"], 7.into());
    }
    let terms = Terms { event: id.clone(), resource: id.clone(), span: span(0, 9), units: 1 };
    let request = Request { terms, claimed: NOW, note: String::new() };
    bed.ada.edit(bed.festival, NOW, &mut bed.rng, |edit| edit.request(request)).unwrap();
    let view = bed.ada.view(bed.festival);
    let asked = |ada: &Replica| {
        let view = ada.view(bed.festival);
        (
            view.schedule(None).unwrap(),
            view.ids("event").unwrap(),
            view.malformed().unwrap(),
            view.arrivals(&id).unwrap(),
            view.open_requests(&ada.user()).unwrap(),
            view.bookings(&id, None).unwrap(),
            ada.fingerprint_view().unwrap(),
        )
    };
    let (before, cursor) = (asked(&bed.ada), view.cursor().unwrap());
    assert_eq!((before.2.len(), before.3.0.len()), (1, 1));
    assert_eq!((before.4.len(), before.5.len()), (1, 1));
    drop(bed.ada);
    let mut batch = Batch::new();
    batch.put(Table::Meta, *b"view", 1_u32.to_be_bytes());
    // What another version may have left where this one has nothing.
    batch.put(Table::Rows, *b"something else", *b"of another version");
    batch.put(Table::Index, *b"another index", *b"");
    bed.store.commit(batch).unwrap();
    let ada = Replica::open(Box::new(bed.store.clone()), bed.identity.clone(), Box::new(NoResume))
        .unwrap();
    assert_eq!(asked(&ada), before);
    let changes = ada.view(bed.festival).changes(cursor, 10_000).unwrap();
    assert_eq!(changes.len(), 703, "followers look at everything again");
}

#[test]
fn names_of_any_bytes_and_maps_of_any_depth_are_rows_of_their_own() {
    let mut bed = bed();
    let id = bed.fill(1);
    let names = ["a", "ab", "a\0b", "\u{1}a", "\0", "\u{7f}", "😀", &"n".repeat(128)];
    for first in names {
        bed.ada
            .edit(bed.festival, NOW, &mut bed.rng, |edit| {
                edit.set(&id, &[first], Value::Map(Default::default()))?;
                for second in names {
                    edit.set(&id, &[first, second], second.into())?;
                }
                Ok::<_, EditError>(())
            })
            .unwrap();
    }
    let long = names[7];
    bed.set(&id, &[long, "m", long, long, long, long, long, long], 7.into());
    let delete = |bed: &mut Bed, path: &[&str]| {
        bed.ada.edit(bed.festival, NOW, &mut bed.rng, |edit| edit.delete(&id, path)).unwrap();
    };
    delete(&mut bed, &["a", "a\0b"]);
    delete(&mut bed, &["\0"]);
    let fields = bed.ada.view(bed.festival).fields(&id).unwrap().unwrap();
    for first in names.iter().filter(|name| **name != "\0") {
        let Value::Map(map) = &fields[*first] else { panic!("{first:?}") };
        for second in names.iter().filter(|name| (*first, **name) != ("a", "a\0b")) {
            assert_eq!(map[*second], Value::from(*second));
        }
    }
    assert!(!fields.contains_key("\0"));
    let Value::Map(a) = &fields["a"] else { panic!() };
    assert_eq!(a.len(), names.len() - 1);
    let mut at = &fields[long];
    for name in ["m", long, long, long, long, long, long] {
        let Value::Map(map) = at else { panic!() };
        at = &map[name];
    }
    assert_eq!(*at, 7.into());
}
