//! The read model: what a festival looks like from the documents that this device holds.
//!
//! Every answer is read from stored rows and indexes; no document is loaded for it. An entity is
//! what its owner wrote, with what its editors amend:
//!
//! ```
//! use p2panda_core::schema::{Event, FestivalInfo, Instant};
//! # use p2panda_core::{EditError, Identity, Replica, store::{MemoryStore, NoResume}};
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # let mut rng = ChaCha20Rng::seed_from_u64(7);
//! # let open = |identity| Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume));
//! # let mut ada = open(Identity::generate(&mut rng))?;
//! # let mut bob = open(Identity::generate(&mut rng))?;
//! # let now = Instant::from_millis(0);
//! # let festival = ada.create_festival(&FestivalInfo::default(), now, &mut rng)?;
//! # bob.join(&festival)?;
//! # let hand_over = |from: &Replica, to: &mut Replica| -> Result<(), Box<dyn std::error::Error>> {
//! #     for (log, _) in from.logs(festival.id())? {
//! #         let descriptor = from.descriptor(&log.document)?.unwrap();
//! #         while let Some(segment) = from.segment(&log, to.held(&log)?.map_or(0, |tip| tip.length))? {
//! #             to.accept(&descriptor, segment.into_segment())?;
//! #         }
//! #     }
//! #     Ok(to.flush()?)
//! # };
//! # let festival = festival.id();
//! // Ada's event, with Bob for an editor.
//! let show = Event { title: "Fire show".into(), editors: [bob.user()].into(), ..Event::default() };
//! let id = ada.edit(festival, now, &mut rng, |edit| edit.create(&show))?;
//! # hand_over(&ada, &mut bob)?;
//!
//! // Bob writes into his own document; whoever holds both sees the event as amended.
//! bob.edit(festival, now, &mut rng, |edit| edit.set(&id, &["title"], "Ice show".into()))?;
//! # hand_over(&bob, &mut ada)?;
//! let view = ada.view(festival);
//! assert_eq!(view.entity::<Event>(&id)?.unwrap()?.title, "Ice show");
//! assert_eq!(view.provenance(&id)?["title"].user, bob.user());
//!
//! // Without Bob his amendments count no more, but for what Ada keeps of them.
//! ada.edit(festival, now, &mut rng, |edit| edit.remove_editor(&id, &show.editors.first().unwrap(), true))?;
//! assert_eq!(ada.view(festival).entity::<Event>(&id)?.unwrap()?.title, "Ice show");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod causality;
mod facts;
mod index;
mod keys;
mod merge;
mod pages;
mod queries;
mod reader;
mod records;
mod resources;
#[cfg(test)]
mod tests;
pub(crate) mod writer;

use std::collections::BTreeMap;

pub use causality::{Causality, Merge};
pub use facts::{Arrivals, Fact, Position, ResourceFacts};
pub(crate) use keys::is_arrival_key;
pub(crate) use keys::{author_key, author_prefix, documents_of, stored_at};
pub use merge::Provenance;
pub(crate) use merge::{Merged, amendments_of};
pub(crate) use pages::{Pages, stored_locals};
pub use resources::{Booking, Scheduled};

use crate::{
    id::{DocumentId, EntityId, FestivalId, UserId},
    log::DocumentDescriptor,
    replica::{damaged, info_id},
    schema::{AMENDMENT, EDITORS, Entity, FestivalInfo, Fields, Malformed, Value, read_fields},
    store::{Store, StoreError, Table},
};
use reader::Reader;

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

    /// An entity's fields as plain data, of whatever kind, with what its editors amend; `None`
    /// where it is unknown or deleted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fields(&self, id: &EntityId) -> Result<Option<Fields>, StoreError> {
        Ok(self.merged(id)?.map(Merged::fields))
    }

    /// Who set each of an entity's fields, deleted ones included; empty where it is unknown.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn provenance(&self, id: &EntityId) -> Result<BTreeMap<String, Provenance>, StoreError> {
        let winners = self.merged(id)?.map(|merged| merged.winners).unwrap_or_default();
        Ok(winners.into_iter().map(|(name, winner)| (name, winner.by)).collect())
    }

    pub(crate) fn merged(&self, id: &EntityId) -> Result<Option<Merged>, StoreError> {
        if id.local.is_record() {
            return Ok(None);
        }
        self.reader().merged(id, None)
    }

    /// An entity as it would be without one of its editors.
    pub(crate) fn merged_without(
        &self,
        id: &EntityId,
        editor: &UserId,
    ) -> Result<Option<Merged>, StoreError> {
        let Some(mut own) = self.reader().entity(id)? else { return Ok(None) };
        if let Some(Value::Map(listed)) = own.get_mut(EDITORS) {
            listed.retain(|name, _| name.parse() != Ok(*editor));
        }
        self.reader().merge(id, own, None).map(Some)
    }

    /// Whether an entity of amendments is there.
    pub(crate) fn is_amendment(&self, id: &EntityId) -> Result<bool, StoreError> {
        Ok(self.reader().value_at(id, &["kind"])? == Some(AMENDMENT.into()))
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
        self.reader().author(document)
    }

    /// What a document is; `None` before any of its logs has arrived.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn descriptor(
        &self,
        document: &DocumentId,
    ) -> Result<Option<DocumentDescriptor>, StoreError> {
        self.reader().descriptor(document)
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

    fn reader(&self) -> Reader<'a> {
        Reader::stored(self.store, self.festival)
    }
}

fn typed<E: Entity>(fields: &Fields) -> Typed<E> {
    match fields.get("kind").and_then(|kind| kind.as_text()) {
        Some(kind) if kind == E::KIND => read_fields(fields),
        kind => Err(Malformed(format!("its kind is {kind:?}, expected was {:?}", E::KIND))),
    }
}
