//! Nodes in virtual time, with everything that goes over their links written down.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    io,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures::{
    FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _, executor::LocalPool,
    future::BoxFuture, task::LocalSpawnExt as _,
};
use p2panda_sync::{Clock, MemoryTransport, Node, Role, Transport, memory};

use super::PUSH;

#[derive(Default)]
struct Inner {
    now: Duration,
    next: usize,
    sleeping: BTreeMap<(Duration, usize), (usize, Waker)>,
    /// When timers have woken a node.
    woken: BTreeMap<usize, BTreeSet<Duration>>,
}

/// The time of all nodes, which passes only when it is told to.
#[derive(Clone, Default)]
pub struct Time(Arc<Mutex<Inner>>);

impl Time {
    pub fn now(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    /// The clock of a node.
    pub fn clock(&self, node: usize) -> impl Clock + 'static {
        NodeClock { time: self.clone(), node }
    }

    /// Lets so much time pass, with everything that comes to its end meanwhile.
    pub fn pass(&self, pool: &mut LocalPool, time: Duration) {
        let end = self.now() + time;
        loop {
            pool.run_until_stalled();
            let mut inner = self.0.lock().unwrap();
            let next = inner.sleeping.first_entry().filter(|next| next.key().0 <= end);
            let Some(((at, _), (node, waker))) = next.map(|next| next.remove_entry()) else {
                inner.now = end;
                return;
            };
            inner.now = at.max(inner.now);
            inner.woken.entry(node).or_default().insert(at);
            drop(inner);
            waker.wake();
        }
    }

    /// How often timers have woken a node since a moment; all at one time count once.
    pub fn wake_ups(&self, node: usize, since: Duration) -> usize {
        let inner = self.0.lock().unwrap();
        inner.woken.get(&node).map_or(0, |times| times.range(since..).count())
    }
}

struct NodeClock {
    time: Time,
    node: usize,
}

impl Clock for NodeClock {
    fn now(&self) -> Duration {
        self.time.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut inner = self.time.0.lock().unwrap();
        inner.next += 1;
        let key = (inner.now + duration, inner.next);
        Box::pin(Sleep { time: self.time.clone(), node: self.node, key })
    }
}

struct Sleep {
    time: Time,
    node: usize,
    key: (Duration, usize),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.time.0.lock().unwrap();
        if inner.now >= self.key.0 {
            return Poll::Ready(());
        }
        inner.sleeping.insert(self.key, (self.node, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.time.0.lock().unwrap().sleeping.remove(&self.key);
    }
}

/// A frame that arrived: from which node at which.
pub type Frame = (usize, usize, Bytes);

/// Nodes and the links between them.
pub struct Net {
    pub time: Time,
    pub pool: LocalPool,
    pub nodes: Vec<Node>,
    frames: Rc<RefCell<Vec<Frame>>>,
    /// Links over which nothing arrives any more, without an end noticing.
    dead: Rc<RefCell<BTreeSet<(usize, usize)>>>,
    /// The next `PUSH` to this node is lost, and what follows it over that link.
    losing: Rc<Cell<Option<usize>>>,
}

impl Net {
    pub fn new(count: usize, node: impl Fn(usize, &Time) -> Node) -> Self {
        let time = Time::default();
        let nodes = (0..count).map(|n| node(n, &time)).collect();
        let (frames, dead, losing) = Default::default();
        Self { time, pool: LocalPool::new(), nodes, frames, dead, losing }
    }

    /// A live link, made by the first.
    pub fn link(&self, from: usize, to: usize) {
        let (here, there) = memory(64);
        for (transport, role, other, own) in
            [(here, Role::Link, to, from), (there, Role::Accept, from, to)]
        {
            let heard = (Rc::clone(&self.frames), Rc::clone(&self.dead), Rc::clone(&self.losing));
            let transport = Overheard { transport, ends: (other, own), heard };
            let running = self.nodes[own].run(transport, role, |_| ()).map(drop);
            self.pool.spawner().spawn_local(running).unwrap();
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.time.pass(&mut self.pool, time);
    }

    /// From here on nothing arrives from the one at the other.
    pub fn lose(&self, from: usize, to: usize) {
        self.dead.borrow_mut().insert((from, to));
    }

    /// The next `PUSH` to this node is lost, and what follows it over that link.
    pub fn lose_next_push_to(&self, node: usize) {
        self.losing.set(Some(node));
    }

    /// What arrived since this was asked last.
    pub fn arrived(&self) -> Vec<Frame> {
        std::mem::take(&mut *self.frames.borrow_mut())
    }
}

type Heard =
    (Rc<RefCell<Vec<Frame>>>, Rc<RefCell<BTreeSet<(usize, usize)>>>, Rc<Cell<Option<usize>>>);

/// One end of a link, with what arrives there.
struct Overheard {
    transport: MemoryTransport,
    ends: (usize, usize),
    heard: Heard,
}

impl Transport for Overheard {}

impl Stream for Overheard {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Poll::Ready(frame) = self.transport.poll_next_unpin(cx) {
            let (ends, (frames, dead, losing)) = (self.ends, &self.heard);
            let is_push = matches!(&frame, Some(Ok(frame)) if frame[0] == PUSH);
            if is_push && !dead.borrow().contains(&ends) && losing.get() == Some(ends.1) {
                losing.set(None);
                dead.borrow_mut().insert(ends);
            }
            if frame.is_some() && dead.borrow().contains(&ends) {
                continue;
            }
            if let Some(Ok(frame)) = &frame {
                frames.borrow_mut().push((ends.0, ends.1, frame.clone()));
            }
            return Poll::Ready(frame);
        }
        Poll::Pending
    }
}

impl Sink<Bytes> for Overheard {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_ready_unpin(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> io::Result<()> {
        self.transport.start_send_unpin(frame)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_flush_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_close_unpin(cx)
    }
}

/// How many frames are of a type.
pub fn count(frames: &[Frame], kind: u8) -> usize {
    frames.iter().filter(|(_, _, frame)| frame[0] == kind).count()
}

/// Their bytes, each with the four of its length.
pub fn bytes(frames: &[Frame]) -> usize {
    frames.iter().map(|(_, _, frame)| frame.len() + 4).sum()
}
