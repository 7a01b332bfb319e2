//! What is noted of peers, in a replica's notes of a festival:
//!
//! | key | note |
//! |---|---|
//! | `p`, peer | when it was met, when it brought something, how much, how often |
//! | `d`, peer, document | how many entries it holds, and a hash of all of them where it has all |
//! | `r`, log | how many entries of an own log any peer is known to hold |

use std::collections::BTreeSet;

use p2panda_core::{
    DocumentId, FestivalId, LogId, NoteError, Replica, Tip, codec, schema::Instant,
    store::StoreError,
};

use super::PeerHealth;
use crate::{
    peers::PeerId,
    session::{Acknowledged, Session},
};

/// The most peers of a festival that are remembered.
pub const MAX_HEALTH_PEERS: usize = 1024;

/// The most own documents of a festival that are followed.
pub(super) const MAX_OWN: usize = 256;

/// The most documents of a festival, by anybody, that are followed.
pub(super) const MAX_SAMPLE: usize = 64;

/// How much later a contact has to be to be worth a write of its own, in milliseconds.
const CONTACT: i64 = 10_000;

pub(super) const PEER: &[u8] = b"p";
pub(super) const HOLDER: &[u8] = b"d";
const REPLICATED: &[u8] = b"r";

/// What all logs of a document hash to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct State([u8; 16]);

impl State {
    pub(super) fn of(logs: &[(LogId, Tip)]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("p2panda 1 health document");
        for (log, tip) in logs {
            hasher.update(&log.to_bytes()).update(&tip.length.to_be_bytes());
            hasher.update(tip.chain.as_bytes());
        }
        let mut state = [0; 16];
        hasher.finalize_xof().fill(&mut state);
        Self(state)
    }
}

/// What a peer holds of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) entries: u64,
    /// Where it holds all: of what, and since when.
    all: Option<(State, Option<i64>)>,
}

impl Held {
    pub(super) fn read(note: &[u8]) -> Option<Self> {
        type Note = (u64, Option<(serde_bytes::ByteArray<16>, Option<i64>)>);
        let (entries, all) = codec::decode::<Note>(note, note.len()).ok()?;
        let all = all.map(|(state, since)| (State(state.into_array()), since));
        Some(Self { entries, all })
    }

    fn to_note(self) -> Vec<u8> {
        let all = self.all.map(|(state, since)| (serde_bytes::ByteArray::new(state.0), since));
        codec::encode(&(self.entries, all))
    }

    /// Whether it holds all of a document in this state.
    pub(super) fn has(&self, state: State) -> bool {
        self.all.is_some_and(|(held, _)| held == state)
    }

    pub(super) fn since(&self) -> Option<Instant> {
        self.all?.1.map(Instant::from_millis)
    }
}

/// What is known of a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    last_contact: Option<i64>,
    last_news: Option<i64>,
    brought: u64,
    meetings: u64,
}

impl Met {
    pub(super) fn read(note: &[u8]) -> Option<Self> {
        let (last_contact, last_news, brought, meetings) = codec::decode(note, note.len()).ok()?;
        Some(Self { last_contact, last_news, brought, meetings })
    }

    fn to_note(self) -> Vec<u8> {
        codec::encode(&(self.last_contact, self.last_news, self.brought, self.meetings))
    }

    pub(super) fn health(self, peer: PeerId, behind: u64) -> PeerHealth {
        PeerHealth {
            peer,
            last_contact: self.last_contact.map(Instant::from_millis),
            last_news: self.last_news.map(Instant::from_millis),
            brought: self.brought,
            meetings: self.meetings,
            behind,
        }
    }
}

/// A peer and 32 bytes more, of a key.
pub(super) fn read(key: &[u8]) -> Option<(PeerId, [u8; 32])> {
    let (peer, rest) = key.split_first_chunk::<32>()?;
    Some((PeerId::from_bytes(*peer), rest.try_into().ok()?))
}

