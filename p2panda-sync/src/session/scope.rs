//! Festivals that one of the two sides keeps in part: what is compared is what both keep.
//!
//! A side that keeps single documents says so, in its `HELLO` or by a `SUBS` right behind the `OPEN`,
//! and names them; the accepting side then begins the comparison again, over the logs of those that
//! both keep:
//!
//! ```text
//! opener                        accepting side
//!        <- HELLO               it keeps a part
//! OPEN, SUBS ->                 what the opener keeps
//!        <- SUBS, RESALT        what the accepting side keeps, and sketches of what both do
//! ```
//!
//! Sketches are additive, so these are made of the logs of at most 1,024 documents, whatever else
//! there is. What a side that keeps a part writes by itself it pushes all the same, and from then on
//! that belongs to it.

use std::collections::{BTreeMap, BTreeSet};

use p2panda_core::{DocumentId, FestivalId, LogId, MAX_DOCUMENTS};
use serde_bytes::ByteBuf;

use super::{
    Context, budget,
    common::{Common, State},
    exchange::Exchange,
};
use crate::{
    error::{PeerFault, SyncError},
    sketch::{Entry, Fingerprint, Keys, LogSum, Salt, Sketch},
    sketches::{Change, entry},
    wire::{Message, Subs},
};

/// How many documents one `SUBS` names.
const AT_ONCE: usize = 500;

/// The documents of a festival that both sides keep, and their logs under its salt.
#[derive(Debug)]
pub(super) struct Scope {
    documents: BTreeSet<DocumentId>,
    /// What the peer keeps; `None` is all.
    theirs: Option<BTreeSet<DocumentId>>,
    logs: BTreeMap<LogId, Entry>,
    sum: LogSum,
    sketch: Sketch,
    /// Where the replica's changes were when these were its logs.
    cursor: u64,
}

impl Scope {
    fn new(
        documents: BTreeSet<DocumentId>,
        theirs: Option<BTreeSet<DocumentId>>,
        festival: FestivalId,
        salt: Salt,
        cx: &mut Context<'_>,
    ) -> Result<Self, SyncError> {
        let sketch = Sketch::new(Keys::new(salt, &festival), []);
        let (logs, sum) = (BTreeMap::new(), LogSum::default());
        let mut this = Self { documents, theirs, logs, sum, sketch, cursor: 0 };
        this.read(festival, cx)?;
        Ok(this)
    }

    /// Reads all of its logs.
    fn read(&mut self, festival: FestivalId, cx: &mut Context<'_>) -> Result<(), SyncError> {
        self.cursor = cx.sketches.cursor(cx.replica)?;
        let mut now = BTreeSet::new();
        for document in &self.documents {
            now.extend(cx.replica.logs_of(festival, document)?);
        }
        let all: Vec<_> = now.iter().chain(self.logs.keys()).copied().collect();
        for log in all {
            self.set(log, entry(cx.replica, &log)?);
        }
        Ok(())
    }

    fn set(&mut self, log: LogId, new: Option<Entry>) {
        let old = match new {
            Some(new) => self.logs.insert(log, new),
            None => self.logs.remove(&log),
        };
        if old != new {
            old.iter().for_each(|old| self.sum.subtract(&log, old));
            new.iter().for_each(|new| self.sum.add(&log, new));
            self.sketch.set(&log, old.as_ref(), new.as_ref());
        }
    }

    /// Takes in what has become durable since the last time.
    fn follow(&mut self, festival: FestivalId, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let (changes, cursor) = cx.sketches.changes(cx.replica, self.cursor)?;
        let Some(changes) = changes else { return self.read(festival, cx) };
        self.cursor = cursor;
        for change in changes {
            if self.documents.contains(&change.log.document) {
                self.set(change.log, entry(cx.replica, &change.log)?);
            }
        }
        Ok(())
    }

    fn resalt(&mut self, keys: Keys) {
        self.sketch = Sketch::new(keys, &self.logs);
    }
}

impl Common {
    /// The sketch of what is compared, as of now.
    pub(super) fn sketch<'a>(
        &'a mut self,
        cx: &'a mut Context<'_>,
    ) -> Result<&'a mut Sketch, SyncError> {
        sketch_of(&mut self.scope, self.festival, self.salt, cx)
    }

    /// The fingerprint of what is compared, without some logs, as of now.
    pub(super) fn fingerprint_without<'a>(
        &mut self,
        logs: impl IntoIterator<Item = &'a LogId>,
        cx: &mut Context<'_>,
    ) -> Result<Fingerprint, SyncError> {
        let Some(scope) = &mut self.scope else {
            return cx.sketches.fingerprint_without(cx.replica, self.festival, logs);
        };
        scope.follow(self.festival, cx)?;
        let mut sum = scope.sum.clone();
        for log in logs {
            scope.logs.get(log).iter().for_each(|entry| sum.subtract(log, entry));
        }
        Ok(sum.fingerprint())
    }

    /// Whether a document is among those that both sides keep.
    pub(super) fn covers(&self, document: &DocumentId) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.documents.contains(document))
    }

    /// A document has come, or goes, that one side keeps because it is its own.
    pub(super) fn cover(
        &mut self,
        document: DocumentId,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let Some(scope) = &mut self.scope else { return Ok(()) };
        if scope.documents.len() >= 2 * MAX_DOCUMENTS || !scope.documents.insert(document) {
            return Ok(());
        }
        let logs = cx.replica.logs_of(self.festival, &document)?;
        for log in logs {
            scope.set(log, entry(cx.replica, &log)?);
        }
        Ok(())
    }

    pub(super) fn resalt_scope(&mut self) {
        if let Some(scope) = &mut self.scope {
            scope.resalt(self.keys.clone());
        }
    }

    /// Compares what is in both, from here on.
    fn narrow(
        &mut self,
        documents: BTreeSet<DocumentId>,
        theirs: Option<BTreeSet<DocumentId>>,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        self.scope = Some(Scope::new(documents, theirs, self.festival, self.salt, cx)?);
        Ok(())
    }
}

