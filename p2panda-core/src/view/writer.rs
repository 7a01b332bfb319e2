//! Writing rows: what a batch changed of the documents becomes rows, their secondary keys and the
//! changes feed, in that same batch.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    document::{Content, Document, Touched, Wrote},
    id::{EntityId, FestivalId, UserId},
    log::DocumentDescriptor,
    schema::{AMENDED, EDITORS, Value, amended_document, editors},
    store::{Batch, Store, StoreError, Table},
    view::{
        index::Changed,
        keys::{
            IndexOf, counter_key, feed_key, id_part, index_key, path_key, read_names, read_u64,
            row_key,
        },
        reader::{Reader, cells},
        records::Concerned,
    },
};

/// The version of the stored rows and indexes: a store with another one has them made anew.
pub(crate) const VIEW_VERSION: u32 = 4;

/// The newest cursor of a festival's changes feed; 0 before the first change.
pub(super) fn feed_end(store: &dyn Store, festival: FestivalId) -> Result<u64, StoreError> {
    let bytes = store.get(Table::Meta, &counter_key(festival))?;
    Ok(bytes.and_then(|bytes| read_u64(&bytes, 0)).unwrap_or(0))
}

/// What a batch has written so far. All its rows arrive together, at its first cursor.
pub(crate) struct Written {
    first: u64,
    next: u64,
}

/// Writes what changed of one document, with everything that follows from it.
pub(crate) struct RowWriter<'a> {
    store: &'a dyn Store,
    batch: &'a mut Batch,
    pub(super) festival: FestivalId,
    pub(super) user: UserId,
    descriptor: &'a DocumentDescriptor,
    first: u64,
    next: u64,
}

impl<'a> RowWriter<'a> {
    /// Starts writing, or goes on after what another writer wrote into the same batch. The
    /// descriptor is in the store, or in the batch.
    pub(crate) fn new(
        store: &'a dyn Store,
        batch: &'a mut Batch,
        descriptor: &'a DocumentDescriptor,
        before: Option<Written>,
    ) -> Result<Self, StoreError> {
        let festival = descriptor.festival;
        let Written { first, next } = match before {
            Some(before) => before,
            None => {
                let next = feed_end(store, festival)? + 1;
                Written { first: next, next }
            }
        };
        let user = descriptor.user;
        let mut writer = Self { store, batch, festival, user, descriptor, first, next };
        writer.introduce(&descriptor.id())?;
        Ok(writer)
    }

    /// Brings the rows of what was written in the document up to date.
    pub(crate) fn update(
        &mut self,
        document: &Document,
        touched: &Touched,
    ) -> Result<(), StoreError> {
        let id = self.descriptor.id();
        self.merges(&id, document, touched)?;
        let mut concerned = Concerned::default();
        for (local, wrote) in touched.iter() {
            let id = EntityId::new(id, local.clone());
            if local.is_record() {
                self.record(&id, document.read(local), &mut concerned)?;
            } else {
                self.entity(&id, document, wrote)?;
            }
        }
        self.settle(concerned)
    }

    /// Writes the feed's counter; the next writer of this batch goes on from what is returned.
    pub(crate) fn finish(self) -> Written {
        if self.next > self.first {
            let end = self.next - 1;
            self.batch.put(Table::Meta, counter_key(self.festival), end.to_be_bytes());
        }
        Written { first: self.first, next: self.next }
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader::with(self.store, self.batch, self.festival)
    }

