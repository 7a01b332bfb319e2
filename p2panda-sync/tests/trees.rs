//! Many live links: trees, what they miss, and what an idle node does.
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use common::{
    Author, DONE, GRAFT, IHAVE, PROBE, PRUNE, PUSH, RESALT, WANT, festival, frame, logs, replica,
    rng,
    time::{Net, bytes, count},
};
use p2panda_core::{Replica, codec};
use p2panda_sync::{Fault, Input, Node, Output, Role, Session, Sketches, SyncError};
use serde_bytes::ByteBuf;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn net(count: usize) -> Net {
    Net::new(count, |n, time| {
        let seed = n as u64;
        Node::new(replica(seed, &[&festival(1)]), time.clock(n), rng(seed))
    })
}

/// All linked with each other.
fn full_net(count: usize) -> Net {
    let mut net = net(count);
    for from in 0..count {
        (from + 1..count).for_each(|to| net.link(from, to));
    }
    net.pass(secs(1));
    net
}

fn write(net: &mut Net, node: usize, author: &mut Author) {
    net.nodes[node].with(|replica| author.fill(replica, 1, 100));
}

fn assert_equal(net: &Net) {
    let held: Vec<_> = net.nodes.iter().map(|node| node.with(|replica| logs(replica))).collect();
    assert!(held.iter().all(|logs| *logs == held[0]));
}

#[test]
fn two_or_three_nodes_push_everything_to_each_other() {
    for nodes in [2, 3] {
        let mut net = full_net(nodes);
        let mut ada = Author::new(11, festival(1).id());
        for _ in 0..5 {
            write(&mut net, 0, &mut ada);
            net.pass(secs(3));
        }
        assert_equal(&net);
        let frames = net.arrived();
        assert_eq!(count(&frames, PRUNE) + count(&frames, IHAVE) + count(&frames, GRAFT), 0);
        assert!(count(&frames, PUSH) >= 5 * (nodes - 1));
    }
}

#[test]
fn an_entry_is_pushed_once_to_each_node_of_a_mesh() {
    const NODES: usize = 8;
    let mut net = full_net(NODES);
    let mut authors: Vec<_> =
        (0..NODES as u64).map(|n| Author::new(20 + n, festival(1).id())).collect();
    // The first entries thin the links out to a tree.
    for (node, author) in authors.iter_mut().enumerate() {
        write(&mut net, node, author);
        net.pass(secs(5));
    }
    assert!(count(&net.arrived(), PRUNE) > 0);
    for (node, author) in authors.iter_mut().enumerate() {
        write(&mut net, node, author);
        net.pass(secs(5));
        assert_equal(&net);
        let frames = net.arrived();
        assert_eq!(count(&frames, PUSH), NODES - 1);
        assert_eq!(count(&frames, GRAFT) + count(&frames, PRUNE), 0, "the tree is stable");
        // Over each link that is not part of it one of the two tells the other.
        let lazy = NODES * (NODES - 1) / 2 - (NODES - 1);
        assert!((1..=lazy).contains(&count(&frames, IHAVE)), "{}", count(&frames, IHAVE));
    }
}

#[test]
fn what_a_tree_does_not_bring_is_asked_for_at_a_neighbour() {
    let mut net = full_net(4);
    let mut ada = Author::new(11, festival(1).id());
    for _ in 0..3 {
        write(&mut net, 0, &mut ada);
        net.pass(secs(5));
    }
    net.arrived();
    // Node 3 hears nothing from node 0 any more, and neither notices yet.
    net.lose(0, 3);
    write(&mut net, 0, &mut ada);
    net.pass(secs(5));
    assert_equal(&net);
    let frames = net.arrived();
    let grafts: Vec<_> = frames.iter().filter(|(.., frame)| frame[0] == GRAFT).collect();
    assert_eq!(grafts.len(), 1, "one neighbour is asked");
    let (from, to, _) = grafts[0];
    assert!(*from == 3 && *to != 0);
    // That link is part of the tree from here on.
    let mut bob = Author::new(12, festival(1).id());
    write(&mut net, 0, &mut bob);
    net.pass(Duration::from_millis(100));
    assert_eq!(net.nodes[3].with(|replica| logs(replica)).len(), 2);
}

