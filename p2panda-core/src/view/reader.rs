//! Reads rows as they are stored, with what a batch has written and not yet committed.

use std::collections::BTreeMap;

use crate::{
    codec,
    id::{DocumentId, EntityId, FestivalId, UserId},
    log::DocumentDescriptor,
    replica::damaged,
    schema::{Fields, Value},
    store::{Batch, Entry, Store, StoreError, Table, prefix_end},
    view::keys::{path_key, push_name, read_names, row_key},
};

/// Reads the rows of one festival.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    store: &'a dyn Store,
    batch: Option<&'a Batch>,
    pub(super) festival: FestivalId,
}

impl<'a> Reader<'a> {
    pub(super) fn stored(store: &'a dyn Store, festival: FestivalId) -> Self {
        Self { store, batch: None, festival }
    }

    pub(super) const fn with(store: &'a dyn Store, batch: &'a Batch, festival: FestivalId) -> Self {
        Self { store, batch: Some(batch), festival }
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.batch.and_then(|batch| batch.get(table, key)) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.store.get(table, key),
        }
    }

    /// Everything whose key starts with a prefix, in order.
    pub(super) fn scan(&self, table: Table, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        self.range(table, prefix, prefix_end(prefix).as_deref())
    }

    /// Everything from one key to another, in order.
    pub(super) fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<Vec<Entry>, StoreError> {
        let stored = self.store.range(table, start, end, usize::MAX)?;
        let mut written = self.written(table, start, end).peekable();
        if written.peek().is_none() {
            return Ok(stored);
        }
        let mut entries: BTreeMap<Vec<u8>, Vec<u8>> = stored.into_iter().collect();
        for (key, value) in written {
            match value {
                Some(value) => entries.insert(key.to_vec(), value.to_vec()),
                None => entries.remove(key),
            };
        }
        Ok(entries.into_iter().collect())
    }

    /// Whether there is anything whose key starts with a prefix.
    pub(super) fn any(&self, table: Table, prefix: &[u8]) -> Result<bool, StoreError> {
        let end = prefix_end(prefix);
        if self.written(table, prefix, end.as_deref()).any(|(_, value)| value.is_some()) {
            return Ok(true);
        }
        let mut start = prefix.to_vec();
        let mut page = 1;
        loop {
            let entries = self.store.range(table, &start, end.as_deref(), page)?;
            let deleted = |key| self.batch.is_some_and(|batch| batch.get(table, key).is_some());
            if entries.iter().any(|(key, _)| !deleted(key)) {
                return Ok(true);
            }
            let Some((last, _)) = entries.last() else { return Ok(false) };
            start = [last, &[0][..]].concat();
            // The more of them the batch deletes, the more are likely to come.
            page = (2 * page).min(MOST_AT_ONCE);
        }
    }

    fn written(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        self.batch.into_iter().flat_map(move |batch| batch.range(table, start, end))
    }

    /// What a document is; `None` before any of its logs has arrived.
    pub(super) fn descriptor(
        &self,
        document: &DocumentId,
    ) -> Result<Option<DocumentDescriptor>, StoreError> {
        let bytes = self.get(Table::Documents, document.as_bytes())?;
        bytes.map(|bytes| codec::decode_stored(&bytes).map_err(damaged)).transpose()
    }

    /// The user who writes a document.
    pub(super) fn author(&self, document: &DocumentId) -> Result<Option<UserId>, StoreError> {
        Ok(self.descriptor(document)?.map(|descriptor| descriptor.user))
    }

    /// Whether an entity or record is there.
    pub(super) fn exists(&self, id: &EntityId) -> Result<bool, StoreError> {
        Ok(self.get(Table::Rows, &row_key(self.festival, id))?.is_some())
    }

    /// An entity as its own document says it is: all of its fields.
    pub(super) fn entity(&self, id: &EntityId) -> Result<Option<Fields>, StoreError> {
        Ok(self.value_at(id, &[])?.and_then(Value::into_map))
    }

    /// What stands at a path of an entity.
    pub(super) fn value_at(
        &self,
        id: &EntityId,
        path: &[&str],
    ) -> Result<Option<Value>, StoreError> {
        let prefix = path_key(self.festival, id, path);
        value_of(&prefix, self.scan(Table::Rows, &prefix)?)
    }

    /// An entity as its own document says it is, all read at once; an error within for one that has
    /// many rows.
    pub(super) fn small_entity(
        &self,
        id: &EntityId,
    ) -> Result<Result<Option<Fields>, TooLarge>, StoreError> {
        let prefix = row_key(self.festival, id);
        let end = prefix_end(&prefix);
        let written = self.written(Table::Rows, &prefix, end.as_deref()).take(SMALL).count();
        if written == SMALL {
            return Ok(Err(TooLarge));
        }
        let mut entries = self.store.range(Table::Rows, &prefix, end.as_deref(), SMALL)?;
        if entries.len() == SMALL {
            return Ok(Err(TooLarge));
        }
        if written > 0 {
            entries = self.scan(Table::Rows, &prefix)?;
        }
        Ok(Ok(value_of(&prefix, entries)?.and_then(Value::into_map)))
    }
}

/// How many keys are looked through at once.
const MOST_AT_ONCE: usize = 512;

/// An entity of this many rows is not read whole where a few of its fields will do.
const SMALL: usize = 128;

/// What has too many rows to be read at once.
pub(super) struct TooLarge;

/// A value from its rows: all whose keys begin with its own.
fn value_of(prefix: &[u8], entries: Vec<Entry>) -> Result<Option<Value>, StoreError> {
    let mut entries = entries.into_iter();
    let Some((key, cell)) = entries.next() else { return Ok(None) };
    if key != prefix {
        return Err(damaged("a field has no map above it"));
    }
    let mut value = read_cell(&cell)?;
    for (key, cell) in entries {
        let names = read_names(&key[prefix.len()..])?;
        insert(&mut value, &names, read_cell(&cell)?)
            .ok_or_else(|| damaged("a field has no map above it"))?;
    }
    Ok(Some(value))
}

/// What one row holds: a scalar, or a map without its fields, which are rows of their own.
fn read_cell(bytes: &[u8]) -> Result<Value, StoreError> {
    codec::decode_stored(bytes).map_err(damaged)
}

fn insert(into: &mut Value, path: &[&str], value: Value) -> Option<()> {
    let (last, parents) = path.split_last()?;
    let mut at = into;
    for name in parents {
        let Value::Map(fields) = at else { return None };
        at = fields.get_mut(*name)?;
    }
    let Value::Map(fields) = at else { return None };
    fields.insert((*last).to_owned(), value);
    Some(())
}

/// The rows of a value at a key: one for each map and each scalar in it.
pub(super) fn cells(key: Vec<u8>, value: &Value, into: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
    if let Value::Map(fields) = value {
        for (name, value) in fields {
            let mut below = key.clone();
            push_name(&mut below, name);
            cells(below, value, into);
        }
        into.insert(key, codec::encode_flat(&Value::Map(Fields::new())));
    } else {
        into.insert(key, codec::encode_flat(value));
    }
}
