//! Rows: what the view stores of each entity and record, its secondary keys, and the changes feed.
//! All of it is written in the batch of the entries it comes from.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    codec,
    document::Content,
    id::{DocumentId, EntityId, FestivalId, Incarnation, LocalId, UserId},
    replica::damaged,
    schema::{Entity as _, Event, Fields, Record, Value, read_fields},
    store::{Batch, Store, StoreError, Table},
    view::{Fact, Position},
};

/// The version of the stored rows and indexes: a store with another one has them made anew.
pub(crate) const VIEW_VERSION: u32 = 1;

/// Events longer than this stand in an index of their own, so that looking for what runs at some
/// moment need not go back further.
pub(super) const LONG_EVENT_MS: i64 = 24 * 60 * 60 * 1000;

/// A stored row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Row {
    Entity(Fields),
    Record(RecordRow),
}

/// A stored record with its author and place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordRow {
    author: UserId,
    bytes: ByteBuf,
    incarnation: Incarnation,
    index: u64,
    seen: BTreeMap<ByteBuf, u64>,
}

pub(crate) fn row_of(author: UserId, content: Content) -> Row {
    match content {
        Content::Entity(fields) => Row::Entity(fields),
        Content::Record { bytes, incarnation, index, seen } => {
            let seen = seen.into_iter();
            Row::Record(RecordRow {
                author,
                bytes: ByteBuf::from(bytes),
                incarnation,
                index,
                seen: seen
                    .map(|(other, length)| (ByteBuf::from(*other.as_bytes()), length))
                    .collect(),
            })
        }
    }
}

impl Row {
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        codec::decode_stored(bytes).map_err(damaged)
    }
}

impl RecordRow {
    /// The record as a fact; `None` where its content is no record that this version knows.
    pub(super) fn fact(self, id: EntityId) -> Option<Fact> {
        let incarnation = |bytes: ByteBuf| {
            <[u8; 8]>::try_from(bytes.as_slice()).ok().map(Incarnation::from_bytes)
        };
        let seen =
            self.seen.into_iter().filter_map(|(bytes, length)| Some((incarnation(bytes)?, length)));
        Some(Fact {
            id,
            author: self.author,
            record: Record::from_bytes(&self.bytes).ok()?,
            position: Position {
                incarnation: self.incarnation,
                index: self.index,
                seen: seen.collect(),
            },
        })
    }
}

/// The secondary indexes. Each key is a prefix byte, the festival, what is looked up, and the row.
#[derive(Clone, Copy)]
pub(super) enum IndexOf {
    /// Entities by kind.
    Kind = b'k' as isize,
    /// Events of ordinary length by start.
    Start = b't' as isize,
    /// Long events by start.
    LongStart = b'l' as isize,
    /// Records by resource.
    Resource = b'r' as isize,
    /// Requests by event.
    Event = b'e' as isize,
    /// By row: its newest change, and the change at which it first arrived.
    Change = b's' as isize,
}

