//! Reading a document: what its user's incarnations wrote, merged field by field.

use std::collections::BTreeMap;

use automerge::{ObjId, ReadDoc as _, ScalarValue, Value as Stored};

use super::Document;
use crate::{
    id::{Incarnation, LocalId},
    schema::{AMENDED, Amendment, Fields, Instant, Value},
};

/// An entity's merged fields, or a record with its place in the user's logs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Entity(Fields),
    Record {
        bytes: Vec<u8>,
        incarnation: Incarnation,
        index: u64,
        seen: BTreeMap<Incarnation, u64>,
    },
}

/// Operations that stand at a place of an entity, with their ids.
type Standing<'a> = Vec<(Stored<'a>, ObjId)>;

/// Which map of an entity is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The entity's own.
    Entity,
    /// That of its amendments.
    Amended,
    Other,
}

impl Level {
    fn below(self, name: &str) -> Self {
        if self == Self::Entity && name == AMENDED { Self::Amended } else { Self::Other }
    }
}

impl Document {
    /// Every entity and record of the document.
    pub(crate) fn locals(&self) -> impl Iterator<Item = LocalId> {
        self.automerge.keys(ObjId::Root).filter_map(|name| name.parse().ok())
    }

    /// An entity or record as it is now; `None` where it does not exist or was deleted.
    pub(crate) fn read(&self, local: &LocalId) -> Option<Content> {
        debug_assert!(self.pending.is_empty(), "settle comes before read");
        if local.is_record() {
            return self.read_record(local);
        }
        let maps = self.entity_maps(local);
        (!maps.is_empty()).then(|| Content::Entity(self.read_maps(&maps, Level::Entity)))
    }

    /// What stands at a path of an entity now.
    pub(crate) fn read_at(&self, local: &LocalId, path: &[impl AsRef<str>]) -> Option<Value> {
        debug_assert!(self.pending.is_empty(), "settle comes before read");
        let (last, parents) = path.split_last()?;
        let mut maps = self.entity_maps(local);
        let mut level = Level::Entity;
        for name in parents {
            let standing = ordered(self.standing(&maps, name.as_ref()));
            maps = match standing.last()? {
                (Stored::Object(_), _) => only_maps(standing),
                (Stored::Scalar(_), _) => return None,
            };
            level = level.below(name.as_ref());
        }
        self.winner(self.standing(&maps, last.as_ref()), level, last.as_ref())
    }

    fn entity_maps(&self, local: &LocalId) -> Vec<ObjId> {
        only_maps(self.automerge.get_all(&ObjId::Root, local.as_str()).unwrap_or_default())
    }

    fn standing(&self, maps: &[ObjId], name: &str) -> Standing<'_> {
        let at = |map| self.automerge.get_all(map, name).unwrap_or_default();
        maps.iter().flat_map(at).collect()
    }

    /// Several maps read as one: each field's winner is the highest operation over all of them.
    fn read_maps(&self, maps: &[ObjId], level: Level) -> Fields {
        let mut standing: BTreeMap<String, Standing<'_>> = BTreeMap::new();
        for map in maps {
            for key in self.automerge.keys(map) {
                let values = self.automerge.get_all(map, key.as_str()).unwrap_or_default();
                standing.entry(key).or_default().extend(values);
            }
        }
        let read = |(key, values): (String, Standing<'_>)| {
            let value = self.winner(values, level, &key)?;
            Some((key, value))
        };
        standing.into_iter().filter_map(read).collect()
    }

    /// What is read of the operations that stand at a name of a map.
    fn winner(&self, standing: Standing<'_>, level: Level, name: &str) -> Option<Value> {
        if level == Level::Amended
            && standing.len() > 1
            && let Some(highest) = highest_amendment(&standing)
        {
            return Some(Value::Bytes(highest));
        }
        let standing = ordered(standing);
        match standing.last()? {
            (Stored::Object(_), _) => {
                Some(Value::Map(self.read_maps(&only_maps(standing), level.below(name))))
            }
            (Stored::Scalar(value), _) => scalar(value),
        }
    }

    fn read_record(&self, local: &LocalId) -> Option<Content> {
        let (value, _) = self.automerge.get(&ObjId::Root, local.as_str()).ok()??;
        let Stored::Scalar(value) = value else { return None };
        let ScalarValue::Bytes(bytes) = value.as_ref() else { return None };
        // All puts of one record are concurrent: the lowest incarnation's is taken as the first.
        let written = self
            .index
            .standing_now(None, local.as_str())
            .min_by_key(|written| self.index.writers[written.op.writer].incarnation)?;
        let writer = &self.index.writers[written.op.writer];
        let position = self.index.position(written.op);
        let incarnation_of =
            |(writer, length): (&usize, &u64)| (self.index.writers[*writer].incarnation, *length);
        Some(Content::Record {
            bytes: bytes.clone(),
            incarnation: writer.incarnation,
            index: position as u64,
            seen: writer.changes[position].seen.iter().map(incarnation_of).collect(),
        })
    }
}

/// Of concurrent amendments of one field by one user the highest counts, whichever operation is
/// the last: an amendment says itself what it was made in the knowledge of.
fn highest_amendment(standing: &Standing<'_>) -> Option<Vec<u8>> {
    let candidate = |(value, id): &(Stored<'_>, ObjId)| {
        let Stored::Scalar(value) = value else { return None };
        let ScalarValue::Bytes(bytes) = value.as_ref() else { return None };
        let counter = Amendment::from_bytes(bytes).ok()?.counter;
        Some((counter, order(id).1.to_vec(), bytes.clone()))
    };
    standing.iter().filter_map(candidate).max().map(|(_, _, bytes)| bytes)
}

fn ordered(mut standing: Standing<'_>) -> Standing<'_> {
    standing.sort_by(|(_, left), (_, right)| order(left).cmp(&order(right)));
    standing
}

fn only_maps(standing: Standing<'_>) -> Vec<ObjId> {
    let is_map = |(value, id)| matches!(value, Stored::Object(_)).then_some(id);
    standing.into_iter().filter_map(is_map).collect()
}

/// Automerge's order of operations: counter, then actor.
fn order(id: &ObjId) -> (u64, &[u8]) {
    match id {
        ObjId::Root => (0, &[]),
        ObjId::Id(counter, actor, _) => (*counter, actor.to_bytes()),
    }
}

fn scalar(value: &ScalarValue) -> Option<Value> {
    Some(match value {
        ScalarValue::Null => Value::Null,
        ScalarValue::Boolean(value) => Value::Bool(*value),
        ScalarValue::Int(value) => Value::Int(*value),
        ScalarValue::Timestamp(value) => Value::Instant(Instant::from_millis(*value)),
        ScalarValue::Str(value) => Value::Text(value.to_string()),
        ScalarValue::Bytes(value) => Value::Bytes(value.clone()),
        // Kept out by the gate.
        _ => return None,
    })
}
