//! The blobs that a replica keeps, beside its store.

use crate::{
    blob::{BlobError, BlobStore},
    replica::Replica,
    store::StoreError,
};

impl Replica {
    /// Keeps blobs there from now on, and serves them to peers.
    pub fn keep_blobs(&mut self, blobs: BlobStore) {
        self.blobs = Some(blobs);
    }

    /// Where blobs are kept; `None` where this replica keeps none.
    pub const fn blobs(&mut self) -> Option<&mut BlobStore> {
        self.blobs.as_mut()
    }

    /// How often a blob has become whole here.
    #[must_use]
    pub fn blob_cursor(&self) -> u64 {
        self.blobs.as_ref().map_or(0, BlobStore::cursor)
    }

    /// What has come of blobs becomes durable with everything else.
    pub(super) fn flush_blobs(&mut self) -> Result<(), StoreError> {
        let flushed = self.blobs.as_mut().map_or(Ok(()), BlobStore::flush);
        flushed.map_err(StoreError::from)
    }
}

impl From<BlobError> for StoreError {
    fn from(error: BlobError) -> Self {
        Self::Io(error.to_string())
    }
}
