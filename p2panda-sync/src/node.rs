//! A replica that is shared with other peers.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt as _, channel::mpsc, future::BoxFuture};
use p2panda_core::{
    Festival, FestivalId, Replica, Subscription, schema::Instant, store::StoreError,
};
use rand_core::CryptoRng;

use crate::{
    admission::{Admission, Quotas},
    driver::Driver,
    error::SyncError,
    peers::{PeerId, Standing},
    session::{Role, Session, Stats, SyncEvent},
    sketches::Sketches,
    transport::Transport,
};

/// The only thing a node needs of its surroundings: the time since any fixed moment, and a timer.
pub trait Clock: Send + Sync {
    /// The time since a fixed moment; it never goes back.
    fn now(&self) -> Duration;

    /// A future that is ready after so long.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// What the wall clock shows, for people to read: nothing depends on it. `None` where there is
    /// none, and then nothing is dated.
    fn wall(&self) -> Option<Instant> {
        None
    }
}

/// A clock that stands still, for tests and examples: a peer that falls silent is never given up,
/// and what three or more live links of a festival no longer push at once is never told.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(futures::future::pending())
    }
}

/// A replica that is shared with other peers, over any number of links at once. Cloning is cheap,
/// and all clones are the same node.
///
/// Every link is one future, which runs on whatever executor it is spawned on. What arrives over
/// one live link, or is edited here, goes out over the others: over those at once that make a tree
/// of all peers that are linked, and over the rest as word of it, to be asked for where the tree has
/// failed. A link ends by itself when the peer
/// closes, fails or falls silent in the middle of an exchange (after [`PATIENCE`]); dropping its
/// future ends it too, at any moment. What was received stays stored in every case.
///
/// A link exchanges the festivals that both sides followed when it began.
///
/// Where a transport tells [who its peer is](Transport::peer_id), the node remembers how it went: a
/// peer whose sessions led to nothing three times in a row, or that did what no honest peer does, is
/// left alone for a while ([`SyncError::BackOff`]), and what it costs and refuses counts over all of
/// its links.
///
/// [`PATIENCE`]: crate::PATIENCE
#[derive(Clone)]
pub struct Node(Arc<Shared>);

struct Shared {
    held: Mutex<Held>,
    rng: Mutex<Box<dyn CryptoRng + Send>>,
    clock: Box<dyn Clock>,
    watchers: Mutex<Vec<mpsc::Sender<()>>>,
    health_watchers: Mutex<Vec<mpsc::Sender<()>>>,
    #[cfg(feature = "blobs")]
    policy: Mutex<crate::BlobPolicy>,
}

/// A replica, with what its sessions share.
pub(crate) struct Held {
    pub(crate) replica: Replica,
    pub(crate) sketches: Sketches,
}

impl Held {
    /// Another one when other sessions may have something to say.
    pub(crate) fn version(&self) -> (u64, u64) {
        #[cfg(feature = "blobs")]
        let blobs = self.replica.blob_cursor();
        #[cfg(not(feature = "blobs"))]
        let blobs = 0;
        (self.replica.log_cursor(), blobs)
    }
}

impl Node {
    /// Shares a replica. `rng` is for the salts of sessions.
    pub fn new(
        replica: Replica,
        clock: impl Clock + 'static,
        mut rng: impl CryptoRng + Send + 'static,
    ) -> Self {
        let sketches = Sketches::new(&mut rng);
        Self(Arc::new(Shared {
            held: Mutex::new(Held { replica, sketches }),
            rng: Mutex::new(Box::new(rng)),
            clock: Box::new(clock),
            watchers: Mutex::default(),
            health_watchers: Mutex::default(),
            #[cfg(feature = "blobs")]
            policy: Mutex::default(),
        }))
    }

