//! The view is a projection: where its stored form is of another version, it is made anew.

use crate::{
    codec,
    document::Touched,
    log::DocumentDescriptor,
    replica::{PAGE, Replica, damaged},
    store::{Batch, StoreError, Table},
    view::{is_arrival_key, writer::VIEW_VERSION},
};

const VIEW_KEY: &[u8] = b"view";

impl Replica {
    /// Makes the rows anew where another version of this library wrote them. Interrupted, it
    /// starts again at the next opening. Arrivals, which nothing else knows, are kept.
    ///
    /// What others keep of the logs goes: a version that did not count their changes may have
    /// written here since, and by the count all would still seem right.
    pub(super) fn rebuild_outdated_view(&mut self) -> Result<(), StoreError> {
        let version = VIEW_VERSION.to_be_bytes();
        if self.store.get(Table::Meta, VIEW_KEY)?.as_deref() == Some(&version[..]) {
            return Ok(());
        }
        self.keep_nothing()?;
        for table in [Table::Rows, Table::Index] {
            self.clear_page_by_page(table)?;
        }
        let mut documents = Vec::new();
        self.for_each_entry(Table::Documents, |(_, bytes)| {
            documents.push(codec::decode_stored::<DocumentDescriptor>(&bytes).map_err(damaged)?);
            Ok(())
        })?;
        for descriptor in documents {
            let cached = self.take_document(&descriptor)?;
            let locals = Touched::whole(cached.document.locals());
            let mut batch = Batch::new();
            self.write_rows(&mut batch, &descriptor, &cached.document, &locals)?;
            self.store.commit(batch)?;
        }
        let mut batch = Batch::new();
        batch.put(Table::Meta, VIEW_KEY, version);
        self.store.commit(batch)?;
        self.store.flush()
    }

    fn clear_page_by_page(&mut self, table: Table) -> Result<(), StoreError> {
        let mut start = Vec::new();
        loop {
            let page = self.store.range(table, &start, None, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            start.clone_from(last);
            start.push(0); // the next key that there can be
            let mut batch = Batch::new();
            for (key, _) in page {
                if table != Table::Index || !is_arrival_key(&key) {
                    batch.delete(table, key);
                }
            }
            self.store.commit(batch)?;
        }
    }
}
