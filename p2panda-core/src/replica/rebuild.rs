//! The view is a projection: where its stored form is of another version, it is made anew.

use crate::{
    codec,
    log::DocumentDescriptor,
    replica::{Replica, damaged},
    store::{Batch, StoreError, Table},
    view::rows::{VIEW_VERSION, is_arrival_key},
};

const VIEW_KEY: &[u8] = b"view";

impl Replica {
    /// Makes the rows anew where another version of this library wrote them. Interrupted, it
    /// starts again at the next opening. Arrivals, which nothing else knows, are kept.
    pub(super) fn rebuild_outdated_view(&mut self) -> Result<(), StoreError> {
        let version = VIEW_VERSION.to_be_bytes();
        if self.store.get(Table::Meta, VIEW_KEY)?.as_deref() == Some(&version[..]) {
            return Ok(());
        }
        let mut batch = Batch::new();
        for (key, _) in self.store.range(Table::Rows, &[], None, usize::MAX)? {
            batch.delete(Table::Rows, key);
        }
        for (key, _) in self.store.range(Table::Index, &[], None, usize::MAX)? {
            if !is_arrival_key(&key) {
                batch.delete(Table::Index, key);
            }
        }
        self.store.commit(batch)?;
        for (_, bytes) in self.store.range(Table::Documents, &[], None, usize::MAX)? {
            let descriptor: DocumentDescriptor = codec::decode_stored(&bytes).map_err(damaged)?;
            let cached = self.take_document(&descriptor)?;
            let locals = cached.document.locals().collect();
            let mut batch = Batch::new();
            self.write_rows(&mut batch, &descriptor, &cached.document, &locals)?;
            self.store.commit(batch)?;
        }
        let mut batch = Batch::new();
        batch.put(Table::Meta, VIEW_KEY, version);
        self.store.commit(batch)?;
        self.store.flush()
    }
}
