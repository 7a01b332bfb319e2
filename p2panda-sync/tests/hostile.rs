//! Peers that break the rules: they are dropped, and nothing of theirs is kept.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{
    Author, DONE, Fate, MORE, NEED, OPEN, PROBE, PUSH, REFUSE, RESALT, Side, VECTOR, WANT,
    bend_push, festival, frame, logs, push_of, replica, rng, sync_over,
};
use p2panda_core::{DocumentId, Incarnation, Replica, Seal, Signature, codec};
use p2panda_sync::{
    Fault, Input, MAX_FRAME, Output, PATIENCE, PeerFault, Role, Session, Sketches, SyncError,
};
use proptest::prelude::*;
use serde_bytes::ByteBuf;

/// A replica with one log, and another with none.
fn full_and_empty() -> (Replica, Replica) {
    with_entries(200)
}

fn with_entries(entries: usize) -> (Replica, Replica) {
    let festival = festival(1);
    let (mut full, empty) = (replica(1, &[&festival]), replica(2, &[&festival]));
    Author::new(11, festival.id()).fill(&mut full, entries, 20);
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
    let (mut full, mut empty) = with_entries(100);
    let outcome = sync_over(
        &mut full,
        &mut empty,
        bent(PUSH, |frame| bend_push(&frame, |body| *body.last_mut().unwrap() ^= 1)),
    );
    assert!(matches!(peer_fault(outcome.acceptor), PeerFault::Segment { .. }));
    assert!(matches!(outcome.opener, Err(SyncError::Interrupted)));
    assert!(logs(&empty).is_empty());
}

#[test]
fn a_changed_payload_is_refused_and_what_came_before_is_kept() {
    let (mut full, mut empty) = full_and_empty();
    let mut pushes = 0;
    // The last payload of the second segment stands before its signature. The sender is asked once
    // whether the log parts there, and sends the segment again.
    let outcome = sync_over(
        &mut full,
        &mut empty,
        bent(PUSH, |frame| {
            pushes += 1;
            bend_push(&frame, |body| {
                let end = body.len() - 80;
                body[end] ^= 1;
            })
        }),
    );
    assert_eq!(pushes, 2);
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
        let outcome = sync_over(&mut full, &mut empty, bent(DONE, |_| bytes.clone().into()));
        assert_eq!(peer_fault(outcome.acceptor), PeerFault::TooLarge { size, limit });
    }
    for cut in [0, 1, 2] {
        let (mut full, mut empty) = full_and_empty();
        let truncated = bent(DONE, |frame| frame.slice(..frame.len().min(cut)));
        let outcome = sync_over(&mut full, &mut empty, truncated);
        assert!(matches!(peer_fault(outcome.acceptor), PeerFault::Message(_)));
    }
}

#[test]
fn messages_of_unknown_types_are_skipped() {
    for role in [Role::Accept, Role::Sync] {
        let (mut full, _) = full_and_empty();
        let mut lone = Lone::new(role, &mut full);
        for kind in [0, 100, 255] {
            lone.handle(frame(kind, &[0xff; 1000])).unwrap();
        }
    }
    // In the middle of an exchange too, where they count as taken care of.
    let (mut full, mut empty) = full_and_empty();
    let outcome = sync_over(&mut full, &mut empty, |side, bytes| {
        if side == Side::Acceptor && bytes[0] == DONE {
            return Fate::Deliver(bytes);
        }
        Fate::Deliver(if bytes[0] == WANT { frame(200, b"from later times") } else { bytes })
    });
    assert!(outcome.opener.is_ok());
    assert_eq!(logs(&full), logs(&empty));
}

#[test]
fn a_message_that_does_not_belong_is_refused() {
    let (mut full, mut empty) = full_and_empty();
    let done = frame(DONE, &codec::encode(&[0_u64]));
    for role in [Role::Accept, Role::Sync, Role::Link] {
        let result = Lone::new(role, &mut empty).handle(done.clone());
        assert_eq!(peer_fault(result), PeerFault::Unexpected("DONE"));
    }
    // The acknowledgement of what was never sent.
    let much = frame(DONE, &codec::encode(&[9_u64]));
    let outcome = sync_over(&mut full, &mut empty, bent(DONE, |_| much.clone()));
    assert_eq!(peer_fault(outcome.acceptor), PeerFault::Message("DONE"));
}

