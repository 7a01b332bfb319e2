//! An entity as everybody sees it: what its owner wrote, with what its editors amend.

use std::collections::BTreeMap;

use crate::{
    id::{EntityId, UserId},
    log::DocumentDescriptor,
    schema::{
        AMENDED, AMENDMENT, Amendment, EDITORS, Fields, Value, amends_label, editors, is_amendable,
    },
    store::StoreError,
    view::reader::Reader,
};

/// Who set a field to what it is, or deleted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The owner or an editor.
    pub user: UserId,
    /// The amendment's counter; 0 for what the owner wrote without amending.
    pub counter: u64,
}

/// What counts of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Winner {
    pub(crate) by: Provenance,
    /// `None` where it was deleted.
    pub(crate) value: Option<Value>,
}

/// An entity with what its editors amend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) winners: BTreeMap<String, Winner>,
}

impl Merged {
    pub(crate) fn fields(self) -> Fields {
        let field = |(name, winner): (String, Winner)| Some((name, winner.value?));
        self.winners.into_iter().filter_map(field).collect()
    }

    fn offer(&mut self, name: String, by: Provenance, value: Option<Value>) {
        let order = |by: &Provenance| (by.counter, by.user);
        if self.winners.get(&name).is_none_or(|winner| order(&winner.by) < order(&by)) {
            self.winners.insert(name, Winner { by, value });
        }
    }

    /// Adds what a user amends. What is malformed counts for nothing.
    fn amend(&mut self, user: UserId, amended: Fields) {
        for (name, value) in amended {
            if !is_amendable(&name) {
                continue;
            }
            let Value::Bytes(bytes) = value else { continue };
            if let Ok(Amendment { counter, value }) = Amendment::from_bytes(&bytes) {
                self.offer(name, Provenance { user, counter }, value);
            }
        }
    }
}

impl Reader<'_> {
    /// An entity with what its editors amend, or only some of its fields.
    pub(super) fn merged(
        &self,
        id: &EntityId,
        only: Option<&[&str]>,
    ) -> Result<Option<Merged>, StoreError> {
        let own = match only {
            None => self.entity(id)?,
            Some(names) => self.some_fields(id, names)?,
        };
        own.map(|own| self.merge(id, own, only)).transpose()
    }

    /// Some of an entity's own fields, and what decides who else may write them.
    fn some_fields(&self, id: &EntityId, names: &[&str]) -> Result<Option<Fields>, StoreError> {
        if let Ok(entity) = self.small_entity(id)? {
            return Ok(entity.map(|mut fields| {
                fields.retain(|name, value| {
                    if let (AMENDED, Value::Map(amended)) = (name.as_str(), value) {
                        amended.retain(|name, _| names.contains(&name.as_str()));
                        return true;
                    }
                    name == EDITORS || names.contains(&name.as_str())
                });
                fields
            }));
        }
        if !self.exists(id)? {
            return Ok(None);
        }
        let mut fields = Fields::new();
        for name in names.iter().chain(&[EDITORS]) {
            let value = self.value_at(id, &[name])?;
            fields.extend(value.map(|value| ((*name).to_owned(), value)));
        }
        fields.insert(AMENDED.to_owned(), Value::Map(self.amended(id, Some(names))?));
        Ok(Some(fields))
    }

    /// Adds what the editors amend to what the owner's document says.
    pub(super) fn merge(
        &self,
        id: &EntityId,
        mut own: Fields,
        only: Option<&[&str]>,
    ) -> Result<Merged, StoreError> {
        let mut merged = Merged { winners: BTreeMap::new() };
        let amended = own.remove(AMENDED);
        let Some(owner) = self.author(&id.document)? else { return Ok(merged) };
        let editors = editors(&own, &owner);
        for (name, value) in own {
            merged.offer(name, Provenance { user: owner, counter: 0 }, Some(value));
        }
        if let Some(Value::Map(amended)) = amended {
            merged.amend(owner, amended);
        }
        for user in editors {
            let at = amendments_of(self.festival, user, id);
            if self.value_at(&at, &["kind"])? == Some(AMENDMENT.into()) {
                merged.amend(user, self.amended(&at, only)?);
            }
        }
        Ok(merged)
    }

    /// The amendments that stand in an entity: the owner's own, or an editor's.
    fn amended(&self, at: &EntityId, only: Option<&[&str]>) -> Result<Fields, StoreError> {
        let Some(names) = only else {
            return Ok(match self.value_at(at, &[AMENDED])? {
                Some(Value::Map(amended)) => amended,
                _ => Fields::new(),
            });
        };
        let mut amended = Fields::new();
        for name in names {
            let value = self.value_at(at, &[AMENDED, name])?;
            amended.extend(value.map(|value| ((*name).to_owned(), value)));
        }
        Ok(amended)
    }
}

/// Where an editor's amendments of an entity stand.
pub(crate) fn amendments_of(
    festival: crate::FestivalId,
    user: UserId,
    target: &EntityId,
) -> EntityId {
    let label = amends_label(&target.document);
    let document = DocumentDescriptor { festival, user, label }.id();
    EntityId::new(document, target.local.clone())
}
