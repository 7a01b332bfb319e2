//! From logs to documents to rows: offers entries to their document's gate and writes what changed.

use std::collections::VecDeque;

use crate::{
    document::{Document, Outcome, Touched},
    id::{DocumentId, FestivalId, LogId},
    log::{BLOCK, DocumentDescriptor, VerifiedSegment},
    replica::{
        CACHED_DOCUMENTS, Cached, LogState, Replica, Stopped, accept::put_state, log_of_key,
        read_state,
    },
    store::{Batch, StoreError, Table, prefix_end},
    view::writer::RowWriter,
};

/// A log that waits, with its next entries.
struct Waiting {
    log: LogId,
    state: LogState,
    next: VecDeque<Vec<u8>>,
}

impl Waiting {
    const fn new(log: LogId, state: LogState) -> Self {
        Self { log, state, next: VecDeque::new() }
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
        let mut cached = self.take_document(descriptor)?;
        let document = &mut cached.document;
        let mut touched = Touched::default();

        let mut states = vec![];
        if state.stopped.is_some() {
            // What stopped it stands before the new entries, so they change nothing.
            states.push((log, state));
        } else {
            let first = state.materialised;
            let payloads = new.payloads();
            let mut waiting: Option<Vec<Waiting>> = None;
            loop {
                let before = state.materialised;
                let done = usize::try_from(before - first).unwrap_or(usize::MAX);
                advance(document, &log, &mut state, payloads[done..].iter(), &mut touched);
                if state.materialised == before {
                    break;
                }
                if waiting.is_none() {
                    waiting = Some(self.waiting_logs(festival, &log)?);
                }
                let waiting = waiting.get_or_insert_default();
                if !self.advance_waiting(document, waiting, &mut touched)? {
                    break;
                }
            }
            states.push((log, state));
            let waiting = waiting.unwrap_or_default().into_iter();
            states.extend(waiting.map(|waiting| (waiting.log, waiting.state)));
        }
        if let Err(error) = document.settle() {
            // The gate let something through that Automerge refuses: keep the entries, show the
            // log as failed, and build the document anew from what stood before.
            tracing::error!(%error, "a judged payload could not be applied");
            let (log, state) = &mut states[0];
            state.materialised = self.log_state(festival, log)?.map_or(0, |old| old.materialised);
            state.stopped = Some(Stopped::Failed);
            put_state(batch, festival, log, state);
            return Ok(());
        }
        for (log, state) in &states {
            put_state(batch, festival, log, state);
        }
        self.write_rows(batch, descriptor, document, &touched)?;
        self.cache(descriptor.id(), cached);
        Ok(())
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

    /// The other logs of a log's document that wait for something.
    fn waiting_logs(&self, festival: FestivalId, log: &LogId) -> Result<Vec<Waiting>, StoreError> {
        let logs = self.document_logs(festival, &log.document)?.into_iter();
        let logs = logs.filter(|(other, _)| other != log);
        let waits = |state: &LogState| state.stopped == Some(Stopped::Waiting);
        Ok(logs
            .filter(|(_, state)| waits(state))
            .map(|(log, state)| Waiting::new(log, state))
            .collect())
    }

    /// Tries logs that wait, until none gets further; whether any did.
    fn advance_waiting(
        &self,
        document: &mut Document,
        waiting: &mut [Waiting],
        touched: &mut Touched,
    ) -> Result<bool, StoreError> {
        let mut any = false;
        loop {
            let mut progress = false;
            for waiting in waiting.iter_mut() {
                progress |= self.advance_one(document, waiting, touched)?;
            }
            any |= progress;
            if !progress {
                return Ok(any);
            }
        }
    }

    /// Tries a log that waits; whether it got further.
    fn advance_one(
        &self,
        document: &mut Document,
        Waiting { log, state, next }: &mut Waiting,
        touched: &mut Touched,
    ) -> Result<bool, StoreError> {
        let first = state.materialised;
        while state.materialised < state.length
            && !matches!(state.stopped, Some(Stopped::Refused(_)))
        {
            if next.is_empty() {
                let to = state.length.min(state.materialised + BLOCK);
                *next = self.payloads(log, state.materialised, to)?.into();
            }
            let before = state.materialised;
            advance(document, log, state, next.iter(), touched);
            let done = usize::try_from(state.materialised - before).unwrap_or(usize::MAX);
            next.drain(..done.min(next.len()));
            if state.stopped.is_some() {
                break;
            }
        }
        Ok(state.materialised > first)
    }

    fn document_logs(
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
        let mut document = Document::new(descriptor.user);
        let mut logs = self.document_logs(descriptor.festival, &descriptor.id())?;
        let mut loaded = Vec::new();
        for (log, state) in logs.drain(..) {
            loaded.push((log, state.materialised, self.payloads(&log, 0, state.materialised)?));
        }
        let mut progress = true;
        while std::mem::take(&mut progress) {
            for (log, length, payloads) in &loaded {
                let mut at = document.length(&log.incarnation);
                while at < *length {
                    let payload = &payloads[usize::try_from(at).unwrap_or(usize::MAX)];
                    if !matches!(document.offer(log.incarnation, at, payload), Outcome::Valid(_)) {
                        break;
                    }
                    at += 1;
                    progress = true;
                }
            }
        }
        document.settle().map_err(super::damaged)?;
        Ok(Cached { document, last_use: self.uses })
    }

    pub(super) fn cache(&mut self, id: DocumentId, cached: Cached) {
        self.documents.insert(id, cached);
        if self.documents.len() > CACHED_DOCUMENTS {
            let oldest = self.documents.iter().min_by_key(|(_, cached)| cached.last_use);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.documents.remove(&id);
            }
        }
    }
}

/// Offers entries from where a log's materialisation stands.
fn advance<'a>(
    document: &mut Document,
    log: &LogId,
    state: &mut LogState,
    payloads: impl Iterator<Item = &'a Vec<u8>>,
    touched: &mut Touched,
) {
    state.stopped = None;
    for payload in payloads {
        match document.offer(log.incarnation, state.materialised, payload) {
            Outcome::Valid(changed) => {
                state.materialised += 1;
                touched.extend(changed);
            }
            Outcome::Waiting => {
                state.stopped = Some(Stopped::Waiting);
                return;
            }
            Outcome::Refused(refusal) => {
                state.stopped = Some(Stopped::Refused(refusal));
                return;
            }
        }
    }
}