    /// The replica back, to close it; `None` while links, or clones of the node, are alive.
    #[must_use]
    pub fn into_replica(self) -> Option<Replica> {
        let shared = Arc::into_inner(self.0)?;
        let Held { mut replica, mut sketches } = shared.held.into_inner().expect(POISONED);
        if let Err(error) = sketches.keep(shared.clock.now(), &mut replica) {
            // They can be made again.
            tracing::debug!(%error, "sketches are not kept");
        }
        Some(replica)
    }

    /// Reads or edits the replica. What an edit changed is pushed over the live links afterwards.
    ///
    /// No other link runs meanwhile, so what takes long does not belong here; nor does another call
    /// of this node, which would wait for ever.
    pub fn with<T>(&self, act: impl FnOnce(&mut Replica) -> T) -> T {
        let mut held = self.lock();
        let before = held.version();
        let result = act(&mut held.replica);
        let changed = held.version() != before;
        drop(held);
        if changed {
            self.wake();
        }
        result
    }

    /// Whether energy is to be saved, as on a low battery: live links then compare what both sides
    /// hold a sixth as often. What changes is passed on as before.
    ///
    /// Otherwise they do so after five seconds, and each time that nothing was missing after twice
    /// as long, up to ten minutes; all links at once, and only those that the peer has made. That is
    /// all that a node does while there is nothing to say.
    pub fn set_saving(&self, saving: bool) {
        let now = self.now();
        self.lock().sketches.links.set_saving(saving, now);
        self.wake();
    }

