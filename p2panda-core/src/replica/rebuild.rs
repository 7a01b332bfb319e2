//! The view is a projection: where its stored form is of another version, it is made anew.

use crate::{
    codec,
    document::Touched,
    log::DocumentDescriptor,
    replica::{Replica, damaged},
    store::{Batch, StoreError, Table},
    view::{Pages, is_arrival_key, writer::VIEW_VERSION},
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
        self.clear(Table::Rows, |_| true)?;
        self.clear(Table::Index, |key| !is_arrival_key(key))?;
        let mut pages = Pages::of(Table::Documents, &[]);
        loop {
            let page = pages.next(&*self.store)?;
            if page.is_empty() {
                break;
            }
            for (_, bytes) in page {
                let descriptor: DocumentDescriptor =
                    codec::decode_stored(&bytes).map_err(damaged)?;
                let cached = self.take_document(&descriptor)?;
                let all = Touched::whole(cached.document.locals());
                let mut batch = Batch::new();
                self.write_rows(&mut batch, &descriptor, &cached.document, &all)?;
                self.store.commit(batch)?;
            }
        }
        let mut batch = Batch::new();
        batch.put(Table::Meta, VIEW_KEY, version);
        self.store.commit(batch)?;
        self.store.flush()
    }

    /// Deletes the keys of a table that are to go, a page at a time.
    fn clear(&mut self, table: Table, goes: impl Fn(&[u8]) -> bool) -> Result<(), StoreError> {
        let mut pages = Pages::of(table, &[]);
        loop {
            let page = pages.next(&*self.store)?;
            if page.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for (key, _) in page.into_iter().filter(|(key, _)| goes(key)) {
                batch.delete(table, key);
            }
            if !batch.is_empty() {
                self.store.commit(batch)?;
            }
        }
    }
}
