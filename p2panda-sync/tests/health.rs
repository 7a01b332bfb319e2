//! Who holds what a user wrote: true figures, at every moment and after a restart.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use common::rng;
use futures::{
    FutureExt as _, StreamExt as _,
    executor::{LocalPool, block_on},
    future::{BoxFuture, join, pending},
    task::LocalSpawnExt as _,
};
use p2panda_core::{
    Festival, FestivalId, Identity, Replica,
    schema::{Event, FestivalInfo, Instant, Profile},
    store::{Batch, CommitId, Entry, MemoryStore, NoResume, Store, StoreError, Table},
};
use p2panda_sync::{
    Clock, Health, KnownAs, MAX_HEALTH_PEERS, MemoryTransport, Node, PeerId, SyncError, memory,
};

/// A wall clock that is set by hand, in minutes.
#[derive(Clone, Default)]
struct Wall(Arc<AtomicI64>);

impl Wall {
    fn set(&self, minutes: i64) {
        self.0.store(minutes, Ordering::Relaxed);
    }
}

impl Clock for Wall {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(pending())
    }

    fn wall(&self) -> Option<Instant> {
        Some(minutes(self.0.load(Ordering::Relaxed)))
    }
}

fn minutes(minutes: i64) -> Instant {
    Instant::from_millis(minutes * 60_000)
}

fn peer(number: u64) -> PeerId {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    PeerId::from_bytes(bytes)
}

/// A connection between two numbered devices.
fn wire(here: u64, there: u64) -> (KnownAs<MemoryTransport>, KnownAs<MemoryTransport>) {
    let (left, right) = memory(4);
    (KnownAs::new(peer(there), left), KnownAs::new(peer(here), right))
}

fn replica(seed: u64) -> Replica {
    let store = Box::new(MemoryStore::new());
    Replica::open(store, Identity::generate(&mut rng(seed)), Box::new(NoResume)).unwrap()
}

/// Numbered devices of one festival, founded by the first, and their wall clock.
fn nodes<const N: usize>() -> ([Node; N], FestivalId, Wall) {
    let wall = Wall::default();
    let (founder, festival) = founder();
    let mut founder = Some(founder);
    let nodes = std::array::from_fn(|at| {
        let replica = founder.take().unwrap_or_else(|| {
            let mut replica = replica(at as u64);
            replica.join(&festival).unwrap();
            replica
        });
        Node::new(replica, wall.clone(), rng(100 + at as u64))
    });
    (nodes, festival.id(), wall)
}

fn founder() -> (Replica, Festival) {
    let mut founder = replica(0);
    let info = FestivalInfo { title: "Lake".into(), ..FestivalInfo::default() };
    let festival = founder.create_festival(&info, minutes(0), &mut rng(9)).unwrap();
    (founder, festival)
}

fn write(node: &Node, festival: FestivalId, title: &str) {
    let event = Event { title: title.into(), ..Event::default() };
    node.with(|replica| {
        replica.edit(festival, minutes(0), &mut rng(title.len() as u64), |edit| edit.create(&event))
    })
    .unwrap();
}

fn meet(nodes: &[Node], here: usize, there: usize) {
    let (left, right) = wire(here as u64, there as u64);
    let (one, other) = block_on(join(nodes[here].sync(left), nodes[there].accept(right)));
    one.unwrap();
    other.unwrap();
}

#[test]
fn after_a_sync_the_peer_is_a_holder_and_after_an_edit_one_change_is_unreplicated() {
    let (nodes, festival, wall) = nodes::<3>();
    let health = |at: usize| nodes[at].health(festival).unwrap();
    let [before, nobody] = [health(0), health(1)];
    assert_eq!((before.unreplicated(), before.least_holders()), (1, 0));
    assert_eq!((before.share_held_by(1), before.since(1)), (Some(0), None));
    // Who has written nothing has nothing to lose.
    assert_eq!((nobody.documents.len(), nobody.least_holders()), (0, 0));
    assert_eq!(nobody.share_held_by(0), None);

    wall.set(10);
    meet(&nodes, 0, 1);
    wall.set(20);
    meet(&nodes, 2, 0);
    let after = health(0);
    assert_eq!((after.unreplicated(), after.least_holders()), (0, 2));
    // One has held it since the first meeting, two since the second.
    assert_eq!([1, 2, 3].map(|k| after.since(k)), [Some(minutes(10)), Some(minutes(20)), None]);
    let holders: Vec<_> = after.documents[0].holders.iter().map(|holder| holder.peer).collect();
    assert_eq!(holders, [peer(1), peer(2)]);
    assert_eq!(after.share_held_by(2), Some(100));

    write(&nodes[0], festival, "Fire show");
    let edited = health(0);
    assert_eq!((edited.unreplicated(), edited.least_holders()), (1, 0));
    assert_eq!(edited.documents[0].entries, 2);
    assert_eq!((edited.since(1), edited.share_held_by(1)), (None, Some(0)));
    assert_eq!(edited.peers.iter().map(|peer| peer.behind).collect::<Vec<_>>(), [1, 1]);

    wall.set(30);
    meet(&nodes, 1, 0);
    let again = health(0);
    assert_eq!((again.unreplicated(), again.least_holders()), (0, 1));
    assert_eq!(again.since(1), Some(minutes(30)));
    // Nothing new: what was known since is known since.
    wall.set(40);
    meet(&nodes, 0, 1);
    assert_eq!(health(0).since(1), Some(minutes(30)));
}

