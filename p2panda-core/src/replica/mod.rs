//! One device's copy: its store, its identity, its documents and their views.

mod accept;
mod aside;
#[cfg(feature = "blobs")]
mod blobs;
mod blocked;
mod decisions;
mod difference;
mod edit;
mod entries;
mod export;
mod forks;
mod kept;
mod logs;
mod materialise;
mod nested;
mod notes;
mod open;
mod rebuild;
mod recover;
mod reissue;
mod remake;
mod removal;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

pub use accept::{AcceptError, Accepted};
use aside::Aside;
pub use blocked::BlockedLog;
use decisions::Decisions;
pub use edit::{Edit, EditError};
pub use entries::{LogChange, LogEntry};
pub use forks::{CutBranch, Fork, ForkOutcome, MAX_KEPT_FORKS};
pub use kept::MAX_KEPT;
pub use nested::MAX_FOLLOWED_LINKS;
pub use notes::{MAX_NOTE, MAX_NOTE_KEY, NoteError};
pub use open::OpenError;
pub use removal::RemoveError;
pub use subscription::{MAX_DOCUMENTS, Subscription};

use crate::{
    codec,
    document::{Document, Refusal},
    festival::Festival,
    id::{DocumentId, FestivalId, Incarnation, LogId, UserId},
    identity::Identity,
    link::{ChannelBinding, LinkEnd, LinkProof},
    log::{Chain, DocumentDescriptor, Tip},
    schema::{FestivalInfo, Instant},
    store::{Batch, Entry, ResumeTokens, Store, StoreError, Table, prefix_end},
    view::View,
};

const INCARNATION_KEY: &[u8] = b"incarnation";

/// The most documents kept in memory at once, and the most bytes that they take, by estimate. The
/// one that was used last stays, however large.
const CACHED_DOCUMENTS: usize = 512;
const CACHED_BYTES: usize = 16 << 20;

/// How many entries of a table are read at once.
const PAGE: usize = 256;

/// How many changed logs are remembered for followers; who falls further behind looks at all.
const RECENT_LOGS: usize = 4096;

/// One device's copy of the festivals that it follows.
///
/// Synchronous: time and randomness are arguments, and nothing happens between calls. After an
/// error of the store, drop it and open it again: what was durable is there.
pub struct Replica {
    store: Box<dyn Store>,
    identity: Identity,
    resume: Box<dyn ResumeTokens>,
    /// Drawn at the first write where the last one could not be gone on with.
    incarnation: Option<Incarnation>,
    /// The token with which this replica was opened, as long as nothing has been written.
    unused_token: Option<[u8; 16]>,
    decisions: Decisions,
    documents: HashMap<DocumentId, Cached>,
    uses: u64,
    aside: Aside,
    subscriptions: BTreeMap<FestivalId, Subscription>,
    /// Tips as of the last flush, of the logs that have grown since; `None` where there was none.
    unflushed: BTreeMap<LogId, (FestivalId, Option<Tip>)>,
    /// Those of them that were cut then.
    were_cut: BTreeSet<LogId>,
    dirty: bool,
    /// Whether notes were written since the last flush: they wait for one, and ask for none.
    noted: bool,
    recent: VecDeque<LogChange>,
    recent_end: u64,
    #[cfg(feature = "blobs")]
    blobs: Option<crate::blob::BlobStore>,
}

struct Cached {
    document: Document,
    last_use: u64,
    /// By estimate.
    bytes: usize,
}

/// Why a log's materialisation stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stopped {
    /// The next entry depends on one that has not arrived.
    Waiting,
    /// The next entry can never become part of its document.
    Refused(Refusal),
    /// This build could not judge the next entry, which made it panic or killed the process: a bug
    /// to report. The next build tries it again.
    Failed,
}

/// What is stored of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogState {
    length: u64,
    chain: Chain,
    /// How many entries are part of the document.
    materialised: u64,
    stopped: Option<Stopped>,
    /// Whether its author signed two chains that part here: nothing behind it counts.
    is_cut: bool,
}

impl LogState {
    const fn tip(&self) -> Tip {
        Tip { length: self.length, chain: self.chain }
    }

    const fn empty(log_start: Tip) -> Self {
        let Tip { length, chain } = log_start;
        Self { length, chain, materialised: 0, stopped: None, is_cut: false }
    }
}

