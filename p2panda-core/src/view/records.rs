//! Rows and indexes of records. A record never changes, but what it means for others does, in
//! whatever order they arrive.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    codec,
    document::Content,
    id::{DocumentId, EntityId, FestivalId, Incarnation, UserId},
    log::DocumentDescriptor,
    replica::damaged,
    schema::{Answer, Decision, Record, Span, Terms, decisions_label},
    store::{StoreError, Table},
    view::{
        Causality, Fact, Position,
        keys::{IndexOf, class_of, id_part, index_key, ordered, read_id, row_key},
        reader::Reader,
        writer::RowWriter,
    },
};

/// A stored record with its author and place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordRow {
    author: UserId,
    bytes: ByteBuf,
    incarnation: Incarnation,
    index: u64,
    /// Whether the entry had seen any other incarnation's.
    merged: bool,
}

/// What a record says, and who signed it.
pub(super) struct Signed {
    pub(super) author: UserId,
    pub(super) record: Record,
}

impl RecordRow {
    fn new(author: UserId, content: Content) -> Option<Self> {
        let Content::Record { bytes, incarnation, index, merged } = content else { return None };
        Some(Self { author, bytes: ByteBuf::from(bytes), incarnation, index, merged })
    }

    /// What is wrong with its content; `None` where it is a record that this version knows.
    pub(super) fn error(&self) -> Option<String> {
        Record::from_bytes(&self.bytes).err().map(|error| error.to_string())
    }

    /// What it says; `None` where its content is no record that this version knows.
    fn signed(&self) -> Option<Signed> {
        Some(Signed { author: self.author, record: Record::from_bytes(&self.bytes).ok()? })
    }

    /// The secondary keys that follow from the record alone.
    fn entries(&self, festival: FestivalId, id: &EntityId) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let row = id_part(id);
        let mut entries = BTreeMap::new();
        let mut add = |index, parts: &[&[u8]], value| {
            let parts: Vec<&[u8]> = parts.iter().copied().chain([&row[..]]).collect();
            entries.insert(index_key(index, festival, &parts), value);
        };
        let author = self.author.as_bytes();
        let Ok(record) = Record::from_bytes(&self.bytes) else {
            add(IndexOf::Malformed, &[], vec![]);
            return entries;
        };
        add(IndexOf::Resource, &[&id_part(record.resource())], vec![]);
        let mut booking = |Terms { resource, span: Span { starts, ends }, .. }: &Terms| {
            if starts < ends {
                let class = [class_of(starts.millis().abs_diff(ends.millis()))];
                let starts = ordered(starts.millis());
                let parts: [&[u8]; 3] = [&id_part(resource), &class, &starts];
                add(IndexOf::Booking, &parts, ordered(ends.millis()).to_vec());
            }
        };
        match &record {
            Record::Request(request) => {
                booking(&request.terms);
                add(IndexOf::Event, &[&id_part(&request.terms.event)], vec![]);
            }
            Record::Decision(decision) => {
                if decision.answer == Answer::Confirm {
                    booking(&decision.terms);
                }
            }
            Record::Release(release) => {
                for decision in &release.decisions {
                    add(IndexOf::Released, &[&id_part(decision), author], vec![]);
                }
            }
            Record::Withdrawal(withdrawal) => {
                add(IndexOf::Withdrawn, &[&id_part(&withdrawal.request), author], vec![]);
            }
        }
        entries
    }
}

