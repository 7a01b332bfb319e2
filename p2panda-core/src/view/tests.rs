//! What follows when entries of a document count no more.

mod cost;

use std::collections::BTreeSet;

use super::{View, keys::IndexOf, writer::RowWriter};
use crate::{
    document::{Document, Draft, Touched},
    hash::{Domain, hash},
    id::{EntityId, FestivalId, Incarnation, LocalId, UserId},
    log::DocumentDescriptor,
    schema::{
        Answer, Decision, Event, Instant, PolicySpec, Record, Release, Request, Span, Terms,
        write_fields,
    },
    store::{Batch, MemoryStore, Store, Table},
};

const OWNER: UserId = UserId::from_bytes([7; 32]);
const NOW: Instant = Instant::from_millis(0);

fn document(edit: impl FnOnce(&mut Draft)) -> Document {
    let mut document = Document::new(OWNER);
    let mut draft = Draft::default();
    edit(&mut draft);
    let writer = Incarnation::from_bytes([1; 8]);
    while let Some(payload) = document.next_payload(writer, NOW, &mut draft) {
        let at = document.length(&writer);
        document.offer(writer, at, &payload);
    }
    document
}

/// Makes the rows those of a document, whatever they were before.
fn show(store: &mut impl Store, descriptor: &DocumentDescriptor, now: &Document) {
    let had: BTreeSet<LocalId> = store
        .range(Table::Rows, &[], None, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|(key, _)| super::keys::read_id(&key[32..]).unwrap().0.local)
        .collect();
    let mut batch = Batch::new();
    batch.put(Table::Documents, *descriptor.id().as_bytes(), crate::codec::encode(descriptor));
    let mut rows = RowWriter::new(store, &mut batch, descriptor, None).unwrap();
    rows.update(now, &Touched::whole(had.into_iter().chain(now.locals()))).unwrap();
    rows.finish();
    store.commit(batch).unwrap();
}

#[test]
fn what_vanishes_takes_all_that_followed_from_it_with_it() {
    let festival = FestivalId::from_bytes(hash(Domain::Festival, b"x"));
    let descriptor = DocumentDescriptor { festival, user: OWNER, label: String::new() };
    let id =
        |content: &Record| EntityId::new(descriptor.id(), LocalId::of_record(&content.to_bytes()));
    let resource = EntityId::new(descriptor.id(), "stage".parse().unwrap());
    let span = Span { starts: NOW, ends: Instant::from_millis(10) };
    let terms = Terms { event: resource.clone(), resource: resource.clone(), span, units: 1 };
    let request =
        Record::Request(Request { terms: terms.clone(), claimed: NOW, note: String::new() });
    let decision = Record::Decision(Decision {
        request: id(&request),
        terms,
        policy: PolicySpec::new("manual").hash(),
        answer: Answer::Confirm,
        reason: String::new(),
    });
    let release = Record::Release(Release {
        resource: resource.clone(),
        decisions: vec![id(&decision)],
        reason: String::new(),
    });
    let event = Event { starts: Some(NOW), ends: Some(span.ends), ..Event::default() };
    let mut fields = write_fields(&event).unwrap();
    fields.insert("kind".to_owned(), "event".into());
    let with = |records: &[&Record], events: usize| {
        document(|draft| {
            for record in records {
                draft.record(record.to_bytes());
            }
            for number in 0..events {
                let local = format!("e{number}").parse().unwrap();
                draft.put(&local, &[], &crate::schema::Value::Map(fields.clone())).unwrap();
            }
        })
    };

    let mut store = MemoryStore::new();
    let mut asked = |records: &[&Record], events: usize| {
        show(&mut store, &descriptor, &with(records, events));
        let view = View::new(&store, festival);
        let open = view.open_requests(&OWNER).unwrap().len();
        let bookings = view.bookings(&resource, None).unwrap();
        let confirmed = bookings.iter().filter(|booking| !booking.confirmed_by.is_empty()).count();
        (open, bookings.len(), confirmed, view.schedule(None).unwrap().len())
    };
    assert_eq!(asked(&[&request], 1), (1, 1, 0, 1));
    assert_eq!(asked(&[&request, &decision], 2), (0, 1, 1, 2));
    assert_eq!(asked(&[&request, &decision, &release], 1), (1, 1, 0, 1));
    assert_eq!(asked(&[&request, &decision], 0), (0, 1, 1, 0), "the release is gone");
    assert_eq!(asked(&[&decision], 0), (0, 1, 1, 0), "the request is gone");
    assert_eq!(asked(&[&request], 0), (1, 1, 0, 0), "the decision is gone");
    assert_eq!(asked(&[], 0), (0, 0, 0, 0));
    assert!(store.range(Table::Rows, &[], None, usize::MAX).unwrap().is_empty());
    let left = store.range(Table::Index, &[], None, usize::MAX).unwrap();
    let kept = [IndexOf::Author as u8, IndexOf::Change as u8];
    assert!(left.iter().all(|(key, _)| kept.contains(&key[0])), "{left:?}");
}
