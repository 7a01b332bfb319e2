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
    schema::{AMENDED, Amendment, Fields, Instant, Value},
};

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
        Some(Content::Entity(self.read_maps(&self.maps(now), Level::Entity)))
    }

    /// What stands at a path of an entity now.
    pub(crate) fn read_at(&self, local: &LocalId, path: &[impl AsRef<str>]) -> Option<Value> {
        let (last, parents) = path.split_last()?;
        let mut maps = self.maps(self.places.now((ROOT, self.places.key(local.as_str())?)));
        let mut level = Level::Entity;
        for name in parents {
            let standing = self.standing(&maps, name.as_ref())?;
            if !self.highest(&standing)?.is_map() {
                return None;
            }
            maps = self.maps(standing);
            level = level.below(name.as_ref());
        }
        self.winner(&self.standing(&maps, last.as_ref())?, level, last.as_ref())
    }

    fn standing(&self, maps: &[Map], name: &str) -> Option<Vec<&Written>> {
        let key = self.places.key(name)?;
        Some(maps.iter().flat_map(|map| self.places.now((*map, key))).collect())
    }

    /// Several maps read as one: each field's winner is the highest operation over all of them.
    fn read_maps(&self, maps: &[Map], level: Level) -> Fields {
        let mut standing: BTreeMap<_, Vec<&Written>> = BTreeMap::new();
        for map in maps {
            for (key, now) in self.places.contents(*map).filter(|(_, now)| !now.is_empty()) {
                standing.entry(key).or_default().extend(now);
            }
        }
        let read = |(key, values): (_, Vec<&Written>)| {
            let name = self.places.name(key);
            Some((name.to_owned(), self.winner(&values, level, name)?))
        };
        standing.into_iter().filter_map(read).collect()
    }

    fn highest<'a>(&self, values: &[&'a Written]) -> Option<&'a Written> {
        values.iter().copied().max_by_key(|written| self.order(written.op))
    }

    /// What is read of the operations that stand at a name of a map.
    fn winner(&self, values: &[&Written], level: Level, name: &str) -> Option<Value> {
        if level == Level::Amended
            && values.len() > 1
            && let Some(highest) = self.highest_amendment(values)
        {
            return Some(Value::Bytes(highest));
        }
        let highest = self.highest(values)?;
        Some(match &highest.slot {
            Slot::Map => {
                let maps = self.maps(values.iter().copied());
                Value::Map(self.read_maps(&maps, level.below(name)))
            }
            Slot::Null => Value::Null,
            Slot::Bool(value) => Value::Bool(*value),
            Slot::Int(value) => Value::Int(*value),
            Slot::Instant(value) => Value::Instant(Instant::from_millis(*value)),
            Slot::Text(text) => Value::Text(text.to_string()),
            Slot::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Slot::Deleted => return None,
        })
    }

    /// Of concurrent amendments of one field by one user the highest counts, whichever operation is
    /// the last: an amendment says itself what it was made in the knowledge of.
    fn highest_amendment(&self, values: &[&Written]) -> Option<Vec<u8>> {
        let candidate = |written: &&Written| {
            let Slot::Bytes(bytes) = &written.slot else { return None };
            let counter = Amendment::from_bytes(bytes).ok()?.counter;
            Some((counter, self.changes.incarnation(written.op.writer), bytes.to_vec()))
        };
        values.iter().filter_map(candidate).max().map(|(_, _, bytes)| bytes)
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
            merged: self.changes.has_seen_others(writer, index),
        })
    }
}
