//! The way out: documents as Automerge has them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    document::to_automerge,
    id::DocumentId,
    replica::{Replica, damaged},
    store::StoreError,
};

impl Replica {
    /// A document as Automerge itself saves it, for programs that read Automerge; `None` where
    /// nothing is held of it. It has all that is valid of the document's logs.
    ///
    /// # Errors
    /// [`StoreError`], also where Automerge cannot take what this library judged valid: a bug to
    /// report.
    pub fn automerge(&self, document: &DocumentId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(descriptor) = self.descriptor(document)? else { return Ok(None) };
        let mut payloads = Vec::new();
        for (log, state) in self.document_logs(descriptor.festival, document)? {
            payloads.extend(self.payloads(&log, 0, state.materialised)?);
        }
        match catch_unwind(AssertUnwindSafe(|| to_automerge(payloads))) {
            Ok(saved) => saved.map(Some).map_err(damaged),
            Err(_) => Err(damaged("Automerge panicked on changes that were judged valid")),
        }
    }
}
