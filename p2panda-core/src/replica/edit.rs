//! Local writing: an edit is one commit, whatever documents it touches.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rand_core::CryptoRng;

use crate::{
    codec,
    document::{Draft, DraftError, Outcome},
    hash::{Domain, hash},
    id::{EntityId, FestivalId, Incarnation, LocalId, LogId, UserId, to_text},
    log::{BLOCK, DocumentDescriptor, MAX_SEGMENT, Tip, VerifiedSegment},
    replica::{
        INCARNATION_KEY, LogState, Replica,
        accept::{put_state, store_segment},
        damaged,
        difference::{apply, differences},
    },
    schema::{
        Decision, Entity, Fields, Instant, MAX_RECORD, Malformed, Record, Release, Request, Value,
        Withdrawal, field_names, read_fields, write_fields,
    },
    store::{Batch, StoreError, Table},
    view::{
        View,
        rows::{RowWriter, row_of},
    },
};

/// Why an edit was not made. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The replica does not follow this festival.
    #[error("this replica does not follow festival {0}: join it with its ticket first")]
    UnknownFestival(FestivalId),
    /// The entity is in somebody else's document.
    #[error("{0} belongs to another user: only its owner can change it")]
    NotYours(EntityId),
    /// A label is too long.
    #[error("a label has {size} bytes, at most {} are possible", DocumentDescriptor::MAX_LABEL)]
    Label {
        /// Its size in bytes.
        size: usize,
    },
    /// A record is too large.
    #[error("the record has {size} bytes, at most {MAX_RECORD} are possible")]
    RecordTooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Records are made with `request`, `decide`, `release` and `withdraw` and never change.
    #[error("{0} is a record: records never change")]
    RecordChanged(EntityId),
    /// A value that a document cannot hold.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A type that cannot be written as fields.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The log is not the user's own, not cut, or nothing of that branch is held.
    #[error("log {} of document {} has no such cut branch of your own", .0.incarnation, .0.document)]
    NothingToReissue(LogId),
    /// The gate refused what this library wrote: a bug to report.
    #[error("the edit was refused by this library's own gate: {0}")]
    Gate(String),
    /// This device's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An edit while it is made: what it writes stands after the whole edit was committed.
pub struct Edit<'a> {
    view: View<'a>,
    rng: &'a mut dyn CryptoRng,
    user: UserId,
    festival: FestivalId,
    now: Instant,
    label: String,
    drafts: BTreeMap<String, Draft>,
    /// Entities that this edit has written, as they will be.
    written: HashMap<EntityId, Fields>,
}