/// How many entries of a log any peer is known to hold.
pub(super) fn replicated(
    replica: &Replica,
    festival: FestivalId,
    log: &LogId,
) -> Result<u64, StoreError> {
    let note = replica.noted(festival, &[REPLICATED, &log.to_bytes()].concat())?;
    Ok(note.and_then(|note| codec::decode(&note, note.len()).ok()).unwrap_or(0))
}

impl Session {
    /// Notes, in the replica, what the peer is known to hold: for who drives a session by hand, to
    /// be called at each [`CaughtUp`](crate::SyncEvent::CaughtUp) and when it wants nothing more for
    /// now. Whether
    /// [`Health`](super::Health) says anything else now.
    ///
    /// `now` is the time of the wall clock, where there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn note_health(
        &mut self,
        peer: Option<PeerId>,
        now: Option<Instant>,
        replica: &mut Replica,
    ) -> Result<bool, StoreError> {
        let Some(acknowledged) = self.take_acknowledged(replica) else { return Ok(false) };
        let now = now.map(Instant::millis);
        let mut noted = false;
        for festival in acknowledged.festivals.iter().copied() {
            if replica.festival(festival)?.is_none() {
                continue; // left since the session began
            }
            let mut notes = Notes { festival, peer, now, replica };
            if let Some(peer) = peer {
                noted |= notes.meet(peer, &acknowledged)?;
            }
            for document in notes.documents(acknowledged.logs.as_ref())? {
                noted |= notes.document(document, self, &acknowledged.changed)?;
            }
        }
        Ok(noted)
    }
}

/// A peer is in touch still: nothing else is new.
pub(crate) fn contact(
    festivals: &[FestivalId],
    peer: Option<PeerId>,
    now: Option<Instant>,
    replica: &mut Replica,
) -> Result<bool, StoreError> {
    let (Some(peer), Some(now)) = (peer, now) else { return Ok(false) };
    let mut noted = false;
    for festival in festivals.iter().copied() {
        let mut notes = Notes { festival, peer: Some(peer), now: Some(now.millis()), replica };
        if let Some(met) = notes.met(peer)? {
            let later = Met { last_contact: Some(now.millis()), ..met };
            noted |= notes.put(&[PEER, peer.as_bytes()].concat(), &later.to_note())?;
        }
    }
    Ok(noted)
}

/// The notes of one festival, and what is noted now.
struct Notes<'a> {
    festival: FestivalId,
    peer: Option<PeerId>,
    now: Option<i64>,
    replica: &'a mut Replica,
}

