//! Nodes that know each other, and a clock that a test moves.

use std::{
    sync::{Arc, Mutex},
    task::{Poll, Waker},
    time::Duration,
};

use futures::{
    executor::block_on,
    future::{BoxFuture, join, poll_fn},
};
use p2panda_core::Replica;
use p2panda_sync::{Clock, KnownAs, MemoryTransport, Node, PeerId, Stats, SyncError, memory};

use super::rng;

/// A clock that stands still until it is moved; what sleeps wakes then.
#[derive(Clone, Default)]
pub struct Moved(Arc<Mutex<(Duration, Vec<Waker>)>>);

impl Moved {
    pub fn by(&self, time: Duration) {
        let mut shown = self.0.lock().unwrap();
        shown.0 += time;
        shown.1.drain(..).for_each(Waker::wake);
    }
}

impl Clock for Moved {
    fn now(&self) -> Duration {
        self.0.lock().unwrap().0
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let (this, until) = (self.clone(), self.now() + duration);
        Box::pin(poll_fn(move |cx| {
            let mut shown = this.0.lock().unwrap();
            if shown.0 >= until {
                return Poll::Ready(());
            }
            shown.1.push(cx.waker().clone());
            Poll::Pending
        }))
    }
}

/// A node that others know by its name.
pub struct Named {
    pub node: Node,
    pub name: PeerId,
}

impl Named {
    pub fn new(replica: Replica, clock: &Moved, seed: u64) -> Self {
        let node = Node::new(replica, clock.clone(), rng(seed));
        Self { node, name: PeerId::new(&seed.to_be_bytes()) }
    }
}

/// Both ends of a link between two that know each other.
pub fn link(a: &Named, b: &Named) -> (KnownAs<MemoryTransport>, KnownAs<MemoryTransport>) {
    let (here, there) = memory(8);
    (KnownAs::new(b.name, here), KnownAs::new(a.name, there))
}

/// The first opens, and both exchange everything.
pub fn try_meet(a: &Named, b: &Named) -> (Result<Stats, SyncError>, Result<Stats, SyncError>) {
    let (here, there) = link(a, b);
    block_on(join(a.node.sync(here), b.node.accept(there)))
}

pub fn meet(a: &Named, b: &Named) -> (Stats, Stats) {
    let (opener, acceptor) = try_meet(a, b);
    (opener.unwrap(), acceptor.unwrap())
}
