//! The read model: what a festival looks like from the documents that this device holds.
//!
//! Every answer is read from stored rows and indexes; no document is loaded for it.

mod facts;
pub(crate) mod rows;

pub use facts::{Arrivals, Fact, Position, ResourceFacts};

use crate::{
    codec,
    id::{DocumentId, EntityId, FestivalId, UserId},
    log::DocumentDescriptor,
    replica::{damaged, info_id},
    schema::{Entity, Event, FestivalInfo, Fields, Malformed, Record, Resource, Span, read_fields},
    store::{Store, StoreError, Table, prefix_end},
};
use rows::{
    IndexOf, LONG_EVENT_MS, Row, arrival, feed_end, feed_key, index_prefix, ordered, row_id,
    row_key, sized, stored_at,
};

/// The read model of one festival, as of now.
#[derive(Clone, Copy)]
pub struct View<'a> {
    store: &'a dyn Store,
    festival: FestivalId,
}

/// An entity as a type, or what is wrong with it.
pub type Typed<E> = Result<E, Malformed>;

impl<'a> View<'a> {
    pub(crate) fn new(store: &'a dyn Store, festival: FestivalId) -> Self {
        Self { store, festival }
    }

    /// The festival.
    #[must_use]
    pub const fn festival(&self) -> FestivalId {
        self.festival
    }

