//! Nodes that link, write and part in any order end equal once they are all linked.
#![allow(clippy::unwrap_used)]

mod common;

use std::{cell::RefCell, rc::Rc};

use common::{Author, festival, logs, replica, rng};
use futures::{
    FutureExt as _, executor::LocalPool, future::RemoteHandle, task::LocalSpawnExt as _,
};
use p2panda_sync::{Fault, Node, Stats, StoppedClock, SyncError, memory};
use proptest::prelude::*;

const NODES: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Write { node: usize, entries: usize, size: usize },
    Link { from: usize, to: usize, frames: usize, once: bool },
    Run { polls: usize },
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![Just(10_usize), Just(30_000)];
    prop_oneof![
        3 => (0..NODES, 1..140_usize, size)
            .prop_map(|(node, entries, size)| Step::Write { node, entries: entries.min(400_000 / size), size }),
        3 => (0..NODES, 0..NODES, 1..4_usize, any::<bool>())
            .prop_map(|(from, to, frames, once)| Step::Link { from, to, frames, once }),
        4 => (1..60_usize).prop_map(|polls| Step::Run { polls }),
        1 => Just(Step::Cut),
    ]
}

struct Mesh {
    pool: LocalPool,
    nodes: Vec<Node>,
    /// Dropping one of them cuts its link.
    links: Vec<RemoteHandle<()>>,
    faults: Rc<RefCell<Vec<String>>>,
}

impl Mesh {
    fn link(&mut self, from: usize, to: usize, frames: usize, once: bool) {
        let (here, there) = memory(frames);
        let spawner = self.pool.spawner();
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        let faults = [&self.faults, &self.faults].map(Rc::clone);
        let [opening, accepting] = faults.map(|faults| {
            move |result: Result<Stats, SyncError>| {
                // A cut is nobody's fault; anything else is a lie about an honest peer.
                if let Err(error) = result
                    && error.fault() != Fault::Link
                {
                    faults.borrow_mut().push(error.to_string());
                }
            }
        });
        let opening = if once {
            spawner.spawn_local_with_handle(from.sync(here).map(opening))
        } else {
            spawner.spawn_local_with_handle(from.link(here).map(opening))
        };
        let accepting = spawner.spawn_local_with_handle(to.accept(there).map(accepting));
        self.links.extend([opening.unwrap(), accepting.unwrap()]);
    }
}

/// Takes the steps, links all nodes in a row, and checks what everybody ends up with.
fn run(steps: Vec<Step>) {
    let festival = festival(1);
    let node = |seed| Node::new(replica(seed, &[&festival]), StoppedClock, rng(seed));
    let nodes = (0..NODES as u64).map(node).collect();
    let mut mesh = Mesh { pool: LocalPool::new(), nodes, links: Vec::new(), faults: Rc::default() };
    let mut authors: Vec<_> =
        (0..NODES as u64).map(|seed| Author::new(50 + seed, festival.id())).collect();
    for step in steps {
        match step {
            Step::Write { node, entries, size } => {
                mesh.nodes[node].with(|replica| authors[node].fill(replica, entries, size));
            }
            Step::Link { from, to, frames, once } if from != to => {
                mesh.link(from, to, frames, once);
            }
            Step::Link { .. } => {}
            Step::Run { polls } => (0..polls).for_each(|_| _ = mesh.pool.try_run_one()),
            Step::Cut => mesh.links.clear(),
        }
    }
    for at in 1..NODES {
        mesh.link(at - 1, at, 1, false);
    }
    mesh.pool.run_until_stalled();
    let all: Vec<_> = mesh.nodes.iter().map(|node| node.with(|replica| logs(replica))).collect();
    assert!(all.iter().all(|held| *held == all[0]));
    let written: usize = authors.iter().map(Author::length).sum();
    let held: u64 = all[0].iter().map(|(_, tip)| tip.length).sum();
    assert_eq!(held, written as u64);
    assert_eq!(*mesh.faults.borrow(), Vec::<String>::new());
}

#[test]
fn entries_that_came_from_elsewhere_in_the_meantime_are_not_missed() {
    run(vec![
        Step::Link { from: 1, to: 0, frames: 1, once: false },
        Step::Write { node: 1, entries: 13, size: 30_000 },
        Step::Write { node: 0, entries: 1, size: 10 },
        Step::Run { polls: 1 },
        Step::Cut,
        Step::Write { node: 0, entries: 1, size: 10 },
        Step::Link { from: 2, to: 0, frames: 2, once: false },
    ]);
}

#[test]
fn a_peer_that_learnt_from_us_what_we_asked_it_for_is_not_blamed() {
    run(vec![
        Step::Link { from: 3, to: 1, frames: 1, once: false },
        Step::Write { node: 3, entries: 1, size: 10 },
        Step::Run { polls: 1 },
        Step::Link { from: 0, to: 3, frames: 1, once: false },
        Step::Write { node: 1, entries: 3, size: 30_000 },
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nodes_that_meet_in_any_order_end_equal(steps in prop::collection::vec(step(), 1..25)) {
        run(steps);
    }
}
