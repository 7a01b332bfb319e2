//! Questions about a whole festival. Each is answered from an index: its cost follows the answer.

use crate::{
    blob::BlobId,
    codec,
    id::{EntityId, UserId},
    replica::damaged,
    schema::{AMENDED, Entity, Event, Malformed, Span, Value, known},
    store::{StoreError, Table, prefix_end},
    view::{
        Typed, View,
        index::amendment_error,
        keys::{
            CLASSES, IndexOf, author_prefix, class_end, feed_key, index_key, kind_part, ordered,
            read_id, read_ordered,
        },
        writer::feed_end,
    },
};

impl View<'_> {
    /// All entities of a kind, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list<E: Entity>(&self) -> Result<Vec<(EntityId, Typed<E>)>, StoreError> {
        let mut entities = Vec::new();
        for id in self.ids(E::KIND)? {
            entities.extend(self.entity(&id)?.map(|entity| (id, entity)));
        }
        Ok(entities)
    }

    /// The first entities of a kind that one user's documents define, by document and then id; at
    /// most so many, of at most as many documents.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list_by<E: Entity>(
        &self,
        user: &UserId,
        most: usize,
    ) -> Result<Vec<(EntityId, Typed<E>)>, StoreError> {
        let Some(kind) = kind_part(E::KIND) else { return Ok(Vec::new()) };
        let of_kind = index_key(IndexOf::Kind, self.festival(), &[&kind]);
        let documents = self.reader().scan(Table::Index, &author_prefix(self.festival(), user))?;
        let mut entities = Vec::new();
        for (key, _) in documents.into_iter().take(most) {
            let Some(document) = key.last_chunk::<32>() else { continue };
            let found = self.reader().scan(Table::Index, &[&of_kind[..], document].concat())?;
            for (key, _) in found {
                if entities.len() == most {
                    return Ok(entities);
                }
                let (id, _) = read_id(&key[of_kind.len()..])?;
                entities.extend(self.entity(&id)?.map(|entity| (id, entity)));
            }
        }
        Ok(entities)
    }

    /// The ids of all entities of a kind, in order. Kinds longer than 64 bytes are not listed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ids(&self, kind: &str) -> Result<Vec<EntityId>, StoreError> {
        let Some(kind) = kind_part(kind) else { return Ok(Vec::new()) };
        self.indexed(IndexOf::Kind, &[&kind])
    }

    /// The events that share a moment with a span, or all events with a span of their own, by
    /// start and then id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn schedule(&self, span: Option<Span>) -> Result<Vec<(EntityId, Event)>, StoreError> {
        let found = self.during(IndexOf::Schedule, &[], span)?;
        let mut events = Vec::with_capacity(found.len());
        for (_, id) in found {
            if let Some(Ok(event)) = self.entity(&id)? {
                events.push((id, event));
            }
        }
        Ok(events)
    }

    /// What of the festival is not what it should be, and why: entities of the kinds of this
    /// library that lack a field or have one of another type, amendments that are none (they count
    /// for nothing, the entity may be well), and records that this version cannot read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn malformed(&self) -> Result<Vec<(EntityId, Malformed)>, StoreError> {
        let prefix = index_key(IndexOf::Malformed, self.festival(), &[]);
        let mut malformed = Vec::new();
        for (key, _) in self.reader().scan(Table::Index, &prefix)? {
            let (id, field) = read_id(&key[prefix.len()..])?;
            let field = std::str::from_utf8(field).map_err(damaged)?;
            malformed.extend(self.reason(&id, field)?.map(|why| (id, why)));
        }
        Ok(malformed)
    }

    fn reason(&self, id: &EntityId, field: &str) -> Result<Option<Malformed>, StoreError> {
        if !field.is_empty() {
            let cell = self.reader().value_at(id, &[AMENDED, field])?;
            let why = cell.and_then(|cell| amendment_error(&codec::encode(&cell)));
            return Ok(why.map(|why| Malformed(format!("amendment of {field:?}: {why}"))));
        }
        if let Some(row) = self.reader().record_row(id)? {
            return Ok(row.error().map(Malformed));
        }
        let Some(fields) = self.fields(id)? else { return Ok(None) };
        let kind = fields.get("kind").and_then(Value::as_text).and_then(known);
        Ok(kind.and_then(|known| (known.check)(&fields).err()))
    }

    /// The blobs that entities of the festival refer to, as images or files, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn blobs(&self) -> Result<Vec<BlobId>, StoreError> {
        let prefix = index_key(IndexOf::Blob, self.festival(), &[]);
        let mut blobs = Vec::new();
        for (key, _) in self.reader().scan(Table::Index, &prefix)? {
            let id = key.get(prefix.len()..).and_then(<[u8]>::first_chunk);
            blobs.push(BlobId::from_bytes(*id.ok_or_else(|| damaged("a key by blob is cut off"))?));
        }
        blobs.dedup();
        Ok(blobs)
    }

    /// The entities that refer to a blob, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn entities_with(&self, blob: &BlobId) -> Result<Vec<EntityId>, StoreError> {
        self.indexed(IndexOf::Blob, &[blob.as_bytes()])
    }

    /// What changed after a cursor, oldest first: each row once, at its newest change. A row that
    /// is gone was deleted; an entity changed too where somebody amended it. Start with cursor 0.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn changes(&self, since: u64, limit: usize) -> Result<Vec<(u64, EntityId)>, StoreError> {
        let festival = self.festival();
        let start = feed_key(festival, since.saturating_add(1));
        let end = prefix_end(festival.as_bytes());
        let entries = self.store.range(Table::Feed, &start, end.as_deref(), limit)?;
        let read = |(key, row): (Vec<u8>, Vec<u8>)| {
            let cursor = key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes));
            let cursor = cursor.ok_or_else(|| damaged("a cursor is malformed"))?;
            Ok((cursor, read_id(&row)?.0))
        };
        entries.into_iter().map(read).collect()
    }

    /// The cursor of the newest change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn cursor(&self) -> Result<u64, StoreError> {
        feed_end(self.store, self.festival())
    }

    /// The rows of an index under what is looked up.
    pub(super) fn indexed(
        &self,
        index: IndexOf,
        parts: &[&[u8]],
    ) -> Result<Vec<EntityId>, StoreError> {
        let prefix = index_key(index, self.festival(), parts);
        let entries = self.reader().scan(Table::Index, &prefix)?;
        entries.iter().map(|(key, _)| Ok(read_id(&key[prefix.len()..])?.0)).collect()
    }

    /// The rows of an index by span that share a moment with a span, by start and then id.
    pub(super) fn during(
        &self,
        index: IndexOf,
        parts: &[&[u8]],
        span: Option<Span>,
    ) -> Result<Vec<(i64, EntityId)>, StoreError> {
        let mut found = Vec::new();
        let prefix = index_key(index, self.festival(), parts);
        let mut look = |start: &[u8], end: Option<&[u8]>| {
            for (key, ends) in self.reader().range(Table::Index, start, end)? {
                if span.is_some_and(|span| ends[..] <= ordered(span.starts.millis())[..]) {
                    continue;
                }
                // Behind the prefix stand the class, the start and the row.
                let rest = key.get(prefix.len() + 1..).and_then(<[u8]>::split_first_chunk);
                let (starts, rest) = rest.ok_or_else(|| damaged("a key by time is cut off"))?;
                found.push((read_ordered(starts), read_id(rest)?.0));
            }
            Ok::<_, StoreError>(())
        };
        match span {
            None => look(&prefix, prefix_end(&prefix).as_deref())?,
            Some(span) => {
                for class in 0..CLASSES {
                    let bound = |at: i64| [&prefix[..], &[class], &ordered(at)].concat();
                    let first = span.starts.millis().saturating_sub_unsigned(class_end(class));
                    look(&bound(first), Some(&bound(span.ends.millis())))?;
                }
            }
        }
        found.sort();
        Ok(found)
    }
}
