//! Peers that break the rules: they are dropped, and nothing of theirs is kept.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Author, Fate, PUSH, Side, festival, logs, replica, rng, sync, sync_over};
use p2panda_core::{DocumentId, Incarnation, Replica, Seal, Signature, codec};
use p2panda_sync::{
    Fault, Input, MAX_FRAME, Output, PATIENCE, PeerFault, Role, Session, SyncError,
};
use proptest::prelude::*;
use serde_bytes::ByteBuf;

const OPEN: u8 = 2;
const VECTOR: u8 = 4;
const WANT: u8 = 5;

fn frame(kind: u8, body: &[u8]) -> Bytes {
    [&[kind], body].concat().into()
}

/// A replica with one log, and another with none.
fn full_and_empty() -> (Replica, Replica) {
    let festival = festival(1);
    let (mut full, empty) = (replica(1, &[&festival]), replica(2, &[&festival]));
    Author::new(11, festival.id()).fill(&mut full, 200, 20);
    (full, empty)
}

fn peer_fault<T: std::fmt::Debug>(result: Result<T, SyncError>) -> PeerFault {
    let error = result.unwrap_err();
    assert_eq!(error.fault(), Fault::Peer);
    match error {
        SyncError::Peer(fault) => fault,
        other => panic!("{other}"),
    }
}

/// Bends the opener's frames of one type.
fn bent(kind: u8, mut bend: impl FnMut(Bytes) -> Bytes) -> impl FnMut(Side, Bytes) -> Fate {
    move |side, frame| {
        Fate::Deliver(if side == Side::Opener && frame[0] == kind { bend(frame) } else { frame })
    }
}

#[test]
fn a_peer_that_sends_a_bad_signature_is_dropped_and_nothing_of_it_is_kept() {
    let (mut full, mut empty) = full_and_empty();
    let outcome = sync_over(
        &mut full,
        &mut empty,
        bent(PUSH, |frame| {
            let mut bytes = frame.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            bytes.into()
        }),
    );
    assert!(matches!(peer_fault(outcome.acceptor), PeerFault::Segment { .. }));
    assert!(matches!(outcome.opener, Err(SyncError::Interrupted)));
    assert!(logs(&empty).is_empty());
}

#[test]
fn a_changed_payload_is_refused_and_what_came_before_is_kept() {
    let (mut full, mut empty) = full_and_empty();
    let mut pushes = 0;
    let outcome = sync_over(
        &mut full,
        &mut empty,
        bent(PUSH, |frame| {
            pushes += 1;
            let mut bytes = frame.to_vec();
            if pushes == 2 {
                bytes[200] ^= 1;
            }
            bytes.into()
        }),
    );
    assert!(matches!(peer_fault(outcome.acceptor), PeerFault::Segment { .. }));
    assert_eq!(logs(&empty)[0].1.length, 128);
}

#[test]
fn oversized_and_garbled_frames_are_the_peers_fault() {
    let oversized = vec![PUSH; MAX_FRAME + 1];
    let control = vec![WANT; 16 * 1024 + 1];
    for (bytes, limit) in [(oversized, MAX_FRAME), (control, 16 * 1024)] {
        let (mut full, mut empty) = full_and_empty();
        let size = bytes.len();
        let outcome = sync_over(&mut full, &mut empty, bent(VECTOR, |_| bytes.clone().into()));
        assert_eq!(peer_fault(outcome.acceptor), PeerFault::TooLarge { size, limit });
    }
    for cut in [0, 1, 2, 10] {
        let (mut full, mut empty) = full_and_empty();
        let truncated = bent(VECTOR, |frame| frame.slice(..frame.len().min(cut)));
        let outcome = sync_over(&mut full, &mut empty, truncated);
        assert!(matches!(peer_fault(outcome.acceptor), PeerFault::Message(_)));
    }
}

#[test]
fn messages_of_unknown_types_are_skipped() {
    let (mut full, mut empty) = full_and_empty();
    let mut session = Session::new(Role::Accept, Duration::ZERO, &mut rng(1));
    for kind in [0, 100, 255] {
        let input = Input::Frame(frame(kind, &[0xff; 1000]));
        session.handle(Duration::ZERO, input, &mut empty).unwrap();
    }
    assert!(matches!(session.poll(Duration::ZERO, &mut empty), Ok(Some(Output::Send(_)))));
    sync(&mut full, &mut empty);
    assert_eq!(logs(&full), logs(&empty));
}