    /// An entity's fields as plain data, of whatever kind; `None` where it is unknown or deleted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fields(&self, id: &EntityId) -> Result<Option<Fields>, StoreError> {
        Ok(match self.row(id)? {
            Some(Row::Entity(fields)) => Some(fields),
            _ => None,
        })
    }

    /// An entity as a type; [`Malformed`] where its fields or its kind are not the type's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn entity<E: Entity>(&self, id: &EntityId) -> Result<Option<Typed<E>>, StoreError> {
        Ok(self.fields(id)?.map(|fields| typed(&fields)))
    }

    /// The user who writes a document.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn author(&self, document: &DocumentId) -> Result<Option<UserId>, StoreError> {
        Ok(self.descriptor(document)?.map(|descriptor| descriptor.user))
    }

    /// What a document is; `None` before any of its logs has arrived.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn descriptor(
        &self,
        document: &DocumentId,
    ) -> Result<Option<DocumentDescriptor>, StoreError> {
        let bytes = self.store.get(Table::Documents, document.as_bytes())?;
        bytes.map(|bytes| codec::decode_stored(&bytes).map_err(damaged)).transpose()
    }

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

    /// The ids of all entities of a kind, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ids(&self, kind: &str) -> Result<Vec<EntityId>, StoreError> {
        self.indexed(&index_prefix(IndexOf::Kind, self.festival, &[&sized(kind)]))
    }

    /// What the founder says of the festival; `None` before it has arrived.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn info(&self) -> Result<Option<FestivalInfo>, StoreError> {
        let Some(bytes) = self.store.get(Table::Festivals, self.festival.as_bytes())? else {
            return Ok(None);
        };
        let founder = crate::Festival::from_store(&bytes).map_err(damaged)?.founder();
        let document =
            DocumentDescriptor { festival: self.festival, user: founder, label: String::new() };
        let info = self.entity(&EntityId::new(document.id(), info_id()))?;
        Ok(info.and_then(Result::ok))
    }

    /// The events that share a moment with a span, or all events with a span of their own, by
    /// start and then id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn schedule(&self, span: Option<Span>) -> Result<Vec<(EntityId, Event)>, StoreError> {
        let mut found = Vec::new();
        for (index, back) in [(IndexOf::Start, Some(LONG_EVENT_MS)), (IndexOf::LongStart, None)] {
            let prefix = index_prefix(index, self.festival, &[]);
            let bound = |millis: i64| [&prefix[..], &ordered(millis)].concat();
            let (start, end) = match span {
                None => (prefix.clone(), prefix_end(&prefix)),
                Some(span) => (
                    back.map_or_else(
                        || prefix.clone(),
                        |back| bound(span.starts.millis().saturating_sub(back)),
                    ),
                    Some(bound(span.ends.millis())),
                ),
            };
            for (key, ends) in self.store.range(Table::Index, &start, end.as_deref(), usize::MAX)? {
                if span.is_none_or(|span| ends[..] > ordered(span.starts.millis())[..]) {
                    found.push((key[33..41].to_vec(), row_id(&key, 41)?));
                }
            }
        }
        found.sort();
        let mut events = Vec::with_capacity(found.len());
        for (_, id) in found {
            if let Some(Ok(event)) = self.entity(&id)? {
                events.push((id, event));
            }
        }
        Ok(events)
    }

    /// A request, decision, release or withdrawal.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn record(&self, id: &EntityId) -> Result<Option<Fact>, StoreError> {
        Ok(match self.row(id)? {
            Some(Row::Record(record)) => record.fact(id.clone()),
            _ => None,
        })
    }

    /// All that is known of a resource, for the policies.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn facts(&self, resource: &EntityId) -> Result<Option<ResourceFacts>, StoreError> {
        let records = self.records(IndexOf::Resource, resource)?;
        let Some(owner) = self.author(&resource.document)? else { return Ok(None) };
        Ok(Some(ResourceFacts {
            id: resource.clone(),
            owner,
            resource: self.entity::<Resource>(resource)?.and_then(Result::ok),
            records,
        }))
    }

    /// In which order the records about a resource first arrived at this device.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn arrivals(&self, resource: &EntityId) -> Result<Arrivals, StoreError> {
        let mut arrivals = Arrivals::default();
        for id in self.indexed_by(IndexOf::Resource, resource)? {
            if let Some(number) = arrival(self.store, self.festival, &id)? {
                arrivals.0.insert(id, number);
            }
        }
        Ok(arrivals)
    }

    /// The requests for an event, withdrawn ones included, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn event_requests(&self, event: &EntityId) -> Result<Vec<Fact>, StoreError> {
        let mut requests = self.records(IndexOf::Event, event)?;
        requests.retain(|fact| matches!(fact.record, Record::Request(_)));
        Ok(requests)
    }

    /// What changed after a cursor, oldest first: each row once, at its newest change. A row that
    /// is gone was deleted. Start with cursor 0.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn changes(&self, since: u64, limit: usize) -> Result<Vec<(u64, EntityId)>, StoreError> {
        let start = feed_key(self.festival, since.saturating_add(1));
        let end = prefix_end(self.festival.as_bytes());
        let entries = self.store.range(Table::Feed, &start, end.as_deref(), limit)?;
        let read = |(key, row): (Vec<u8>, Vec<u8>)| {
            let cursor = key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes));
            Ok((cursor.ok_or_else(|| damaged("a cursor is malformed"))?, row_id(&row, 0)?))
        };
        entries.into_iter().map(read).collect()
    }

    /// The cursor of the newest change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn cursor(&self) -> Result<u64, StoreError> {
        feed_end(self.store, self.festival)
    }

    /// Where what is stored of the festival's view stands: each table with a prefix of keys.
    pub(crate) fn tables(&self) -> Vec<(Table, Vec<u8>)> {
        stored_at(self.festival)
    }

    fn row(&self, id: &EntityId) -> Result<Option<Row>, StoreError> {
        let key = row_key(self.festival, &id.document, &id.local);
        self.store.get(Table::Rows, &key)?.map(|bytes| Row::from_bytes(&bytes)).transpose()
    }

    fn records(&self, index: IndexOf, of: &EntityId) -> Result<Vec<Fact>, StoreError> {
        let mut records = Vec::new();
        for id in self.indexed_by(index, of)? {
            records.extend(self.record(&id)?);
        }
        Ok(records)
    }

    fn indexed_by(&self, index: IndexOf, of: &EntityId) -> Result<Vec<EntityId>, StoreError> {
        self.indexed(&index_prefix(index, self.festival, &[&sized(&of.to_string())]))
    }

    fn indexed(&self, prefix: &[u8]) -> Result<Vec<EntityId>, StoreError> {
        let end = prefix_end(prefix);
        let entries = self.store.range(Table::Index, prefix, end.as_deref(), usize::MAX)?;
        entries.iter().map(|(key, _)| row_id(key, prefix.len())).collect()
    }
}

fn typed<E: Entity>(fields: &Fields) -> Typed<E> {
    match fields.get("kind").and_then(|kind| kind.as_text()) {
        Some(kind) if kind == E::KIND => read_fields(fields),
        kind => Err(Malformed(format!("its kind is {kind:?}, expected was {:?}", E::KIND))),
    }
}
