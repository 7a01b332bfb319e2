//! Writing: turns edits into payloads, which then pass the gate like everybody else's.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    num::NonZeroU64,
};

use automerge::{
    Change, ChangeHash, ExpandedChange, ObjType, ScalarValue,
    legacy::{Key, ObjectId, Op as ChangeOp, OpId, OpType},
};
use smol_str::SmolStr;

use super::{
    Document,
    gate::{MAX_DEPTH, MAX_KEY, actor},
    index::{Map, Op, Written},
    scan::{MAX_ACTORS, MAX_DEPENDENCIES, MAX_OPERATIONS},
};
use crate::{
    id::{Incarnation, LocalId},
    schema::{Fields, Instant, Value},
};

/// The largest text or byte string of one field, in bytes.
pub(crate) const MAX_SCALAR: usize = 32 * 1024;

/// A change is closed when it has become this large.
const CHANGE_BYTES: usize = 20 * 1024;

/// A step that would make a change larger than this goes into the next one. By this estimate any
/// step fits alone, and what fits stays below the limit of a payload.
const CHANGE_BYTES_MAX: usize = 57 * 1024;

/// What an operation costs besides its key and value, and what naming another actor costs.
const OPERATION_BYTES: usize = 16;
const OVERWRITE_BYTES: usize = 8;
const ACTOR_BYTES: usize = 41;

/// A change is closed when it has this many operations.
const CHANGE_OPERATIONS: usize = 2048;

/// One step of an edit of a document.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Put(LocalId, Vec<SmolStr>, Option<ScalarValue>),
    Delete(LocalId, Vec<SmolStr>),
    Record(LocalId, Vec<u8>),
}

/// Edits of one document that become one or several payloads.
#[derive(Debug, Default)]
pub(crate) struct Draft(VecDeque<Step>);

/// What cannot be written into a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// A text or byte string beyond 32 KiB.
    #[error(
        "field {field:?} has {size} bytes, at most {MAX_SCALAR} are possible; keep long content in a blob"
    )]
    ValueTooLarge {
        /// The field.
        field: String,
        /// Its size in bytes.
        size: usize,
    },
    /// An empty field name, or one beyond 128 bytes.
    #[error("a field name has {size} bytes, 1 to {MAX_KEY} are possible")]
    FieldName {
        /// Its size in bytes.
        size: usize,
    },
    /// Maps nested beyond 8, the entity's own included.
    #[error("maps can nest {MAX_DEPTH} deep, the entity's own included")]
    TooDeep,
}