impl Replica {
    /// Makes one commit: all that the closure writes, or nothing. Durable when it returns.
    ///
    /// # Errors
    /// [`EditError`], or the closure's own error, with nothing written.
    pub fn edit<T, E: From<EditError>>(
        &mut self,
        festival: FestivalId,
        now: Instant,
        rng: &mut impl CryptoRng,
        change: impl FnOnce(&mut Edit<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let store = |error: StoreError| E::from(EditError::Store(error));
        if self.festival(festival).map_err(store)?.is_none() {
            return Err(EditError::UnknownFestival(festival).into());
        }
        let mut edit = Edit {
            view: View::new(&*self.store, festival),
            rng,
            user: self.identity.user(),
            festival,
            now,
            label: String::new(),
            drafts: BTreeMap::new(),
            written: HashMap::new(),
        };
        let result = change(&mut edit)?;
        let drafts = std::mem::take(&mut edit.drafts);
        let fresh = Incarnation::random(rng);
        self.write(festival, now, fresh, drafts)?;
        Ok(result)
    }

    pub(super) fn write(
        &mut self,
        festival: FestivalId,
        now: Instant,
        fresh: Incarnation,
        drafts: BTreeMap<String, Draft>,
    ) -> Result<(), EditError> {
        let mut incarnation = self.incarnation.unwrap_or(fresh);
        let drafts: Vec<_> = drafts.into_iter().filter(|(_, draft)| !draft.is_empty()).collect();
        let mut batch = Batch::new();
        let mut grown = Vec::new();
        let mut rows_from = None;
        let mut documents = Vec::new();
        for (label, draft) in drafts {
            let descriptor = DocumentDescriptor { festival, user: self.user(), label };
            let log = LogId { document: descriptor.id(), incarnation };
            let cached = self.take_document(&descriptor)?;
            documents.push((descriptor, log, draft, cached));
        }
        for (_, log, _, cached) in &documents {
            let state = self.log_state(festival, log)?;
            if state.is_some_and(|state| state.length != cached.document.length(&incarnation)) {
                incarnation = fresh; // that log stands still: nothing behind it would count
            }
        }
        for (descriptor, log, draft, cached) in &mut documents {
            log.incarnation = incarnation;
            let state = self.log_state(festival, log)?;
            let before = state.as_ref().map(LogState::tip);
            let mut touched = BTreeSet::new();
            let mut payloads = Vec::new();
            let mut position = cached.document.length(&incarnation);
            while let Some(payload) = cached.document.next_payload(incarnation, now, draft) {
                match cached.document.offer(incarnation, position, &payload) {
                    Outcome::Valid(changed) => touched.extend(changed),
                    other => return Err(EditError::Gate(format!("{other:?}"))),
                }
                position += 1;
                payloads.push(payload);
            }
            if payloads.is_empty() {
                continue;
            }
            if before.is_none() {
                batch.put(Table::Documents, *log.document.as_bytes(), codec::encode(descriptor));
            }
            let state = self.sign(&mut batch, *log, state, payloads)?;
            put_state(&mut batch, festival, log, &state);
            let mut rows = RowWriter::new(&*self.store, &mut batch, festival, rows_from)?;
            for local in &touched {
                let row = cached.document.read(local);
                let row = row.map(|content| row_of(descriptor.user, content));
                rows.write(log.document, local, row.as_ref())?;
            }
            rows_from = Some(rows.finish());
            grown.push((festival, *log, before));
        }
        if !grown.is_empty() {
            batch.put(Table::Meta, INCARNATION_KEY, *incarnation.as_bytes());
            self.unused_token = None;
            // In doubt after a failure, the next edit draws a fresh incarnation.
            self.incarnation = None;
            self.commit(batch, &grown)?;
            self.incarnation = Some(incarnation);
        }
        for (_, log, _, mut cached) in documents {
            cached.bytes = cached.document.bytes();
            self.cache(log.document, cached);
        }
        self.flush()?;
        Ok(())
    }

    /// Adds new entries of an own log to a batch, in as many segments as they need.
    fn sign(
        &self,
        batch: &mut Batch,
        log: LogId,
        mut state: Option<LogState>,
        payloads: Vec<Vec<u8>>,
    ) -> Result<LogState, EditError> {
        let mut tip = state.as_ref().map_or_else(|| Tip::start(&log), LogState::tip);
        let mut rest = payloads.into_iter().peekable();
        while rest.peek().is_some() {
            let mut entries = Vec::new();
            let mut size = 0;
            while let Some(payload) = rest.next_if(|payload| {
                let full = !entries.is_empty() && size + payload.len() > MAX_SEGMENT;
                !full
                    && (entries.is_empty()
                        || !(tip.length + entries.len() as u64).is_multiple_of(BLOCK))
            }) {
                size += payload.len();
                entries.push(payload);
            }
            let count = entries.len() as u64;
            let segment = VerifiedSegment::sign(&self.identity, log, &tip, entries)
                .map_err(|error| EditError::Gate(error.to_string()))?;
            tip = *segment.end();
            let mut next = store_segment(batch, &segment, state);
            next.materialised += count;
            state = Some(next);
        }
        state.ok_or_else(|| EditError::Store(damaged("an edit without entries")))
    }
}

impl Edit<'_> {
    /// Who writes.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// When the edit is made.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Writes into the document with this label from here on; the empty label is everyone's first.
    /// Large importers spread their entities, so that no document grows beyond about 2,000.
    pub fn label(&mut self, label: &str) -> &mut Self {
        label.clone_into(&mut self.label);
        self
    }

