//! Replicas that are closed, copied, and opened again.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use p2panda_core::{
    Accepted, EditError, Identity, OpenError, Replica,
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

#[test]
fn a_write_that_failed_leaves_no_token_for_an_older_incarnation() {
    let mut rng = rng(14);
    let identity = Identity::generate(&mut rng);
    let folder = tempfile::tempdir().unwrap();
    let open = |store: &Shared| {
        let resume: Box<dyn ResumeTokens> = Box::new(RuntimeDir::at(folder.path()));
        Replica::open(Box::new(store.clone()), identity.clone(), resume).unwrap()
    };
    let store = Shared::new();
    let mut ada = open(&store);
    let festival = festival_of(&mut ada, &mut rng).id();
    let backup = store.copy();
    put(&mut ada, festival, "original", &event("a"), &mut rng);
    ada.close(&mut rng).unwrap();
    // The backup has no token, so its first write draws a fresh incarnation; but that fails once.
    let mut restored = open(&backup);
    backup.fail(true);
    let failed: Result<(), EditError> =
        restored.edit(festival, NOW, &mut rng, |edit| edit.create(&event("b")).map(drop));
    assert!(matches!(failed, Err(EditError::Store(_))), "{failed:?}");
    backup.fail(false);
    restored.close(&mut rng).unwrap();
    let mut restored = open(&backup);
    put(&mut restored, festival, "restored", &event("b"), &mut rng);
    assert_eq!(restored.logs(festival).unwrap().len(), 2);
    let mut ada = open(&store);
    hand_over(&restored, &mut ada, festival);
    hand_over(&ada, &mut restored, festival);
    assert_equal(&ada, &restored);
}

/// Tokens that can be claimed again and again, as after a memory snapshot of a machine.
struct Always;

impl ResumeTokens for Always {
    fn leave(&mut self, _: &[u8; 16]) -> std::io::Result<()> {
        Ok(())
    }
    fn claim(&mut self, _: &[u8; 16]) -> bool {
        true
    }
}

#[test]
fn a_device_that_meets_a_fork_of_its_own_log_goes_on_in_a_fresh_one() {
    let mut rng = rng(15);
    let identity = Identity::generate(&mut rng);
    let open = |store: &Shared| {
        Replica::open(Box::new(store.clone()), identity.clone(), Box::new(Always)).unwrap()
    };
    let store = Shared::new();
    let mut ada = open(&store);
    let festival = festival_of(&mut ada, &mut rng).id();
    ada.close(&mut rng).unwrap();
    let copy = store.copy();
    let (mut ada, mut clone) = (open(&store), open(&copy));
    put(&mut ada, festival, "a", &event("a"), &mut rng);
    put(&mut clone, festival, "b", &event("b"), &mut rng);
    let (log, _) = clone.logs(festival).unwrap()[0];
    let descriptor = clone.descriptor(&log.document).unwrap().unwrap();
    let segment = clone.segment(&log, 0).unwrap().unwrap().into_segment();
    assert_eq!(ada.accept(&descriptor, segment).unwrap(), Accepted::Cut { at: 1 });
    put(&mut ada, festival, "c", &event("c"), &mut rng);
    assert_eq!(ada.logs(festival).unwrap().len(), 2);
}

#[test]
fn a_store_is_opened_only_with_its_own_users_key() {
    let mut rng = rng(16);
    let store = Shared::new();
    let open = |identity: &Identity| {
        Replica::open(Box::new(store.clone()), identity.clone(), Box::new(NoResume))
    };
    let ada = Identity::generate(&mut rng);
    drop(open(&ada).unwrap());
    let refused = open(&Identity::generate(&mut rng)).map(drop);
    assert!(matches!(refused, Err(OpenError::OtherUser { .. })), "{refused:?}");
    assert_eq!(open(&ada).unwrap().user(), ada.user());
}

#[test]
fn who_falls_too_far_behind_the_changed_logs_is_told_to_look_at_all() {
    let mut rng = rng(17);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let start = ada.log_cursor();
    // 64 documents change with each edit; 4,096 changed logs are remembered.
    for round in 0..65 {
        ada.edit(festival, NOW, &mut rng, |edit| {
            for label in 0..64 {
                edit.label(&label.to_string());
                edit.put(&"e".parse().unwrap(), &event(&round.to_string()))?;
            }
            Ok::<_, EditError>(())
        })
        .unwrap();
    }
    assert_eq!(ada.log_changes(start), None);
    let (changed, end) = ada.log_changes(ada.log_cursor() - 4096).unwrap();
    assert_eq!((changed.len(), end), (4096, ada.log_cursor()));
    assert_eq!(ada.log_changes(end), Some((vec![], end)));
    assert_eq!(ada.log_changes(end + 1), None);
}

/// A snapshot of a machine with its tokens: what is opened from it goes on as if it were the device.
#[test]
fn a_device_that_meets_more_of_its_own_log_does_not_decide_before_it_has_synced() {
    let mut rng = rng(17);
    let identity = Identity::generate(&mut rng);
    let open = |store: &Shared| {
        Replica::open(Box::new(store.clone()), identity.clone(), Box::new(Always)).unwrap()
    };
    for word_given in [false, true] {
        let store = Shared::new();
        let mut phone = open(&store);
        let festival = festival_of(&mut phone, &mut rng).id();
        let other = festival_of(&mut phone, &mut rng).id();
        if word_given {
            phone.allow_decisions().unwrap();
        }
        phone.close(&mut rng).unwrap();
        let snapshot = store.copy();
        let mut phone = open(&store);
        put(&mut phone, festival, "promise", &event("promised"), &mut rng);
        let mut older = open(&snapshot);
        assert!(older.may_decide(festival) && older.may_decide(other));
        assert_eq!(hand_over(&phone, &mut older, festival), 1);
        assert!(!older.may_decide(festival) && !older.may_decide(other), "it is an older copy");
        older.close(&mut rng).unwrap();
        let mut older = open(&snapshot);
        assert!(!older.may_decide(festival) && !older.may_decide(other), "and stays one");
        older.allow_decisions_in(festival).unwrap();
        assert!(older.may_decide(festival) && !older.may_decide(other));
        older.close(&mut rng).unwrap();
        let older = open(&snapshot);
        assert!(older.may_decide(festival) && !older.may_decide(other));
    }
}
