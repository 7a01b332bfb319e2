//! What many records of one stranger cost.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{
    schema::{Withdrawal, decisions_label},
    store::{CommitId, Entry, StoreError},
};

/// A store that counts what is asked of it: questions and the entries that answer them.
#[derive(Default)]
struct Counting(MemoryStore, AtomicUsize);

impl Counting {
    fn take(&self) -> usize {
        self.1.swap(0, Ordering::Relaxed)
    }
}

impl Store for Counting {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.get(table, key)
    }
    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let entries = self.0.range(table, start, end, limit)?;
        self.1.fetch_add(1 + entries.len(), Ordering::Relaxed);
        Ok(entries)
    }
    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        self.0.commit(batch)
    }
    fn flush(&mut self) -> Result<(), StoreError> {
        self.0.flush()
    }
    fn durable(&self) -> CommitId {
        self.0.durable()
    }
}

fn festival() -> FestivalId {
    FestivalId::from_bytes(hash(Domain::Festival, b"x"))
}

fn labelled(label: String) -> DocumentDescriptor {
    DocumentDescriptor { festival: festival(), user: OWNER, label }
}

fn resource(number: usize) -> EntityId {
    EntityId::new(labelled(String::new()).id(), format!("stage{number}").parse().unwrap())
}

fn terms(resource: &EntityId) -> Terms {
    let span = Span { starts: NOW, ends: Instant::from_millis(10) };
    Terms { event: resource.clone(), resource: resource.clone(), span, units: 1 }
}

fn request(resource: &EntityId) -> Record {
    Record::Request(Request { terms: terms(resource), claimed: NOW, note: String::new() })
}

fn decision(resource: &EntityId, number: usize) -> Record {
    let request = id_in(&labelled(String::new()), &request(resource));
    let (policy, reason) = (PolicySpec::new("manual").hash(), number.to_string());
    let (terms, answer) = (terms(resource), Answer::Deny);
    Record::Decision(Decision { request, terms, policy, answer, reason })
}

fn id_in(descriptor: &DocumentDescriptor, record: &Record) -> EntityId {
    EntityId::new(descriptor.id(), LocalId::of_record(&record.to_bytes()))
}

/// Records of one log each in turn; every entry but the first has seen the one before it.
fn in_turn(records: &[Record]) -> Document {
    let mut document = Document::new(OWNER);
    for (number, record) in records.iter().enumerate() {
        let writer = Incarnation::from_bytes([if number % 2 == 0 { 1 } else { 2 }; 8]);
        let mut draft = Draft::default();
        draft.record(record.to_bytes());
        while let Some(payload) = document.next_payload(writer, NOW, &mut draft) {
            let at = document.length(&writer);
            document.offer(writer, at, &payload);
        }
    }
    document
}

#[test]
fn many_records_that_bear_on_one_are_looked_at_once_when_they_come_and_when_they_go() {
    let descriptor = labelled(String::new());
    let stage = resource(0);
    let asked = request(&stage);
    let answer = decision(&stage, 0);
    let [request, answered] = [&asked, &answer].map(|record| id_in(&descriptor, record));
    let withdrawal = |n: usize| {
        let (resource, request) = (stage.clone(), request.clone());
        Record::Withdrawal(Withdrawal { resource, request, reason: n.to_string() })
    };
    let release = |n: usize| {
        let (resource, decisions) = (stage.clone(), vec![answered.clone()]);
        Record::Release(Release { resource, decisions, reason: n.to_string() })
    };
    let decision = |n: usize| decision(&stage, n + 1);
    let kinds: [(&str, &dyn Fn(usize) -> Record); 3] =
        [("withdrawals", &withdrawal), ("releases", &release), ("decisions", &decision)];
    for (name, make) in kinds {
        let costs = [150, 600].map(|many| {
            let with = |many: usize| {
                document(|draft| {
                    draft.record(asked.to_bytes());
                    draft.record(answer.to_bytes());
                    (0..many).for_each(|n| drop(draft.record(make(n).to_bytes())));
                })
            };
            let (few, all) = (with(0), with(many));
            let mut store = Counting::default();
            show(&mut store, &descriptor, &few);
            store.take();
            [&all, &few].map(|document| {
                show(&mut store, &descriptor, document);
                store.take()
            })
        });
        let [[come, go], [four_come, four_go]] = costs;
        assert!(
            four_come <= 5 * come,
            "{name} that come: {come}, of four times as many {four_come}"
        );
        assert!(four_go <= 5 * go, "{name} that go: {go}, of four times as many {four_go}");
    }
}

#[test]
fn all_facts_of_a_stranger_who_merges_cost_what_there_is_of_them() {
    let costs = [50, 200].map(|many| {
        let records: Vec<Record> =
            (0..many).flat_map(|n| [request(&resource(n)), decision(&resource(n), 0)]).collect();
        let descriptor = labelled(String::new());
        let mut store = Counting::default();
        show(&mut store, &descriptor, &in_turn(&records));
        store.take();
        let view = View::new(&store, festival());
        for n in 0..many {
            let facts = view.facts(&resource(n)).unwrap().unwrap();
            assert_eq!(facts.records.len(), 2);
            assert!(facts.records.iter().all(|fact| fact.position.causality.merges().is_empty()));
        }
        let facts = store.take();
        // In the document for them, too, whose resource they are about costs a row.
        for record in &records {
            assert!(view.resource_of(&id_in(&descriptor, record)).unwrap().is_some());
        }
        assert_eq!(store.take(), records.len());
        facts
    });
    assert!(costs[1] <= 5 * costs[0], "{costs:?}");
}

#[test]
fn decisions_are_ordered_in_the_document_for_them_and_elsewhere_by_their_log_alone() {
    let stage = resource(0);
    let decisions: Vec<Record> = (0..4).map(|n| decision(&stage, n)).collect();
    let descriptors = [decisions_label(&stage), decisions_label(&resource(1)), String::new()];
    for (place, descriptor) in descriptors.map(labelled).iter().enumerate() {
        let mut store = MemoryStore::new();
        show(&mut store, descriptor, &in_turn(&decisions));
        let view = View::new(&store, festival());
        let positions: Vec<_> = decisions
            .iter()
            .map(|record| view.record(&id_in(descriptor, record)).unwrap().unwrap().position)
            .collect();
        for (n, earlier) in positions.iter().enumerate() {
            for (m, later) in positions.iter().enumerate() {
                let precedes = n < m && (place == 0 || (m - n) % 2 == 0);
                assert_eq!(earlier.precedes(later), precedes, "{n}, {m} in place {place}");
            }
        }
    }
}
