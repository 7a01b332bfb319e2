//! Logs with two signed chains: peers that meet find out where they part, and cut them alike.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Author, Fate, festival, logs, replica, rng, sync, sync_over};
use futures::{FutureExt as _, executor::LocalPool, task::LocalSpawnExt as _};
use p2panda_core::{LogId, Replica};
use p2panda_sync::{Node, StoppedClock, SyncEvent, memory};
use proptest::prelude::*;

/// Two authors with one key, whose logs are the same up to a length.
fn branches(seed: u64, common: usize, replicas: [&mut Replica; 2]) -> [Author; 2] {
    let mut one = Author::new(seed, festival(1).id());
    let [left, right] = replicas;
    for entry in 0..common {
        let segment = one.write(entry.to_be_bytes().to_vec());
        one.store(left, segment.clone());
        one.store(right, segment);
    }
    left.flush().unwrap();
    right.flush().unwrap();
    [one.clone(), one]
}

fn go_on(author: &mut Author, replica: &mut Replica, branch: u8, entries: usize) {
    for entry in 0..entries {
        let segment = author.write([&[branch][..], &entry.to_be_bytes()].concat());
        author.store(replica, segment);
    }
    replica.flush().unwrap();
}

fn is_cut(replica: &Replica, log: &LogId) -> Option<u64> {
    replica.fork_proof(log).unwrap().map(|proof| proof.at().length)
}

/// Two replicas that hold different branches, and an honest log each.
fn parted(common: usize, ours: usize, theirs: usize) -> (Replica, Replica, LogId) {
    let (mut a, mut b) = (replica(1, &[&festival(1)]), replica(2, &[&festival(1)]));
    let [mut one, mut other] = branches(12, common, [&mut a, &mut b]);
    go_on(&mut one, &mut a, 1, ours);
    go_on(&mut other, &mut b, 2, theirs);
    Author::new(13, festival(1).id()).fill(&mut a, 5, 10);
    Author::new(14, festival(1).id()).fill(&mut b, 5, 10);
    (a, b, one.log)
}

#[test]
fn a_forked_log_is_cut_where_it_parts_and_the_others_go_on() {
    let lengths = [
        (1, 3, 3),
        (1, 5, 2),
        (1, 2, 5),
        (0, 1, 1),
        (0, 300, 2),
        (127, 1, 1),
        (128, 2, 9),
        (130, 3, 400),
        (600, 1, 700),
        (600, 700, 1),
    ];
    for (common, ours, theirs) in lengths {
        let (mut a, mut b, log) = parted(common, ours, theirs);
        let outcome = sync_over(&mut a, &mut b, |_, frame| Fate::Deliver(frame));
        let case = format!("{common} and then {ours} or {theirs}");
        let cut = SyncEvent::Cut { festival: festival(1).id(), log, at: common as u64 };
        assert!(outcome.opener_events.contains(&cut), "{case}: {:?}", outcome.opener_events);
        assert!(outcome.acceptor_events.contains(&cut), "{case}: {:?}", outcome.acceptor_events);
        assert_eq!(outcome.opener.unwrap().logs_parted, 0, "{case}");
        assert_eq!(outcome.acceptor.unwrap().logs_parted, 0, "{case}");
        assert_eq!(is_cut(&a, &log), Some(common as u64), "{case}");
        assert_eq!(logs(&a), logs(&b), "{case}");
        assert_eq!(a.fingerprint_logs().unwrap(), b.fingerprint_logs().unwrap(), "{case}");
        // From now on they are simply equal.
        let (opener, _) = sync(&mut b, &mut a);
        assert_eq!((opener.segments_sent, opener.segments_received), (0, 0), "{case}");
        assert_eq!(opener.round_trips, 1, "{case}");
    }
}

#[test]
fn a_proof_reaches_peers_that_hold_either_branch_the_beginning_or_nothing() {
    for common in [0, 40, 300] {
        let (mut a, mut b, log) = parted(common, 20, 30);
        let festival = festival(1);
        let mut others: Vec<_> = (5..10).map(|seed| replica(seed, &[&festival])).collect();
        sync(&mut others[0], &mut a);
        sync(&mut others[1], &mut b);
        let mut beginning = Author::new(12, festival.id());
        for entry in 0..common / 2 {
            let segment = beginning.write(entry.to_be_bytes().to_vec());
            beginning.store(&mut others[2], segment);
        }
        others[2].flush().unwrap();
        sync(&mut a, &mut b);
        for (at, other) in others.iter_mut().enumerate() {
            if at % 2 == 0 {
                sync(other, &mut a);
            } else {
                sync(&mut a, other);
            }
            assert_eq!(is_cut(other, &log), Some(common as u64), "{common}, {at}");
            assert_eq!(other.fingerprint_logs().unwrap(), a.fingerprint_logs().unwrap());
        }
    }
}

