//! What a node remembers of its peers, whatever link they come over.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{
    Author, BUSY, RESALT, festival, frame,
    met::{Moved, Named, link, meet, try_meet},
    replica,
};
use futures::{SinkExt as _, StreamExt as _, executor::block_on, future::join};
use p2panda_core::codec;
use p2panda_sync::{
    Clock as _, Input, KnownAs, Output, PeerId, Role, Session, Sketches, SyncError, Transport as _,
    memory,
    sketch::{Fp, pack},
};
use serde_bytes::ByteBuf;

fn two(clock: &Moved) -> [Named; 2] {
    [1, 2].map(|seed| Named::new(replica(seed, &[&festival(1)]), clock, seed))
}

#[test]
fn a_peer_that_always_leaves_in_the_middle_is_left_alone_for_a_while() {
    let clock = Moved::default();
    let [a, b] = two(&clock);
    let leave = || {
        let (mut here, there) = link(&a, &b);
        let leaves = async move { here.send(b"\x02\x01".to_vec().into()).await };
        block_on(join(b.node.accept(there), leaves)).0.unwrap_err()
    };
    let interrupted =
        |error: SyncError| matches!(error, SyncError::Interrupted | SyncError::Peer(_));
    for _ in 0..3 {
        let (here, there) = link(&a, &b);
        drop(here);
        assert!(interrupted(block_on(b.node.accept(there)).unwrap_err()));
    }
    let SyncError::BackOff { until } = leave() else { panic!("it is not served") };
    assert_eq!(until - clock.now(), Duration::from_secs(60));
    assert_eq!(b.node.standing(&a.name).unwrap().fruitless, 3);
    // Nor is it called, while others are.
    let (opened, _) = try_meet(&b, &a);
    assert!(matches!(opened, Err(SyncError::BackOff { .. })));
    let other = Named::new(replica(3, &[&festival(1)]), &clock, 3);
    meet(&other, &b);
    clock.by(Duration::from_secs(60));
    meet(&a, &b);
    assert_eq!(b.node.standing(&a.name).unwrap().fruitless, 0);
}

#[test]
fn who_sends_garbage_is_dropped_and_refused_and_strangers_are_nobody() {
    let clock = Moved::default();
    let [a, b] = two(&clock);
    let garbage = |name: Option<PeerId>| {
        let (mut here, there) = memory(4);
        let send = async move {
            _ = here.send(vec![2, 1, 0xff].into()).await;
            while here.next().await.is_some() {}
        };
        let served = match name {
            Some(name) => block_on(join(b.node.accept(KnownAs::new(name, there)), send)).0,
            None => block_on(join(b.node.accept(there), send)).0,
        };
        served.unwrap_err()
    };
    assert!(matches!(garbage(Some(a.name)), SyncError::Peer(_)));
    let SyncError::BackOff { until } = garbage(Some(a.name)) else { panic!("it is not served") };
    assert_eq!(until - clock.now(), Duration::from_secs(600));
    assert_eq!(b.node.standing(&a.name).unwrap().faults, 1);
    clock.by(Duration::from_secs(600));
    meet(&a, &b);
    for _ in 0..5 {
        assert!(matches!(garbage(None), SyncError::Peer(_)), "nothing tells it from others");
    }
    meet(&a, &b);
}

/// Drives an opener until it has nothing to say, and says whether it told its peer to wait.
fn is_busy(
    session: &mut Session,
    replica: &mut p2panda_core::Replica,
    sketches: &mut Sketches,
) -> bool {
    let mut busy = false;
    loop {
        match session.poll(Duration::ZERO, replica, sketches) {
            Ok(Some(Output::Send(frame))) => busy |= frame[0] == BUSY,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return busy,
        }
    }
}

#[test]
fn a_peer_that_costs_too_much_has_to_wait_on_its_next_link_too() {
    let festival = festival(1);
    let mut mine = replica(1, &[&festival]);
    let mut theirs = replica(2, &[&festival]);
    for seed in 0..30 {
        Author::new(100 + seed, festival.id()).fill(&mut mine, 1, 8);
        Author::new(200 + seed, festival.id()).fill(&mut theirs, 1, 8);
    }
    let mut sketches = Sketches::new(&mut common::rng(1));
    let mut served = Sketches::new(&mut common::rng(2));
    let peer = PeerId::new(b"costly");
    // As many sketches that tell nothing as it takes until the peer has to wait.
    let mut costly = |with: Option<PeerId>, most: u64| {
        let mut rng = common::rng(3);
        let mut opener = Session::new(Role::Sync, Duration::ZERO, &mut rng).with(with);
        let mut acceptor = Session::new(Role::Accept, Duration::ZERO, &mut rng);
        let now = Duration::ZERO;
        for _ in 0..2 {
            while let Ok(Some(Output::Send(frame))) = opener.poll(now, &mut mine, &mut sketches) {
                if frame[0] == BUSY {
                    return Some(0);
                }
                acceptor.handle(now, Input::Frame(frame), &mut theirs, &mut served).unwrap();
            }
            while let Ok(Some(Output::Send(frame))) = acceptor.poll(now, &mut theirs, &mut served) {
                opener.handle(now, Input::Frame(frame), &mut mine, &mut sketches).unwrap();
            }
        }
        (0..most).find(|salt| {
            let sums = pack((0..16).map(|at: u64| Fp::new(at.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
            let sketch = (ByteBuf::from(salt.to_be_bytes()), ByteBuf::from(sums));
            let resalt = frame(RESALT, &codec::encode(&(0_u64, Some(sketch))));
            opener.handle(now, Input::Frame(resalt), &mut mine, &mut sketches).is_err()
                || is_busy(&mut opener, &mut mine, &mut sketches)
        })
    };
    let first = costly(Some(peer), 10_000).expect("it is told to wait");
    assert!(first > 10);
    assert!(costly(Some(peer), 5).is_some(), "a new link is no new window");
    assert_eq!(costly(None, 10), None, "another peer's is");
}

#[test]
fn links_tell_who_is_at_the_other_end() {
    let (here, there) = memory(1);
    assert_eq!(here.peer_id(), None);
    let boxed: Box<dyn p2panda_sync::Transport> = Box::new(KnownAs::new(PeerId::new(b"x"), there));
    assert_eq!(boxed.peer_id(), Some(PeerId::new(b"x")));
    assert_ne!(PeerId::new(b"x"), PeerId::new(b"y"));
}