pub(super) fn index_prefix(index: IndexOf, festival: FestivalId, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![index as u8];
    key.extend_from_slice(festival.as_bytes());
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// A text or id of variable length as part of a key: its length comes first.
pub(super) fn sized(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).unwrap_or(u8::MAX)];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Signed milliseconds as bytes in the order of time.
pub(super) fn ordered(millis: i64) -> [u8; 8] {
    (millis.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// What the keys of a document's rows start with; local ids follow.
pub(crate) fn row_prefix(festival: FestivalId, document: &DocumentId) -> Vec<u8> {
    [&festival.as_bytes()[..], document.as_bytes()].concat()
}

pub(super) fn row_key(festival: FestivalId, document: &DocumentId, local: &LocalId) -> Vec<u8> {
    [&row_prefix(festival, document)[..], local.as_str().as_bytes()].concat()
}

/// The row that a key ends in: document and local id after `prefix` bytes.
pub(super) fn row_id(key: &[u8], prefix: usize) -> Result<EntityId, StoreError> {
    let bad = || damaged("a key of the view is malformed");
    let (document, local) =
        key.get(prefix..).and_then(|rest| rest.split_at_checked(32)).ok_or_else(bad)?;
    let document = <[u8; 32]>::try_from(document).map_err(damaged)?;
    let local = std::str::from_utf8(local).map_err(damaged)?;
    Ok(EntityId::new(DocumentId::from_bytes(document), local.parse().map_err(damaged)?))
}

/// The secondary keys of a row, with their values.
fn index_entries(festival: FestivalId, id: &EntityId, row: &Row) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let row_part = [&id.document.as_bytes()[..], id.local.as_str().as_bytes()].concat();
    let key = |index, part: &[u8]| index_prefix(index, festival, &[part, &row_part]);
    let mut entries = BTreeMap::new();
    match row {
        Row::Entity(fields) => {
            let kind = fields.get("kind").and_then(Value::as_text).unwrap_or_default();
            if kind.len() <= 64 {
                entries.insert(key(IndexOf::Kind, &sized(kind)), vec![]);
            }
            if kind == Event::KIND
                && let Ok(Event { starts: Some(starts), ends: Some(ends), .. }) =
                    read_fields(fields)
                && starts < ends
            {
                let long = ends.millis().saturating_sub(starts.millis()) > LONG_EVENT_MS;
                let index = if long { IndexOf::LongStart } else { IndexOf::Start };
                entries
                    .insert(key(index, &ordered(starts.millis())), ordered(ends.millis()).to_vec());
            }
        }
        Row::Record(record) => {
            if let Ok(record) = Record::from_bytes(&record.bytes) {
                let about = record.resource().to_string();
                entries.insert(key(IndexOf::Resource, &sized(&about)), vec![]);
                if let Record::Request(request) = &record {
                    let event = request.terms.event.to_string();
                    entries.insert(key(IndexOf::Event, &sized(&event)), vec![]);
                }
            }
        }
    }
    entries
}

const FEED_COUNTER: &[u8] = b"feed";

fn counter_key(festival: FestivalId) -> Vec<u8> {
    [FEED_COUNTER, &festival.as_bytes()[..]].concat()
}

/// Every prefix of keys under which something of a festival's view is stored.
pub(super) fn stored_at(festival: FestivalId) -> Vec<(Table, Vec<u8>)> {
    let indexes = [
        IndexOf::Kind,
        IndexOf::Start,
        IndexOf::LongStart,
        IndexOf::Resource,
        IndexOf::Event,
        IndexOf::Change,
    ];
    let indexes =
        indexes.into_iter().map(|index| (Table::Index, index_prefix(index, festival, &[])));
    let rows = [Table::Rows, Table::Feed].map(|table| (table, festival.as_bytes().to_vec()));
    indexes.chain(rows).chain([(Table::Meta, counter_key(festival))]).collect()
}

/// Whether a key of the index holds what cannot be made anew: when a row first arrived.
pub(crate) fn is_arrival_key(key: &[u8]) -> bool {
    key.first() == Some(&(IndexOf::Change as u8))
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
}

/// The newest cursor of a festival's changes feed; 0 before the first change.
pub(super) fn feed_end(store: &dyn Store, festival: FestivalId) -> Result<u64, StoreError> {
    let bytes = store.get(Table::Meta, &counter_key(festival))?;
    Ok(bytes.and_then(|bytes| read_u64(&bytes, 0)).unwrap_or(0))
}

pub(super) fn feed_key(festival: FestivalId, cursor: u64) -> Vec<u8> {
    [&festival.as_bytes()[..], &cursor.to_be_bytes()].concat()
}

/// The batch number in which a row first arrived; `None` where it never did.
pub(super) fn arrival(
    store: &dyn Store,
    festival: FestivalId,
    id: &EntityId,
) -> Result<Option<u64>, StoreError> {
    let local = id.local.as_str().as_bytes();
    let key = index_prefix(IndexOf::Change, festival, &[id.document.as_bytes(), local]);
    Ok(store.get(Table::Index, &key)?.and_then(|bytes| read_u64(&bytes, 8)))
}

/// The cursors that a batch has used so far: all its rows arrive together, at the first.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    first: u64,
    next: u64,
}

