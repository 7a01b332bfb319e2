//! Writing entities: field by field, the own ones in place, those of others as amendments.

use crate::{
    id::{EntityId, LocalId},
    replica::{
        difference::{apply, differences},
        edit::{Edit, EditError, Present},
    },
    schema::{
        Entity, Fields, Malformed, Value, amends_label, editors, field_names, is_amendable,
        read_fields, write_fields,
    },
    view::amendments_of,
};

/// How an entity can be written, with the label of the own document that it is written in.
pub(super) enum Target {
    Own(String),
    Amend(String),
}

impl Edit<'_> {
    /// Creates an entity with a fresh id.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn create<E: Entity>(&mut self, entity: &E) -> Result<EntityId, EditError> {
        let mut rng = &mut *self.rng;
        let local = LocalId::random(&mut rng);
        self.put(&local, entity)
    }

    /// Creates or updates an own entity. Only what differs from what stands is written, field by
    /// field; fields that the type does not know stay as they are.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn put<E: Entity>(&mut self, local: &LocalId, entity: &E) -> Result<EntityId, EditError> {
        let id = EntityId::new(self.document(&self.label)?, local.clone());
        check_entity(&id)?;
        self.write_entity(&Target::Own(self.label.clone()), &id, entity)?;
        Ok(id)
    }

    /// Updates an entity as [`put`](Self::put) does, an own one or one of which this user is an
    /// editor.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn update<E: Entity>(&mut self, id: &EntityId, entity: &E) -> Result<(), EditError> {
        check_entity(id)?;
        let target = self.target(id)?;
        self.write_entity(&target, id, entity)
    }

    /// Sets one field of an entity; a map is merged into the one that stands. In an entity of
    /// somebody else, of which this user is an editor, it amends the field.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn set(&mut self, id: &EntityId, path: &[&str], value: Value) -> Result<(), EditError> {
        check_entity(id)?;
        if path.is_empty() && !matches!(value, Value::Map(_)) {
            return Err(Malformed("an entity is a map of fields".to_owned()).into());
        }
        let target = self.target(id)?;
        self.write(&target, id, path, Some(value))
    }

    /// Deletes one field of an entity, or the own entity where the path is empty. What editors
    /// amend of a deleted entity counts no more.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn delete(&mut self, id: &EntityId, path: &[&str]) -> Result<(), EditError> {
        check_entity(id)?;
        let target = self.target(id)?;
        self.write(&target, id, path, None)
    }

    fn write_entity<E: Entity>(
        &mut self,
        target: &Target,
        id: &EntityId,
        entity: &E,
    ) -> Result<(), EditError> {
        let mut new = write_fields(entity)?;
        read_fields::<E>(&new)?; // what nobody could read back is not written
        new.insert("kind".to_owned(), E::KIND.into());
        let present = self.present(id)?;
        let known = if present.exists {
            let fields = &present.fields;
            // What the type would write of what stands: fields beyond it are not its own.
            let read = read_fields::<E>(fields).and_then(|old| write_fields(&old));
            let mut known = read.unwrap_or_else(|_| {
                let mut own = fields.clone();
                own.retain(|name, _| field_names::<E>().contains(&name.as_str()));
                own
            });
            known.extend(fields.get("kind").map(|kind| ("kind".to_owned(), kind.clone())));
            known
        } else {
            present.exists = true;
            if let Target::Own(label) = target {
                self.draft(label).create(&id.local);
            }
            Fields::new()
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
            self.write(target, id, &path, value)?;
        }
        Ok(())
    }

    /// How this user can write an entity.
    pub(super) fn target(&mut self, id: &EntityId) -> Result<Target, EditError> {
        let mut used = std::iter::once(&self.label).chain(self.drafts.keys());
        if let Some(label) =
            used.find(|label| self.document(label).is_ok_and(|document| document == id.document))
        {
            return Ok(Target::Own(label.clone()));
        }
        let descriptor = self.view.descriptor(&id.document)?;
        let descriptor = descriptor.filter(|descriptor| descriptor.festival == self.festival);
        let descriptor = descriptor.ok_or_else(|| EditError::NotYours(id.clone()))?;
        if descriptor.user == self.user {
            return Ok(Target::Own(descriptor.label));
        }
        let user = self.user;
        if editors(&self.present(id)?.fields, &descriptor.user).contains(&user) {
            return Ok(Target::Amend(amends_label(&id.document)));
        }
        Err(EditError::NotYours(id.clone()))
    }

    /// The entity as it stands with what this edit has written so far.
    pub(super) fn present(&mut self, id: &EntityId) -> Result<&mut Present, EditError> {
        if !self.entities.contains_key(id) {
            let mut present = Present::default();
            if let Some(merged) = self.view.merged(id)? {
                present.exists = true;
                let winners = merged.winners.iter().filter(|(_, winner)| winner.by.counter > 0);
                present.counters =
                    winners.map(|(name, winner)| (name.clone(), winner.by.counter)).collect();
                present.fields = merged.fields();
                let owner = self.view.author(&id.document)?;
                present.has_editors =
                    owner.is_some_and(|owner| !editors(&present.fields, &owner).is_empty());
            }
            self.entities.insert(id.clone(), present);
        }
        Ok(self.entities.entry(id.clone()).or_default())
    }

    /// Drafts one step.
    pub(super) fn write(
        &mut self,
        target: &Target,
        id: &EntityId,
        path: &[&str],
        value: Option<Value>,
    ) -> Result<(), EditError> {
        let Some(name) = path.first() else { return self.write_whole(target, id, value) };
        let present = self.present(id)?;
        let amended = present.has_editors || present.counters.contains_key(*name);
        match target {
            Target::Own(label) if !is_amendable(name) || !amended => {
                let draft = self.draft(label);
                match &value {
                    Some(value) => draft.put(&id.local, path, value)?,
                    None => draft.delete(&id.local, path),
                }
                let present = self.present(id)?;
                apply(&mut present.fields, path, value);
                present.exists = true;
                Ok(())
            }
            Target::Amend(_) if !is_amendable(name) => {
                Err(EditError::OwnersField { id: id.clone(), field: (*name).to_owned() })
            }
            _ => self.amend(target, id, path, value),
        }
    }

    /// Deletes an entity, or writes several of its fields.
    fn write_whole(
        &mut self,
        target: &Target,
        id: &EntityId,
        value: Option<Value>,
    ) -> Result<(), EditError> {
        match (target, value) {
            (Target::Amend(_), None) => return Err(EditError::NotYours(id.clone())),
            (Target::Own(label), None) => {
                self.draft(label).delete(&id.local, &[]);
                self.entities.insert(id.clone(), Present::default());
            }
            (_, Some(value)) => {
                if let Target::Own(label) = target {
                    self.draft(label).create(&id.local);
                    self.present(id)?.exists = true;
                }
                for (name, value) in value.into_map().unwrap_or_default() {
                    self.write(target, id, &[&name], Some(value))?;
                }
            }
        }
        Ok(())
    }

    /// The draft in which a user's amendments of an entity stand, and the entity there.
    pub(super) fn amendments(
        &mut self,
        target: &Target,
        id: &EntityId,
    ) -> Result<(String, LocalId), EditError> {
        let (Target::Own(label) | Target::Amend(label)) = target;
        if let Target::Amend(label) = target {
            let at = amendments_of(self.festival, self.user, id);
            if !self.amendments.contains(&at) {
                if !self.view.is_amendment(&at)? {
                    let kind = crate::schema::AMENDMENT.into();
                    self.draft(label).put(&at.local, &["kind"], &kind)?;
                }
                self.amendments.insert(at);
            }
        }
        Ok((label.clone(), id.local.clone()))
    }
}

fn check_entity(id: &EntityId) -> Result<(), EditError> {
    if id.local.is_record() { Err(EditError::RecordChanged(id.clone())) } else { Ok(()) }
}
