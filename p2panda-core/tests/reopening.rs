//! Replicas that are closed, copied, and opened again.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use p2panda_core::{
    Identity, Replica,
    schema::Event,
    store::{Batch, NoResume, ResumeTokens, RuntimeDir, Store, Table},
};

#[test]
fn a_cleanly_closed_store_goes_on_with_its_log_and_any_doubt_starts_a_new_one() {
    let mut rng = rng(10);
    let identity = Identity::generate(&mut rng);
    let folder = tempfile::tempdir().unwrap();
    let store = Shared::new();
    let open = |store: &Shared| {
        let resume: Box<dyn ResumeTokens> = Box::new(RuntimeDir::at(folder.path()));
        Replica::open(Box::new(store.clone()), identity.clone(), resume).unwrap()
    };
    let mut ada = open(&store);
    let festival = festival_of(&mut ada, &mut rng);
    ada.close(&mut rng).unwrap();
    for round in 0..5 {
        let mut ada = open(&store);
        if round % 2 == 0 {
            put(&mut ada, festival.id(), "event", &event(&round.to_string()), &mut rng);
        }
        ada.close(&mut rng).unwrap();
    }
    let logs = |ada: &Replica| ada.logs(festival.id()).unwrap().len();
    let mut ada = open(&store);
    assert_eq!(logs(&ada), 1, "clean closes go on with one log");
    let backup = store.copy();
    put(&mut ada, festival.id(), "event", &event("before the crash"), &mut rng);
    drop(ada); // unclean
    let mut ada = open(&store);
    put(&mut ada, festival.id(), "event", &event("after the crash"), &mut rng);
    assert_eq!(logs(&ada), 2);
    ada.close(&mut rng).unwrap();
    let ada = open(&store);

    // The backup's token was used up when the store was opened: no fork.
    let mut restored = open(&backup);
    put(&mut restored, festival.id(), "other", &event("written after a restore"), &mut rng);
    assert_eq!(logs(&restored), 2);
    hand_over(&ada, &mut restored, festival.id());
    assert_eq!(logs(&restored), 3);
    assert_eq!(restored.view(festival.id()).list::<Event>().unwrap().len(), 2);
}

#[test]
fn a_view_of_another_version_is_made_anew_from_the_logs() {
    let mut rng = rng(13);
    let identity = Identity::generate(&mut rng);
    let store = Shared::new();
    let open =
        || Replica::open(Box::new(store.clone()), identity.clone(), Box::new(NoResume)).unwrap();
    let mut ada = open();
    let festival = festival_of(&mut ada, &mut rng).id();
    let id = put(&mut ada, festival, "opening", &event("Opening"), &mut rng);
    let before = ada.fingerprint_view().unwrap();
    drop(ada);
    let mut damage = Batch::new();
    damage.put(Table::Meta, b"view", 0_u32.to_be_bytes());
    for (key, _) in store.range(Table::Rows, &[], None, 10).unwrap() {
        damage.put(Table::Rows, key, b"what another version wrote");
    }
    damage.put(Table::Rows, b"a row that this version does not know", b"x");
    store.clone().commit(damage).unwrap();
    let ada = open();
    assert_eq!(ada.fingerprint_view().unwrap(), before);
    assert_eq!(ada.view(festival).schedule(None).unwrap(), [(id, event("Opening"))]);
    assert_eq!(ada.view(festival).changes(0, 10).unwrap().len(), 2);
}
