//! What several incarnations wrote apart, read as one and written on.

use proptest::prelude::*;

use super::{
    history::{Device, take_in_slowly},
    oracle::{Oracle, contents},
    *,
};
use crate::schema::Fields;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    /// A device takes in all that another one holds.
    Merge(usize, usize),
    /// A device writes; first it takes in everything, or it does not.
    Write(usize, bool, Vec<usize>, Option<Value>),
    /// A device goes on under a fresh incarnation.
    Restart(usize),
}

const DEVICES: usize = 3;
const NAMES: [&str; 3] = ["a", "b", "c"];

fn event() -> impl Strategy<Value = Event> {
    let path = proptest::collection::vec(0..NAMES.len(), 0..4);
    let leaf = (0_i64..9).prop_map(Value::from);
    let value = leaf.prop_recursive(2, 6, 2, |inner| {
        proptest::collection::btree_map(proptest::sample::select(&NAMES[..]), inner, 0..3).prop_map(
            |map| Value::Map(map.into_iter().map(|(name, value)| (name.into(), value)).collect()),
        )
    });
    let value = prop_oneof![4 => value.prop_map(Some), 2 => Just(None)];
    let device = 0..DEVICES;
    prop_oneof![
        3 => (device.clone(), device.clone()).prop_map(|(to, from)| Event::Merge(to, from)),
        6 => (device.clone(), any::<bool>(), path, value)
            .prop_map(|(device, first, path, value)| Event::Write(device, first, path, value)),
        1 => device.prop_map(Event::Restart),
    ]
}

fn write(device: &mut Device, path: &[&str], value: Option<&Value>) {
    device.edit(|draft| match value {
        Some(value) => draft.put(&local("e"), path, value).unwrap(),
        None => draft.delete(&local("e"), path),
    });
}

/// What the fields are after a write: a map is merged, and whatever was no map on the way to the
/// field is one now.
fn written(fields: &mut Fields, path: &[&str], value: Option<&Value>) {
    let Some((name, path)) = path.split_first() else {
        match value {
            Some(Value::Map(map)) => {
                map.iter().for_each(|(name, value)| written(fields, &[name], Some(value)));
            }
            _ => fields.clear(),
        }
        return;
    };
    let is_map = matches!(fields.get(*name), Some(Value::Map(_)));
    match value {
        None if path.is_empty() => drop(fields.remove(*name)),
        Some(value) if path.is_empty() && !matches!(value, Value::Map(_)) => {
            fields.insert((*name).to_owned(), value.clone());
        }
        None if !is_map => {}
        _ => {
            let field = fields.entry((*name).to_owned()).or_insert(Value::Null);
            if !is_map {
                *field = Value::Map(Fields::new());
            }
            let Value::Map(below) = field else { unreachable!() };
            written(below, path, value);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(400)
    ))]

    /// Whatever happened before, who has seen everything and writes reads what was written, with
    /// all else as it was; every peer reads the same, in every order; and so does Automerge.
    #[test]
    fn who_has_seen_everything_reads_what_they_wrote(
        events in proptest::collection::vec(event(), 1..24),
        orders in proptest::collection::vec(any::<u64>(), 3),
    ) {
        let mut devices: Vec<Device> = (0..DEVICES).map(|at| Device::new(at as u64)).collect();
        let mut next = DEVICES as u64;
        for event in events {
            match event {
                Event::Merge(to, from) if to != from => {
                    let [to, from] = devices.get_disjoint_mut([to, from]).unwrap();
                    to.merge(from);
                }
                Event::Merge(..) => {}
                Event::Restart(at) => {
                    devices[at].restart(next);
                    next += 1;
                }
                Event::Write(at, first, path, value) => {
                    let path: Vec<&str> = path.iter().map(|name| NAMES[*name]).collect();
                    if path.is_empty() && !matches!(value, None | Some(Value::Map(_))) {
                        continue; // an entity is no scalar
                    }
                    if first {
                        for from in (0..DEVICES).filter(|from| *from != at) {
                            let [to, from] = devices.get_disjoint_mut([at, from]).unwrap();
                            to.merge(from);
                        }
                    }
                    let mut expected = devices[at].fields();
                    write(&mut devices[at], &path, value.as_ref());
                    written(&mut expected, &path, value.as_ref());
                    prop_assert_eq!(devices[at].fields(), expected);
                }
            }
        }
        let [first, others @ ..] = &mut devices[..] else { unreachable!() };
        others.iter().for_each(|other| first.merge(other));
        let all = contents(&first.document);
        prop_assert_eq!(Oracle::of(first.logs.values().flatten()).read(), all.clone());
        for mut order in orders {
            let document = take_in_slowly(&first.logs, |choices| {
                order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                usize::try_from(order >> 33).unwrap() % choices
            });
            prop_assert_eq!(contents(&document), all.clone());
        }
    }
}

#[test]
fn a_scalar_in_a_second_concurrent_entity_hides_no_new_write() {
    let (mut phone, mut laptop) = (Device::new(1), Device::new(2));
    phone.put(&["place", "room"], 1);
    for n in 0..9 {
        laptop.put(&["place"], n); // its own entity map, and later counters
    }
    phone.merge(&laptop);
    assert_eq!(phone.fields()["place"], Value::from(8));
    phone.put(&["place", "room"], 2);
    let room = Fields::from([("room".to_owned(), Value::from(2))]);
    assert_eq!(phone.fields()["place"], Value::Map(room));
}
