//! How well what a user wrote is kept by others.

mod record;

use std::collections::BTreeMap;

use p2panda_core::{
    DocumentId, FestivalId, LogId, Replica, Tip, schema::Instant, store::StoreError,
};

pub use self::record::MAX_HEALTH_PEERS;
pub(crate) use self::record::contact;
use self::record::{HOLDER, Held, MAX_OWN, MAX_SAMPLE, Met, PEER, State, read, replicated};
use crate::{node::Node, peers::PeerId};

/// Who holds what this user wrote in a festival, as far as this device was told: as data, to be
/// asked for again after each wake-up of [`Node::health_changes`].
///
/// A peer is known to hold what it acknowledged as durable, or what was compared and found equal,
/// when an exchange with it last came to its end. What was merely sent does not count. A peer can
/// lie about what it holds, and one peer with many link keys counts as many; nobody can lie about
/// anybody else. Peers whose transport does not tell who they are can be told apart from nobody:
/// what they hold counts as replicated, and they are not counted as holders.
///
/// It is kept with the replica, up to [`MAX_HEALTH_PEERS`] peers a festival: of more, those go first that
/// were met least often. Of a user's own documents the first 256 by id are followed.
///
/// ```
/// use futures::{executor::block_on, future::try_join};
/// # use p2panda_core::{Identity, Replica, schema::{FestivalInfo, Instant}, store::{MemoryStore, NoResume}};
/// # use p2panda_sync::{Health, KnownAs, Node, PeerId, StoppedClock, memory};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
/// # let mut rng = ChaCha20Rng::seed_from_u64(7);
/// # let open = |identity| Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume));
/// # let mut ada = open(Identity::generate(&mut rng))?;
/// # let mut bob = open(Identity::generate(&mut rng))?;
/// # let festival = ada.create_festival(&FestivalInfo::default(), Instant::from_millis(0), &mut rng)?;
/// # bob.join(&festival)?;
/// # let (ada, bob) = (Node::new(ada, StoppedClock, rng.clone()), Node::new(bob, StoppedClock, rng));
/// assert_eq!(ada.health(festival.id())?.unreplicated(), 1);
///
/// let (here, there) = memory(4);
/// let here = KnownAs::new(PeerId::new(b"bob"), here); // an encrypted link knows it by itself
/// block_on(try_join(ada.sync(here), bob.accept(there)))?;
///
/// let health = ada.health(festival.id())?;
/// assert_eq!((health.unreplicated(), health.least_holders()), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The user's documents that have entries, by id.
    pub documents: Vec<DocumentHealth>,
    /// The user's documents that are not followed, because there are too many.
    pub unfollowed: usize,
    /// The peers with which an exchange came to its end, those met last first.
    pub peers: Vec<PeerHealth>,
    /// For documents of the festival by anybody: how many peers are known to hold the newest head
    /// that is known here. Of large festivals it is those of 64 documents, as good as drawn by lot.
    pub sample: Vec<usize>,
}

/// Who holds a document of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentHealth {
    /// The document.
    pub document: DocumentId,
    /// Its label; empty for everyone's first.
    pub label: String,
    /// How many changes it has.
    pub entries: u64,
    /// Those of them that no other peer is known to hold.
    pub unreplicated: u64,
    /// The peers that are known to hold all of it, those that have held it for longest first.
    pub holders: Vec<Holder>,
}

/// A peer that holds all of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The peer.
    pub peer: PeerId,
    /// Since when that is known; `None` where no clock told the time.
    pub since: Option<Instant>,
}

/// A peer, as it was known when an exchange with it last came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerHealth {
    /// The peer.
    pub peer: PeerId,
    /// When it was last in touch; `None` where no clock told the time.
    pub last_contact: Option<Instant>,
    /// When it last brought something that was new here.
    pub last_news: Option<Instant>,
    /// How many changes it has brought that were new here.
    pub brought: u64,
    /// How many exchanges with it came to their end.
    pub meetings: u64,
    /// How many of this user's changes it is not known to hold.
    pub behind: u64,
}