#[test]
fn the_next_neighbour_is_asked_where_the_first_does_not_answer() {
    let mut net = full_net(4);
    let mut ada = Author::new(11, festival(1).id());
    for _ in 0..3 {
        write(&mut net, 0, &mut ada);
        net.pass(secs(5));
    }
    net.lose(0, 3);
    net.lose_next_push_to(3);
    net.arrived();
    write(&mut net, 0, &mut ada);
    net.pass(secs(8));
    assert_equal(&net);
    let frames = net.arrived();
    let asked = frames.iter().filter(|(from, _, frame)| *from == 3 && frame[0] == GRAFT);
    let asked: BTreeSet<usize> = asked.map(|(_, to, _)| *to).collect();
    assert_eq!(asked, BTreeSet::from([1, 2]), "one after the other");
}

#[test]
fn an_idle_node_wakes_once_for_each_comparison_and_these_become_rare() {
    let mut net = net(5);
    (1..5).for_each(|spoke| net.link(spoke, 0));
    let mut ada = Author::new(11, festival(1).id());
    write(&mut net, 1, &mut ada);
    net.pass(secs(3600));
    assert_equal(&net);
    // 5, 10, 20 and so on up to 320 seconds, and then every ten minutes.
    let hub = net.time.wake_ups(0, Duration::ZERO);
    assert!((10..=14).contains(&hub), "{hub}");
    assert!(net.time.wake_ups(0, secs(660)) <= 5);
    for spoke in 1..5 {
        assert_eq!(
            net.time.wake_ups(spoke, secs(1)),
            0,
            "who has connected is not woken by itself"
        );
    }
    net.arrived();
    net.pass(secs(600));
    let frames = net.arrived();
    assert_eq!((count(&frames, RESALT), count(&frames, DONE)), (4, 4), "one with each");
    assert!(bytes(&frames) <= 4 * 200, "{} bytes", bytes(&frames));
    // On a low battery, once an hour.
    net.nodes[0].set_saving(true);
    net.pass(secs(3600));
    let since = net.time.now() + secs(1);
    net.pass(secs(6 * 3600));
    assert!(net.time.wake_ups(0, since) <= 6, "{}", net.time.wake_ups(0, since));
}

/// One side of a live link.
struct Side {
    replica: Replica,
    sketches: Sketches,
    session: Session,
}

impl Side {
    fn new(seed: u64, role: Role) -> Self {
        Self {
            replica: replica(seed, &[&festival(1)]),
            sketches: Sketches::new(&mut rng(seed)),
            session: Session::new(role, Duration::ZERO, &mut rng(seed)),
        }
    }

    fn handle(&mut self, now: Duration, frame: Bytes) -> Result<(), SyncError> {
        self.session.handle(now, Input::Frame(frame), &mut self.replica, &mut self.sketches)
    }

    fn frames(&mut self, now: Duration) -> Vec<Bytes> {
        self.poll(now).unwrap()
    }

    fn poll(&mut self, now: Duration) -> Result<Vec<Bytes>, SyncError> {
        let mut frames = Vec::new();
        while let Some(output) = self.session.poll(now, &mut self.replica, &mut self.sketches)? {
            frames.extend(match output {
                Output::Send(frame) => Some(frame),
                _ => None,
            });
        }
        Ok(frames)
    }
}

/// Carries frames until neither side has any.
fn talk(now: Duration, one: &mut Side, other: &mut Side) {
    loop {
        let (there, back) = (one.frames(now), other.frames(now));
        if there.is_empty() && back.is_empty() {
            return;
        }
        there.into_iter().for_each(|frame| other.handle(now, frame).unwrap());
        back.into_iter().for_each(|frame| one.handle(now, frame).unwrap());
    }
}

/// Two sides that have caught up: who opened the link, and who accepted it. Both hold an entry.
fn pair() -> (Side, Side, Author) {
    let (mut opener, mut acceptor) = (Side::new(2, Role::Link), Side::new(1, Role::Accept));
    let mut ada = Author::new(11, festival(1).id());
    ada.fill(&mut acceptor.replica, 1, 100);
    talk(secs(0), &mut opener, &mut acceptor);
    (opener, acceptor, ada)
}

#[test]
fn a_head_that_differs_from_ours_leads_to_the_question_where_the_log_parts() {
    let (mut opener, mut acceptor, mut ada) = pair();
    let mut twin = ada.clone();
    opener.handle(secs(0), frame(PRUNE, &codec::encode(&(0_u64,)))).unwrap();
    ada.fill(&mut opener.replica, 1, 100);
    twin.fill(&mut acceptor.replica, 1, 101);
    assert!(opener.frames(secs(0)).is_empty(), "it collects");
    let told = opener.frames(secs(1));
    assert_eq!(told.iter().map(|frame| frame[0]).collect::<Vec<_>>(), [IHAVE]);
    told.into_iter().for_each(|frame| acceptor.handle(secs(1), frame).unwrap());
    let asked = acceptor.frames(secs(1));
    assert!(asked.iter().any(|frame| frame[0] == PROBE));
}