impl Reader<'_> {
    pub(super) fn record_row(&self, id: &EntityId) -> Result<Option<RecordRow>, StoreError> {
        if !id.local.is_record() {
            return Ok(None);
        }
        let bytes = self.get(Table::Rows, &row_key(self.festival, id))?;
        bytes.map(|bytes| codec::decode_stored(&bytes).map_err(damaged)).transpose()
    }

    /// A request, decision, release or withdrawal.
    pub(super) fn signed(&self, id: &EntityId) -> Result<Option<Signed>, StoreError> {
        Ok(self.record_row(id)?.and_then(|row| row.signed()))
    }

    /// Whether something of an index names `about` and was written by `author`.
    pub(super) fn said(
        &self,
        index: IndexOf,
        about: &EntityId,
        author: &UserId,
    ) -> Result<bool, StoreError> {
        let parts: [&[u8]; 2] = [&id_part(about), author.as_bytes()];
        self.any(Table::Index, &index_key(index, self.festival, &parts))
    }

    /// Whether a request waits for its resource's owner: neither withdrawn nor answered, but for
    /// answers that were released.
    fn is_open(
        &self,
        request: &EntityId,
        requester: &UserId,
        resource: &EntityId,
    ) -> Result<bool, StoreError> {
        if self.said(IndexOf::Withdrawn, request, requester)? {
            return Ok(false);
        }
        // Before the resource's document has arrived nobody is known to own it.
        Ok(match self.author(&resource.document)? {
            Some(owner) => !self.said(IndexOf::Standing, request, &owner)?,
            None => true,
        })
    }
}

/// Records as facts: what is known of their documents' causality is read once.
///
/// Only decisions are compared, and there is one document for those of a user on a resource. So
/// whoever asks about every resource reads no document twice.
pub(super) struct Facts<'a> {
    reader: Reader<'a>,
    documents: BTreeMap<DocumentId, Causality>,
}

impl<'a> Facts<'a> {
    pub(super) const fn new(reader: Reader<'a>) -> Self {
        Self { reader, documents: BTreeMap::new() }
    }

    /// A request, decision, release or withdrawal.
    pub(super) fn get(&mut self, id: EntityId) -> Result<Option<Fact>, StoreError> {
        let Some(row) = self.reader.record_row(&id)? else { return Ok(None) };
        let Some(Signed { author, record }) = row.signed() else { return Ok(None) };
        let RecordRow { incarnation, index, merged, .. } = row;
        let causality = if self.is_ordered(&id.document, &author, &record) {
            self.causality(id.document, merged)?
        } else {
            Causality::default()
        };
        let position = Position { incarnation, index, causality };
        Ok(Some(Fact { id, author, record, position }))
    }

    /// Whether a record is a decision in the document that is there for it.
    fn is_ordered(&self, document: &DocumentId, author: &UserId, record: &Record) -> bool {
        let Record::Decision(Decision { terms, .. }) = record else { return false };
        let (festival, label) = (self.reader.festival, decisions_label(&terms.resource));
        DocumentDescriptor { festival, user: *author, label }.id() == *document
    }

    fn causality(&mut self, document: DocumentId, merged: bool) -> Result<Causality, StoreError> {
        Ok(match self.documents.get(&document) {
            Some(known) => known.clone(),
            None if !merged => Causality::default(),
            None => {
                let read = self.reader.causality(&document)?;
                self.documents.insert(document, read.clone());
                read
            }
        })
    }
}

/// What records of a batch bear on, to be looked at once when all of them are there: many may name
/// the same.
#[derive(Default)]
pub(super) struct Concerned {
    /// Decisions, each with the request that it answers and who made it.
    decisions: BTreeMap<EntityId, (EntityId, UserId)>,
    requests: BTreeSet<EntityId>,
}