impl Draft {
    pub(super) fn push(&mut self, step: Step) {
        self.0.push_back(step);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes sure that the entity exists.
    pub(crate) fn create(&mut self, local: &LocalId) {
        self.0.push_back(Step::Put(local.clone(), Vec::new(), None));
    }

    /// Sets a field; a map is merged into the one that is there.
    pub(crate) fn put(
        &mut self,
        local: &LocalId,
        path: &[&str],
        value: &Value,
    ) -> Result<(), DraftError> {
        for name in path {
            check_name(name)?;
        }
        if path.len() + usize::from(matches!(value, Value::Map(_))) > MAX_DEPTH {
            return Err(DraftError::TooDeep);
        }
        let scalar = match value {
            Value::Map(fields) => return self.put_map(local, path, fields),
            Value::Null => ScalarValue::Null,
            Value::Bool(value) => ScalarValue::Boolean(*value),
            Value::Int(value) => ScalarValue::Int(*value),
            Value::Instant(value) => ScalarValue::Timestamp(value.millis()),
            Value::Text(value) => {
                check_size(path, value.len())?;
                ScalarValue::Str(value.as_str().into())
            }
            Value::Bytes(value) => {
                check_size(path, value.len())?;
                ScalarValue::Bytes(value.clone())
            }
        };
        self.0.push_back(Step::Put(local.clone(), owned(path), Some(scalar)));
        Ok(())
    }

    fn put_map(
        &mut self,
        local: &LocalId,
        path: &[&str],
        fields: &Fields,
    ) -> Result<(), DraftError> {
        self.0.push_back(Step::Put(local.clone(), owned(path), None));
        for (name, value) in fields {
            let mut path = path.to_vec();
            path.push(name);
            self.put(local, &path, value)?;
        }
        Ok(())
    }

    /// Deletes a field, or the entity where the path is empty.
    pub(crate) fn delete(&mut self, local: &LocalId, path: &[&str]) {
        self.0.push_back(Step::Delete(local.clone(), owned(path)));
    }

    /// Adds an immutable record.
    pub(crate) fn record(&mut self, content: Vec<u8>) -> LocalId {
        let local = LocalId::of_record(&content);
        self.0.push_back(Step::Record(local.clone(), content));
        local
    }
}

fn owned(path: &[&str]) -> Vec<SmolStr> {
    path.iter().map(|name| SmolStr::from(*name)).collect()
}

fn check_name(name: &str) -> Result<(), DraftError> {
    let size = name.len();
    if size == 0 || size > MAX_KEY { Err(DraftError::FieldName { size }) } else { Ok(()) }
}

fn check_size(path: &[&str], size: usize) -> Result<(), DraftError> {
    if size > MAX_SCALAR {
        return Err(DraftError::ValueTooLarge { field: path.join("."), size });
    }
    Ok(())
}

impl Document {
    /// The next payload of an incarnation: as many steps as one change takes, removed from the
    /// draft; `None` when the draft is used up. The payload is to be offered before the next call.
    pub(crate) fn next_payload(
        &self,
        incarnation: Incarnation,
        now: Instant,
        draft: &mut Draft,
    ) -> Option<Vec<u8>> {
        let writer = self.index.find_writer(&incarnation);
        let own = writer.and_then(|writer| self.index.writers[writer].changes.last());
        let mut others: Vec<ChangeHash> = self
            .index
            .heads()
            .copied()
            .filter(|hash| own.is_none_or(|own| own.hash != *hash))
            .collect();
        others.sort_unstable();
        let most = usize::try_from(MAX_DEPENDENCIES).unwrap_or(usize::MAX) - 1;
        let folding = others.len() > most;
        if draft.is_empty() {
            return None;
        }
        others.truncate(most);
        let dependencies: Vec<ChangeHash> =
            own.map(|own| own.hash).into_iter().chain(others).collect();
        // A writer that is new here gets the number it will have once its change is recorded.
        let writer = writer.unwrap_or(self.index.writers.len());
        let past = self.index.past(writer, &dependencies);
        let mut change = Writing {
            document: self,
            incarnation,
            writer,
            next: past.max_op + 1,
            size: Size::default(),
            operations: Vec::new(),
            standing: HashMap::new(),
            undo: Vec::new(),
            actors: HashSet::new(),
        };
        while !folding && !change.is_full() {
            let Some(step) = draft.0.pop_front() else { break };
            if let Some(step) = change.write(step) {
                draft.0.push_front(step);
                break;
            }
        }
        let sequence = self.length(&incarnation) + 1;
        let operations = change.operations;
        if operations.is_empty() && !folding {
            return None; // only deletions of what is not there
        }
        let expanded = ExpandedChange {
            operations,
            actor_id: actor(&self.user, &incarnation),
            hash: None,
            seq: sequence,
            start_op: NonZeroU64::MIN.saturating_add(past.max_op),
            time: now.millis() / 1000,
            message: None,
            deps: dependencies,
            extra_bytes: Vec::new(),
            author: None,
        };
        Some(Change::from(expanded).raw_bytes().to_vec())
    }
}

/// A change while it is written.
struct Writing<'a> {
    document: &'a Document,
    incarnation: Incarnation,
    writer: usize,
    next: u64,
    size: Size,
    operations: Vec<ChangeOp>,
    /// What stands at the places that this change has written.
    standing: HashMap<Place, Vec<Standing>>,
    /// What stood at places before the present step.
    undo: Vec<(Place, Option<Vec<Standing>>)>,
    /// The other writers that the operations name.
    actors: HashSet<usize>,
}

type Place = (Map, SmolStr);

/// An operation that stands at a place, and whether it is a map.
type Standing = (Op, bool);

/// What a change has come to, by estimate.
#[derive(Clone, Copy, Default)]
struct Size {
    bytes: usize,
    overwrites: usize,
}

