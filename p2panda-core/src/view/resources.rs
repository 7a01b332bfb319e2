//! Questions about resources and the records that concern them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{EntityId, UserId},
    schema::{Answer, Event, Record, Resource, Span, Terms},
    store::{StoreError, Table},
    view::{
        Arrivals, Fact, ResourceFacts, Typed, View,
        keys::{IndexOf, id_part, index_key, read_id, read_u64},
        records::{Facts, Signed},
    },
};

/// A booking with its event, where that is known.
pub type Scheduled = (Booking, Option<Typed<Event>>);

/// What a resource is asked or promised for: one request with one set of terms. Data, not a
/// judgement: whose confirmation counts is for the resource's policy to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The request.
    pub request: EntityId,
    /// Event, span and units.
    pub terms: Terms,
    /// Whether the request asks for exactly this and was not withdrawn. A confirmation may be here
    /// before its request.
    pub asked: bool,
    /// Who confirms it and has not released that.
    pub confirmed_by: BTreeSet<UserId>,
}

impl View<'_> {
    /// A request, decision, release or withdrawal.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn record(&self, id: &EntityId) -> Result<Option<Fact>, StoreError> {
        Facts::new(self.reader()).get(id.clone())
    }

    /// The resource that a record is about; `None` where the record is unknown or of no known
    /// form. Unlike [`View::record`] it reads a single row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn resource_of(&self, record: &EntityId) -> Result<Option<EntityId>, StoreError> {
        let signed = self.reader().signed(record)?;
        Ok(signed.map(|Signed { record, .. }| record.resource().clone()))
    }

    /// All that is known of a resource, for the policies.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn facts(&self, resource: &EntityId) -> Result<Option<ResourceFacts>, StoreError> {
        let records = self.records(IndexOf::Resource, &id_part(resource))?;
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
        for id in self.indexed(IndexOf::Resource, &[&id_part(resource)])? {
            let key = index_key(IndexOf::Change, self.festival(), &[&id_part(&id)]);
            let change = self.store.get(Table::Index, &key)?;
            if let Some(number) = change.and_then(|bytes| read_u64(&bytes, 8)) {
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
        self.records(IndexOf::Event, &id_part(event))
    }

    /// The requests for a user's resources that wait for that user: neither withdrawn nor answered,
    /// but for answers that were released. By resource.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_requests(&self, owner: &UserId) -> Result<Vec<Fact>, StoreError> {
        let documents = index_key(IndexOf::Author, self.festival(), &[owner.as_bytes()]);
        let mut open = Vec::new();
        let mut facts = Facts::new(self.reader());
        for (document, _) in self.reader().scan(Table::Index, &documents)? {
            let document = &document[documents.len()..];
            let prefix = index_key(IndexOf::Open, self.festival(), &[document]);
            for (key, _) in self.reader().scan(Table::Index, &prefix)? {
                let (_, request) = read_id(&key[prefix.len() - document.len()..])?;
                open.extend(facts.get(read_id(request)?.0)?);
            }
        }
        Ok(open)
    }

    /// What a resource is asked or promised for, in a span or ever: by start, then request.
    /// Withdrawn requests that nobody confirms are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn bookings(
        &self,
        resource: &EntityId,
        span: Option<Span>,
    ) -> Result<Vec<Booking>, StoreError> {
        let mut bookings: BTreeMap<(Span, EntityId, Terms), Booking> = BTreeMap::new();
        for (_, id) in self.during(IndexOf::Booking, &[&id_part(resource)], span)? {
            let Some(Signed { author, record }) = self.reader().signed(&id)? else { continue };
            let (request, terms, confirmed) = match record {
                Record::Request(request) => {
                    if self.reader().said(IndexOf::Withdrawn, &id, &author)? {
                        continue;
                    }
                    (id, request.terms, false)
                }
                Record::Decision(decision) if decision.answer == Answer::Confirm => {
                    if self.reader().said(IndexOf::Released, &id, &author)? {
                        continue;
                    }
                    (decision.request, decision.terms, true)
                }
                _ => continue,
            };
            let key = (terms.span, request.clone(), terms.clone());
            let booking = bookings.entry(key).or_insert_with(|| Booking {
                request,
                terms,
                asked: false,
                confirmed_by: BTreeSet::new(),
            });
            if confirmed {
                booking.confirmed_by.insert(author);
            } else {
                booking.asked = true;
            }
        }
        Ok(bookings.into_values().collect())
    }

    /// A place's programme: its [`bookings`](Self::bookings) with their events, where those are
    /// known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn programme(
        &self,
        place: &EntityId,
        span: Option<Span>,
    ) -> Result<Vec<Scheduled>, StoreError> {
        let mut programme = Vec::new();
        for booking in self.bookings(place, span)? {
            let event = self.entity(&booking.terms.event)?;
            programme.push((booking, event));
        }
        Ok(programme)
    }

    /// The bookings of a resource that overlap, as groups: in each, every booking but the first
    /// shares a moment with an earlier one. Real festivals have hundreds; a policy says which of
    /// them are a problem.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn overlaps(
        &self,
        resource: &EntityId,
        span: Option<Span>,
    ) -> Result<Vec<Vec<Booking>>, StoreError> {
        let mut groups = Vec::new();
        let mut group: Vec<Booking> = Vec::new();
        let mut until = None;
        for booking in self.bookings(resource, span)? {
            let Span { starts, ends } = booking.terms.span;
            if until.is_some_and(|until| until <= starts) {
                groups.push(std::mem::take(&mut group));
            }
            until = until.max(Some(ends));
            group.push(booking);
        }
        groups.push(group);
        groups.retain(|group| group.len() > 1);
        Ok(groups)
    }

    fn records(&self, index: IndexOf, of: &[u8]) -> Result<Vec<Fact>, StoreError> {
        let mut records = Vec::new();
        let mut facts = Facts::new(self.reader());
        for id in self.indexed(index, &[of])? {
            records.extend(facts.get(id)?);
        }
        Ok(records)
    }
}