    /// Creates an entity with a fresh id.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn create<E: Entity>(&mut self, entity: &E) -> Result<EntityId, EditError> {
        let mut rng = &mut *self.rng;
        let local = LocalId::random(&mut rng);
        self.put(&local, entity)
    }

    /// Creates or updates an entity. Only what differs from what stands is written, field by
    /// field; fields that the type does not know stay as they are.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn put<E: Entity>(&mut self, local: &LocalId, entity: &E) -> Result<EntityId, EditError> {
        let id = EntityId::new(self.document(&self.label)?, local.clone());
        self.check_entity(&id)?;
        let mut new = write_fields(entity)?;
        read_fields::<E>(&new)?; // what nobody could read back is not written
        new.insert("kind".to_owned(), E::KIND.into());
        let present = self.present(&id)?;
        let known = match &present {
            Some(fields) => {
                // What the type would write of what stands: fields beyond it are not its own.
                let read = read_fields::<E>(fields).and_then(|old| write_fields(&old));
                let mut known = read.unwrap_or_else(|_| {
                    let mut own = fields.clone();
                    own.retain(|name, _| field_names::<E>().contains(&name.as_str()));
                    own
                });
                known.extend(fields.get("kind").map(|kind| ("kind".to_owned(), kind.clone())));
                known
            }
            None => {
                let label = self.label.clone();
                self.drafts.entry(label).or_default().create(local);
                Fields::new()
            }
        };
        let mut steps = Vec::new();
        // A removed set loses its items, not those that another device adds meanwhile. A map of
        // items is a set where the type reads it back, emptied, as it would without it.
        let is_set = |path: &[String]| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let mut emptied = new.clone();
            apply(&mut emptied, &path, Some(Value::Map(Fields::new())));
            let read = read_fields::<E>(&emptied).and_then(|entity| write_fields(&entity));
            read.is_ok_and(|mut fields| {
                fields.insert("kind".to_owned(), E::KIND.into());
                fields == new
            })
        };
        differences(&known, &new, &is_set, &mut Vec::new(), &mut steps);
        for (path, value) in steps {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            self.write(&id, &path, value)?;
        }
        self.written.entry(id.clone()).or_insert_with(|| present.unwrap_or_default());
        Ok(id)
    }

    /// Sets one field of an own entity; a map is merged into the one that stands.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn set(&mut self, id: &EntityId, path: &[&str], value: Value) -> Result<(), EditError> {
        self.check_entity(id)?;
        if path.is_empty() && !matches!(value, Value::Map(_)) {
            return Err(Malformed("an entity is a map of fields".to_owned()).into());
        }
        self.in_document_of(id, |edit| edit.write(id, path, Some(value)))
    }

    /// Deletes one field of an own entity, or the entity where the path is empty.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn delete(&mut self, id: &EntityId, path: &[&str]) -> Result<(), EditError> {
        self.check_entity(id)?;
        self.in_document_of(id, |edit| edit.write(id, path, None))
    }

    /// Asks for a resource.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn request(&mut self, request: Request) -> Result<EntityId, EditError> {
        self.record(&self.label.clone(), &Record::Request(request))
    }

    /// Answers a request. All of a user's decisions on one resource stand in one document.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn decide(&mut self, decision: Decision) -> Result<EntityId, EditError> {
        let label = decisions_label(&decision.terms.resource);
        self.record(&label, &Record::Decision(decision))
    }

    /// Ends own decisions.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn release(&mut self, release: Release) -> Result<EntityId, EditError> {
        let label = decisions_label(&release.resource);
        self.record(&label, &Record::Release(release))
    }

    /// Ends an own request, for ever.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn withdraw(&mut self, withdrawal: Withdrawal) -> Result<EntityId, EditError> {
        self.record(&self.label.clone(), &Record::Withdrawal(withdrawal))
    }

    fn record(&mut self, label: &str, record: &Record) -> Result<EntityId, EditError> {
        let content = record.to_bytes();
        if content.len() > MAX_RECORD {
            return Err(EditError::RecordTooLarge { size: content.len() });
        }
        let id = EntityId::new(self.document(label)?, LocalId::of_record(&content));
        if self.view.record(&id)?.is_none() {
            self.drafts.entry(label.to_owned()).or_default().record(content);
        }
        Ok(id)
    }

    fn document(&self, label: &str) -> Result<crate::DocumentId, EditError> {
        if label.len() > DocumentDescriptor::MAX_LABEL {
            return Err(EditError::Label { size: label.len() });
        }
        let (festival, user) = (self.festival, self.user);
        Ok(DocumentDescriptor { festival, user, label: label.to_owned() }.id())
    }

    fn check_entity(&self, id: &EntityId) -> Result<(), EditError> {
        if id.local.is_record() { Err(EditError::RecordChanged(id.clone())) } else { Ok(()) }
    }

    /// Runs with the label of an own entity's document.
    fn in_document_of<T>(
        &mut self,
        id: &EntityId,
        run: impl FnOnce(&mut Self) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        let mut used = std::iter::once(&self.label).chain(self.drafts.keys());
        let label = if let Some(label) =
            used.find(|label| self.document(label).is_ok_and(|document| document == id.document))
        {
            label.clone()
        } else {
            let descriptor = self.view.descriptor(&id.document)?;
            let own =
                descriptor.filter(|own| own.user == self.user && own.festival == self.festival);
            own.ok_or_else(|| EditError::NotYours(id.clone()))?.label
        };
        let before = std::mem::replace(&mut self.label, label);
        let result = run(self);
        self.label = before;
        result
    }

    /// The entity as it stands with what this edit has written so far.
    fn present(&self, id: &EntityId) -> Result<Option<Fields>, EditError> {
        match self.written.get(id) {
            Some(fields) => Ok(Some(fields.clone())),
            None => Ok(self.view.fields(id)?),
        }
    }

    /// Drafts one step in the document of the present label.
    fn write(
        &mut self,
        id: &EntityId,
        path: &[&str],
        value: Option<Value>,
    ) -> Result<(), EditError> {
        let mut fields = self.present(id)?.unwrap_or_default();
        let draft = self.drafts.entry(self.label.clone()).or_default();
        match &value {
            Some(value) => draft.put(&id.local, path, value)?,
            None => draft.delete(&id.local, path),
        }
        apply(&mut fields, path, value);
        self.written.insert(id.clone(), fields);
        Ok(())
    }
}

/// Where a user's decisions on a resource stand.
fn decisions_label(resource: &EntityId) -> String {
    format!("decisions/{}", to_text(&hash(Domain::Record, resource.to_string().as_bytes())))
}
