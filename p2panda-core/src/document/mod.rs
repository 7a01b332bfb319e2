//! The only door to Automerge. Payloads that pass the [gate](gate) become changes of an Automerge
//! document that one user writes; everything else sees plain fields.
//!
//! Automerge is safe with friends and unsafe with strangers: malformed changes make it panic, use
//! unbounded memory, or accept what it cannot load again. So each payload is judged here, before
//! Automerge sees it, by rules under which applying it cannot fail.

mod draft;
mod gate;
mod index;
mod refusal;
mod replay;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, Change, ObjId, ReadDoc as _, ScalarValue, Value as Stored};

pub(crate) use draft::Draft;
pub use draft::DraftError;
use gate::Gate;
use index::Index;
pub use refusal::Refusal;
pub(crate) use replay::Replay;

use crate::{
    id::{Incarnation, LocalId, UserId},
    schema::{Fields, Instant, Value},
};

/// What became of a payload that was offered to its document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is part of the document; these entities and records may have changed.
    Valid(BTreeSet<LocalId>),
    /// Something it depends on has not arrived.
    Waiting,
    /// It never will be part of it.
    Refused(Refusal),
}

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

/// One user's document: a pure function of the valid prefixes of its logs.
#[derive(Debug)]
pub(crate) struct Document {
    user: UserId,
    automerge: Automerge,
    index: Index,
    /// Judged valid, not yet applied: applying in batches is several times faster.
    pending: Vec<Change>,
}

impl Document {
    pub(crate) fn new(user: UserId) -> Self {
        Self { user, automerge: Automerge::new(), index: Index::default(), pending: Vec::new() }
    }

    /// Offers the payload at `position` (from 0) of an incarnation's log. Call
    /// [`settle`](Self::settle) before reading.
    pub(crate) fn offer(
        &mut self,
        incarnation: Incarnation,
        position: u64,
        payload: &[u8],
    ) -> Outcome {
        match gate::judge(&mut self.index, &self.user, incarnation, position, payload) {
            Err(refusal) => Outcome::Refused(refusal),
            Ok(Gate::Waiting) => Outcome::Waiting,
            Ok(Gate::Passed(passed)) => {
                let hash = passed.change.hash();
                let gate::Passed { change, dependencies, past, max_op, placed, touched } = *passed;
                self.index.insert(hash, &dependencies, past, max_op, placed);
                self.pending.push(change);
                Outcome::Valid(touched)
            }
        }
    }

    /// Applies what was judged valid. An error is a bug in the gate: the document is to be dropped
    /// and the payloads since the last call to be set aside.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        let pending = std::mem::take(&mut self.pending);
        self.automerge.apply_changes(pending).map_err(|error| error.to_string())
    }

    /// How many payloads of an incarnation's log are part of the document.
    pub(crate) fn length(&self, incarnation: &Incarnation) -> u64 {
        let writer = self.index.find_writer(incarnation);
        writer.map_or(0, |writer| self.index.writers[writer].changes.len() as u64)
    }

    /// Every entity and record of the document.
    pub(crate) fn locals(&self) -> impl Iterator<Item = LocalId> {
        self.automerge.keys(ObjId::Root).filter_map(|name| name.parse().ok())
    }

    /// An entity or record as it is now; `None` where it does not exist or was deleted.
    pub(crate) fn read(&self, local: &LocalId) -> Option<Content> {
        debug_assert!(self.pending.is_empty(), "settle comes before read");
        if local.is_record() { self.read_record(local) } else { self.read_entity(local) }
    }

    fn read_entity(&self, local: &LocalId) -> Option<Content> {
        let standing = self.automerge.get_all(&ObjId::Root, local.as_str()).ok()?;
        let maps: Vec<ObjId> = standing.into_iter().map(|(_, id)| id).collect();
        (!maps.is_empty()).then(|| Content::Entity(self.read_maps(&maps)))
    }

    /// Several maps read as one: each field's winner is the highest operation over all of them.
    fn read_maps(&self, maps: &[ObjId]) -> Fields {
        let mut standing: BTreeMap<String, Vec<(Stored<'_>, ObjId)>> = BTreeMap::new();
        for map in maps {
            for key in self.automerge.keys(map) {
                let values = self.automerge.get_all(map, key.as_str()).unwrap_or_default();
                standing.entry(key).or_default().extend(values);
            }
        }
        standing.into_iter().filter_map(|(key, values)| Some((key, self.winner(values)?))).collect()
    }

    fn winner(&self, mut values: Vec<(Stored<'_>, ObjId)>) -> Option<Value> {
        values.sort_by(|(_, left), (_, right)| order(left).cmp(&order(right)));
        match values.last()? {
            (Stored::Object(_), _) => {
                let is_map = |(value, id)| matches!(value, Stored::Object(_)).then_some(id);
                let maps: Vec<ObjId> = values.into_iter().filter_map(is_map).collect();
                Some(Value::Map(self.read_maps(&maps)))
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