impl RowWriter<'_> {
    /// Sets a record's row, or deletes it where there is none any more.
    pub(super) fn record(
        &mut self,
        id: &EntityId,
        content: Option<Content>,
        concerned: &mut Concerned,
    ) -> Result<(), StoreError> {
        let new = content.and_then(|content| RecordRow::new(self.user, content));
        let old = self.reader().record_row(id)?;
        if old == new {
            return Ok(());
        }
        let festival = self.festival;
        let entries = |row: &Option<RecordRow>| {
            row.as_ref().map(|row| row.entries(festival, id)).unwrap_or_default()
        };
        self.replace_entries(entries(&old), entries(&new));
        self.set(Table::Rows, row_key(festival, id), new.as_ref().map(codec::encode));
        self.record_change(id)?;
        let is_there = new.is_some();
        let row = new.or(old);
        let Some(Signed { record, author }) = row.and_then(|row| row.signed()) else {
            return Ok(());
        };
        match record {
            Record::Request(request) if !is_there => {
                self.set_open(id, &request.terms.resource, false)?;
            }
            Record::Request(_) => drop(concerned.requests.insert(id.clone())),
            Record::Withdrawal(withdrawal) => drop(concerned.requests.insert(withdrawal.request)),
            Record::Decision(decision) => {
                concerned.decisions.insert(id.clone(), (decision.request, author));
            }
            Record::Release(release) => {
                for decision in release.decisions {
                    // One that comes or goes with this batch is concerned by itself.
                    let signed = self.reader().signed(&decision)?;
                    if let Some(Signed { record: Record::Decision(terms), author: decider }) =
                        signed
                        && decider == author
                    {
                        concerned.decisions.insert(decision, (terms.request, author));
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks again at what records bear on.
    pub(super) fn settle(&mut self, concerned: Concerned) -> Result<(), StoreError> {
        let Concerned { decisions, mut requests } = concerned;
        for (decision, (request, author)) in decisions {
            self.stand(&decision, &request, &author)?;
            requests.insert(request);
        }
        for request in &requests {
            self.reopen(request)?;
        }
        Ok(())
    }

    /// Notes whether a decision stands: it is there and was not released by who made it.
    fn stand(
        &mut self,
        decision: &EntityId,
        request: &EntityId,
        author: &UserId,
    ) -> Result<(), StoreError> {
        let stands = self.reader().exists(decision)?
            && !self.reader().said(IndexOf::Released, decision, author)?;
        let parts: [&[u8]; 3] = [&id_part(request), author.as_bytes(), &id_part(decision)];
        let key = index_key(IndexOf::Standing, self.festival, &parts);
        self.set(Table::Index, key, stands.then(Vec::new));
        Ok(())
    }

    /// Notes whether a request that may be there is open.
    fn reopen(&mut self, request: &EntityId) -> Result<(), StoreError> {
        match self.reader().signed(request)? {
            Some(Signed { record: Record::Request(asked), author }) => {
                let resource = asked.terms.resource;
                let open = self.reader().is_open(request, &author, &resource)?;
                self.set_open(request, &resource, open)
            }
            _ => Ok(()),
        }
    }

    fn set_open(
        &mut self,
        request: &EntityId,
        resource: &EntityId,
        open: bool,
    ) -> Result<(), StoreError> {
        let parts: [&[u8]; 2] = [&id_part(resource), &id_part(request)];
        let key = index_key(IndexOf::Open, self.festival, &parts);
        if self.reader().get(Table::Index, &key)?.is_some() != open {
            self.set(Table::Index, key, open.then(Vec::new));
        }
        Ok(())
    }

    /// Notes whose the document is. What was asked of its resources before is looked at again:
    /// who may answer it is known only now.
    pub(super) fn introduce(&mut self, document: &DocumentId) -> Result<(), StoreError> {
        let parts: [&[u8]; 2] = [self.user.as_bytes(), document.as_bytes()];
        let key = index_key(IndexOf::Author, self.festival, &parts);
        if self.reader().get(Table::Index, &key)?.is_some() {
            return Ok(());
        }
        self.put(Table::Index, key, vec![]);
        let prefix = index_key(IndexOf::Open, self.festival, &[document.as_bytes()]);
        for (key, _) in self.reader().scan(Table::Index, &prefix)? {
            let (_, request) = read_id(&key[33..])?;
            self.reopen(&read_id(request)?.0)?;
        }
        Ok(())
    }
}