#[test]
fn repeating_what_others_said_does_not_prove_that_one_knows_a_festival() {
    let (mut full, mut other) = full_and_empty();
    // An opener that only listened to a whole exchange of others.
    let mut said = Vec::new();
    sync_over(&mut full, &mut other, |side, frame| {
        if side == Side::Opener {
            said.push(frame.clone());
        }
        Fate::Deliver(frame)
    });
    let mut accepting = Lone::with_seed(Role::Accept, &mut full, 77);
    accepting.handle(said[0].clone()).unwrap();
    let hello = accepting.next().unwrap();
    let result = accepting.handle(said[1].clone());
    assert_eq!(peer_fault(result), PeerFault::Proof);
    // One that hands back what it was told.
    let (salt, _, offered): (ByteBuf, u64, Vec<ByteBuf>) =
        codec::decode(&hello[2..], MAX_FRAME).unwrap();
    let (name, salt, nonce) = (&offered[0][..8], &salt[..8], &salt[8..]);
    for (place, proof) in [(0_u64, name), (2, name), (0, salt), (0, nonce)] {
        let mut accepting = Lone::with_seed(Role::Accept, &mut full, 77);
        accepting.handle(said[0].clone()).unwrap();
        accepting.next().unwrap();
        let open = codec::encode(&([place], ByteBuf::from(proof), true));
        assert_eq!(peer_fault(accepting.handle(frame(OPEN, &open))), PeerFault::Proof);
    }
    // And an accepting side that repeats somebody's HELLO is not recognised.
    let mut opening = Lone::with_seed(Role::Sync, &mut other, 78);
    opening.next().unwrap();
    opening.handle(hello).unwrap();
    opening.next().unwrap();
    let result = opening.session.poll(Duration::ZERO, opening.replica, &mut opening.sketches);
    assert!(matches!(result, Err(SyncError::NoFestivalInCommon)));
}

#[test]
fn a_log_of_a_festival_that_is_not_in_common_is_not_served() {
    let (common, secret) = (festival(1), festival(2));
    let mut full = replica(1, &[&common, &secret]);
    let mut nosy = replica(2, &[&common]);
    let author = Author::new(11, secret.id());
    author.clone().fill(&mut full, 5, 10);
    Author::new(12, common.id()).fill(&mut nosy, 5, 10);
    let mut pushed = 0;
    let outcome = sync_over(&mut nosy, &mut full, |side, bytes| {
        if side == Side::Acceptor && bytes[0] == PUSH {
            pushed += 1;
        }
        if side == Side::Opener && bytes[0] == DONE {
            // A probe names a log by its id, and gets no answer.
            let point = (5_u64, author.log.document);
            let probe = (author.log.document, author.log.incarnation, [point]);
            return Fate::Deliver(frame(11, &codec::encode(&probe)));
        }
        Fate::Deliver(bytes)
    });
    assert_eq!(pushed, 0);
    assert!(outcome.opener.is_err() || outcome.acceptor.is_err());
    assert_eq!(logs(&nosy).len(), 1);
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
    let piece = (document, owner, incarnation, 1_u64, payloads, fork, Some(signature));
    let push = push_of(&codec::encode(&[piece]));
    let outcome = sync_over(&mut a, &mut b, bent(PUSH, |_| push.clone()));
    assert_eq!(peer_fault(outcome.acceptor), PeerFault::Festival);
    assert_eq!(b.tip(&author.log).unwrap().unwrap().length, 1);
}

#[test]
fn segments_that_come_too_early_wait_for_those_before_them() {
    let festival = festival(1);
    let (mut full, mut empty) = (replica(1, &[&festival]), replica(2, &[&festival]));
    // A block fills a frame.
    Author::new(11, festival.id()).fill(&mut full, 300, 510);
    let (mut lost, mut wants, mut pushes) = (false, 0, 0);
    let outcome = sync_over(&mut full, &mut empty, |side, frame| {
        wants += usize::from(side == Side::Acceptor && frame[0] == WANT);
        if side == Side::Opener && frame[0] == PUSH {
            pushes += 1;
            if !lost {
                lost = true;
                return Fate::Lose;
            }
        }
        Fate::Deliver(frame)
    });
    // The first of three was lost; it alone is asked for, but all that follows may come along.
    assert_eq!(wants, 1);
    assert!(pushes <= 6);
    assert_eq!(logs(&full), logs(&empty));
    // The one who lost a frame on the way never learns that all of it arrived.
    assert!(outcome.opener.is_err() || outcome.acceptor.is_err());
}

#[test]
fn a_peer_that_does_not_send_what_it_offered_is_dropped() {
    let (mut full, mut empty) = full_and_empty();
    let outcome = sync_over(&mut empty, &mut full, |side, bytes| {
        if side == Side::Acceptor && bytes[0] == PUSH {
            return Fate::Deliver(frame(200, b"nothing of the kind"));
        }
        Fate::Deliver(bytes)
    });
    // The empty side asked by its vector, so it does not know what is missing but by the hash.
    assert!(outcome.opener.is_err());
    let festival = festival(1);
    let mut some = replica(3, &[&festival]);
    Author::new(12, festival.id()).fill(&mut some, 3, 10);
    let outcome = sync_over(&mut some, &mut full, |side, bytes| {
        if side == Side::Acceptor && bytes[0] == PUSH {
            return Fate::Deliver(frame(200, b"nothing of the kind"));
        }
        Fate::Deliver(bytes)
    });
    assert_eq!(peer_fault(outcome.opener), PeerFault::Undelivered { logs: 1 });
}

