//! The indexes of entities: by kind, by time, by blob, and what of them is malformed. They follow what
//! everybody sees, so what editors amend counts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    blob::BlobId,
    codec,
    id::{EntityId, FestivalId},
    replica::damaged,
    schema::{AMENDED, Amendment, EDITORS, Entity as _, Event, Fields, Value, known, read_fields},
    store::{StoreError, Table},
    view::{
        keys::{IndexOf, class_of, id_part, index_key, kind_part, ordered},
        writer::RowWriter,
    },
};

/// The fields, of entities of any kind, in which blobs are referred to: sets of their ids.
const BLOB_FIELDS: [&str; 2] = ["images", "files"];

/// The most blobs of one entity that count, those with the lowest ids.
const MAX_BLOBS: usize = 256;

/// What changed of an entity.
pub(super) enum Changed {
    /// It was made or deleted: what its own document says now.
    Whole(Option<Fields>),
    /// These fields, amended or not.
    Fields(BTreeSet<String>),
}

impl Changed {
    /// What changed of the entity that this one amends.
    pub(super) fn of_target(&self) -> Self {
        match self {
            Self::Whole(_) => Self::Fields(BTreeSet::from([EDITORS.to_owned()])),
            // An amendment counts only where its kind says that it is one.
            Self::Fields(names) if names.contains("kind") => {
                Self::Fields(BTreeSet::from([EDITORS.to_owned()]))
            }
            Self::Fields(names) => Self::Fields(names.clone()),
        }
    }
}

/// What an entity has in the indexes.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    kind: String,
    /// Of an event with a time: its start and end.
    span: Option<(i64, i64)>,
    malformed: bool,
    blobs: BTreeSet<BlobId>,
}

impl State {
    fn of(kind: &str, fields: &Fields) -> Self {
        let mut state = Self { kind: kind.to_owned(), ..Self::default() };
        for field in BLOB_FIELDS {
            if let Some(Value::Map(set)) = fields.get(field) {
                let named = set.iter().filter(|(_, is)| **is == Value::Bool(true));
                state.blobs.extend(named.filter_map(|(id, _)| id.parse::<BlobId>().ok()));
            }
        }
        while state.blobs.len() > MAX_BLOBS {
            state.blobs.pop_last();
        }
        if kind != Event::KIND {
            state.malformed = known(kind).is_some_and(|known| (known.check)(fields).is_err());
            return state;
        }
        match read_fields(fields) {
            Ok(Event { starts: Some(starts), ends: Some(ends), .. }) if starts < ends => {
                state.span = Some((starts.millis(), ends.millis()));
            }
            Ok(_) => {}
            Err(_) => state.malformed = true,
        }
        state
    }

    fn entries(&self, festival: FestivalId, id: &EntityId) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let row = id_part(id);
        let mut entries = BTreeMap::new();
        if let Some(kind) = kind_part(&self.kind) {
            entries.insert(index_key(IndexOf::Kind, festival, &[&kind, &row]), vec![]);
        }
        if let Some((starts, ends)) = self.span {
            let class = [class_of(starts.abs_diff(ends))];
            let key = index_key(IndexOf::Schedule, festival, &[&class, &ordered(starts), &row]);
            entries.insert(key, ordered(ends).to_vec());
        }
        for blob in &self.blobs {
            let key = index_key(IndexOf::Blob, festival, &[blob.as_bytes(), &row]);
            entries.insert(key, vec![]);
        }
        if self.malformed {
            entries.insert(index_key(IndexOf::Malformed, festival, &[&row]), vec![]);
        }
        entries
    }
}

impl RowWriter<'_> {
    /// Brings an entity's secondary keys up to date.
    pub(super) fn reindex(&mut self, id: &EntityId, what: &Changed) -> Result<(), StoreError> {
        let new = match what {
            Changed::Whole(None) => None,
            Changed::Whole(Some(own)) => {
                let kind = kind_of(own.get("kind"));
                let fields = self.reader().merge(id, own.clone(), None)?.fields();
                Some(State::of(&kind, &fields))
            }
            Changed::Fields(changed) => {
                let kind = kind_of(self.reader().value_at(id, &["kind"])?.as_ref());
                let names = known(&kind).map_or(&[][..], |known| known.names);
                let names = [names, &BLOB_FIELDS].concat();
                let matters = |name: &String| {
                    ["kind", EDITORS].contains(&&**name) || names.contains(&&**name)
                };
                if !changed.iter().any(matters) {
                    return Ok(());
                }
                let merged = self.reader().merged(id, Some(&names))?;
                merged.map(|merged| State::of(&kind, &merged.fields()))
            }
        };
        let key = index_key(IndexOf::State, self.festival, &[&id_part(id)]);
        let old = self.reader().get(Table::Index, &key)?;
        let old: Option<State> =
            old.map(|bytes| codec::decode_stored(&bytes).map_err(damaged)).transpose()?;
        if old == new {
            return Ok(());
        }
        let festival = self.festival;
        let entries = |state: &Option<State>| {
            state.as_ref().map(|state| state.entries(festival, id)).unwrap_or_default()
        };
        self.replace_entries(entries(&old), entries(&new));
        self.set(Table::Index, key, new.as_ref().map(codec::encode));
        Ok(())
    }

    /// Replaces secondary keys by others.
    pub(super) fn replace_entries(
        &mut self,
        old: BTreeMap<Vec<u8>, Vec<u8>>,
        new: BTreeMap<Vec<u8>, Vec<u8>>,
    ) {
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            self.delete(Table::Index, key.clone());
        }
        for (key, value) in new {
            if old.get(&key) != Some(&value) {
                self.put(Table::Index, key, value);
            }
        }
    }

    /// Notes whether one amendment is malformed.
    pub(super) fn index_amendment(
        &mut self,
        id: &EntityId,
        name: &str,
        cell: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let malformed = cell.is_some_and(|cell| amendment_error(cell).is_some());
        let key = index_key(IndexOf::Malformed, self.festival, &[&id_part(id), name.as_bytes()]);
        if self.reader().get(Table::Index, &key)?.is_some() != malformed {
            self.set(Table::Index, key, malformed.then(Vec::new));
        }
        Ok(())
    }
}

/// What is wrong with a stored amendment.
pub(super) fn amendment_error(cell: &[u8]) -> Option<String> {
    match codec::decode_stored(cell) {
        Ok(Value::Bytes(bytes)) => {
            Amendment::from_bytes(&bytes).err().map(|error| error.to_string())
        }
        _ => Some(format!("what stands in {AMENDED:?} is no byte string")),
    }
}

fn kind_of(value: Option<&Value>) -> String {
    value.and_then(Value::as_text).unwrap_or_default().to_owned()
}
