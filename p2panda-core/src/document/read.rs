//! Reading a document: several maps as one, and of several values the winner.

use std::collections::BTreeMap;

use super::{
    Content, Document,
    changes::Op,
    place::{Slot, Written},
    places::{Map, ROOT},
};
use crate::{
    id::{Incarnation, LocalId},
    schema::{Fields, Instant, Value},
};

impl Document {
    /// Every entity and record of the document.
    pub(crate) fn locals(&self) -> impl Iterator<Item = LocalId> {
        let standing = self.places.contents(ROOT).filter(|(_, now)| !now.is_empty());
        standing.filter_map(|(key, _)| self.places.name(key).parse().ok())
    }

    /// An entity or record as it is now; `None` where it does not exist or was deleted.
    pub(crate) fn read(&self, local: &LocalId) -> Option<Content> {
        let now = self.places.now((ROOT, self.places.key(local.as_str())?));
        if now.is_empty() {
            return None;
        }
        if local.is_record() {
            return self.read_record(now);
        }
        Some(Content::Entity(self.read_maps(&self.maps(now))))
    }

    /// Several maps read as one: each field's winner is the highest operation over all of them.
    fn read_maps(&self, maps: &[Map]) -> Fields {
        let mut standing: BTreeMap<_, Vec<&Written>> = BTreeMap::new();
        for map in maps {
            for (key, now) in self.places.contents(*map).filter(|(_, now)| !now.is_empty()) {
                standing.entry(key).or_default().extend(now);
            }
        }
        let read = |(key, values): (_, Vec<&Written>)| {
            Some((self.places.name(key).to_owned(), self.winner(&values)?))
        };
        standing.into_iter().filter_map(read).collect()
    }

    fn winner(&self, values: &[&Written]) -> Option<Value> {
        let highest = values.iter().max_by_key(|written| self.order(written.op))?;
        Some(match &highest.slot {
            Slot::Map => Value::Map(self.read_maps(&self.maps(values.iter().copied()))),
            Slot::Null => Value::Null,
            Slot::Bool(value) => Value::Bool(*value),
            Slot::Int(value) => Value::Int(*value),
            Slot::Instant(value) => Value::Instant(Instant::from_millis(*value)),
            Slot::Text(text) => Value::Text(text.to_string()),
            Slot::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Slot::Deleted => return None,
        })
    }

    fn maps<'a>(&self, standing: impl IntoIterator<Item = &'a Written>) -> Vec<Map> {
        let maps = standing.into_iter().filter(|written| written.is_map());
        maps.filter_map(|written| self.places.map(written.op)).collect()
    }

    /// Automerge's order of operations: counter, then actor.
    pub(super) fn order(&self, op: Op) -> (u32, Option<Incarnation>) {
        (op.counter, self.changes.incarnation(op.writer))
    }

    fn read_record(&self, now: &[Written]) -> Option<Content> {
        // All puts of one record are concurrent: the lowest incarnation's is taken as the first.
        let written =
            now.iter().min_by_key(|written| self.changes.incarnation(written.op.writer))?;
        let Slot::Bytes(bytes) = &written.slot else { return None };
        let writer = written.op.writer;
        let index = self.changes.position(written.op);
        Some(Content::Record {
            bytes: bytes.to_vec(),
            incarnation: self.changes.incarnation(writer)?,
            index,
            seen: self.changes.seen(writer, index).into_iter().collect(),
        })
    }
}
