//! Many writers of one user: nothing that they can write stops the next one.

use std::collections::HashSet;

use proptest::prelude::*;

use super::{
    history::{Device, take_in},
    oracle::{Oracle, contents},
    *,
};
use crate::document::{gate::MAX_COUNTER, scan::MAX_OPERATIONS};

/// A device that holds what so many incarnations wrote apart from each other: each its own map for
/// one entity, with a title, and a nested map.
fn apart(count: u64) -> Device {
    let mut all = Device::new(0);
    for number in 1..=count {
        let mut device = Device::new(number);
        device.put(&["title"], i64::try_from(number).unwrap());
        device.put(&["place", "room"], 1);
        all.logs.append(&mut device.logs);
    }
    let order: Vec<_> = all.logs.keys().copied().collect();
    assert_eq!(take_in(&mut all.document, &all.logs, order.into_iter()), []);
    all
}

/// The same, but each wrote into the map of the first one.
fn over_one_map(count: u64) -> Device {
    let mut first = Device::new(0);
    first.put(&["title"], 0);
    let mut all = Device::new(u64::MAX - 1);
    all.merge(&first);
    for number in 1..=count {
        let mut device = Device::new(number);
        device.merge(&first);
        device.put(&["title"], i64::try_from(number).unwrap());
        all.logs.append(&mut device.logs);
    }
    let order: Vec<_> = all.logs.keys().copied().collect();
    assert_eq!(take_in(&mut all.document, &all.logs, order.into_iter()), []);
    all
}

fn overwritten_and_deleted(mut all: Device) {
    all.put(&["title"], "mine");
    assert_eq!(all.fields()["title"], Value::from("mine"));
    all.put(&["place", "room"], 2);
    assert!(matches!(&all.fields()["place"], Value::Map(place) if place["room"] == 2.into()));
    all.put(&["place"], "a scalar");
    assert_eq!(all.fields()["place"], Value::from("a scalar"));
    all.put(&["place", "room"], 3);
    assert_eq!(all.fields()["place"], Value::Map([("room".to_owned(), 3.into())].into()));
    all.edit(|draft| draft.delete(&local("e"), &["title"]));
    assert!(!all.fields().contains_key("title"));
    all.edit(|draft| draft.delete(&local("e"), &[]));
    assert_eq!(all.document.read(&local("e")), None);
    assert_eq!(contents(&all.document), Oracle::of(all.logs.values().flatten()).read());
    let mut reader = Document::new(USER);
    let refused = take_in(&mut reader, &all.logs, all.logs.keys().rev().copied());
    assert_eq!((refused, reader.read(&local("e"))), (vec![], None));
}

#[test]
fn what_six_hundred_incarnations_wrote_apart_can_be_overwritten_and_deleted() {
    overwritten_and_deleted(apart(600));
    overwritten_and_deleted(over_one_map(600));
}

#[test]
fn what_two_thousand_incarnations_wrote_at_one_place_can_be_overwritten_and_deleted() {
    overwritten_and_deleted(over_one_map(2_000));
}

#[test]
fn a_hostile_fold_of_six_hundred_incarnations_does_not_stop_an_honest_writer() {
    let mut hostile = over_one_map(600);
    // It has seen all of them, and overwrites none.
    hostile.edit(|draft| draft.put(&local("other"), &["x"], &1.into()).unwrap());
    let mut honest = Device::new(u64::MAX);
    honest.merge(&hostile);
    overwritten_and_deleted(honest);
}

