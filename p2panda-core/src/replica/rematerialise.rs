//! Building a document anew after a fork took entries away: what depended on them waits, and rows
//! that came from them go.

use std::collections::BTreeSet;

use crate::{
    document::Document,
    id::{LocalId, LogId},
    log::DocumentDescriptor,
    replica::{Cached, LogState, Replica, accept::put_state, materialise::advance},
    store::{Batch, StoreError},
};

/// A log with all its entries.
struct Loaded {
    log: LogId,
    state: LogState,
    payloads: Vec<Vec<u8>>,
}

impl Replica {
    /// Builds a document anew from its logs, one of which is now `cut`, and adds the states of the
    /// logs and the rows that changed to the batch.
    pub(super) fn rematerialise(
        &mut self,
        batch: &mut Batch,
        descriptor: &DocumentDescriptor,
        log: &LogId,
        cut: LogState,
    ) -> Result<(), StoreError> {
        let old = self.take_document(descriptor)?;
        let mut touched: BTreeSet<LocalId> = old.document.locals().collect();
        drop(old);
        let mut logs = Vec::new();
        for (other, state) in self.document_logs(descriptor.festival, &log.document)? {
            let state = if other == *log { cut.clone() } else { state };
            let payloads = self.payloads(&other, 0, state.length)?;
            let state = LogState { materialised: 0, stopped: None, ..state };
            logs.push(Loaded { log: other, state, payloads });
        }
        let mut document = Document::new(descriptor.user);
        let mut progress = true;
        while std::mem::take(&mut progress) {
            for Loaded { log, state, payloads } in &mut logs {
                let done = usize::try_from(state.materialised).unwrap_or(usize::MAX);
                advance(&mut document, log, state, payloads[done..].iter(), &mut touched);
                progress |= state.materialised > done as u64;
            }
        }
        document.settle().map_err(super::damaged)?;
        for Loaded { log, state, .. } in &logs {
            put_state(batch, descriptor.festival, log, state);
        }
        self.write_rows(batch, descriptor, &document, &touched)?;
        self.uses += 1;
        let last_use = self.uses;
        self.cache(descriptor.id(), Cached { document, last_use });
        Ok(())
    }
}
