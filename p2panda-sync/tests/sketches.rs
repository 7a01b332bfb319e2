//! Exchanges whose cost is the difference: which way it is found out, and what that takes.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    Author, Fate, MORE, NEED, OPEN, PUSH, Peer, RESALT, Side, VECTOR, exchange, festival, logs,
    replica, rng, sync, sync_over,
};
use futures::{FutureExt as _, executor::LocalPool, task::LocalSpawnExt as _};
use p2panda_core::{Replica, codec};
use p2panda_sync::{Node, Role, Sketches, StoppedClock, SyncEvent, memory};
use proptest::prelude::*;
use serde_bytes::ByteBuf;

/// Two replicas with so many equal logs, and others that one of them has further or alone.
fn two(equal: u64, ours: u64, theirs: u64, further: u64) -> (Replica, Replica) {
    let festival = festival(1);
    let (mut a, mut b) = (replica(1, &[&festival]), replica(2, &[&festival]));
    let author = |seed| Author::new(seed, festival.id());
    for seed in 0..equal {
        author(seed).fill(&mut a, 1, 8);
        let mut same = author(seed);
        same.fill(&mut b, 1, 8);
        if seed < further {
            same.fill(if seed % 2 == 0 { &mut a } else { &mut b }, 1, 8);
        }
    }
    (1000..1000 + ours).for_each(|seed| author(seed).fill(&mut a, 1, 8));
    (2000..2000 + theirs).for_each(|seed| author(seed).fill(&mut b, 1, 8));
    (a, b)
}

/// The kinds of all frames of an exchange that ends well.
fn kinds(a: &mut Replica, b: &mut Replica) -> (Vec<u8>, u64, u64) {
    let mut kinds = Vec::new();
    let outcome = sync_over(a, b, |_, frame| {
        kinds.push(frame[0]);
        Fate::Deliver(frame)
    });
    outcome.acceptor.unwrap();
    assert_eq!(logs(a), logs(b));
    let stats = outcome.opener.unwrap();
    (kinds, stats.round_trips, stats.metadata_sent + stats.metadata_received)
}

#[test]
fn up_to_eight_differences_take_one_round_trip_however_many_logs_there_are() {
    for (ours, theirs, further) in [(0, 0, 1), (1, 0, 0), (0, 8, 0), (3, 3, 2), (0, 0, 8)] {
        let (mut a, mut b) = two(150, ours, theirs, further);
        let (kinds, trips, metadata) = kinds(&mut a, &mut b);
        assert_eq!(trips, 1, "{kinds:?}");
        assert!(!kinds.contains(&NEED));
        assert!(metadata < 320, "{metadata} bytes");
    }
}

#[test]
fn what_the_greeting_told_is_not_told_again() {
    for again in [false, true] {
        let (mut a, mut b) = two(120, 6, 6, 5);
        let mut sketches = Sketches::new(&mut rng(3));
        let festival = festival(1);
        if again {
            // A hub that met others before, and whose logs have grown since.
            let mut other = replica(3, &[&festival]);
            let hub = Peer::new(&mut b, Role::Accept, 4).with(sketches);
            let met = exchange(Peer::new(&mut other, Role::Sync, 5), hub, |_, frame| {
                Fate::Deliver(frame)
            });
            sketches = met.acceptor_sketches;
            Author::new(3000, festival.id()).fill(&mut b, 1, 8);
        }
        let mut told = Vec::new();
        let hub = Peer::new(&mut b, Role::Accept, 6).with(sketches);
        let met = exchange(Peer::new(&mut a, Role::Sync, 7), hub, |_, frame| {
            if frame[0] == MORE {
                type More = (u64, bool, u64, ByteBuf, bool);
                let (_, _, start, _, _): More = codec::decode(&frame[1..], 20_000).unwrap();
                told.push(start);
            }
            Fate::Deliver(frame)
        });
        assert!(met.opener.is_ok());
        assert_eq!(told, [16], "{again}");
    }
}