/// Writes changed rows with everything that follows from them.
pub(crate) struct RowWriter<'a> {
    store: &'a dyn Store,
    batch: &'a mut Batch,
    festival: FestivalId,
    first: u64,
    next: u64,
}

impl<'a> RowWriter<'a> {
    /// Starts writing, or goes on after what another writer wrote into the same batch.
    pub(crate) fn new(
        store: &'a dyn Store,
        batch: &'a mut Batch,
        festival: FestivalId,
        before: Option<Written>,
    ) -> Result<Self, StoreError> {
        let Written { first, next } = match before {
            Some(before) => before,
            None => {
                let next = feed_end(store, festival)? + 1;
                Written { first: next, next }
            }
        };
        Ok(Self { store, batch, festival, first, next })
    }

    /// Sets a row, or deletes it where there is none any more. Rows that did not change stay as
    /// they are.
    pub(crate) fn write(
        &mut self,
        document: DocumentId,
        local: &LocalId,
        row: Option<&Row>,
    ) -> Result<(), StoreError> {
        let id = EntityId::new(document, local.clone());
        let key = row_key(self.festival, &document, local);
        let old_bytes = self.store.get(Table::Rows, &key)?;
        let new_bytes = row.map(codec::encode);
        if old_bytes == new_bytes {
            return Ok(());
        }
        let old = old_bytes.map(|bytes| Row::from_bytes(&bytes)).transpose()?;
        let entries = |row: &Row| index_entries(self.festival, &id, row);
        let old_entries = old.as_ref().map(entries).unwrap_or_default();
        let new_entries = row.map(entries).unwrap_or_default();
        let kept: BTreeSet<&Vec<u8>> = new_entries.keys().collect();
        for key in old_entries.keys().filter(|key| !kept.contains(key)) {
            self.batch.delete(Table::Index, key.clone());
        }
        for (key, value) in &new_entries {
            if old_entries.get(key) != Some(value) {
                self.batch.put(Table::Index, key.clone(), value.clone());
            }
        }
        match new_bytes {
            Some(bytes) => self.batch.put(Table::Rows, key, bytes),
            None => self.batch.delete(Table::Rows, key),
        }
        self.record_change(&id)
    }

    fn record_change(&mut self, id: &EntityId) -> Result<(), StoreError> {
        let row = [&id.document.as_bytes()[..], id.local.as_str().as_bytes()].concat();
        let key = index_prefix(IndexOf::Change, self.festival, &[&row]);
        let old = self.store.get(Table::Index, &key)?;
        if let Some(cursor) = old.as_ref().and_then(|bytes| read_u64(bytes, 0)) {
            self.batch.delete(Table::Feed, feed_key(self.festival, cursor));
        }
        let first = old.as_ref().and_then(|bytes| read_u64(bytes, 8)).unwrap_or(self.first);
        let value = [self.next.to_be_bytes(), first.to_be_bytes()].concat();
        self.batch.put(Table::Index, key, value);
        self.batch.put(Table::Feed, feed_key(self.festival, self.next), row);
        self.next += 1;
        Ok(())
    }

    /// Writes the feed's counter; the next writer of this batch goes on from what is returned.
    pub(crate) fn finish(self) -> Written {
        if self.next > self.first {
            let end = self.next - 1;
            self.batch.put(Table::Meta, counter_key(self.festival), end.to_be_bytes());
        }
        Written { first: self.first, next: self.next }
    }
}
