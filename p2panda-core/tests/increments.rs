//! Rows kept up to date edit by edit are those that the documents say, whatever was written.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use p2panda_core::{
    EditError, EntityId, FestivalId, Identity, LocalId, Replica,
    schema::{Amendment, Fields, Value},
    store::{Batch, NoResume, Store as _, Table},
    view::View,
};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;

const NAMES: [&str; 4] = ["a", "b", "amended", "kind"];

#[derive(Clone, Debug)]
enum Step {
    Set { who: usize, entity: u8, path: Vec<usize>, value: u8 },
    Delete { who: usize, entity: u8, path: Vec<usize> },
    Exchange { from: usize, to: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..2_usize;
    let entity = || prop_oneof![5 => Just(0_u8), 1 => Just(1_u8)];
    let name = || prop_oneof![6 => Just(0), 2 => Just(1), 1 => Just(2), 1 => Just(3)];
    let path = move || {
        prop_oneof![
            1 => Just(vec![]),
            12 => proptest::collection::vec(name(), 1..4),
        ]
    };
    prop_oneof![
        8 => (who(), entity(), path(), 0..12_u8).prop_map(|(who, entity, path, value)| Step::Set { who, entity, path, value }),
        2 => (who(), entity(), path()).prop_map(|(who, entity, path)| Step::Delete { who, entity, path }),
        6 => (0..3_usize, 0..3_usize).prop_map(|(from, to)| Step::Exchange { from, to }),
    ]
}

fn value(number: u8) -> Value {
    let map = |entries: &[(&str, Value)]| -> Value {
        Value::Map(
            entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        )
    };
    match number {
        0 => map(&[]),
        1 => map(&[("a", 1.into())]),
        2 => map(&[("a", map(&[("b", 2.into())])), ("b", map(&[]))]),
        3 => "event".into(),
        4 => "resource".into(),
        5..8 => Value::Bytes(
            Amendment { counter: u64::from(number), value: Some("x".into()) }.to_bytes(),
        ),
        _ => i64::from(number).into(),
    }
}

/// Everything that a view says, and the same of a view that is made anew.
fn both(store: &Shared, peer: &Replica, identity: &Identity, festival: FestivalId) -> [String; 2] {
    let said = |view: View<'_>, fingerprint: [u8; 32]| {
        let mut ids: Vec<EntityId> = ["event", "resource", "festival", ""]
            .iter()
            .flat_map(|kind| view.ids(kind).unwrap())
            .collect();
        ids.sort();
        let fields: Vec<Option<Fields>> = ids.iter().map(|id| view.fields(id).unwrap()).collect();
        format!("{fingerprint:?} {ids:?} {fields:?} {:?}", view.malformed().unwrap())
    };
    let mut copy = store.copy();
    let mut batch = Batch::new();
    batch.put(Table::Meta, *b"view", 1_u32.to_be_bytes());
    copy.commit(batch).unwrap();
    let anew = Replica::open(Box::new(copy), identity.clone(), Box::new(NoResume)).unwrap();
    [peer, &anew].map(|peer| said(peer.view(festival), peer.fingerprint_view().unwrap()))
}

fn edit(
    peer: &mut Replica,
    festival: FestivalId,
    rng: &mut ChaCha20Rng,
    change: impl FnOnce(&mut p2panda_core::Edit<'_>) -> Result<(), EditError>,
) {
    let done = peer.edit(festival, NOW, rng, change);
    // An entity is a map; what is written into hidden maps may be too deep: nothing is written.
    assert!(matches!(done, Ok(()) | Err(EditError::Malformed(_))), "{done:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Peers 0 and 1 share one key, so their edits of one document are concurrent.
    #[test]
    fn rows_are_what_the_documents_say_after_every_step(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut rng = rng(1);
        let shared = Identity::generate(&mut rng);
        let identities = [shared.clone(), shared, Identity::generate(&mut rng)];
        let stores: Vec<Shared> = (0..3).map(|_| Shared::new()).collect();
        let mut peers: Vec<Replica> = stores.iter().zip(&identities).map(|(store, identity)| {
            Replica::open(Box::new(store.clone()), identity.clone(), Box::new(NoResume)).unwrap()
        }).collect();
        let festival = festival_of(&mut peers[0], &mut rng);
        for peer in &mut peers {
            peer.join(&festival).unwrap();
        }
        let festival = festival.id();
        let document = put(&mut peers[0], festival, "e0", &event("x"), &mut rng).document;
        let [first, second, _] = &mut peers[..] else { unreachable!() };
        hand_over(first, second, festival);
        let id = |entity: u8| -> EntityId {
            EntityId::new(document, format!("e{entity}").parse::<LocalId>().unwrap())
        };
        for step in steps {
            let changed = match step {
                Step::Set { who, entity, path, value: number } => {
                    let path: Vec<&str> = path.into_iter().map(|name| NAMES[name]).collect();
                    edit(&mut peers[who], festival, &mut rng, |edit| {
                        edit.set(&id(entity), &path, value(number))
                    });
                    who
                }
                Step::Delete { who, entity, path } => {
                    let path: Vec<&str> = path.into_iter().map(|name| NAMES[name]).collect();
                    edit(&mut peers[who], festival, &mut rng, |edit| edit.delete(&id(entity), &path));
                    who
                }
                Step::Exchange { from, to } if from != to => {
                    let [from, sink] = peers.get_disjoint_mut([from, to]).unwrap();
                    hand_over(from, sink, festival);
                    to
                }
                _ => continue,
            };
            let [kept, anew] = both(&stores[changed], &peers[changed], &identities[changed], festival);
            prop_assert_eq!(kept, anew);
        }
    }
}