impl Health {
    /// Of a festival, as a replica has noted it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(replica: &Replica, festival: FestivalId) -> Result<Self, StoreError> {
        let mut holders: BTreeMap<DocumentId, Vec<(PeerId, Held)>> = BTreeMap::new();
        for (key, note) in replica.notes(festival, HOLDER)? {
            if let (Some((peer, document)), Some(held)) = (read(&key), Held::read(&note)) {
                holders.entry(DocumentId::from_bytes(document)).or_default().push((peer, held));
            }
        }
        let own = replica.own_documents(festival)?;
        let mut health = Self { unfollowed: own.len().saturating_sub(MAX_OWN), ..Self::default() };
        let mut known: BTreeMap<PeerId, u64> = BTreeMap::new();
        for document in own.into_iter().take(MAX_OWN) {
            let logs = replica.tips_of(festival, &document)?;
            let holders = holders.get(&document).map_or(&[][..], Vec::as_slice);
            for (peer, held) in holders {
                let entries: u64 = entries(&logs);
                *known.entry(*peer).or_default() += held.entries.min(entries);
            }
            if !logs.is_empty() {
                health.documents.push(of_document(replica, festival, document, &logs, holders)?);
            }
        }
        for document in replica.first_documents(festival, MAX_SAMPLE)? {
            let state = State::of(&replica.tips_of(festival, &document)?);
            let holders = holders.get(&document).map_or(&[][..], Vec::as_slice);
            health.sample.push(holders.iter().filter(|(_, held)| held.has(state)).count());
        }
        let all: u64 = health.documents.iter().map(|document| document.entries).sum();
        for (key, note) in replica.notes(festival, PEER)? {
            let (Ok(peer), Some(met)) = (<[u8; 32]>::try_from(key), Met::read(&note)) else {
                continue;
            };
            let peer = PeerId::from_bytes(peer);
            let behind = all.saturating_sub(known.get(&peer).copied().unwrap_or_default());
            health.peers.push(met.health(peer, behind));
        }
        health.peers.sort_by_key(|peer| std::cmp::Reverse(peer.last_contact));
        Ok(health)
    }

    /// This user's changes that no other peer is known to hold.
    #[must_use]
    pub fn unreplicated(&self) -> u64 {
        self.documents.iter().map(|document| document.unreplicated).sum()
    }

    /// So many peers at least hold all of each of this user's documents; 0 where there are none.
    #[must_use]
    pub fn least_holders(&self) -> usize {
        self.documents.iter().map(|document| document.holders.len()).min().unwrap_or(0)
    }

    /// Since when at least so many peers hold all of each of this user's documents, as they are
    /// now; `None` where they do not, or no clock told the time.
    #[must_use]
    pub fn since(&self, holders: usize) -> Option<Instant> {
        let last = holders.checked_sub(1)?;
        let since = |document: &DocumentHealth| document.holders.get(last)?.since;
        let all: Option<Vec<Instant>> = self.documents.iter().map(since).collect();
        all?.into_iter().max()
    }

    /// The share of the festival's documents, by whomever, whose newest head that is known here is
    /// held by at least so many other peers, in percent; `None` where there are no documents.
    #[must_use]
    pub fn share_held_by(&self, holders: usize) -> Option<usize> {
        let held = self.sample.iter().filter(|count| **count >= holders).count();
        (held * 100).checked_div(self.sample.len())
    }
}

fn of_document(
    replica: &Replica,
    festival: FestivalId,
    document: DocumentId,
    logs: &[(LogId, Tip)],
    holders: &[(PeerId, Held)],
) -> Result<DocumentHealth, StoreError> {
    let state = State::of(logs);
    let holders = holders.iter().filter(|(_, held)| held.has(state));
    let mut holders: Vec<Holder> =
        holders.map(|(peer, held)| Holder { peer: *peer, since: held.since() }).collect();
    holders.sort_by_key(|holder| holder.since);
    let mut unreplicated = 0;
    for (log, tip) in logs {
        unreplicated += tip.length.saturating_sub(replicated(replica, festival, log)?);
    }
    let label = replica.descriptor(&document)?.map(|descriptor| descriptor.label);
    let label = label.unwrap_or_default();
    Ok(DocumentHealth { document, label, entries: entries(logs), unreplicated, holders })
}

fn entries(logs: &[(LogId, Tip)]) -> u64 {
    logs.iter().map(|(_, tip)| tip.length).sum()
}

impl Node {
    /// Who holds what this user wrote in a festival. Ask again after each wake-up of
    /// [`health_changes`](Self::health_changes).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn health(&self, festival: FestivalId) -> Result<Health, StoreError> {
        Health::of(&self.lock().replica, festival)
    }
}