#[test]
fn a_message_that_does_not_belong_is_refused() {
    let (mut full, mut empty) = full_and_empty();
    let done = frame(8, &codec::encode(&(0_u64, 0_u64)));
    for role in [Role::Accept, Role::Sync, Role::Link] {
        let mut session = Session::new(role, Duration::ZERO, &mut rng(1));
        let result = session.handle(Duration::ZERO, Input::Frame(done.clone()), &mut empty);
        assert_eq!(peer_fault(result), PeerFault::Unexpected("DONE"));
    }
    // The acknowledgement of what was never sent.
    let much = frame(8, &codec::encode(&(9_u64, 9_u64)));
    let outcome = sync_over(&mut full, &mut empty, bent(8, |_| much.clone()));
    assert_eq!(peer_fault(outcome.acceptor), PeerFault::Message("DONE"));
}

#[test]
fn repeating_the_hello_does_not_prove_that_one_knows_a_festival() {
    let (mut full, _) = full_and_empty();
    let mut session = Session::new(Role::Accept, Duration::ZERO, &mut rng(1));
    let Ok(Some(Output::Send(hello))) = session.poll(Duration::ZERO, &mut full) else {
        panic!("the accepting side speaks first")
    };
    let (salt, offered): (ByteBuf, Vec<(ByteBuf, ByteBuf)>) =
        codec::decode(&hello[2..], MAX_FRAME).unwrap();
    let proofs = [(0_u64, &offered[0].0, true), (1, &offered[0].0, true), (0, &salt, false)];
    for (place, proof, equal) in proofs {
        let open = codec::encode(&(&salt, true, [(place, proof, equal)]));
        let mut session = Session::new(Role::Accept, Duration::ZERO, &mut rng(1));
        session.poll(Duration::ZERO, &mut full).unwrap();
        let result = session.handle(Duration::ZERO, Input::Frame(frame(OPEN, &open)), &mut full);
        assert_eq!(peer_fault(result), PeerFault::Proof);
    }
}

#[test]
fn a_log_of_a_festival_that_is_not_in_common_is_not_served() {
    let (common, secret) = (festival(1), festival(2));
    let mut full = replica(1, &[&common, &secret]);
    let mut nosy = replica(2, &[&common]);
    let author = Author::new(11, secret.id());
    author.clone().fill(&mut full, 5, 10);
    Author::new(12, common.id()).fill(&mut full, 5, 10);
    let mut pushed = 0;
    let outcome = sync_over(&mut full, &mut nosy, |side, bytes| {
        if side == Side::Opener && bytes[0] == PUSH {
            pushed += 1;
        }
        if side == Side::Acceptor && bytes[0] == WANT {
            let start = p2panda_core::Chain::start(&author.log);
            let item = (author.log.document, author.log.incarnation, 0_u64, start);
            return Fate::Deliver(frame(WANT, &codec::encode(&([item], true))));
        }
        Fate::Deliver(bytes)
    });
    assert_eq!(pushed, 0);
    assert_eq!(peer_fault(outcome.acceptor), PeerFault::Undelivered { logs: 1 });
    assert!(logs(&nosy).is_empty());
}

#[test]
fn a_push_into_a_festival_that_is_not_in_common_is_refused() {
    let (common, other) = (festival(1), festival(2));
    let (mut a, mut b) = (replica(1, &[&common]), replica(2, &[&common, &other]));
    let mut author = Author::new(11, other.id());
    author.fill(&mut b, 1, 10);
    Author::new(12, common.id()).fill(&mut a, 1, 10);
    let next = author.write(vec![1]).into_segment();
    let payloads: Vec<_> = next.payloads.into_iter().map(ByteBuf::from).collect();
    let Seal::Signature(signature) = next.seal else { panic!("signed by a head") };
    let (owner, fork) = (None::<u64>, None::<u64>);
    let (document, incarnation) = (Some(author.log.document), author.log.incarnation);
    let push = (document, owner, incarnation, 1_u64, payloads, fork, Some(signature));
    let outcome = sync_over(&mut a, &mut b, bent(PUSH, |_| frame(PUSH, &codec::encode(&push))));
    assert_eq!(peer_fault(outcome.acceptor), PeerFault::Festival);
    assert_eq!(b.tip(&author.log).unwrap().unwrap().length, 1);
}

#[test]
fn a_segment_that_comes_too_early_is_asked_for_from_where_the_log_ends() {
    let (mut full, mut empty) = full_and_empty();
    let mut lost = false;
    let outcome = sync_over(&mut full, &mut empty, |side, frame| {
        if side == Side::Opener && frame[0] == PUSH && !lost {
            lost = true;
            return Fate::Lose;
        }
        Fate::Deliver(frame)
    });
    // The first of two segments was lost; the second found nothing to follow. The peer had been
    // asked for all of it, so it did not do what it was asked.
    assert_eq!(peer_fault(outcome.acceptor), PeerFault::Undelivered { logs: 1 });
    // Pushed unasked, it is asked for.
    let (mut full, mut empty) = full_and_empty();
    let (mut lost, mut wants) = (false, 0);
    let outcome = sync_over(&mut empty, &mut full, |side, frame| {
        wants += usize::from(side == Side::Opener && frame[0] == WANT);
        if side == Side::Acceptor && frame[0] == PUSH && !lost {
            lost = true;
            return Fate::Lose;
        }
        Fate::Deliver(frame)
    });
    assert_eq!(wants, 1);
    assert_eq!(logs(&full), logs(&empty));
    // The one who lost a frame on the way never learns that all of it arrived.
    assert!(outcome.opener.is_ok() && outcome.acceptor.is_err());
}