impl Replica {
    /// The user who writes here.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.identity.user()
    }

    /// Proves that this user is at this end of an encrypted link, our own: only to a peer that has
    /// proved to know a festival in common.
    #[must_use]
    pub fn link_proof(&self, link: &ChannelBinding, end: LinkEnd) -> LinkProof {
        LinkProof::sign(&self.identity, link, end)
    }

    /// Founds a festival and says what it is.
    ///
    /// # Errors
    /// [`EditError`] where the information is too large or the store failed.
    pub fn create_festival(
        &mut self,
        info: &FestivalInfo,
        now: Instant,
        rng: &mut impl CryptoRng,
    ) -> Result<Festival, EditError> {
        let festival = Festival::found(&self.identity, rng);
        self.join(&festival)?;
        self.allow_decisions_in(festival.id())?; // there has been nothing to promise elsewhere
        self.edit(festival.id(), now, rng, |edit| edit.put(&info_id(), info))?;
        Ok(festival)
    }

    /// Follows a festival from now on.
    ///
    /// # Errors
    /// [`StoreError`] where it could not be stored.
    pub fn join(&mut self, festival: &Festival) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(Table::Festivals, *festival.id().as_bytes(), festival.to_bytes());
        Self::forget_left(festival.id(), &mut batch);
        self.store.commit(batch)?;
        self.store.flush()
    }

    /// The festivals that this replica follows, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn festivals(&self) -> Result<Vec<Festival>, StoreError> {
        let entries = self.store.range(Table::Festivals, &[], None, usize::MAX)?;
        entries.iter().map(|(_, bytes)| read_festival(bytes)).collect()
    }

    /// A festival that this replica follows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn festival(&self, id: FestivalId) -> Result<Option<Festival>, StoreError> {
        let bytes = self.store.get(Table::Festivals, id.as_bytes())?;
        bytes.map(|bytes| read_festival(&bytes)).transpose()
    }

    /// The read model of a festival.
    #[must_use]
    pub fn view(&self, festival: FestivalId) -> View<'_> {
        View::new(&*self.store, festival)
    }

    /// Makes everything so far durable.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn flush(&mut self) -> Result<(), StoreError> {
        #[cfg(feature = "blobs")]
        self.flush_blobs()?;
        if !self.dirty {
            return Ok(());
        }
        self.store.flush()?;
        self.dirty = false;
        self.noted = false;
        for (log, (festival, tip)) in std::mem::take(&mut self.unflushed) {
            let before = self.before(&log, tip);
            self.recent.push_back(LogChange { festival, log, before });
            self.recent_end += 1;
        }
        self.were_cut.clear();
        while self.recent.len() > RECENT_LOGS {
            self.recent.pop_front();
        }
        Ok(())
    }

    /// Whether everything so far survives a crash.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        #[cfg(feature = "blobs")]
        if self.blobs.as_ref().is_some_and(|blobs| !blobs.is_durable()) {
            return false;
        }
        !self.dirty
    }

    /// Logs whose materialisation stands still, and why.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn stopped_logs(&self, festival: FestivalId) -> Result<Vec<(LogId, Stopped)>, StoreError> {
        let mut stopped = Vec::new();
        self.for_each_log(festival, |log, state| {
            stopped.extend(state.stopped.map(|why| (log, why)));
        })?;
        Ok(stopped)
    }

    fn for_each_log(
        &self,
        festival: FestivalId,
        mut each: impl FnMut(LogId, LogState),
    ) -> Result<(), StoreError> {
        let prefix = festival.as_bytes();
        for (key, value) in self.scan(Table::Logs, prefix)? {
            each(log_of_key(&key)?, read_state(&value)?);
        }
        Ok(())
    }

    /// Goes through a table, a page at a time: a whole one may not fit into memory.
    fn for_each_entry(
        &self,
        table: Table,
        mut each: impl FnMut(Entry) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut start = Vec::new();
        loop {
            let page = self.store.range(table, &start, None, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            start.clone_from(last);
            start.push(0); // the next key that there can be
            page.into_iter().try_for_each(&mut each)?;
        }
    }

    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        self.store.range(table, prefix, prefix_end(prefix).as_deref(), usize::MAX)
    }

    pub(crate) fn log_state(
        &self,
        festival: FestivalId,
        log: &LogId,
    ) -> Result<Option<LogState>, StoreError> {
        let bytes = self.store.get(Table::Logs, &log_key(festival, log))?;
        bytes.map(|bytes| read_state(&bytes)).transpose()
    }

    /// What a document is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn descriptor(
        &self,
        document: &DocumentId,
    ) -> Result<Option<DocumentDescriptor>, StoreError> {
        let bytes = self.store.get(Table::Documents, document.as_bytes())?;
        bytes.map(|bytes| codec::decode_stored(&bytes).map_err(damaged)).transpose()
    }
}

/// The local id of a festival's own information in its founder's document.
#[must_use]
pub(crate) fn info_id() -> crate::id::LocalId {
    "festival".parse().unwrap_or_else(|_| unreachable!("a valid local id"))
}

pub(crate) fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(error.to_string())
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| damaged("a value has a wrong length"))
}

fn read_festival(bytes: &[u8]) -> Result<Festival, StoreError> {
    Festival::from_store(bytes).map_err(damaged)
}

fn read_state(bytes: &[u8]) -> Result<LogState, StoreError> {
    codec::decode_stored(bytes).map_err(damaged)
}

fn log_key(festival: FestivalId, log: &LogId) -> Vec<u8> {
    [&festival.as_bytes()[..], &log.to_bytes()].concat()
}

fn log_of_key(key: &[u8]) -> Result<LogId, StoreError> {
    let [document, incarnation] = [key.get(32..64), key.get(64..)].map(Option::unwrap_or_default);
    Ok(LogId {
        document: DocumentId::from_bytes(fixed(document)?),
        incarnation: Incarnation::from_bytes(fixed(incarnation)?),
    })
}