#[test]
fn a_peer_tells_when_it_was_there_last_and_when_it_brought_something_last() {
    let (nodes, festival, wall) = nodes::<2>();
    wall.set(10);
    meet(&nodes, 0, 1);
    let of = |at: usize| nodes[at].health(festival).unwrap().peers;
    assert_eq!(of(0).len(), 1);
    assert_eq!((of(0)[0].last_contact, of(0)[0].last_news), (Some(minutes(10)), None));
    assert_eq!((of(1)[0].last_news, of(1)[0].brought), (Some(minutes(10)), 1));

    write(&nodes[1], festival, "Breakfast");
    write(&nodes[1], festival, "Lunch");
    wall.set(20);
    meet(&nodes, 1, 0);
    wall.set(30);
    meet(&nodes, 0, 1);
    let [known] = of(0)[..] else { panic!("one peer") };
    assert_eq!((known.last_contact, known.last_news), (Some(minutes(30)), Some(minutes(20))));
    assert_eq!((known.peer, known.brought, known.meetings, known.behind), (peer(1), 2, 3, 0));
}

#[test]
fn a_live_link_acknowledges_as_it_goes_and_wakes_who_watches() {
    let (nodes, festival, wall) = nodes::<2>();
    let mut pool = LocalPool::new();
    let mut wakes = nodes[0].health_changes();
    let (left, right) = wire(0, 1);
    let link = pool.spawner().spawn_local_with_handle(nodes[0].link(left)).unwrap();
    let accept = pool.spawner().spawn_local_with_handle(nodes[1].accept(right)).unwrap();
    pool.run_until_stalled();
    assert_eq!(wakes.next().now_or_never(), Some(Some(())));
    for round in 1..5 {
        wall.set(round);
        write(&nodes[0], festival, &format!("Event {round}"));
        assert_eq!(nodes[0].health(festival).unwrap().unreplicated(), 1);
        assert_eq!(wakes.next().now_or_never(), Some(Some(())));
        pool.run_until_stalled();
        let health = nodes[0].health(festival).unwrap();
        assert_eq!((health.unreplicated(), health.least_holders()), (0, 1));
        assert_eq!(health.since(1), Some(minutes(round)));
        assert_eq!(wakes.next().now_or_never(), Some(Some(())));
        assert_eq!(wakes.next().now_or_never(), None);
    }
    // In touch until the link ends.
    wall.set(60);
    drop(accept);
    pool.run_until(link).unwrap();
    let [known] = nodes[0].health(festival).unwrap().peers[..] else { panic!("one peer") };
    assert_eq!((known.last_contact, known.meetings), (Some(minutes(60)), 1));
}

#[test]
fn what_a_peer_refuses_it_does_not_hold() {
    let (nodes, festival, _) = nodes::<2>();
    let user = nodes[0].with(|replica| replica.user());
    nodes[1].with(|replica| replica.block(user)).unwrap();
    meet(&nodes, 0, 1);
    meet(&nodes, 1, 0);
    let health = nodes[0].health(festival).unwrap();
    assert_eq!((health.unreplicated(), health.least_holders()), (1, 0));
    assert_eq!((health.peers.len(), health.peers[0].behind), (1, 1));
    nodes[1].with(|replica| replica.unblock(&user)).unwrap();
    meet(&nodes, 1, 0);
    assert_eq!(nodes[0].health(festival).unwrap().least_holders(), 1);
}

#[test]
fn a_peer_that_has_lost_it_is_a_holder_again_only_with_it() {
    let (nodes, festival, wall) = nodes::<2>();
    meet(&nodes, 0, 1);
    // The same device with an empty store, and this side has nothing new.
    let mut empty = replica(1);
    let ticket = nodes[0].with(|replica| replica.festival(festival)).unwrap().unwrap();
    empty.join(&ticket).unwrap();
    let user = nodes[0].with(|replica| replica.user());
    empty.block(user).unwrap();
    let nodes = [nodes[0].clone(), Node::new(empty, wall, rng(7))];
    meet(&nodes, 0, 1);
    let health = nodes[0].health(festival).unwrap();
    assert_eq!((health.least_holders(), health.peers[0].behind), (0, 1));
}

#[test]
fn a_peer_of_whom_nothing_is_known_replicates_and_is_no_holder() {
    let (nodes, festival, _) = nodes::<2>();
    let (left, right) = memory(4);
    let (one, other) = block_on(join(nodes[0].sync(left), nodes[1].accept(right)));
    one.unwrap();
    other.unwrap();
    let health = nodes[0].health(festival).unwrap();
    assert_eq!((health.unreplicated(), health.least_holders(), health.peers.len()), (0, 0, 0));
}

