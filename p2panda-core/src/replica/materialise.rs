//! From logs to documents to rows: offers entries to their document's gate and writes what changed.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    document::{Document, Outcome, Touched},
    id::{DocumentId, FestivalId, Incarnation, LogId},
    log::{BLOCK, DocumentDescriptor, VerifiedSegment},
    replica::{
        CACHED_BYTES, CACHED_DOCUMENTS, Cached, LogState, Replica, Stopped, accept::put_state,
        damaged, log_of_key, read_state,
    },
    store::{Batch, StoreError, Table, prefix_end},
    view::writer::RowWriter,
};

/// The logs of one document that get further, and what that touched.
#[derive(Default)]
pub(super) struct Work {
    pub(super) logs: BTreeMap<Incarnation, Progress>,
    pub(super) touched: Touched,
}

/// How far a log has got, with its next entries.
pub(super) struct Progress {
    pub(super) state: LogState,
    next: VecDeque<Vec<u8>>,
    /// Entries at its end that are not stored yet.
    new: Vec<Vec<u8>>,
}

impl Progress {
    pub(super) const fn new(state: LogState) -> Self {
        Self { state, next: VecDeque::new(), new: Vec::new() }
    }
}

/// Why a document was not built.
pub(super) enum Halt {
    Store(StoreError),
    /// A payload made this build panic and is set aside from now on. The document may be half
    /// changed: it is to be dropped and built anew.
    Caught,
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Replica {
    /// Offers a log's new entries, and whatever waited for them, to their document. Adds the
    /// states of the logs and the changed rows to the batch.
    pub(super) fn materialise(
        &mut self,
        batch: &mut Batch,
        descriptor: &DocumentDescriptor,
        log: LogId,
        mut state: LogState,
        new: &VerifiedSegment,
    ) -> Result<(), StoreError> {
        let festival = descriptor.festival;
        let (mut cached, work) = loop {
            let mut cached = self.take_document(descriptor)?;
            if let Some(stored) = self.log_state(festival, &log)? {
                (state.materialised, state.stopped) = (stored.materialised, stored.stopped);
            }
            let mut work = Work::default();
            // Where it stands still, what stopped it comes before the new entries.
            let ready = if state.stopped.is_none() { vec![log.incarnation] } else { vec![] };
            let mut progress = Progress::new(state.clone());
            progress.new = new.payloads().to_vec();
            work.logs.insert(log.incarnation, progress);
            let done = self.advance(festival, log.document, &mut cached.document, &mut work, ready);
            match done {
                Ok(()) => break (cached, work),
                Err(Halt::Store(error)) => return Err(error),
                Err(Halt::Caught) => {}
            }
        };
        self.finish(batch, descriptor, &cached.document, &work)?;
        cached.bytes = cached.document.bytes();
        self.cache(descriptor.id(), cached);
        Ok(())
    }

    /// Adds the states of logs and the rows that they touched to a batch.
    pub(super) fn finish(
        &self,
        batch: &mut Batch,
        descriptor: &DocumentDescriptor,
        document: &Document,
        work: &Work,
    ) -> Result<(), StoreError> {
        for (incarnation, progress) in &work.logs {
            let log = LogId { document: descriptor.id(), incarnation: *incarnation };
            put_state(batch, descriptor.festival, &log, &progress.state);
        }
        self.write_rows(batch, descriptor, document, &work.touched)
    }

    /// Writes the rows of entities and records that may have changed.
    pub(super) fn write_rows(
        &self,
        batch: &mut Batch,
        descriptor: &DocumentDescriptor,
        document: &Document,
        touched: &Touched,
    ) -> Result<(), StoreError> {
        let mut rows = RowWriter::new(&*self.store, batch, descriptor, None)?;
        rows.update(document, touched)?;
        rows.finish();
        Ok(())
    }

    /// Takes logs as far as they go, and each that thereby gets what it waited for.
    pub(super) fn advance(
        &mut self,
        festival: FestivalId,
        id: DocumentId,
        document: &mut Document,
        work: &mut Work,
        ready: Vec<Incarnation>,
    ) -> Result<(), Halt> {
        let done = self.advance_all(festival, id, document, work, ready);
        self.leave_net(done)
    }

    fn advance_all(
        &mut self,
        festival: FestivalId,
        id: DocumentId,
        document: &mut Document,
        work: &mut Work,
        ready: Vec<Incarnation>,
    ) -> Result<(), Halt> {
        let mut ready = VecDeque::from(ready);
        while let Some(incarnation) = ready.pop_front().or_else(|| document.woken()) {
            let log = LogId { document: id, incarnation };
            if let std::collections::btree_map::Entry::Vacant(entry) = work.logs.entry(incarnation)
            {
                let Some(state) = self.log_state(festival, &log)? else { continue };
                entry.insert(Progress::new(state));
            }
            let Work { logs, touched } = &mut *work;
            if let Some(progress) = logs.get_mut(&incarnation) {
                self.advance_log(document, &log, progress, touched)?;
            }
        }
        Ok(())
    }

    fn advance_log(
        &mut self,
        document: &mut Document,
        log: &LogId,
        Progress { state, next, new }: &mut Progress,
        touched: &mut Touched,
    ) -> Result<(), Halt> {
        if matches!(state.stopped, Some(Stopped::Refused(_) | Stopped::Failed)) {
            return Ok(());
        }
        state.stopped = None;
        while state.materialised < state.length {
            if next.is_empty() {
                let stored = state.length - new.len() as u64;
                let to = stored.min((state.materialised / BLOCK + 1) * BLOCK);
                *next = if state.materialised < stored {
                    self.payloads(log, state.materialised, to)?.into()
                } else {
                    std::mem::take(new).into()
                };
            }
            let Some(payload) = next.front() else {
                return Err(damaged("a log ends early").into());
            };
            let at = state.materialised;
            let offer = || document.offer(log.incarnation, at, payload);
            state.stopped = match self.within_net(log, at, payload, offer)? {
                Some(Outcome::Valid(changed)) => {
                    touched.extend(changed);
                    state.materialised += 1;
                    next.pop_front();
                    continue;
                }
                Some(Outcome::Waiting) => Some(Stopped::Waiting),
                Some(Outcome::Refused(refusal)) => Some(Stopped::Refused(refusal)),
                None => Some(Stopped::Failed),
            };
            break;
        }
        Ok(())
    }

    pub(super) fn document_logs(
        &self,
        festival: FestivalId,
        document: &DocumentId,
    ) -> Result<Vec<(LogId, LogState)>, StoreError> {
        let prefix = [&festival.as_bytes()[..], document.as_bytes()].concat();
        let end = prefix_end(&prefix);
        let entries = self.store.range(Table::Logs, &prefix, end.as_deref(), usize::MAX)?;
        entries.iter().map(|(key, value)| Ok((log_of_key(key)?, read_state(value)?))).collect()
    }

    /// The document, from memory or built from its logs. The caller puts it back with
    /// [`cache`](Self::cache), or drops it where its entries were not stored.
    pub(super) fn take_document(
        &mut self,
        descriptor: &DocumentDescriptor,
    ) -> Result<Cached, StoreError> {
        self.uses += 1;
        if let Some(mut cached) = self.documents.remove(&descriptor.id()) {
            cached.last_use = self.uses;
            return Ok(cached);
        }
        loop {
            match self.build(descriptor) {
                Ok(document) => {
                    let bytes = document.bytes();
                    return Ok(Cached { document, last_use: self.uses, bytes });
                }
                Err(Halt::Store(error)) => return Err(error),
                Err(Halt::Caught) => self.remake(descriptor)?,
            }
        }
    }

    /// Builds a document from the parts of its logs that are known to be valid.
    fn build(&mut self, descriptor: &DocumentDescriptor) -> Result<Document, Halt> {
        let mut document = Document::new(descriptor.user);
        let logs = self.document_logs(descriptor.festival, &descriptor.id())?;
        let mut work = Work::default();
        for (log, state) in &logs {
            let valid = LogState {
                length: state.materialised,
                materialised: 0,
                stopped: None,
                ..state.clone()
            };
            work.logs.insert(log.incarnation, Progress::new(valid));
        }
        let ready = work.logs.keys().copied().collect();
        self.advance(descriptor.festival, descriptor.id(), &mut document, &mut work, ready)?;
        let states = || work.logs.values().map(|log| &log.state);
        if states().any(|state| state.materialised < state.length) {
            return Err(if states().any(|state| state.stopped == Some(Stopped::Failed)) {
                Halt::Caught // it was set aside, and the process ended before its rows followed
            } else {
                damaged("an entry that was valid is not any more").into()
            });
        }
        let done = self.await_all(&mut document, &logs);
        self.leave_net(done)?;
        Ok(document)
    }

    /// Lets the logs that wait do so in a document that was built anew.
    fn await_all(
        &mut self,
        document: &mut Document,
        logs: &[(LogId, LogState)],
    ) -> Result<(), Halt> {
        for (log, state) in logs {
            if state.stopped == Some(Stopped::Waiting) {
                let at = state.materialised;
                for payload in self.payloads(log, at, at + 1)? {
                    let wait = || document.await_missing(log.incarnation, at, &payload);
                    self.within_net(log, at, &payload, wait)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps a document in memory, and lets the longest unused go beyond what memory is for them.
    pub(super) fn cache(&mut self, id: DocumentId, cached: Cached) {
        self.documents.insert(id, cached);
        let mut bytes: usize = self.documents.values().map(|cached| cached.bytes).sum();
        while self.documents.len() > CACHED_DOCUMENTS
            || (bytes > CACHED_BYTES && self.documents.len() > 1)
        {
            let oldest = self.documents.iter().min_by_key(|(_, cached)| cached.last_use);
            let Some(id) = oldest.map(|(id, _)| *id) else { break };
            bytes -= self.documents.remove(&id).map_or(0, |cached| cached.bytes);
        }
    }
}