#[test]
fn a_peer_that_falls_silent_is_given_up() {
    for heard in 0..6 {
        let (mut full, mut empty) = full_and_empty();
        let mut frames = 0;
        let outcome = sync_over(&mut full, &mut empty, |_, frame| {
            frames += 1;
            if frames > heard { Fate::Lose } else { Fate::Deliver(frame) }
        });
        let stalled = [outcome.opener, outcome.acceptor]
            .into_iter()
            .filter(|result| matches!(result, Err(SyncError::Stalled { after: PATIENCE })));
        assert!(stalled.count() >= 1, "after {heard} frames");
    }
}

#[test]
fn asking_for_the_same_log_over_and_over_ends() {
    let (mut full, _) = full_and_empty();
    let log = logs(&full)[0].0;
    let item = (log.document, log.incarnation, 0_u64, p2panda_core::Chain::start(&log));
    let greedy = frame(WANT, &codec::encode(&(vec![item; 180], false)));
    let mut greeted = greeted(&mut full);
    let refused = (0..10)
        .map(|_| greeted.handle(Duration::ZERO, Input::Frame(greedy.clone()), &mut full))
        .find_map(Result::err);
    assert!(matches!(refused, Some(SyncError::Peer(PeerFault::TooMany("wants")))));
}

/// An accepting session that has been greeted by an honest opener.
fn greeted(replica_: &mut Replica) -> Session {
    let mut opener = replica(9, &[&festival(1)]);
    let mut accepting = Session::new(Role::Accept, Duration::ZERO, &mut rng(1));
    let mut opening = Session::new(Role::Link, Duration::ZERO, &mut rng(2));
    let Ok(Some(Output::Send(hello))) = accepting.poll(Duration::ZERO, replica_) else { panic!() };
    opening.handle(Duration::ZERO, Input::Frame(hello), &mut opener).unwrap();
    while let Ok(Some(Output::Send(frame))) = opening.poll(Duration::ZERO, &mut opener) {
        accepting.handle(Duration::ZERO, Input::Frame(frame), replica_).unwrap();
    }
    accepting
}

/// Bodies that are almost right: the shape of a message, with arbitrary content.
fn bodies() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let id = prop::array::uniform32(any::<u8>()).prop_map(DocumentId::from_bytes);
    let incarnation = any::<[u8; 8]>().prop_map(Incarnation::from_bytes);
    let item = (id.clone(), incarnation.clone(), 0_u64..300, id.clone());
    let items = prop::collection::vec(item, 0..5);
    prop_oneof![
        (any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)),
        (Just(VECTOR), (0_u64..2, items.clone(), any::<bool>()).prop_map(|b| codec::encode(&b))),
        (Just(WANT), (items, any::<bool>()).prop_map(|b| codec::encode(&b))),
        (Just(8), (0_u64..3, 0_u64..3).prop_map(|b| codec::encode(&b))),
        (
            Just(PUSH),
            (
                prop::option::of(id),
                incarnation,
                any::<u64>(),
                prop::collection::vec(any::<u8>(), 0..40)
            )
                .prop_map(|(document, incarnation, from, payload)| {
                    let signature = Signature::from_bytes([7; 64]);
                    let (owner, fork) = (None::<u64>, None::<u64>);
                    let payloads = vec![ByteBuf::from(payload)];
                    let head = Some(signature);
                    codec::encode(&(document, owner, incarnation, from, payloads, fork, head))
                })
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_frames_never_panic_and_store_nothing(
        frames in prop::collection::vec(bodies(), 1..20),
        phase in 0..3,
    ) {
        let (mut full, mut empty) = full_and_empty();
        let (target, mut session) = match phase {
            0 => (&mut empty, Session::new(Role::Sync, Duration::ZERO, &mut rng(3))),
            1 => (&mut empty, Session::new(Role::Accept, Duration::ZERO, &mut rng(3))),
            _ => {
                let session = greeted(&mut full);
                (&mut full, session)
            }
        };
        let before = logs(target);
        for (kind, body) in frames {
            if session.handle(Duration::ZERO, Input::Frame(frame(kind, &body)), target).is_err() {
                break;
            }
            while let Ok(Some(output)) = session.poll(Duration::ZERO, target) {
                if output == Output::Finished {
                    break;
                }
            }
        }
        prop_assert_eq!(logs(target), before);
    }
}
