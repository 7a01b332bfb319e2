//! Making a document anew: what its logs amount to, whatever was thought of them before.

use crate::{
    document::{Document, Touched},
    id::LogId,
    log::DocumentDescriptor,
    replica::{
        Cached, LogState, Replica,
        materialise::{Halt, Progress, Work},
    },
    store::{Batch, StoreError},
    view::stored_locals,
};

impl Replica {
    /// Makes a document and its rows anew from its logs.
    pub(super) fn remake(&mut self, descriptor: &DocumentDescriptor) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        self.remake_with(&mut batch, descriptor, None)?;
        self.store.commit(batch)?;
        Ok(())
    }

    /// Adds to a batch what a document and its rows become when one of its logs, still stored as it
    /// was, has another state.
    pub(super) fn remake_with(
        &mut self,
        batch: &mut Batch,
        descriptor: &DocumentDescriptor,
        changed: Option<(&LogId, &LogState)>,
    ) -> Result<(), StoreError> {
        let (festival, id) = (descriptor.festival, descriptor.id());
        self.documents.remove(&id);
        let (document, mut work) = loop {
            let mut document = Document::new(descriptor.user);
            let mut work = Work::default();
            for (log, mut state) in self.document_logs(festival, &id)? {
                if let Some((_, new)) = changed.filter(|(changed, _)| **changed == log) {
                    state = new.clone();
                }
                (state.materialised, state.stopped) = (0, None);
                work.logs.insert(log.incarnation, Progress::new(state));
            }
            let ready = work.logs.keys().copied().collect();
            match self.advance(festival, id, &mut document, &mut work, ready) {
                Ok(()) => break (document, work),
                Err(Halt::Store(error)) => return Err(error),
                Err(Halt::Caught) => {}
            }
        };
        let locals = stored_locals(&*self.store, festival, &id)?;
        work.touched.extend(Touched::whole(locals.into_iter().chain(document.locals())));
        self.finish(batch, descriptor, &document, &work)?;
        self.uses += 1;
        let (last_use, bytes) = (self.uses, document.bytes());
        self.cache(id, Cached { document, last_use, bytes });
        Ok(())
    }
}