    pub(super) fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.batch.put(table, key, value);
    }

    pub(super) fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.batch.delete(table, key);
    }

    pub(super) fn set(&mut self, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
        match value {
            Some(value) => self.put(table, key, value),
            None => self.delete(table, key),
        }
    }

    fn entity(
        &mut self,
        id: &EntityId,
        document: &Document,
        wrote: &Wrote,
    ) -> Result<(), StoreError> {
        let paths = match wrote {
            Wrote::Paths(paths) if self.reader().exists(id)? => paths,
            _ => {
                let key = row_key(self.festival, id);
                let own = match document.read(&id.local) {
                    Some(Content::Entity(fields)) => Some(Value::Map(fields)),
                    _ => None,
                };
                if self.replace(id, &key, own.as_ref())? {
                    let own = own.and_then(Value::into_map);
                    return self.changed(id, Changed::Whole(own));
                }
                return Ok(());
            }
        };
        let mut names = BTreeSet::new();
        let mut all_amended = false;
        for path in paths {
            let key = path_key(self.festival, id, path);
            let value = document.read_at(&id.local, path);
            if !self.replace(id, &key, value.as_ref())? {
                continue;
            }
            match if path[0] == AMENDED { path.get(1) } else { path.first() } {
                Some(name) => drop(names.insert(name.to_string())),
                None => all_amended = true,
            }
        }
        if all_amended {
            let own = self.reader().entity(id)?;
            self.changed(id, Changed::Whole(own))
        } else if names.is_empty() {
            Ok(())
        } else {
            self.changed(id, Changed::Fields(names))
        }
    }

    /// Makes an entity's rows from a key down what a value needs; whether any changed.
    fn replace(
        &mut self,
        id: &EntityId,
        key: &[u8],
        value: Option<&Value>,
    ) -> Result<bool, StoreError> {
        let entity = row_key(self.festival, id).len();
        let mut new = BTreeMap::new();
        if let Some(value) = value {
            cells(key.to_vec(), value, &mut new);
        }
        let mut any = false;
        for (key, old) in self.reader().scan(Table::Rows, key)? {
            match new.remove(&key) {
                Some(cell) if cell == old => {}
                cell => {
                    self.row(id, entity, key, cell)?;
                    any = true;
                }
            }
        }
        for (key, cell) in new {
            self.row(id, entity, key, Some(cell))?;
            any = true;
        }
        Ok(any)
    }

    /// Sets or deletes one row of an entity, whose own key has `entity` bytes.
    fn row(
        &mut self,
        id: &EntityId,
        entity: usize,
        key: Vec<u8>,
        cell: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let path = &key[entity..];
        // Most rows are no amendments, which need not be taken apart.
        if path.get(1..).is_some_and(|path| path.starts_with(AMENDED.as_bytes()))
            && let [AMENDED, name] = read_names(path)?[..]
        {
            self.index_amendment(id, name, cell.as_deref())?;
        }
        self.set(Table::Rows, key, cell);
        Ok(())
    }

    /// What follows from a changed entity: its indexes, its place in the feed, and those of what it
    /// amends.
    fn changed(&mut self, id: &EntityId, what: Changed) -> Result<(), StoreError> {
        self.record_change(id)?;
        let target = amended_document(&self.descriptor.label);
        if let Some(document) = target.filter(|document| *document != id.document) {
            let target = EntityId::new(document, id.local.clone());
            if self.is_editor(&target)? {
                self.record_change(&target)?;
                self.reindex(&target, &what.of_target())?;
            }
        }
        self.reindex(id, &what)
    }

    /// Whether this document's user is an editor of an entity that is there.
    fn is_editor(&self, target: &EntityId) -> Result<bool, StoreError> {
        let Some(owner) = self.reader().author(&target.document)? else { return Ok(false) };
        let Some(listed) = self.reader().value_at(target, &[EDITORS])? else { return Ok(false) };
        let listed = [(EDITORS.to_owned(), listed)].into();
        Ok(editors(&listed, &owner).contains(&self.user))
    }

    pub(super) fn record_change(&mut self, id: &EntityId) -> Result<(), StoreError> {
        let row = id_part(id);
        let key = index_key(IndexOf::Change, self.festival, &[&row]);
        let old = self.reader().get(Table::Index, &key)?;
        if let Some(cursor) = old.as_ref().and_then(|bytes| read_u64(bytes, 0)) {
            self.delete(Table::Feed, feed_key(self.festival, cursor));
        }
        let first = old.as_ref().and_then(|bytes| read_u64(bytes, 8)).unwrap_or(self.first);
        let value = [self.next.to_be_bytes(), first.to_be_bytes()].concat();
        self.put(Table::Index, key, value);
        self.put(Table::Feed, feed_key(self.festival, self.next), row);
        self.next += 1;
        Ok(())
    }
}