#[test]
fn an_exchange_that_is_cut_claims_nothing_that_is_not_held() {
    // Cut after every number of polls of the two sides.
    let mut claimed = 0;
    for polls in 0..60 {
        let (nodes, festival, _) = nodes::<2>();
        for at in 0..40 {
            write(&nodes[0], festival, &format!("{:1$}", "x", 1 + at));
        }
        let (left, right) = wire(0, 1);
        let mut pool = LocalPool::new();
        for future in [nodes[0].sync(left).boxed_local(), nodes[1].accept(right).boxed_local()] {
            pool.spawner().spawn_local(future.map(|_: Result<_, SyncError>| ())).unwrap();
        }
        for _ in 0..polls {
            pool.try_run_one();
        }
        drop(pool);
        let health = nodes[0].health(festival).unwrap();
        let held = nodes[1].with(|replica| {
            let document = health.documents[0].document;
            replica.tips_of(festival, &document).unwrap().iter().map(|(_, tip)| tip.length).sum()
        });
        let known: u64 = health.documents[0].entries - health.unreplicated();
        assert!(known <= held, "{known} are claimed, {held} held");
        assert!(health.least_holders() == 0 || held == 41);
        claimed += known;
    }
    assert!(claimed > 0, "the longest of them came to its end");
}

/// A store that outlives who opened it; a crash takes what was not flushed.
#[derive(Clone)]
struct Disk(Arc<Mutex<MemoryStore>>);

impl Default for Disk {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(MemoryStore::buffered())))
    }
}

impl Disk {
    fn crash(&self) {
        let mut store = self.0.lock().unwrap();
        let kept = store.durable();
        *store = store.after_crash(kept);
    }
}

impl Store for Disk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.lock().unwrap().get(table, key)
    }

    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.0.lock().unwrap().range(table, start, end, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        self.0.lock().unwrap().commit(batch)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.0.lock().unwrap().flush()
    }

    fn durable(&self) -> CommitId {
        self.0.lock().unwrap().durable()
    }
}

#[test]
fn figures_outlive_the_process_and_go_with_the_festival() {
    let disk = Disk::default();
    let open = || {
        let store = Box::new(disk.clone());
        Replica::open(store, Identity::generate(&mut rng(0)), Box::new(NoResume)).unwrap()
    };
    let wall = Wall::default();
    wall.set(7);
    let mut ada = open();
    let festival = ada.create_festival(&FestivalInfo::default(), minutes(0), &mut rng(9)).unwrap();
    let mut ben = replica(1);
    ben.join(&festival).unwrap();
    let nodes = [Node::new(ada, wall.clone(), rng(1)), Node::new(ben, wall, rng(2))];
    meet(&nodes, 0, 1);
    let before = nodes[0].health(festival.id()).unwrap();
    assert_eq!(before.since(1), Some(minutes(7)));
    let [ada, _] = nodes;
    ada.into_replica().unwrap().close(&mut rng(3)).unwrap();
    disk.crash();

    let mut ada = open();
    assert_eq!(Health::of(&ada, festival.id()).unwrap(), before);
    ada.leave_festival(festival.id()).unwrap();
    assert_eq!(Health::of(&ada, festival.id()).unwrap(), Health::default());
    ada.join(&festival).unwrap();
    assert!(Health::of(&ada, festival.id()).unwrap().peers.is_empty());
}

#[test]
fn a_crowd_of_peers_that_come_once_drives_out_none_that_comes_again() {
    let (nodes, festival, wall) = nodes::<2>();
    meet(&nodes, 0, 1);
    wall.set(1);
    meet(&nodes, 0, 1);
    for number in 0..MAX_HEALTH_PEERS as u64 + 20 {
        let (left, right) = wire(0, 1000 + number);
        let (one, other) = block_on(join(nodes[0].sync(left), nodes[1].accept(right)));
        one.unwrap();
        other.unwrap();
    }
    let health = nodes[0].health(festival).unwrap();
    assert_eq!(health.peers.len(), MAX_HEALTH_PEERS);
    assert!(health.peers.iter().any(|known| known.peer == peer(1)));
    // What the forgotten ones held is forgotten with them.
    assert_eq!(health.documents[0].holders.len(), MAX_HEALTH_PEERS);
}

#[test]
fn several_documents_are_told_apart() {
    let (nodes, festival, _) = nodes::<2>();
    let about = Profile { name: "Ada".into(), ..Profile::default() };
    nodes[0]
        .with(|replica| {
            replica.edit(festival, minutes(0), &mut rng(3), |edit| {
                edit.label("import 1").create(&about)
            })
        })
        .unwrap();
    meet(&nodes, 0, 1);
    write(&nodes[0], festival, "Fire show");
    let mut health = nodes[0].health(festival).unwrap();
    health.documents.sort_by_key(|document| document.label.clone());
    let figures = |at: usize| {
        let document = &health.documents[at];
        (&*document.label, document.entries, document.unreplicated, document.holders.len())
    };
    assert_eq!([figures(0), figures(1)], [("", 2, 1, 0), ("import 1", 1, 0, 1)]);
    assert_eq!((health.share_held_by(1), health.unfollowed), (Some(50), 0));
}
