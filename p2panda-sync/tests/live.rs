//! Links that stay: nodes over transports in memory.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Author, festival, logs, replica, rng};
use futures::{
    FutureExt as _, StreamExt as _,
    executor::{LocalPool, block_on},
    future::join,
    task::LocalSpawnExt as _,
};
use p2panda_core::{
    Replica,
    schema::{Event, FestivalInfo, Instant},
};
use p2panda_sync::{MemoryTransport, Node, Role, StoppedClock, SyncEvent, memory};
use std::{cell::RefCell, rc::Rc};

fn node(replica: Replica, seed: u64) -> Node {
    Node::new(replica, StoppedClock, rng(seed))
}

fn nodes<const N: usize>() -> [Node; N] {
    std::array::from_fn(|at| node(replica(at as u64, &[&festival(1)]), at as u64))
}

fn spawn(pool: &LocalPool, future: impl Future + 'static) {
    pool.spawner().spawn_local(future.map(|_| ())).unwrap();
}

/// A live link whose events are collected.
fn watched(
    pool: &LocalPool,
    node: &Node,
    transport: MemoryTransport,
    role: Role,
) -> Rc<RefCell<Vec<SyncEvent>>> {
    let events = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&events);
    spawn(pool, node.run(transport, role, move |event| sink.borrow_mut().push(event)));
    events
}

#[test]
fn what_is_written_on_a_live_link_is_pushed_both_ways() {
    let [a, b] = nodes();
    let mut pool = LocalPool::new();
    let (here, there) = memory(4);
    let events = watched(&pool, &a, here, Role::Link);
    watched(&pool, &b, there, Role::Accept);
    pool.run_until_stalled();
    let (mut ada, mut bob) = (Author::new(11, festival(1).id()), Author::new(12, festival(1).id()));
    for _ in 0..3 {
        a.with(|replica| ada.fill(replica, 2, 10));
        pool.run_until_stalled();
        b.with(|replica| bob.fill(replica, 1, 10));
        pool.run_until_stalled();
        assert_eq!(a.with(|replica| logs(replica)), b.with(|replica| logs(replica)));
    }
    let events = events.borrow();
    let mut caught_up = events.iter().filter_map(|event| match event {
        SyncEvent::CaughtUp { stats, .. } => Some(*stats),
        _ => None,
    });
    let last = caught_up.next_back().unwrap();
    assert_eq!((last.entries_sent, last.entries_received), (6, 3));
    // Nothing that came over a link goes back over it.
    assert_eq!((last.segments_sent, last.segments_received), (3, 3));
}

#[test]
fn a_hub_passes_on_what_it_receives() {
    let [hub, a, b, c] = nodes();
    let mut pool = LocalPool::new();
    for spoke in [&a, &b, &c] {
        let (here, there) = memory(4);
        spawn(&pool, spoke.link(here));
        spawn(&pool, hub.accept(there));
    }
    pool.run_until_stalled();
    let mut authors = [11, 12, 13].map(|seed| Author::new(seed, festival(1).id()));
    for (spoke, author) in [&a, &b, &c].into_iter().zip(&mut authors) {
        spoke.with(|replica| author.fill(replica, 130, 10));
    }
    pool.run_until_stalled();
    let held = hub.with(|replica| logs(replica));
    assert_eq!(held.len(), 3);
    for spoke in [&a, &b, &c] {
        assert_eq!(spoke.with(|replica| logs(replica)), held);
    }
}

#[test]
fn a_ring_of_links_settles() {
    let ring: [Node; 5] = nodes();
    let mut pool = LocalPool::new();
    for at in 0..ring.len() {
        let (here, there) = memory(1);
        spawn(&pool, ring[at].link(here));
        spawn(&pool, ring[(at + 1) % ring.len()].accept(there));
    }
    let mut authors: Vec<_> = (0..5).map(|seed| Author::new(20 + seed, festival(1).id())).collect();
    for round in 0..4 {
        for (node, author) in ring.iter().zip(&mut authors) {
            node.with(|replica| author.fill(replica, 1 + round, 10));
        }
        pool.run_until_stalled();
        let held = ring[0].with(|replica| logs(replica));
        assert_eq!(held.len(), 5);
        assert!(ring.iter().all(|node| node.with(|replica| logs(replica)) == held));
    }
}