    /// A wake-up whenever logs have grown, by edits or from peers. What changed is asked of the
    /// replica, by cursor: however slow the reader, at most one wake-up waits for it.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes::of(&self.0.watchers)
    }

    /// A wake-up whenever what [`health`](Self::health) says may have changed: logs have grown, or
    /// a peer has said what it holds. At most one waits for a slow reader.
    #[must_use]
    pub fn health_changes(&self) -> Changes {
        Changes::of(&self.0.health_watchers)
    }

    /// Exchanges everything with the peer that was connected to, once.
    ///
    /// When it returns, each side holds durably what the other held when it began.
    ///
    /// # Errors
    /// [`SyncError`], which says whose fault it was.
    pub fn sync<T: Transport>(
        &self,
        transport: T,
    ) -> impl Future<Output = Result<Stats, SyncError>> + use<T> {
        self.run(transport, Role::Sync, |_| ())
    }

    /// Exchanges everything with the peer that was connected to, and stays: what either side
    /// learns later is pushed to the other, until one of them closes.
    ///
    /// # Errors
    /// [`SyncError`], which says whose fault it was.
    pub fn link<T: Transport>(
        &self,
        transport: T,
    ) -> impl Future<Output = Result<Stats, SyncError>> + use<T> {
        self.run(transport, Role::Link, |_| ())
    }

    /// Serves a peer that has connected to us, for as long as it wishes.
    ///
    /// # Errors
    /// [`SyncError`], which says whose fault it was.
    pub fn accept<T: Transport>(
        &self,
        transport: T,
    ) -> impl Future<Output = Result<Stats, SyncError>> + use<T> {
        self.run(transport, Role::Accept, |_| ())
    }

    /// Like [`sync`](Self::sync), [`link`](Self::link) or [`accept`](Self::accept), and tells what
    /// happens. `observe` is called between frames and should return soon; it may use the node.
    ///
    /// # Errors
    /// [`SyncError`], which says whose fault it was.
    pub fn run<T: Transport, F: FnMut(SyncEvent)>(
        &self,
        transport: T,
        role: Role,
        observe: F,
    ) -> impl Future<Output = Result<Stats, SyncError>> + use<T, F> {
        let mut session = Session::new(role, self.now(), &mut *self.0.rng.lock().expect(POISONED))
            .with(transport.peer_id());
        #[cfg(feature = "blobs")]
        session.fetch_blobs(self.0.policy.lock().expect(POISONED).clone());
        if let Some(link) = transport.binding() {
            session = session.bound(link);
        }
        Driver::new(self.clone(), session, transport).run(observe)
    }

    /// Follows a festival from now on, and those that it names as a part of it, so deep: what its
    /// founder links to at depth 1, what these link to at 2, and so on. Links that arrive later are
    /// followed when a session has caught up; a session begun after that exchanges what they lead to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn follow(&self, festival: &Festival, depth: u8) -> Result<Vec<FestivalId>, StoreError> {
        self.with(|replica| {
            replica.join(festival)?;
            let subscription = replica.subscription(festival.id());
            replica.subscribe(festival.id(), Subscription { depth, ..subscription })?;
            replica.follow_links()
        })
    }

    /// Limits how fast new users and logs are taken in from now on.
    pub fn set_quotas(&self, quotas: Quotas) {
        self.lock().sketches.set_quotas(quotas);
    }

    /// Asks about every new document from now on; it must not use the node.
    pub fn set_admission(&self, admission: impl Admission + 'static) {
        self.lock().sketches.set_admission(admission);
    }

    /// How a peer stands with us; `None` where it is not known, or not any more.
    #[must_use]
    pub fn standing(&self, peer: &PeerId) -> Option<Standing> {
        self.lock().sketches.peers.standing(peer)
    }

    pub(crate) fn may_meet(&self, peer: Option<&PeerId>) -> Result<(), SyncError> {
        let now = self.now();
        peer.map_or(Ok(()), |peer| self.lock().sketches.peers.may_meet(peer, now))
    }

    pub(crate) fn has_met(
        &self,
        peer: Option<&PeerId>,
        outcome: &Result<(), SyncError>,
        stats: &Stats,
    ) {
        let Some(peer) = peer else { return };
        let (now, progress) = (self.now(), stats.entries_received > 0 || stats.entries_sent > 0);
        let outcome = outcome.as_ref().copied();
        self.lock().sketches.peers.ended(peer, now, outcome, progress);
    }

    /// Which blobs links that begin from now on fetch; at first none. A replica that
    /// [keeps blobs](Replica::keep_blobs) serves them in any case, to peers that know a festival
    /// that refers to them.
    #[cfg(feature = "blobs")]
    pub fn fetch_blobs(&self, policy: crate::BlobPolicy) {
        *self.0.policy.lock().expect(POISONED) = policy;
    }

    /// Keeps the sketches with the replica, now and then.
    pub(crate) fn keep_sketches(&self) {
        let now = self.now();
        let Held { replica, sketches } = &mut *self.lock();
        if let Err(error) = sketches.keep_now_and_then(now, replica) {
            tracing::debug!(%error, "sketches are not kept");
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().expect(POISONED)
    }

    pub(crate) fn now(&self) -> Duration {
        self.0.clock.now()
    }

    pub(crate) fn wall(&self) -> Option<Instant> {
        self.0.clock.wall()
    }

    pub(crate) fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.clock.sleep(duration)
    }

    /// Wakes live links and watchers; forgets those that are gone.
    pub(crate) fn wake(&self) {
        wake(&self.0.watchers);
        self.wake_health();
    }

    /// Wakes those who watch the health.
    pub(crate) fn wake_health(&self) {
        wake(&self.0.health_watchers);
    }
}

fn wake(watchers: &Mutex<Vec<mpsc::Sender<()>>>) {
    // A full channel holds a wake-up already.
    watchers
        .lock()
        .expect(POISONED)
        .retain_mut(|watcher| watcher.try_send(()).map_or_else(|error| error.is_full(), |()| true));
}

const POISONED: &str = "no thread has panicked while it held the node's lock";

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

/// Wake-ups of [`Node::changes`] and [`Node::health_changes`].
#[derive(Debug)]
pub struct Changes(mpsc::Receiver<()>);

impl Changes {
    fn of(watchers: &Mutex<Vec<mpsc::Sender<()>>>) -> Self {
        let (sender, receiver) = mpsc::channel(0);
        watchers.lock().expect(POISONED).push(sender);
        Self(receiver)
    }
}

impl Stream for Changes {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.0.poll_next_unpin(cx)
    }
}
