//! What a peer may cost: each limit is hit by somebody who goes beyond it.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{
    Author, BUSY, MORE, NEED, PROBE, PUSH, RESALT, VECTOR, festival, frame, replica, rng, sync,
};
use p2panda_core::{Replica, codec};
use p2panda_sync::{
    Advice, Input, Output, PeerFault, Role, Session, Sketches, SyncError,
    sketch::{Fp, pack},
};
use serde_bytes::ByteBuf;

const NOW: Duration = Duration::ZERO;

/// A session with its replica, whose peer the test is.
struct Side {
    session: Session,
    replica: Replica,
    sketches: Sketches,
}

impl Side {
    fn new(role: Role, seed: u64, logs: u64) -> Self {
        let mut replica = replica(seed, &[&festival(1)]);
        for log in 0..logs {
            Author::new(seed << 32 | log, festival(1).id()).fill(&mut replica, 1, 10);
        }
        let session = Session::new(role, NOW, &mut rng(seed));
        Self { session, replica, sketches: Sketches::new(&mut rng(seed)) }
    }

    fn handle(&mut self, frame: Bytes) -> Result<(), SyncError> {
        self.session.handle(NOW, Input::Frame(frame), &mut self.replica, &mut self.sketches)
    }

    fn next(&mut self) -> Result<Option<Bytes>, SyncError> {
        loop {
            match self.session.poll(NOW, &mut self.replica, &mut self.sketches)? {
                Some(Output::Send(frame)) => return Ok(Some(frame)),
                Some(Output::Event(_)) => {}
                _ => return Ok(None),
            }
        }
    }
}

/// An opener and an accepting side with so many logs each, none in common, up to `NEED`.
fn needy(logs: u64) -> (Side, Side) {
    let mut opener = Side::new(Role::Sync, 1, logs);
    let mut acceptor = Side::new(Role::Accept, 2, logs);
    acceptor.handle(opener.next().unwrap().unwrap()).unwrap();
    opener.handle(acceptor.next().unwrap().unwrap()).unwrap();
    acceptor.handle(opener.next().unwrap().unwrap()).unwrap();
    (opener, acceptor)
}

fn garbage(count: u64) -> ByteBuf {
    pack((0..count).map(|at| Fp::new(at.wrapping_mul(0x9e37_79b9_7f4a_7c15)))).into()
}

fn more(cells: bool, start: u64, sums: ByteBuf) -> Bytes {
    frame(MORE, &codec::encode(&(0_u64, cells, start, sums, true)))
}

