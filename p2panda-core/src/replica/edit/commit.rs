//! Making an edit: its drafts become payloads of own logs, signed, and rows, in one batch.

use std::collections::BTreeMap;

use rand_core::CryptoRng;

use crate::{
    codec,
    document::{Draft, Outcome, Touched},
    id::{FestivalId, Incarnation, LogId},
    log::{BLOCK, DocumentDescriptor, MAX_SEGMENT, Tip, VerifiedSegment},
    replica::{
        INCARNATION_KEY, LogState, Replica,
        accept::{put_state, store_segment},
        damaged,
        edit::{Edit, EditError},
    },
    schema::Instant,
    store::{Batch, StoreError, Table},
    view::{View, writer::RowWriter},
};

impl Replica {
    /// Makes one commit: all that the closure writes, or nothing. Durable when it returns.
    ///
    /// # Errors
    /// [`EditError`], or the closure's own error, with nothing written.
    pub fn edit<T, E: From<EditError>>(
        &mut self,
        festival: FestivalId,
        now: Instant,
        rng: &mut impl CryptoRng,
        change: impl FnOnce(&mut Edit<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let store = |error: StoreError| E::from(EditError::Store(error));
        if self.festival(festival).map_err(store)?.is_none() {
            return Err(EditError::UnknownFestival(festival).into());
        }
        let view = View::new(&*self.store, festival);
        let mut edit = Edit::new(view, rng, self.identity.user(), festival, now);
        let result = change(&mut edit)?;
        let drafts = edit.into_drafts();
        let fresh = Incarnation::random(rng);
        self.write(festival, now, fresh, drafts)?;
        Ok(result)
    }

    pub(in crate::replica) fn write(
        &mut self,
        festival: FestivalId,
        now: Instant,
        fresh: Incarnation,
        drafts: BTreeMap<String, Draft>,
    ) -> Result<(), EditError> {
        let mut incarnation = self.incarnation.unwrap_or(fresh);
        let drafts: Vec<_> = drafts.into_iter().filter(|(_, draft)| !draft.is_empty()).collect();
        let mut batch = Batch::new();
        let mut grown = Vec::new();
        let mut rows_from = None;
        let mut documents = Vec::new();
        for (label, draft) in drafts {
            let descriptor = DocumentDescriptor { festival, user: self.user(), label };
            let log = LogId { document: descriptor.id(), incarnation };
            let cached = self.take_document(&descriptor)?;
            documents.push((descriptor, log, draft, cached));
        }
        for (_, log, _, cached) in &documents {
            let state = self.log_state(festival, log)?;
            if state.is_some_and(|state| state.length != cached.document.length(&incarnation)) {
                incarnation = fresh; // that log stands still: nothing behind it would count
            }
        }
        for (descriptor, log, draft, cached) in &mut documents {
            log.incarnation = incarnation;
            let state = self.log_state(festival, log)?;
            let before = state.as_ref().map(LogState::tip);
            let mut touched = Touched::default();
            let mut payloads = Vec::new();
            let mut position = cached.document.length(&incarnation);
            while let Some(payload) = cached.document.next_payload(incarnation, now, draft) {
                match cached.document.offer(incarnation, position, &payload) {
                    Outcome::Valid(changed) => touched.extend(changed),
                    other => return Err(EditError::Gate(format!("{other:?}"))),
                }
                position += 1;
                payloads.push(payload);
            }
            if payloads.is_empty() {
                continue;
            }
            if before.is_none() {
                batch.put(Table::Documents, *log.document.as_bytes(), codec::encode(descriptor));
            }
            let state = self.sign(&mut batch, *log, state, payloads)?;
            put_state(&mut batch, festival, log, &state);
            let before_rows = rows_from.take();
            let mut rows = RowWriter::new(&*self.store, &mut batch, descriptor, before_rows)?;
            rows.update(&cached.document, &touched)?;
            rows_from = Some(rows.finish());
            grown.push((festival, *log, before));
        }
        if !grown.is_empty() {
            batch.put(Table::Meta, INCARNATION_KEY, *incarnation.as_bytes());
            self.unused_token = None;
            // In doubt after a failure, the next edit draws a fresh incarnation.
            self.incarnation = None;
            self.commit(batch, &grown)?;
            self.incarnation = Some(incarnation);
        }
        for (_, log, _, mut cached) in documents {
            cached.bytes = cached.document.bytes();
            self.cache(log.document, cached);
        }
        self.flush()?;
        Ok(())
    }

    /// Adds new entries of an own log to a batch, in as many segments as they need.
    fn sign(
        &self,
        batch: &mut Batch,
        log: LogId,
        mut state: Option<LogState>,
        payloads: Vec<Vec<u8>>,
    ) -> Result<LogState, EditError> {
        let mut tip = state.as_ref().map_or_else(|| Tip::start(&log), LogState::tip);
        let mut rest = payloads.into_iter().peekable();
        while rest.peek().is_some() {
            let mut entries = Vec::new();
            let mut size = 0;
            while let Some(payload) = rest.next_if(|payload| {
                let full = !entries.is_empty() && size + payload.len() > MAX_SEGMENT;
                !full
                    && (entries.is_empty()
                        || !(tip.length + entries.len() as u64).is_multiple_of(BLOCK))
            }) {
                size += payload.len();
                entries.push(payload);
            }
            let count = entries.len() as u64;
            let segment = VerifiedSegment::sign(&self.identity, log, &tip, entries)
                .map_err(|error| EditError::Gate(error.to_string()))?;
            tip = *segment.end();
            let mut next = store_segment(batch, &segment, state);
            next.materialised += count;
            state = Some(next);
        }
        state.ok_or_else(|| EditError::Store(damaged("an edit without entries")))
    }
}