/// The last change of a log with other operations and dependencies, as its writer could have
/// signed it.
fn forged(device: &Device, operations: Vec<Op>) -> Vec<u8> {
    let document = &device.document;
    let writer = document.changes.writer(&device.incarnation);
    let own = document.changes.last(writer).copied();
    let heads = document.changes.heads().copied().filter(|hash| Some(*hash) != own).take(31);
    let deps: Vec<_> = own.into_iter().chain(heads).collect();
    let past = document.changes.past(writer, &deps);
    encoded(ExpandedChange {
        operations,
        actor_id: actor(&USER, &device.incarnation),
        hash: None,
        seq: document.length(&device.incarnation) + 1,
        start_op: NonZeroU64::new(u64::from(past.max_op) + 1).unwrap(),
        time: i64::MAX / 1000,
        message: None,
        deps,
        extra_bytes: vec![],
        author: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Valid changes up to every limit: operations, predecessors, dependencies, key length, depth,
    /// value sizes, incarnations, heads, folds.
    #[test]
    fn no_sequence_of_valid_changes_stops_an_honest_writer(
        attacks in proptest::collection::vec((0..8_u8, 1..40_u64), 1..12),
    ) {
        let mut hostile = Device::new(0);
        hostile.put(&["title"], "before");
        let mut next = 1;
        for (attack, amount) in attacks {
            match attack {
                // many incarnations that have seen nothing, at the places of the honest one
                0 => for _ in 0..amount {
                    let mut device = Device::new(next);
                    next += 1;
                    device.put(&["title"], "x");
                    device.put(&["place", "room"], "y");
                    hostile.merge(&device);
                },
                // many that have seen everything, each after the other
                1 => for _ in 0..amount {
                    hostile.restart(next);
                    next += 1;
                    hostile.put(&["place"], "z");
                },
                // the largest scalars and the longest names
                2 => {
                    let name = "n".repeat(128);
                    for _ in 0..amount.min(4) {
                        hostile.put(&["title"], "t".repeat(32 * 1024));
                        hostile.put(&[&name, &name, &name, &name, &name, &name, &name, &name], 1);
                    }
                }
                // a change that folds and does nothing, with as many heads as it may
                3 => {
                    let payload = forged(&hostile, vec![]);
                    let at = hostile.document.length(&hostile.incarnation);
                    if let Outcome::Valid(_) = hostile.document.offer(hostile.incarnation, at, &payload) {
                        hostile.logs.entry(hostile.incarnation).or_default().push(payload);
                    }
                }
                // as many operations as a payload takes
                4 => {
                    hostile.edit(|draft| for n in 0..2_000 {
                        draft.put(&local("e"), &[&format!("f{n}")], &n.into()).unwrap();
                    });
                }
                // taken away and made again
                5 => {
                    hostile.edit(|draft| draft.delete(&local("e"), &[]));
                    hostile.put(&["place"], Value::Map([("x".to_owned(), 1.into())].into()));
                }
                // records
                6 => {
                    hostile.edit(|draft| for n in 0..amount {
                        draft.record(n.to_be_bytes().to_vec());
                    });
                }
                // a scalar in place of everything
                _ => {
                    hostile.put(&["place"], 1);
                    hostile.put(&["title"], 1);
                }
            }
        }
        let mut honest = Device::new(u64::MAX);
        honest.merge(&hostile);
        for (path, value) in [(&["title"][..], "mine"), (&["place", "room"], "Saal 1")] {
            honest.put(path, value);
        }
        let fields = honest.fields();
        prop_assert_eq!(&fields["title"], &Value::from("mine"));
        prop_assert!(matches!(&fields["place"], Value::Map(map) if map["room"] == "Saal 1".into()));
        let record = honest.edit(|draft| drop(draft.record(b"a decision".to_vec())));
        prop_assert_eq!(record, 1);
        honest.edit(|draft| draft.delete(&local("e"), &[]));
        prop_assert_eq!(honest.document.read(&local("e")), None);
        let mut reader = Document::new(USER);
        prop_assert_eq!(take_in(&mut reader, &honest.logs, honest.logs.keys().rev().copied()), vec![]);
        prop_assert_eq!(contents(&reader), contents(&honest.document));
    }
}

/// Counters end at 2^31, and only operations of accepted payloads use them up, each at the price of
/// 9 bytes: a change starts right after what it depends on.
#[test]
fn counters_last_for_nineteen_gigabytes_of_payloads() {
    // As many operations in as few bytes as the gate lets through.
    let mut device = Device::new(0);
    device.put(&["x"], 0);
    let entity = OpId(1, actor(&USER, &device.incarnation));
    let put = |key: String, pred: Vec<OpId>| Op {
        action: OpType::Put(ScalarValue::Null),
        obj: ObjectId::Id(entity.clone()),
        key: Key::Map(key.into()),
        pred: pred.into(),
        insert: false,
    };
    let mut cheapest = usize::MAX;
    let mut most = 0;
    for count in 1..200 {
        // One place again and again: columns that are as short as columns can be.
        let start = 3;
        let operations = (0..count).map(|n| {
            let before = if n == 0 { 2 } else { start + n - 1 };
            put("x".into(), vec![OpId(before, actor(&USER, &device.incarnation))])
        });
        let payload = forged(&device, operations.collect());
        let mut document = Document::new(USER);
        take_in(&mut document, &device.logs, device.logs.keys().copied());
        if let Outcome::Valid(_) = document.offer(device.incarnation, 1, &payload) {
            cheapest = cheapest.min(payload.len() / usize::try_from(count).unwrap());
            most = count;
        }
    }
    assert!(cheapest >= 9, "{cheapest} bytes an operation");
    assert!((10..100).contains(&most), "{most} operations fit into what they weigh");
    let bytes = u64::from(MAX_COUNTER) * 9;
    let payloads = u64::from(MAX_COUNTER) / MAX_OPERATIONS;
    assert!(bytes > 19_000_000_000 && payloads >= 524_288);
    // And Automerge still counts as far again.
    assert!(u64::from(MAX_COUNTER) * 2 <= u64::from(u32::MAX) + 1);
}

#[test]
fn a_counter_beyond_the_bound_is_refused() {
    let (mut document, first) = document();
    for start in [u64::from(MAX_COUNTER) - 1, u64::from(MAX_COUNTER), u64::from(u32::MAX)] {
        let start_op = NonZeroU64::new(start).unwrap();
        let payload = encoded(ExpandedChange { start_op, ..next(&first, retitle()) });
        assert_eq!(document.offer(A, 1, &payload), Outcome::Refused(Refusal::Counter));
    }
    let distinct: HashSet<_> = document.changes.heads().collect();
    assert_eq!(distinct.len(), 1);
}