#[test]
fn more_differences_take_two() {
    let (mut a, mut b) = two(120, 6, 6, 5);
    let (kinds, trips, metadata) = kinds(&mut a, &mut b);
    assert!(kinds.contains(&NEED) && kinds.contains(&MORE) && !kinds.contains(&VECTOR));
    assert_eq!(trips, 2);
    assert!(metadata < 1000, "{metadata} bytes");
}

#[test]
fn many_differences_are_found_by_cells() {
    let (mut a, mut b) = two(450, 0, 0, 70);
    let (kinds, trips, metadata) = kinds(&mut a, &mut b);
    assert!(kinds.contains(&MORE) && !kinds.contains(&VECTOR), "{kinds:?}");
    assert!(trips <= 3);
    assert!(metadata < 5000, "{metadata} bytes");
}

#[test]
fn where_much_differs_the_map_itself_is_told() {
    let (mut a, mut b) = two(40, 60, 60, 20);
    let (kinds, ..) = kinds(&mut a, &mut b);
    assert!(kinds.contains(&VECTOR) && kinds.contains(&NEED));
}

#[test]
fn a_peer_that_holds_little_is_sent_the_rest_at_once() {
    for (ours, theirs) in [(0, 200), (3, 200), (200, 0), (200, 3)] {
        let (mut a, mut b) = two(2, ours, theirs, 1);
        let (kinds, trips, metadata) = kinds(&mut a, &mut b);
        let case = format!("{ours} and {theirs}: {kinds:?}, {metadata} bytes");
        assert!(trips <= 2, "{case}");
        assert!(metadata < 400 || theirs < ours, "{case}");
        // A hundred small logs share a frame.
        assert!(kinds.iter().filter(|kind| **kind == PUSH).count() <= 4, "{case}");
    }
}

#[test]
fn an_exchange_that_takes_several_questions_may_be_cut_anywhere() {
    for parts in [(100, 6, 6, 5), (20, 30, 30, 10)] {
        let again = || two(parts.0, parts.1, parts.2, parts.3);
        let (mut a, mut b) = again();
        let frames = kinds(&mut a, &mut b).0.len();
        let (mut a, mut b) = again();
        let mut at = 0;
        // Each session is cut a little later than the last, and each goes on where that one was.
        while at <= frames {
            let mut left = at;
            let cut = sync_over(&mut a, &mut b, |_, frame| match left.checked_sub(1) {
                Some(less) => {
                    left = less;
                    Fate::Deliver(frame)
                }
                None => Fate::Cut,
            });
            at += if cut.opener.is_ok() && cut.acceptor.is_ok() { frames } else { 1 };
        }
        assert_eq!(logs(&a), logs(&b));
    }
}

#[test]
fn logs_that_grow_between_the_messages_do_not_confuse_the_comparison() {
    let festival = festival(1);
    for grown_at in [OPEN, NEED, MORE] {
        let (a, b) = two(100, 8, 8, 6);
        let nodes = [Node::new(a, StoppedClock, rng(1)), Node::new(b, StoppedClock, rng(2))];
        let mut pool = LocalPool::new();
        let (here, there) = memory(1);
        let spawner = pool.spawner();
        let link = spawner.spawn_local_with_handle(nodes[0].link(here).map(|_| ())).unwrap();
        let accept = spawner.spawn_local_with_handle(nodes[1].accept(there).map(|_| ())).unwrap();
        let mut author = Author::new(5000, festival.id());
        for _ in 0..usize::from(grown_at) {
            pool.try_run_one();
            nodes[usize::from(grown_at) % 2].with(|replica| author.fill(replica, 1, 8));
        }
        pool.run_until_stalled();
        let [left, right] = [&nodes[0], &nodes[1]].map(|node| node.with(|replica| logs(replica)));
        assert_eq!(left, right);
        drop((link, accept));
    }
}

