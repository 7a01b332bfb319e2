//! Users prove inside a session who they are, to whoever knows a festival in common.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{
    Author, DONE, Fate, OPEN, Outcome, PROOF, Peer, Side, exchange, festival, frame, replica, sync,
};
use p2panda_core::{ChannelBinding, Identity, LinkEnd, LinkProof, Replica, UserId, codec};
use p2panda_sync::{Fault, PeerFault, Role, SyncError, SyncEvent};

/// Two replicas of one festival, of which one holds a log that the other lacks.
fn two() -> (Replica, Replica) {
    let (mut a, b) = (replica(1, &[&festival(1)]), replica(2, &[&festival(1)]));
    Author::new(11, festival(1).id()).fill(&mut a, 3, 10);
    (a, b)
}

fn linked(a: &mut Replica, b: &mut Replica, wire: impl FnMut(Side, Bytes) -> Fate) -> Outcome {
    let (opener, acceptor) = (Peer::new(a, Role::Sync, 1), Peer::new(b, Role::Accept, 2));
    exchange(opener.on(7), acceptor.on(7), wire)
}

fn users(events: &[SyncEvent]) -> Vec<UserId> {
    let user = |event: &SyncEvent| match event {
        SyncEvent::Peer { user } => Some(*user),
        _ => None,
    };
    events.iter().filter_map(user).collect()
}

#[test]
fn both_users_are_known_after_no_more_round_trips() {
    let (mut a, mut b) = two();
    let mut sent = Vec::new();
    let outcome = linked(&mut a, &mut b, |side, frame| {
        sent.push((side, frame[0]));
        Fate::Deliver(frame)
    });
    let stats = outcome.opener.unwrap();
    assert_eq!(stats.round_trips, 1);
    assert_eq!(users(&outcome.opener_events), [b.user()]);
    assert_eq!(users(&outcome.acceptor_events), [a.user()]);
    // Neither shows itself before the other has proved to know a festival in common.
    let first = |side, kind| sent.iter().position(|frame| *frame == (side, kind)).unwrap();
    assert!(first(Side::Opener, OPEN) < first(Side::Opener, PROOF));
    assert!(first(Side::Opener, OPEN) < first(Side::Acceptor, PROOF));
    assert!(first(Side::Acceptor, PROOF) < first(Side::Acceptor, DONE));
    // It is the link's affair, and counted in full.
    let metadata = stats.metadata_sent + stats.metadata_received;
    let all = stats.bytes_sent + stats.bytes_received;
    assert!(metadata < 220 && all > metadata + 2 * 105, "{stats:?}");
}

#[test]
fn two_that_hold_the_same_and_part_again_show_nothing_and_need_two_hundred_bytes() {
    let (mut a, mut b) = two();
    sync(&mut a, &mut b);
    for (opener, acceptor) in [(1, 2), (2, 1)] {
        let outcome = match (opener, acceptor) {
            (1, _) => linked(&mut a, &mut b, |_, frame| Fate::Deliver(frame)),
            _ => linked(&mut b, &mut a, |_, frame| Fate::Deliver(frame)),
        };
        let stats = outcome.opener.unwrap();
        assert_eq!(stats.bytes_sent + stats.bytes_received, 184);
        assert!(users(&outcome.opener_events).is_empty());
        assert!(users(&outcome.acceptor_events).is_empty());
    }
}

#[test]
fn without_an_encrypted_link_nobody_shows_who_it_is() {
    let (mut a, mut b) = two();
    let outcome = common::sync_over(&mut a, &mut b, |_, frame| {
        assert_ne!(frame[0], PROOF);
        Fate::Deliver(frame)
    });
    assert!(users(&outcome.opener_events).is_empty());
}

/// The proof of a user for an end of a link.
fn proof(user: &Identity, link: u8, end: LinkEnd) -> Bytes {
    let link = ChannelBinding::from_bytes([link; 32]);
    frame(PROOF, &codec::encode(&LinkProof::sign(user, &link, end)))
}

#[test]
fn a_proof_for_another_link_or_end_or_of_another_user_ends_the_session() {
    let eve = Identity::generate(&mut common::rng(66));
    let stolen = {
        let link = ChannelBinding::from_bytes([7; 32]);
        let signed = LinkProof::sign(&eve, &link, LinkEnd::Opener);
        let mut bytes = codec::encode(&signed);
        // Somebody else's name over it.
        bytes[3..35].copy_from_slice(two().0.user().as_bytes());
        frame(PROOF, &bytes)
    };
    let bad = [proof(&eve, 8, LinkEnd::Opener), proof(&eve, 7, LinkEnd::Acceptor), stolen];
    for bad in bad {
        let (mut a, mut b) = two();
        let outcome = linked(&mut a, &mut b, |side, frame| {
            Fate::Deliver(if side == Side::Opener && frame[0] == PROOF {
                bad.clone()
            } else {
                frame
            })
        });
        let error = outcome.acceptor.unwrap_err();
        assert!(matches!(error, SyncError::Peer(PeerFault::User)), "{error}");
        assert_eq!(error.fault(), Fault::Peer);
        assert!(users(&outcome.acceptor_events).is_empty());
    }
    // Of the right link and end, it says who is there.
    let (mut a, mut b) = two();
    let outcome = linked(&mut a, &mut b, |side, frame| {
        let is_proof = side == Side::Opener && frame[0] == PROOF;
        Fate::Deliver(if is_proof { proof(&eve, 7, LinkEnd::Opener) } else { frame })
    });
    assert_eq!(users(&outcome.acceptor_events), [eve.user()]);
}

#[test]
fn a_second_proof_or_one_that_cannot_be_checked_does_not_belong_there() {
    let (mut a, mut b) = two();
    let outcome = linked(&mut a, &mut b, |side, frame| {
        // The DONE of the opener becomes another proof.
        let bent = side == Side::Opener && frame[0] == DONE;
        Fate::Deliver(if bent {
            proof(&Identity::generate(&mut common::rng(66)), 7, LinkEnd::Opener)
        } else {
            frame
        })
    });
    let refused = |result: Result<_, _>| {
        matches!(result, Err(SyncError::Peer(PeerFault::Unexpected("PROOF"))))
    };
    assert!(refused(outcome.acceptor));
    let (mut a, mut b) = two();
    let outcome = common::sync_over(&mut a, &mut b, |side, frame| {
        let bent = side == Side::Opener && frame[0] == DONE;
        Fate::Deliver(if bent {
            proof(&Identity::generate(&mut common::rng(66)), 7, LinkEnd::Opener)
        } else {
            frame
        })
    });
    assert!(refused(outcome.acceptor));
}

#[test]
fn who_relays_between_two_links_is_recognised_by_neither_side() {
    let (mut a, mut b) = two();
    let (ada, bob) = (Peer::new(&mut a, Role::Sync, 1), Peer::new(&mut b, Role::Accept, 2));
    // Eve has a link with each, and passes every frame on.
    let mut kinds = Vec::new();
    let outcome = exchange(ada.on(7), bob.on(8), |_, frame| {
        kinds.push(frame[0]);
        Fate::Deliver(frame)
    });
    for result in [outcome.opener, outcome.acceptor] {
        assert!(matches!(result, Err(SyncError::NoFestivalInCommon)));
    }
    assert!(!kinds.contains(&PROOF));
    assert!(common::logs(&b).is_empty());
}