impl Notes<'_> {
    fn met(&self, peer: PeerId) -> Result<Option<Met>, StoreError> {
        let note = self.replica.noted(self.festival, &[PEER, peer.as_bytes()].concat())?;
        Ok(note.and_then(|note| Met::read(&note)))
    }

    fn meet(&mut self, peer: PeerId, acknowledged: &Acknowledged) -> Result<bool, StoreError> {
        let old = self.met(peer)?;
        if old.is_none() {
            self.make_room()?;
        }
        let old = old.unwrap_or_default();
        let mut new = old;
        if let Some(news) = acknowledged.news.get(&self.festival) {
            new.brought = new.brought.saturating_add(*news);
            new.last_news = self.now.or(new.last_news);
        }
        new.meetings += u64::from(acknowledged.first);
        let later = self.now > old.last_contact.map(|last| last.saturating_add(CONTACT));
        if new == old && !later {
            return Ok(false);
        }
        new.last_contact = self.now.or(old.last_contact);
        self.put(&[PEER, peer.as_bytes()].concat(), &new.to_note())
    }

    /// Forgets a peer where there are too many: one that was met least often. So a crowd of peers
    /// that each come once drives out nobody else.
    fn make_room(&mut self) -> Result<(), StoreError> {
        let peers = self.replica.notes(self.festival, PEER)?;
        if peers.len() < MAX_HEALTH_PEERS {
            return Ok(());
        }
        let rank = |note: &[u8]| Met::read(note).map(|met| (met.meetings, met.last_contact));
        let Some((peer, _)) = peers.iter().min_by_key(|(_, note)| rank(note)) else {
            return Ok(());
        };
        let holds = [HOLDER, peer].concat();
        for (document, _) in self.replica.notes(self.festival, &holds)? {
            self.remove(&[&holds[..], &document].concat())?;
        }
        self.remove(&[PEER, peer].concat())
    }

    /// The followed documents, or those of them that some logs are of.
    fn documents(
        &self,
        logs: Option<&BTreeSet<LogId>>,
    ) -> Result<BTreeSet<DocumentId>, StoreError> {
        let own = self.replica.own_documents(self.festival)?;
        let mut documents: BTreeSet<_> = own.into_iter().take(MAX_OWN).collect();
        match logs {
            // Of a peer that is not known nothing is noted but what it says of our own.
            None if self.peer.is_none() => {}
            None => documents.extend(self.replica.first_documents(self.festival, MAX_SAMPLE)?),
            Some(logs) => {
                let moved: BTreeSet<_> = logs.iter().map(|log| log.document).collect();
                documents.retain(|document| moved.contains(document));
                for document in moved {
                    // Of the others those that were compared are followed.
                    if let Some(key) = self.holder_key(document)
                        && self.replica.noted(self.festival, &key)?.is_some()
                    {
                        documents.insert(document);
                    }
                }
            }
        }
        Ok(documents)
    }

    fn holder_key(&self, document: DocumentId) -> Option<Vec<u8>> {
        Some([HOLDER, self.peer?.as_bytes(), document.as_bytes()].concat())
    }

    fn document(
        &mut self,
        document: DocumentId,
        session: &Session,
        changed: &BTreeSet<LogId>,
    ) -> Result<bool, StoreError> {
        let descriptor = self.replica.descriptor(&document)?;
        let is_own = descriptor.is_some_and(|descriptor| descriptor.user == self.replica.user());
        let logs = self.replica.tips_of(self.festival, &document)?;
        let (mut entries, mut has_all, mut noted) = (0, true, false);
        for (log, tip) in &logs {
            let known = session.peer_holds(self.festival, log);
            // Of a log that was compared and has grown since, the peer holds less than we do.
            let known = known.filter(|length| *length < u64::MAX || !changed.contains(log));
            let held = known.unwrap_or(0).min(tip.length);
            has_all &= held == tip.length;
            entries += held;
            if is_own && held > replicated(self.replica, self.festival, log)? {
                let key = [REPLICATED, &log.to_bytes()].concat();
                noted |= self.put(&key, &codec::encode(&held))?;
            }
        }
        let Some(key) = self.holder_key(document) else { return Ok(noted) };
        let old = self.replica.noted(self.festival, &key)?.and_then(|note| Held::read(&note));
        let state = State::of(&logs);
        let since = match old {
            Some(Held { all: Some((held, since)), .. }) if held == state => since,
            _ => self.now,
        };
        let new = Held { entries, all: has_all.then_some((state, since)) };
        if old == Some(new) || (old.is_none() && entries == 0) {
            return Ok(noted);
        }
        self.put(&key, &new.to_note())
    }

    fn put(&mut self, key: &[u8], note: &[u8]) -> Result<bool, StoreError> {
        self.write(key, Some(note)).map(|()| true)
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.write(key, None)
    }

    fn write(&mut self, key: &[u8], note: Option<&[u8]>) -> Result<(), StoreError> {
        match self.replica.note(self.festival, key, note) {
            Err(NoteError::Store(error)) => Err(error),
            // Bounded above, and followed as of just now.
            Err(NoteError::TooLong { .. } | NoteError::UnknownFestival(_)) | Ok(()) => Ok(()),
        }
    }
}
