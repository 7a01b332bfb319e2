//! What stands at a place: exactly, for every past, in every order of arrival, and cheaply.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    history::{Device, Logs, incarnation, take_in, take_in_slowly},
    *,
};
use crate::document::place::cost::LOOKED_AT;

/// How many operations are looked at while `run` runs.
fn looked_at(run: impl FnOnce()) -> u64 {
    let before = LOOKED_AT.get();
    run();
    LOOKED_AT.get() - before
}

#[test]
fn an_overwrite_costs_what_stands_and_not_what_ever_stood() {
    let mut device = Device::new(0);
    device.put(&["title"], 0);
    let mut costs = BTreeSet::new();
    for n in 1..5_000 {
        costs.insert(looked_at(|| assert_eq!(device.put(&["title"], n), 1)));
    }
    assert!(costs.last().unwrap() <= &4, "{costs:?}");
    assert!(device.document.places.remembered() >= 5_000, "older pasts can still be judged");
    // So it is for whoever takes the log in.
    let mut reader = Document::new(USER);
    let all = looked_at(|| drop(take_in(&mut reader, &device.logs, device.logs.keys().copied())));
    assert!(all <= 4 * 5_000, "{all}");
}

#[test]
fn an_overwrite_costs_what_stands_after_a_thousand_incarnations() {
    let mut device = Device::new(0);
    let mut costs = BTreeSet::new();
    for n in 1..1_000 {
        device.restart(n);
        costs.insert(looked_at(|| assert_eq!(device.put(&["title"], 1), 1)));
    }
    assert!(costs.last().unwrap() <= &8, "{costs:?}");
}

#[test]
fn a_device_that_was_away_is_judged_by_what_it_had_seen() {
    let (mut phone, mut laptop) = (Device::new(1), Device::new(2));
    phone.put(&["title"], 0);
    laptop.merge(&phone);
    for n in 0..2_000 {
        phone.put(&["title"], n);
    }
    for n in 0..2_000 {
        laptop.put(&["title"], n);
    }
    let (last, cost) = (laptop.logs[&laptop.incarnation].len(), laptop.logs.len());
    assert_eq!((last, cost), (2_000, 2));
    // Taken in behind the phone's, each of the laptop's changes has an older past.
    let mut document = phone.document;
    let cost = looked_at(|| {
        assert_eq!(take_in(&mut document, &laptop.logs, laptop.logs.keys().copied()), []);
    });
    assert!(cost <= 10 * 2_000, "{cost}");
}

/// The standing operations of each place for a past, by the definition: in the past, and named as
/// overwritten by none in the past.
type Standing = BTreeMap<(String, String), BTreeSet<(u64, Vec<u8>)>>;

fn by_definition(logs: &Logs, past: &BTreeMap<Incarnation, u64>) -> Standing {
    let mut standing = Standing::new();
    let mut overwritten = BTreeSet::new();
    for (incarnation, length) in past {
        for payload in &logs[incarnation][..usize::try_from(*length).unwrap()] {
            let change = decoded(payload);
            for (counter, op) in (change.start_op.get()..).zip(&change.operations) {
                let place = (format!("{:?}", op.obj), format!("{:?}", op.key));
                if op.action != OpType::Delete {
                    let id = (counter, change.actor_id.to_bytes().to_vec());
                    standing.entry(place).or_default().insert(id);
                }
                overwritten.extend(
                    op.pred.iter().map(|id| (id.counter(), id.actor().to_bytes().to_vec())),
                );
            }
        }
    }
    for ops in standing.values_mut() {
        ops.retain(|op| !overwritten.contains(op));
    }
    standing.retain(|_, ops| !ops.is_empty());
    standing
}

/// The same from a document, and the past itself.
fn by_document(
    document: &Document,
    logs: &Logs,
    dependencies: &[ChangeHash],
) -> (BTreeMap<Incarnation, u64>, Standing) {
    let reader = incarnation(u64::MAX);
    let past = document.changes.past(document.changes.writer(&reader), dependencies);
    let mut seen = BTreeMap::new();
    past.seen.for_each(|writer, length| {
        seen.insert(document.changes.incarnation(writer).unwrap(), u64::from(length));
    });
    let id = |op: crate::document::changes::Op| {
        let incarnation = document.changes.incarnation(op.writer).unwrap();
        (u64::from(op.counter), actor(&USER, &incarnation).to_bytes().to_vec())
    };
    let mut standing = Standing::new();
    for payload in logs.values().flatten() {
        for op in decoded(payload).operations {
            let Key::Map(name) = &op.key else { unreachable!() };
            let map = match &op.obj {
                ObjectId::Root => Some(crate::document::places::ROOT),
                ObjectId::Id(id) => {
                    let made_by = |log: &&Incarnation| actor(&USER, log) == *id.actor();
                    let maker = logs.keys().find(made_by).unwrap();
                    let writer = document.changes.find_writer(maker).unwrap();
                    let counter = u32::try_from(id.counter()).unwrap();
                    document.places.map(crate::document::changes::Op { counter, writer })
                }
            };
            let (Some(map), Some(key)) = (map, document.places.key(name)) else { continue };
            let ops = document.places.standing((map, key), &document.changes, &past);
            if !ops.is_empty() {
                let place = (format!("{:?}", op.obj), format!("{:?}", op.key));
                standing.insert(place, ops.into_iter().map(id).collect());
            }
        }
    }
    (seen, standing)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Without maps that a change took away again itself, which nobody sees and nothing keeps.
    #[test]
    fn what_stands_is_what_the_past_holds_and_did_not_overwrite(
        steps in proptest::collection::vec((0..4_usize, 0..4_usize, 0..3_u8, any::<bool>()), 1..40),
        pasts in proptest::collection::vec(proptest::collection::vec(any::<prop::sample::Index>(), 1..4), 6),
        seed in any::<u64>(),
    ) {
        let mut devices: Vec<Device> = (0..4).map(Device::new).collect();
        for (at, from, field, delete) in steps {
            if at != from {
                let [to, from] = devices.get_disjoint_mut([at, from]).unwrap();
                to.merge(from);
            }
            let field = ["x", "y", "z"][usize::from(field)];
            devices[at].edit(|draft| match delete {
                true => draft.delete(&local("e"), &[field]),
                false => draft.put(&local("e"), &[field], &1.into()).unwrap(),
            });
        }
        let [first, others @ ..] = &mut devices[..] else { unreachable!() };
        others.iter().for_each(|other| first.merge(other));
        let logs = &first.logs;
        let hashes: Vec<_> = logs.values().flatten().map(|p| decoded(p).hash.unwrap()).collect();
        if hashes.is_empty() {
            return Ok(());
        }
        let mut order = seed;
        let slow = take_in_slowly(logs, |choices| {
            order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(order >> 33).unwrap() % choices
        });
        for past in pasts {
            let chosen: BTreeSet<_> = past.iter().map(|index| *index.get(&hashes)).collect();
            let dependencies: Vec<ChangeHash> = chosen.into_iter().collect();
            for document in [&first.document, &slow] {
                let (seen, standing) = by_document(document, logs, &dependencies);
                prop_assert_eq!(standing, by_definition(logs, &seen));
            }
        }
    }
}