fn fault(result: Result<(), SyncError>) -> PeerFault {
    match result {
        Err(SyncError::Peer(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sketches_are_taken_up_to_their_limit() {
    let (mut opener, _) = needy(30);
    assert_eq!(opener.next().unwrap().unwrap()[0], NEED);
    opener.handle(more(false, 16, garbage(112))).unwrap();
    assert_eq!(fault(opener.handle(more(false, 128, garbage(1)))), PeerFault::TooMany("sums"));

    let (mut opener, _) = needy(30);
    let mut start = 0;
    let refused = loop {
        match opener.handle(more(true, start, garbage(2 * 900))) {
            Ok(()) => start += 900,
            refused => break refused,
        }
    };
    assert_eq!(fault(refused), PeerFault::TooMany("sums"));
    assert_eq!(start, 3600, "4,096 cells at most");
    // What does not go on from what came is no sketch.
    let (mut opener, _) = needy(30);
    assert_eq!(fault(opener.handle(more(true, 1, garbage(2)))), PeerFault::Message("MORE"));
}

#[test]
fn a_peer_that_always_needs_more_gets_the_whole_map_and_then_nothing() {
    let (mut opener, mut acceptor) = needy(30);
    acceptor.handle(opener.next().unwrap().unwrap()).unwrap();
    let again = frame(NEED, &codec::encode(&(0_u64, ByteBuf::new())));
    let mut kinds = Vec::new();
    let refused = loop {
        while let Some(frame) = acceptor.next().unwrap() {
            kinds.push(frame[0]);
        }
        if let Err(error) = acceptor.handle(again.clone()) {
            break error;
        }
    };
    assert!(kinds.len() <= 6 && kinds.last() == Some(&VECTOR), "{kinds:?}");
    assert!(matches!(refused, SyncError::Peer(PeerFault::TooMany("questions"))));
    let (_, mut acceptor) = needy(30);
    assert_eq!(fault(acceptor.handle(again)), PeerFault::Message("NEED"), "no estimator");
}

#[test]
fn a_peer_that_costs_too_much_work_has_to_come_back_later() {
    let (mut opener, _) = needy(30);
    let mut refused = None;
    for salt in 0..10_000_u64 {
        let sketch = (ByteBuf::from(salt.to_be_bytes()), garbage(16));
        let resalt = frame(RESALT, &codec::encode(&(0_u64, Some(sketch))));
        opener.handle(resalt).unwrap();
        match opener.next() {
            Ok(Some(frame)) if frame[0] == BUSY => {
                refused = Some(opener.next().unwrap_err());
                break;
            }
            Ok(_) => while opener.next().unwrap().is_some() {},
            Err(error) => panic!("{error}"),
        }
    }
    let refused = refused.expect("it is told to come back");
    let SyncError::Busy { retry_after } = refused else { panic!("{refused}") };
    assert_eq!(refused.advice(1), Advice::BackOff(retry_after));
    // The other side hears of it.
    let (mut opener, _) = needy(30);
    let told = opener.handle(frame(BUSY, &codec::encode(&[7_u64]))).unwrap_err();
    assert!(matches!(told, SyncError::Busy { retry_after } if retry_after.as_secs() == 7));
}

#[test]
fn questions_about_logs_end() {
    let mut side = Side::new(Role::Accept, 2, 1);
    let mut honest = Side::new(Role::Link, 1, 0);
    sync(&mut honest.replica, &mut side.replica);
    side.handle(honest.next().unwrap().unwrap()).unwrap();
    honest.handle(side.next().unwrap().unwrap()).unwrap();
    while let Some(frame) = honest.next().unwrap() {
        side.handle(frame).unwrap();
    }
    let (log, _) = side.replica.logs(festival(1).id()).unwrap()[0];
    // A longer chain, of which nothing is ever shown.
    let points = [(1_000_000_u64, log.document)];
    let probe = frame(PROBE, &codec::encode(&(log.document, log.incarnation, points)));
    let mut answers = 0;
    for _ in 0..100 {
        side.handle(probe.clone()).unwrap();
        while let Some(frame) = side.next().unwrap() {
            answers += usize::from(frame[0] == PROBE);
        }
    }
    assert_eq!(answers, 12);
    assert_eq!(side.session.stats().logs_parted, 1);
}

#[test]
fn a_bomb_in_a_push_is_refused_at_the_size_it_claims() {
    let (_, mut acceptor) = needy(1);
    let bomb = frame(PUSH, &codec::encode(&(1_u64 << 30, ByteBuf::from(vec![0; 100]))));
    assert!(matches!(fault(acceptor.handle(bomb)), PeerFault::TooLarge { .. }));
}

#[test]
fn sessions_without_progress_are_followed_by_a_pause() {
    let cut = SyncError::Interrupted;
    assert_eq!((cut.advice(1), cut.advice(2)), (Advice::Retry, Advice::Retry));
    let Advice::BackOff(first) = cut.advice(3) else { panic!("a pause") };
    let Advice::BackOff(later) = cut.advice(5) else { panic!("a pause") };
    assert!(later > first);
    assert!(matches!(cut.advice(u32::MAX), Advice::BackOff(_)));
    assert_eq!(SyncError::Peer(PeerFault::Proof).advice(1), Advice::Drop);
}
