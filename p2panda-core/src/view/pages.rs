//! Reading long tables a page at a time.

use std::collections::BTreeSet;

use crate::{
    id::{DocumentId, FestivalId, LocalId},
    store::{Entry, Store, StoreError, Table, prefix_end},
    view::keys::read_id,
};

/// How many entries are read at once.
const PAGE: usize = 512;

/// The next page of what starts with a prefix, after what was read; empty at the end.
pub(crate) struct Pages {
    table: Table,
    start: Vec<u8>,
    end: Option<Vec<u8>>,
}

impl Pages {
    pub(crate) fn of(table: Table, prefix: &[u8]) -> Self {
        Self { table, start: prefix.to_vec(), end: prefix_end(prefix) }
    }

    pub(crate) fn next(&mut self, store: &dyn Store) -> Result<Vec<Entry>, StoreError> {
        let page = store.range(self.table, &self.start, self.end.as_deref(), PAGE)?;
        if let Some((last, _)) = page.last() {
            self.start = [last, &[0][..]].concat();
        }
        Ok(page)
    }
}

/// The entities and records of a document that have rows.
pub(crate) fn stored_locals(
    store: &dyn Store,
    festival: FestivalId,
    document: &DocumentId,
) -> Result<BTreeSet<LocalId>, StoreError> {
    let prefix = [&festival.as_bytes()[..], document.as_bytes()].concat();
    let mut locals = BTreeSet::new();
    let mut pages = Pages::of(Table::Rows, &prefix);
    loop {
        let page = pages.next(store)?;
        if page.is_empty() {
            return Ok(locals);
        }
        for (key, _) in page {
            locals.insert(read_id(&key[festival.as_bytes().len()..])?.0.local);
        }
    }
}