#[test]
fn what_is_known_already_is_neither_told_nor_asked_for() {
    let (mut opener, mut acceptor, mut ada) = pair();
    opener.handle(secs(0), frame(PRUNE, &codec::encode(&(0_u64,)))).unwrap();
    acceptor.handle(secs(0), frame(PRUNE, &codec::encode(&(0_u64,)))).unwrap();
    // Both get the same from elsewhere. Who opened the link tells first.
    let mut same = ada.clone();
    ada.fill(&mut opener.replica, 1, 100);
    same.fill(&mut acceptor.replica, 1, 100);
    assert!(opener.frames(secs(0)).is_empty() && acceptor.frames(secs(0)).is_empty());
    let told = opener.frames(Duration::from_millis(300));
    assert_eq!(told.len(), 1);
    assert!(told[0].len() < 32, "{} bytes", told[0].len());
    acceptor.handle(Duration::from_millis(320), told[0].clone()).unwrap();
    assert!(acceptor.frames(secs(4)).is_empty());
}

/// An `IHAVE` of so many heads that nobody has, from a key on.
fn phantoms(from: u32, count: u32) -> Bytes {
    let heads = (from..from + count).flat_map(|n| {
        let [a, b, c, d] = n.to_be_bytes();
        [a, b, c, d, 0, 1, 9, 9, 9, 9]
    });
    frame(IHAVE, &codec::encode(&(0_u64, ByteBuf::from(heads.collect::<Vec<_>>()))))
}

#[test]
fn heads_that_nobody_has_are_asked_for_once_and_no_more_than_fit() {
    let (_, mut pair, _) = pair();
    (0..4).for_each(|n| pair.handle(secs(0), phantoms(n * 512, 512)).unwrap());
    assert!(pair.frames(Duration::from_millis(700)).is_empty(), "it waits for them");
    let frames = pair.frames(secs(2));
    assert!(frames.iter().all(|frame| [GRAFT, WANT].contains(&frame[0])));
    assert_eq!(frames[0][0], GRAFT);
    let asked: usize = frames.iter().map(|frame| frame.len() / 6).sum();
    assert!((1000..1050).contains(&asked), "{asked} of 2048");
    // A peer that then says it has given all is not believed again.
    let done = frame(DONE, &codec::encode(&(u64::MAX >> 32, None::<ByteBuf>)));
    assert_eq!(pair.handle(secs(2), done).unwrap_err().fault(), Fault::Peer);
}

#[test]
fn telling_of_more_than_anybody_writes_is_too_much() {
    let (_, mut pair, _) = pair();
    let mut told = 0;
    let error = loop {
        told += 512;
        pair.handle(secs(0), phantoms(told, 512)).unwrap();
        if let Err(error) = pair.poll(secs(0)) {
            break error;
        }
    };
    assert!(matches!(error, SyncError::Busy { .. }));
    assert!((10_000..40_000).contains(&told), "{told}");
}

#[test]
fn what_belongs_to_live_links_does_not_belong_elsewhere() {
    for (kind, body) in [
        (IHAVE, codec::encode(&(7_u64, ByteBuf::new()))),
        (GRAFT, codec::encode(&(7_u64, ByteBuf::new()))),
        (PRUNE, codec::encode(&(7_u64,))),
        (IHAVE, codec::encode(&(0_u64, ByteBuf::from(vec![1, 2, 3])))),
    ] {
        let (_, mut pair, _) = pair();
        let error = pair.handle(secs(0), frame(kind, &body)).unwrap_err();
        assert_eq!(error.fault(), Fault::Peer, "type {kind}");
    }
}

#[test]
fn an_author_who_signs_two_chains_is_cut_at_every_node_of_a_mesh() {
    let mut net = full_net(6);
    let mut ada = Author::new(11, festival(1).id());
    let mut others: Vec<_> = (20..26).map(|seed| Author::new(seed, festival(1).id())).collect();
    for (node, author) in others.iter_mut().enumerate() {
        write(&mut net, node, author);
        write(&mut net, 0, &mut ada);
        net.pass(secs(5));
    }
    let mut twin = ada.clone();
    net.nodes[0].with(|replica| ada.fill(replica, 3, 100));
    net.nodes[5].with(|replica| twin.fill(replica, 2, 101));
    net.pass(secs(10));
    for node in &net.nodes {
        let cut = node.with(|replica| replica.fork_proof(&ada.log).unwrap());
        assert_eq!(cut.map(|proof| proof.at().length), Some(6));
    }
    assert_equal(&net);
}