#[test]
fn a_node_that_followed_many_changes_compares_as_one_that_was_opened_anew() {
    let [a, b] =
        [1, 2].map(|seed| Node::new(replica(seed, &[&festival(1)]), StoppedClock, rng(seed)));
    let mut pool = LocalPool::new();
    for round in 0..30_u64 {
        for (at, node) in [&a, &b].into_iter().enumerate() {
            let seed = 100 * at as u64 + round % 7;
            // The log may be held further already, from the other side: its author has moved on.
            let mut author = Author::new(1000 * round + seed, festival(1).id());
            node.with(|replica| author.fill(replica, 1 + usize::from(round % 3 == 0), 8));
        }
        let (here, there) = memory(2);
        let (opener, acceptor) = (a.sync(here), b.accept(there));
        let spawner = pool.spawner();
        let opener = spawner.spawn_local_with_handle(opener).unwrap();
        let acceptor = spawner.spawn_local_with_handle(acceptor).unwrap();
        let (stats, _) = pool.run_until(futures::future::try_join(opener, acceptor)).unwrap();
        assert_eq!(stats.entries_sent, 1 + u64::from(round % 3 == 0));
        assert!(stats.round_trips <= 2, "one, or one more where frames wait for each other");
    }
    // With the sketches that were kept, and with fresh ones.
    let (here, there) = memory(2);
    let (opener, acceptor) = (a.sync(here), b.accept(there));
    let spawner = pool.spawner();
    let opener = spawner.spawn_local_with_handle(opener).unwrap();
    let acceptor = spawner.spawn_local_with_handle(acceptor).unwrap();
    let (kept, _) = pool.run_until(futures::future::try_join(opener, acceptor)).unwrap();
    let (mut a, mut b) = (a.into_replica().unwrap(), b.into_replica().unwrap());
    let (anew, _) = sync(&mut a, &mut b);
    assert_eq!(
        (kept.bytes_sent, kept.segments_sent, kept.segments_received),
        (anew.bytes_sent, 0, 0)
    );
}

#[test]
fn what_a_peer_refuses_is_left_out_and_the_rest_is_equal() {
    for blocked_here in [true, false] {
        let (mut a, mut b) = two(20, 3, 3, 2);
        let mut nuisance = Author::new(7777, festival(1).id());
        nuisance.fill(if blocked_here { &mut b } else { &mut a }, 5, 8);
        let user = nuisance.descriptor.user;
        (if blocked_here { &mut a } else { &mut b }).block(user).unwrap();
        let mut compared_again = 0;
        let outcome = sync_over(&mut a, &mut b, |side, frame| {
            compared_again += usize::from(side == Side::Acceptor && frame[0] == RESALT);
            Fate::Deliver(frame)
        });
        assert_eq!(compared_again, 0, "without that log they are equal");
        outcome.opener.unwrap();
        outcome.acceptor.unwrap();
        let refused = SyncEvent::Refused { festival: festival(1).id(), log: nuisance.log };
        let events = if blocked_here { &outcome.acceptor_events } else { &outcome.opener_events };
        assert!(events.contains(&refused));
        let without = |replica: &Replica| {
            logs(replica).into_iter().filter(|(log, _)| *log != nuisance.log).collect::<Vec<_>>()
        };
        assert_eq!(without(&a), without(&b));
        let (here, there) = if blocked_here { (&a, &b) } else { (&b, &a) };
        assert_eq!(
            (here.tip(&nuisance.log).unwrap(), logs(there).len()),
            (None, logs(here).len() + 1)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_differs_both_end_with_all_of_it(
        equal in 0_u64..60, ours in 0_u64..40, theirs in 0_u64..40, further in 0_u64..60,
    ) {
        let (mut a, mut b) = two(equal, ours, theirs, further.min(equal));
        sync(&mut a, &mut b);
        prop_assert_eq!(logs(&a), logs(&b));
        prop_assert_eq!(logs(&a).len() as u64, equal + ours + theirs);
        let entries: u64 = logs(&a).iter().map(|(_, tip)| tip.length).sum();
        prop_assert_eq!(entries, equal + ours + theirs + further.min(equal));
    }
}
