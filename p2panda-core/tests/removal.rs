//! Forgetting, blocking, leaving: what a device no longer wants is gone there, and only there.
#![allow(clippy::unwrap_used)]

mod common;

use common::{forks::*, *};
use p2panda_core::{
    AcceptError, EarlySegments, Identity, RemoveError, Replica, Tip,
    store::{Store, Table},
};

/// Every key of the tables but those about the store itself.
fn keys(store: &Shared) -> usize {
    let tables = Table::ALL.into_iter().filter(|table| *table != Table::Meta);
    tables.map(|table| store.range(table, &[], None, usize::MAX).unwrap().len()).sum()
}

#[test]
fn a_blocked_user_is_gone_stays_away_and_comes_back_when_unblocked() {
    let mut rng = rng(200);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng);
    let id = festival.id();
    let spammer = Identity::generate(&mut rng);
    let mut noise = replica(&spammer);
    noise.join(&festival).unwrap();
    for n in 0..5 {
        put(&mut noise, id, &n.to_string(), &event(&format!("spam {n}")), &mut rng);
    }
    put(&mut ada, id, "opening", &event("Opening"), &mut rng);
    let mut bob = replica(&Identity::generate(&mut rng));
    bob.join(&festival).unwrap();
    let clean = |bob: &mut Replica| {
        hand_over(&ada, bob, id);
        (bob.fingerprint_logs().unwrap(), bob.fingerprint_view().unwrap())
    };
    let before = clean(&mut bob);
    hand_over(&noise, &mut bob, id);
    assert_eq!(titles(&bob, id).len(), 6);
    let cursor = bob.view(id).cursor().unwrap();

    bob.block(spammer.user()).unwrap();
    assert_eq!(titles(&bob, id), ["Opening"]);
    assert_eq!(clean(&mut bob), before, "nothing of it is left, and the others' is untouched");
    assert_eq!(bob.view(id).changes(cursor, 10).unwrap().len(), 5, "clients hear of it");
    assert_eq!(bob.blocked().unwrap(), [spammer.user()]);
    let (log, _) = noise.logs(id).unwrap()[0];
    let descriptor = noise.descriptor(&log.document).unwrap().unwrap();
    let segment = noise.segment(&log, 0).unwrap().unwrap().into_segment();
    let refused = bob.accept(&descriptor, segment);
    assert!(matches!(refused, Err(AcceptError::Blocked(user)) if user == spammer.user()));
    assert!(matches!(bob.block(bob.user()), Err(RemoveError::Yourself)));

    bob.unblock(&spammer.user()).unwrap();
    hand_over(&noise, &mut bob, id);
    assert_eq!(titles(&bob, id).len(), 6);
    bob.forget(spammer.user()).unwrap();
    assert_eq!(clean(&mut bob), before);
    hand_over(&noise, &mut bob, id);
    assert_eq!(titles(&bob, id).len(), 6, "what is only forgotten comes back");
}

#[test]
fn a_festival_that_was_left_leaves_nothing_behind() {
    let mut rng = rng(201);
    let store = Shared::new();
    let identity = Identity::generate(&mut rng);
    let mut ada = Replica::open(
        Box::new(store.clone()),
        identity.clone(),
        Box::new(p2panda_core::store::NoResume),
    )
    .unwrap();
    let kept = festival_of(&mut ada, &mut rng).id();
    put(&mut ada, kept, "kept", &event("kept"), &mut rng);
    let before = keys(&store);
    let left = festival_of(&mut ada, &mut rng).id();
    put(&mut ada, left, "left", &event("left"), &mut rng);
    // A fork's proof and what it cut off go too.
    let liar = Liar::in_festival(&ada.festival(left).unwrap().unwrap(), &mut rng);
    let log = liar.log(1);
    for name in ["a", "b"] {
        let segment = liar.segment(log, &Tip::start(&log), &[name]).into_segment();
        ada.accept(&liar.descriptor, segment).unwrap();
    }
    ada.leave_festival(left).unwrap();
    assert_eq!(keys(&store), before);
    assert_eq!(titles(&ada, kept), ["kept"]);
    assert!(ada.festival(left).unwrap().is_none());
}

#[test]
fn segments_that_come_too_early_wait_within_their_bound() {
    let mut rng = rng(202);
    let liar = Liar::new(&mut rng);
    let log = liar.log(1);
    let mut tip = Tip::start(&log);
    let mut segments = Vec::new();
    for n in 0..8 {
        let segment = liar.segment(log, &tip, &[&n.to_string()]);
        tip = *segment.end();
        segments.push(segment.into_segment());
    }
    let mut bob = liar.reader(&mut rng);
    let mut early = EarlySegments::new(256 * 1024);
    for segment in segments.iter().rev() {
        match bob.accept(&liar.descriptor, segment.clone()) {
            Err(AcceptError::Gap { held: 0 }) => assert!(early.hold(segment.clone())),
            accepted => drop(accepted.unwrap()),
        }
    }
    assert!(!early.hold(segments[3].clone()), "one for each place");
    let held = |bob: &Replica| bob.held(&log).unwrap().unwrap().length;
    while let Some(segment) = early.take(&log, held(&bob)) {
        bob.accept(&liar.descriptor, segment).unwrap();
    }
    assert_eq!((held(&bob), early.bytes()), (8, 0));

    let mut small = EarlySegments::new(1000);
    let kept = segments.iter().filter(|segment| small.hold((*segment).clone())).count();
    assert_eq!(kept, 3);
    assert!(small.bytes() <= 1000);
    assert!(small.take(&log, 100).is_none(), "what is known already is dropped");
    assert_eq!(small.bytes(), 0);
}

#[test]
fn who_leaves_a_festival_and_comes_back_forks_nobody_and_promises_nothing_unasked() {
    let mut rng = rng(203);
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::generate(&mut rng);
    let store = Shared::new();
    let open = || {
        let tokens = p2panda_core::store::RuntimeDir::at(folder.path());
        Replica::open(Box::new(store.clone()), identity.clone(), Box::new(tokens)).unwrap()
    };
    let mut ada = open();
    ada.allow_decisions().unwrap();
    let ticket = festival_of(&mut ada, &mut rng);
    let id = ticket.id();
    put(&mut ada, id, "before", &event("before"), &mut rng);
    let mut bob = replica(&Identity::generate(&mut rng));
    bob.join(&ticket).unwrap();
    meet(&mut ada, &mut bob, id);
    // Once within one run of the program, once from one to the next.
    for (round, closes) in [false, true].into_iter().enumerate() {
        ada.leave_festival(id).unwrap();
        if closes {
            ada.close(&mut rng).unwrap();
            ada = open();
        }
        ada.join(&ticket).unwrap();
        assert!(!ada.may_decide(id));
        put(&mut ada, id, &format!("after-{round}"), &event("after"), &mut rng);
        meet(&mut ada, &mut bob, id);
        assert_eq!(bob.forks(id).unwrap(), []);
        assert_equal(&ada, &bob);
        ada.close(&mut rng).unwrap();
        ada = open();
    }
    assert_eq!(titles(&bob, id).len(), 3);
}
