//! The way out: documents as Automerge has them, and what tells two of them apart.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    document::to_automerge,
    hash::{Domain, hasher},
    id::DocumentId,
    log::PayloadHash,
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

    /// One hash of the changes that a document consists of, in a canonical order: the valid entries
    /// of its logs, by incarnation and position (`SPEC.md`, section 7). Equal for two peers whose
    /// documents have the same changes, in whatever order these came; `None` where nothing is held
    /// of the document. It costs a pass over the payloads.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn document_fingerprint(
        &self,
        document: &DocumentId,
    ) -> Result<Option<[u8; 32]>, StoreError> {
        let Some(descriptor) = self.descriptor(document)? else { return Ok(None) };
        let mut hash = hasher(Domain::Changes);
        hash.update(document.as_bytes());
        for (log, state) in self.document_logs(descriptor.festival, document)? {
            if state.materialised == 0 {
                continue;
            }
            hash.update(log.incarnation.as_bytes());
            hash.update(&state.materialised.to_be_bytes());
            for payload in self.payloads(&log, 0, state.materialised)? {
                hash.update(PayloadHash::of(&payload).as_bytes());
            }
        }
        Ok(Some(*hash.finalize().as_bytes()))
    }
}