impl Writing<'_> {
    fn is_full(&self) -> bool {
        self.size.bytes > CHANGE_BYTES || self.operations.len() > CHANGE_OPERATIONS
    }

    /// Writes a step, or gives it back where the change has no room for it.
    fn write(&mut self, step: Step) -> Option<Step> {
        let (operations, next, size) = (self.operations.len(), self.next, self.size);
        let actors = self.actors.clone();
        self.undo.clear();
        match &step {
            Step::Put(local, path, value) => self.put(local, path, value.clone()),
            Step::Delete(local, path) => self.delete(local, path),
            Step::Record(local, content) => {
                let place = (None, SmolStr::from(local.as_str()));
                if self.standing(&place).is_empty() {
                    self.emit(place, OpType::Put(ScalarValue::Bytes(content.clone())), vec![]);
                }
            }
        }
        if operations == 0 || self.fits() {
            return None;
        }
        self.operations.truncate(operations);
        self.next = next;
        self.size = size;
        self.actors = actors;
        for (place, standing) in std::mem::take(&mut self.undo).into_iter().rev() {
            match standing {
                Some(standing) => self.standing.insert(place, standing),
                None => self.standing.remove(&place),
            };
        }
        Some(step)
    }

    fn fits(&self) -> bool {
        let limit = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        self.size.bytes <= CHANGE_BYTES_MAX
            && self.operations.len() <= limit(MAX_OPERATIONS)
            && self.size.overwrites <= limit(MAX_OPERATIONS)
            && self.actors.len() <= limit(MAX_ACTORS)
    }

    fn put(&mut self, local: &LocalId, path: &[SmolStr], value: Option<ScalarValue>) {
        let entity = SmolStr::from(local.as_str());
        let keys = || std::iter::once(&entity).chain(path);
        let depth = path.len() + usize::from(value.is_none());
        let mut map = None;
        for key in keys().take(depth) {
            map = Some(self.open_map((map, key.clone())));
        }
        if let (Some(value), Some(key)) = (value, path.last()) {
            let place = (map, key.clone());
            let overwrites = self.standing(&place).into_iter().map(|(op, _)| op).collect();
            self.emit(place, OpType::Put(value), overwrites);
        }
    }

    /// The map that wins at a place, made where none does.
    fn open_map(&mut self, place: Place) -> Op {
        let standing = self.standing(&place);
        let winner = standing
            .iter()
            .max_by(|(left, _), (right, _)| self.order(left).cmp(&self.order(right)));
        match winner {
            Some((op, true)) => *op,
            _ => {
                let overwrites = standing.into_iter().map(|(op, _)| op).collect();
                self.emit(place, OpType::Make(ObjType::Map), overwrites)
            }
        }
    }

    /// Deletes what stands at a path, in every map that is read as part of it.
    fn delete(&mut self, local: &LocalId, path: &[SmolStr]) {
        let entity = SmolStr::from(local.as_str());
        let keys: Vec<SmolStr> = std::iter::once(entity).chain(path.iter().cloned()).collect();
        let Some((last, parents)) = keys.split_last() else { return };
        let mut maps: Vec<Map> = vec![None];
        for key in parents {
            let below = maps.iter().flat_map(|map| self.standing(&(*map, key.clone())));
            maps = below.filter_map(|(op, is_map)| is_map.then_some(Some(op))).collect();
        }
        for map in maps {
            let place = (map, last.clone());
            let overwrites: Vec<Op> = self.standing(&place).into_iter().map(|(op, _)| op).collect();
            if !overwrites.is_empty() {
                self.emit(place, OpType::Delete, overwrites);
            }
        }
    }

    fn standing(&self, place: &Place) -> Vec<Standing> {
        self.standing.get(place).cloned().unwrap_or_else(|| {
            let written = self.document.index.standing_now(place.0, &place.1);
            written.map(|Written { op, is_map, .. }| (*op, *is_map)).collect()
        })
    }

    fn emit(&mut self, place: Place, action: OpType, overwrites: Vec<Op>) -> Op {
        let op = Op { counter: self.next, writer: self.writer };
        self.next += 1;
        let value = match &action {
            OpType::Put(ScalarValue::Str(text)) => text.len(),
            OpType::Put(ScalarValue::Bytes(bytes)) => bytes.len(),
            _ => 10, // the longest integer
        };
        let named = overwrites.iter().chain(&place.0).map(|op| op.writer);
        let new = named.filter(|writer| *writer != self.writer && self.actors.insert(*writer));
        let actors = new.count();
        self.size.overwrites += overwrites.len();
        self.size.bytes += place.1.len()
            + value
            + OPERATION_BYTES
            + OVERWRITE_BYTES * overwrites.len()
            + ACTOR_BYTES * actors;
        let stands = match &action {
            OpType::Delete => vec![],
            OpType::Make(_) => vec![(op, true)],
            _ => vec![(op, false)],
        };
        self.operations.push(ChangeOp {
            action,
            obj: place.0.map_or(ObjectId::Root, |map| ObjectId::Id(self.id(map))),
            key: Key::Map(place.1.clone()),
            pred: overwrites.into_iter().map(|op| self.id(op)).collect(),
            insert: false,
        });
        let before = self.standing.insert(place.clone(), stands);
        self.undo.push((place, before));
        op
    }

    fn id(&self, op: Op) -> OpId {
        OpId(op.counter, actor(&self.document.user, &self.incarnation_of(op)))
    }

    fn order(&self, op: &Op) -> (u64, Incarnation) {
        (op.counter, self.incarnation_of(*op))
    }

    fn incarnation_of(&self, op: Op) -> Incarnation {
        let info = self.document.index.writers.get(op.writer);
        info.map_or(self.incarnation, |info| info.incarnation)
    }
}