#[test]
fn of_two_partings_the_lower_one_counts_everywhere() {
    let festival = festival(1);
    let [mut a, mut b, mut c] = [1, 2, 3].map(|seed| replica(seed, &[&festival]));
    let [mut one, _] = branches(12, 10, [&mut a, &mut b]);
    let mut third = one.clone();
    // All three part at 10; two of them again at 150.
    for entry in 0..140_usize {
        let segment = one.write(entry.to_be_bytes().to_vec());
        one.store(&mut a, segment.clone());
        one.store(&mut b, segment);
    }
    let mut other = one.clone();
    go_on(&mut one, &mut a, 1, 5);
    go_on(&mut other, &mut b, 2, 5);
    let mut start = Author::new(12, festival.id());
    for entry in 0..10_usize {
        let segment = start.write(entry.to_be_bytes().to_vec());
        start.store(&mut c, segment);
    }
    go_on(&mut third, &mut c, 3, 200);
    sync(&mut a, &mut b);
    assert_eq!((is_cut(&a, &one.log), is_cut(&b, &one.log)), (Some(150), Some(150)));
    sync(&mut c, &mut a);
    assert_eq!((is_cut(&a, &one.log), is_cut(&c, &one.log)), (Some(10), Some(10)));
    sync(&mut b, &mut c);
    assert_eq!(is_cut(&b, &one.log), Some(10));
    assert_eq!(logs(&a), logs(&b));
    assert_eq!(a.fingerprint_logs().unwrap(), b.fingerprint_logs().unwrap());
    assert_eq!(a.fingerprint_logs().unwrap(), c.fingerprint_logs().unwrap());
}

#[test]
fn branches_that_meet_on_live_links_are_cut_at_all_of_them() {
    let festival = festival(1);
    let nodes: Vec<_> = (1..5)
        .map(|seed| Node::new(replica(seed, &[&festival]), StoppedClock, rng(seed)))
        .collect();
    let mut pool = LocalPool::new();
    let spawn = |pool: &LocalPool, future: futures::future::BoxFuture<'static, ()>| {
        pool.spawner().spawn_local(future).unwrap();
    };
    for pair in nodes.windows(2) {
        let (here, there) = memory(4);
        spawn(&pool, pair[0].link(here).map(|result| _ = result.unwrap()).boxed());
        spawn(&pool, pair[1].accept(there).map(|result| _ = result.unwrap()).boxed());
    }
    pool.run_until_stalled();
    let mut one = Author::new(12, festival.id());
    nodes[0].with(|replica| one.fill(replica, 20, 10));
    pool.run_until_stalled();
    // The author's two devices write at both ends at once.
    let mut other = one.clone();
    nodes[0].with(|replica| go_on(&mut one, replica, 1, 3));
    nodes[3].with(|replica| go_on(&mut other, replica, 2, 5));
    pool.run_until_stalled();
    let prints: Vec<_> =
        nodes.iter().map(|node| node.with(|replica| replica.fingerprint_logs().unwrap())).collect();
    assert!(prints.iter().all(|print| *print == prints[0]), "{prints:?}");
    assert_eq!(nodes[2].with(|replica| is_cut(replica, &one.log)), Some(20));
}

#[test]
fn long_branches_are_cut_at_their_true_parting_on_live_links_too() {
    for (common, ours, theirs) in [(0, 1, 1), (127, 3, 200), (130, 300, 2), (300, 1, 1)] {
        let festival = festival(1);
        let nodes: Vec<_> = (1..4)
            .map(|seed| Node::new(replica(seed, &[&festival]), StoppedClock, rng(seed)))
            .collect();
        let mut pool = LocalPool::new();
        for pair in nodes.windows(2) {
            let (here, there) = memory(4);
            let (opened, accepted) = (pair[0].link(here), pair[1].accept(there));
            pool.spawner().spawn_local(opened.map(|result| _ = result.unwrap())).unwrap();
            pool.spawner().spawn_local(accepted.map(|result| _ = result.unwrap())).unwrap();
        }
        let mut one = Author::new(12, festival.id());
        nodes[0].with(|replica| one.fill(replica, common, 10));
        pool.run_until_stalled();
        let mut other = one.clone();
        nodes[0].with(|replica| go_on(&mut one, replica, 1, ours));
        nodes[2].with(|replica| go_on(&mut other, replica, 2, theirs));
        pool.run_until_stalled();
        for node in &nodes {
            let cut = node.with(|replica| is_cut(replica, &one.log));
            assert_eq!(cut, Some(common as u64), "{common} and then {ours} or {theirs}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_two_branches_are_cut_where_they_part(
        common in 0_usize..400, ours in 1_usize..300, theirs in 1_usize..300,
    ) {
        let (mut a, mut b, log) = parted(common, ours, theirs);
        sync(&mut a, &mut b);
        prop_assert_eq!(is_cut(&a, &log), Some(common as u64));
        prop_assert_eq!(a.fingerprint_logs().unwrap(), b.fingerprint_logs().unwrap());
    }
}