#[test]
fn entries_written_during_the_first_exchange_arrive_on_a_live_link() {
    let [a, b] = nodes();
    let mut ada = Author::new(11, festival(1).id());
    let mut bob = Author::new(12, festival(1).id());
    a.with(|replica| ada.fill(replica, 500, 1000));
    b.with(|replica| bob.fill(replica, 500, 1000));
    let mut pool = LocalPool::new();
    let (here, there) = memory(1);
    spawn(&pool, a.link(here));
    spawn(&pool, b.accept(there));
    for _ in 0..40 {
        pool.try_run_one();
        a.with(|replica| ada.fill(replica, 1, 10));
        b.with(|replica| bob.fill(replica, 1, 10));
    }
    pool.run_until_stalled();
    let held = a.with(|replica| logs(replica));
    assert_eq!(held, b.with(|replica| logs(replica)));
    assert!(held.iter().all(|(_, tip)| tip.length == 540));
}

#[test]
fn a_link_that_missed_thousands_of_changes_looks_at_all_logs() {
    let [a, b] = nodes();
    let mut pool = LocalPool::new();
    let (here, there) = memory(4);
    spawn(&pool, a.link(here));
    spawn(&pool, b.accept(there));
    pool.run_until_stalled();
    let mut authors = [11, 12, 13].map(|seed| Author::new(seed, festival(1).id()));
    for _ in 0..1500 {
        a.with(|replica| authors.iter_mut().for_each(|author| author.fill(replica, 1, 10)));
    }
    pool.run_until_stalled();
    assert_eq!(a.with(|replica| logs(replica)), b.with(|replica| logs(replica)));
    assert_eq!(b.with(|replica| logs(replica)).len(), 3);
}

#[test]
fn edits_show_in_the_views_of_others() {
    let mut rng = rng(5);
    let mut ada = replica(1, &[]);
    let info = FestivalInfo { title: "Lake Festival".into(), ..FestivalInfo::default() };
    let festival = ada.create_festival(&info, Instant::from_millis(0), &mut rng).unwrap();
    let [a, b] = [node(ada, 1), node(replica(2, &[&festival]), 2)];
    let mut pool = LocalPool::new();
    let (here, there) = memory(4);
    spawn(&pool, a.link(here));
    spawn(&pool, b.accept(there));
    for (at, node) in [&a, &b, &a].into_iter().enumerate() {
        let event = Event { title: format!("Event {at}"), ..Event::default() };
        node.with(|replica| {
            let now = Instant::from_millis(at as i64);
            replica.edit(festival.id(), now, &mut rng, |edit| edit.create(&event))
        })
        .unwrap();
        pool.run_until_stalled();
        let [ours, theirs] =
            [&a, &b].map(|node| node.with(|replica| replica.fingerprint_view().unwrap()));
        assert_eq!(ours, theirs);
    }
    let events = b.with(|replica| replica.view(festival.id()).list::<Event>().unwrap());
    assert_eq!(events.len(), 3);
}

#[test]
fn much_both_ways_over_the_smallest_buffers_does_not_get_stuck() {
    let [a, b] = nodes();
    for seed in 0..20 {
        a.with(|replica| Author::new(100 + seed, festival(1).id()).fill(replica, 30, 10_000));
        b.with(|replica| Author::new(200 + seed, festival(1).id()).fill(replica, 30, 10_000));
    }
    let (here, there) = memory(1);
    let (opener, acceptor) = block_on(join(a.sync(here), b.accept(there)));
    assert_eq!(opener.unwrap().entries_received, 600);
    assert_eq!(acceptor.unwrap().entries_received, 600);
    assert_eq!(a.with(|replica| logs(replica)), b.with(|replica| logs(replica)));
}

#[test]
fn a_link_ends_when_the_peer_leaves_and_the_replica_comes_back() {
    let [a, b] = nodes();
    let mut pool = LocalPool::new();
    let (here, there) = memory(4);
    let link = pool.spawner().spawn_local_with_handle(a.link(here)).unwrap();
    let accept = pool.spawner().spawn_local_with_handle(b.accept(there)).unwrap();
    pool.run_until_stalled();
    drop(accept);
    let stats = pool.run_until(link).unwrap();
    assert_eq!(stats.segments_sent, 0);
    let clone = a.clone();
    assert!(a.into_replica().is_none());
    assert!(clone.into_replica().is_some());
    assert!(b.into_replica().is_some());
}

#[test]
fn many_changes_wake_a_slow_reader_once() {
    let [a] = nodes();
    let mut changes = a.changes();
    let mut ada = Author::new(11, festival(1).id());
    for _ in 0..10 {
        a.with(|replica| ada.fill(replica, 1, 10));
    }
    assert_eq!(changes.next().now_or_never(), Some(Some(())));
    assert_eq!(changes.next().now_or_never(), None);
    // Reading wakes nobody.
    a.with(|replica| logs(replica));
    assert_eq!(changes.next().now_or_never(), None);
}