/// The sketch of what is compared of a festival, as of now.
pub(super) fn sketch_of<'a>(
    scope: &'a mut Option<Scope>,
    festival: FestivalId,
    salt: Salt,
    cx: &'a mut Context<'_>,
) -> Result<&'a mut Sketch, SyncError> {
    match scope {
        Some(scope) => {
            scope.follow(festival, cx)?;
            Ok(&mut scope.sketch)
        }
        None => cx.sketches.sketch(cx.replica, festival, salt),
    }
}

impl Exchange {
    /// What came belongs to what is compared from now on, if it did not before.
    pub(super) fn cover(
        &mut self,
        festival: FestivalId,
        document: DocumentId,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let place = self.places.get(&festival);
        let common = place.and_then(|place| self.commons.get_mut(place));
        common.map_or(Ok(()), |common| common.cover(document, cx))
    }

    /// Whether a log that has changed is for the peer: among what both sides keep, or of a document
    /// that we write ourselves, keeping a part besides, and that the peer keeps.
    pub(super) fn covers_change(
        &mut self,
        change: &Change,
        cx: &mut Context<'_>,
    ) -> Result<bool, SyncError> {
        let Change { festival, log, .. } = change;
        let place = self.places.get(festival);
        let Some(common) = place.and_then(|place| self.commons.get_mut(place)) else {
            return Ok(false);
        };
        let Some(scope) = &common.scope else { return Ok(true) };
        if scope.documents.contains(&log.document) {
            return Ok(true);
        }
        if scope.theirs.as_ref().is_some_and(|theirs| !theirs.contains(&log.document)) {
            return Ok(false);
        }
        let descriptor = cx.replica.descriptor(&log.document)?;
        let is_own = descriptor.is_some_and(|descriptor| descriptor.user == cx.replica.user());
        if is_own && cx.replica.subscription(*festival).documents.is_some() {
            common.cover(log.document, cx)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Opening: says what is kept of a festival that one side keeps in part, and waits.
    pub(super) fn narrow(
        &mut self,
        place: u64,
        is_theirs_a_part: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let Some(common) = self.commons.get_mut(&place) else { return Ok(()) };
        let ours = cx.replica.kept_documents(common.festival)?;
        if let Some(ours) = &ours {
            common.narrow(ours.clone(), None, cx)?;
        }
        common.state = if is_theirs_a_part { State::Narrowing } else { State::Resalting };
        self.queue.extend(subs(place, ours.as_ref()));
        Ok(())
    }

    /// The peer says what it keeps of a festival.
    pub(super) fn narrowed(&mut self, subs_: &Subs, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let unexpected = PeerFault::Unexpected("SUBS");
        let (place, opener) = (subs_.place, self.opener);
        let work = subs_.documents.as_ref().map_or(0, |documents| documents.len() / 32);
        self.charge(budget::cells(work), cx)?;
        let common = self.commons.get_mut(&place).ok_or_else(|| unexpected.clone())?;
        let expected = if opener { common.is_narrowing() } else { common.is_untold() };
        if !expected {
            return Err(unexpected.into());
        }
        let malformed = PeerFault::Message("SUBS");
        if let Some(documents) = &subs_.documents {
            let (ids, rest) = documents.as_chunks::<32>();
            let heard = common.heard.get_or_insert_default();
            for id in ids {
                let id = DocumentId::from_bytes(*id);
                if heard.last().is_some_and(|last| *last >= id) || heard.len() == MAX_DOCUMENTS {
                    return Err(malformed.into());
                }
                heard.insert(id);
            }
            if !rest.is_empty() {
                return Err(malformed.into());
            }
        }
        if !subs_.last {
            return Ok(());
        }
        let theirs = common.heard.take();
        let ours = cx.replica.kept_documents(common.festival)?;
        let both = match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => Some(ours.intersection(theirs).copied().collect()),
            (some, theirs) => some.as_ref().or(theirs.as_ref()).cloned(),
        };
        if let Some(both) = both {
            common.narrow(both, theirs, cx)?;
        }
        if opener {
            common.state = State::Resalting;
            return Ok(());
        }
        if ours.is_some() {
            self.queue.extend(subs(place, ours.as_ref()));
        }
        self.resalt(place, false, cx)
    }
}

/// What is kept of a festival, in as many messages as it takes; `None` is all.
fn subs(place: u64, documents: Option<&BTreeSet<DocumentId>>) -> Vec<Message> {
    let Some(documents) = documents else {
        return vec![Message::Subs(Subs { place, documents: None, last: true })];
    };
    let ids: Vec<_> = documents.iter().map(|document| *document.as_bytes()).collect();
    let mut messages = Vec::new();
    let mut rest = &ids[..];
    loop {
        let (some, more) = rest.split_at(rest.len().min(AT_ONCE));
        rest = more;
        let documents = Some(ByteBuf::from(some.concat()));
        messages.push(Message::Subs(Subs { place, documents, last: rest.is_empty() }));
        if rest.is_empty() {
            return messages;
        }
    }
}