#[test]
fn a_peer_that_falls_silent_is_given_up() {
    for heard in 0..5 {
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
    let mut greeted = greeted(&mut full);
    // A WANT of keys that are no logs': they are refused, up to a point.
    let keys: Vec<u8> =
        (1..600_u64).flat_map(|key| [&key.to_be_bytes()[3..], &[0]].concat()).collect();
    let greedy = frame(WANT, &codec::encode(&(0_u64, ByteBuf::from(keys))));
    let refused = (0..10).map(|_| greeted.handle(greedy.clone())).find_map(Result::err);
    assert!(matches!(refused, Some(SyncError::Peer(PeerFault::TooMany("wants")))));
}

/// One side of an exchange whose other side is the test.
struct Lone<'a> {
    session: Session,
    replica: &'a mut Replica,
    sketches: Sketches,
}

impl<'a> Lone<'a> {
    fn new(role: Role, replica: &'a mut Replica) -> Self {
        Self::with_seed(role, replica, 1)
    }

    fn with_seed(role: Role, replica: &'a mut Replica, seed: u64) -> Self {
        let session = Session::new(role, Duration::ZERO, &mut rng(seed));
        Self { session, replica, sketches: Sketches::new(&mut rng(seed)) }
    }

    fn handle(&mut self, frame: Bytes) -> Result<(), SyncError> {
        let input = Input::Frame(frame);
        self.session.handle(Duration::ZERO, input, self.replica, &mut self.sketches)
    }

    /// The next frame, if there is one.
    fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.session.poll(Duration::ZERO, self.replica, &mut self.sketches) {
                Ok(Some(Output::Send(frame))) => return Some(frame),
                Ok(Some(Output::Event(_))) => {}
                _ => return None,
            }
        }
    }
}

/// An accepting session that has been greeted by an honest opener.
fn greeted(replica_: &mut Replica) -> Lone<'_> {
    let mut opener = replica(9, &[&festival(1)]);
    let mut opening = Lone::with_seed(Role::Link, &mut opener, 2);
    let mut accepting = Lone::new(Role::Accept, replica_);
    accepting.handle(opening.next().unwrap()).unwrap();
    opening.handle(accepting.next().unwrap()).unwrap();
    while let Some(frame) = opening.next() {
        accepting.handle(frame).unwrap();
    }
    accepting
}

/// Bodies that are almost right: the shape of a message, with arbitrary content.
fn bodies() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let id = prop::array::uniform32(any::<u8>()).prop_map(DocumentId::from_bytes);
    let incarnation = any::<[u8; 8]>().prop_map(Incarnation::from_bytes);
    let items = prop::collection::vec((0_u64..300, id.clone()), 0..5);
    let packed = prop::collection::vec(prop_oneof![Just(0), 0..9_u8, any::<u8>()], 0..140)
        .prop_map(ByteBuf::from);
    prop_oneof![
        (any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)),
        (Just(VECTOR), (0_u64..2, packed.clone(), any::<bool>()).prop_map(|b| codec::encode(&b))),
        (Just(WANT), (0_u64..2, packed.clone()).prop_map(|b| codec::encode(&b))),
        (Just(NEED), (0_u64..2, packed.clone()).prop_map(|b| codec::encode(&b))),
        (
            Just(MORE),
            (0_u64..2, any::<bool>(), 0_u64..40, packed.clone(), any::<bool>())
                .prop_map(|b| codec::encode(&b))
        ),
        (
            Just(RESALT),
            (0_u64..2, prop::option::of((packed.clone(), packed.clone())))
                .prop_map(|b| codec::encode(&b))
        ),
        (
            Just(REFUSE),
            (0_u64..2, packed, prop::option::of(0_u64..9)).prop_map(|b| codec::encode(&b))
        ),
        (Just(PROBE), (id.clone(), incarnation.clone(), items).prop_map(|b| codec::encode(&b))),
        (Just(DONE), (0_u64..3).prop_map(|messages| codec::encode(&[messages]))),
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
                    let piece = (document, owner, incarnation, from, payloads, fork, head);
                    push_of(&codec::encode(&[piece]))[1..].to_vec()
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
        let (mut full, mut empty) = with_entries(20);
        let mut target = match phase {
            0 => Lone::new(Role::Sync, &mut empty),
            1 => Lone::new(Role::Accept, &mut empty),
            _ => greeted(&mut full),
        };
        let before = logs(target.replica);
        for (kind, body) in frames {
            if target.handle(frame(kind, &body)).is_err() {
                break;
            }
            while target.next().is_some() {}
        }
        prop_assert_eq!(logs(target.replica), before);
    }
}
