//! Writing together: amendments, and who may make them.

use crate::{
    document::Draft,
    id::{EntityId, UserId},
    replica::{
        difference::apply,
        edit::{Edit, EditError, fields::Target},
    },
    schema::{AMENDED, Amendment, EDITORS, Fields, MAX_EDITORS, Value, editors},
};

impl Edit<'_> {
    /// Lets a user amend an own entity. What that user amended of it as an editor before counts
    /// again, where nobody has amended the same field higher since.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn add_editor(&mut self, id: &EntityId, user: &UserId) -> Result<(), EditError> {
        let target = self.own(id)?;
        let owner = self.user;
        let mut listed = editors(&self.present(id)?.fields, &owner);
        listed.remove(user);
        if listed.len() >= MAX_EDITORS {
            return Err(EditError::TooManyEditors);
        }
        self.write(&target, id, &[EDITORS, &user.to_string()], Some(true.into()))
    }

    /// Takes a user off the editors of an own entity: that user's amendments count no more.
    ///
    /// With `keep` the owner first takes over what the entity shows of them, so that it stays as it
    /// is. Without, each field falls back to what the owner or another editor says of it.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn remove_editor(
        &mut self,
        id: &EntityId,
        user: &UserId,
        keep: bool,
    ) -> Result<(), EditError> {
        let target = self.own(id)?;
        if keep && let Some(merged) = self.view.merged(id)? {
            let without = self.view.merged_without(id, user)?;
            for (name, winner) in merged.winners {
                if winner.by.user != *user || self.present(id)?.amended.contains(&name) {
                    continue;
                }
                // Where the editor took the last word, the owner's is one above the others'.
                let others = without.as_ref().and_then(|merged| merged.winners.get(&name));
                let others = others.map_or(0, |winner| winner.by.counter);
                let counter = match winner.by.counter {
                    Amendment::MAX_COUNTER => others,
                    counter => counter,
                };
                self.write_amendment(&target, id, &name, counter + 1, winner.value)?;
            }
        }
        let listed = self.present(id)?.fields.get(EDITORS).cloned();
        for (name, _) in listed.and_then(Value::into_map).unwrap_or_default() {
            if name.parse() == Ok(*user) {
                self.write(&target, id, &[EDITORS, &name], None)?;
            }
        }
        Ok(())
    }

    /// An own entity that is there.
    fn own(&mut self, id: &EntityId) -> Result<Target, EditError> {
        match self.target(id)? {
            target @ Target::Own(_) => Ok(target),
            Target::Amend(_) => Err(EditError::NotYours(id.clone())),
        }
    }

    /// Drafts an amendment of a field by one step in it.
    pub(super) fn amend(
        &mut self,
        target: &Target,
        id: &EntityId,
        path: &[&str],
        value: Option<Value>,
    ) -> Result<(), EditError> {
        let Some(name) = path.first() else { return Ok(()) };
        match &value {
            // What could not stand in an entity cannot be amended either.
            Some(value) => Draft::default().put(&id.local, path, value)?,
            None if !stands(&self.present(id)?.fields, path) => return Ok(()),
            None => {}
        }
        let present = self.present(id)?;
        let highest = present.counters.get(*name).copied().unwrap_or(0);
        let counter = highest + u64::from(!present.amended.contains(*name));
        let mut fields = Fields::new();
        fields.extend(present.fields.get_key_value(*name).map(|(k, v)| (k.clone(), v.clone())));
        apply(&mut fields, path, value);
        self.write_amendment(target, id, name, counter, fields.remove(*name))
    }

    fn write_amendment(
        &mut self,
        target: &Target,
        id: &EntityId,
        name: &str,
        counter: u64,
        value: Option<Value>,
    ) -> Result<(), EditError> {
        if counter > Amendment::MAX_COUNTER {
            return Err(EditError::LastWord { id: id.clone(), field: name.to_owned() });
        }
        let bytes = Amendment { counter, value: value.clone() }.to_bytes();
        let (label, local) = self.amendments(target, id)?;
        self.draft(&label).put(&local, &[AMENDED, name], &Value::Bytes(bytes))?;
        let present = self.present(id)?;
        present.counters.insert(name.to_owned(), counter);
        present.amended.insert(name.to_owned());
        match value {
            Some(value) => drop(present.fields.insert(name.to_owned(), value)),
            None => drop(present.fields.remove(name)),
        }
        Ok(())
    }
}

/// Whether something stands at a path.
fn stands(fields: &Fields, path: &[&str]) -> bool {
    let Some((name, below)) = path.split_first() else { return true };
    match fields.get(*name) {
        Some(Value::Map(fields)) => stands(fields, below),
        Some(_) => below.is_empty(),
        None => false,
    }
}
