//! Writing: turns edits into payloads, which then pass the gate like everybody else's.

use std::{
    collections::{HashMap, VecDeque},
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
    scan::{MAX_DEPENDENCIES, MAX_OPERATIONS},
};
use crate::{
    id::{Incarnation, LocalId},
    schema::{Fields, Instant, Value},
};

/// The largest text or byte string of one field, in bytes.
pub(crate) const MAX_SCALAR: usize = 32 * 1024;

/// A change is closed before its values exceed this, which keeps payloads below their limit.
const CHANGE_BYTES: usize = 20 * 1024;

/// Room for the operations of one more write before the limit of a change.
const CHANGE_OPERATIONS: usize = 2048;

/// One step of an edit of a document.
#[derive(Clone, Debug)]
enum Step {
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
            bytes: 0,
            operations: Vec::new(),
            standing: HashMap::new(),
        };
        while !folding && !change.is_full() {
            let Some(step) = draft.0.pop_front() else { break };
            change.write(step);
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
    bytes: usize,
    operations: Vec<ChangeOp>,
    /// What stands at the places that this change has written: operation, and whether it is a map.
    standing: HashMap<(Map, SmolStr), Vec<(Op, bool)>>,
}

impl Writing<'_> {
    fn is_full(&self) -> bool {
        let limit = usize::try_from(MAX_OPERATIONS).unwrap_or(usize::MAX);
        debug_assert!(CHANGE_OPERATIONS + MAX_DEPTH < limit, "one more write always fits");
        self.bytes > CHANGE_BYTES || self.operations.len() > CHANGE_OPERATIONS
    }

    fn write(&mut self, step: Step) {
        match step {
            Step::Put(local, path, value) => self.put(&local, &path, value),
            Step::Delete(local, path) => self.delete(&local, &path),
            Step::Record(local, content) => {
                let place = (None, SmolStr::from(local.as_str()));
                if self.standing(&place).is_empty() {
                    self.emit(place, OpType::Put(ScalarValue::Bytes(content)), vec![]);
                }
            }
        }
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

    /// The winning map at a place, made where there is none.
    fn open_map(&mut self, place: (Map, SmolStr)) -> Op {
        let standing = self.standing(&place);
        let maps = standing.iter().filter_map(|(op, is_map)| is_map.then_some(*op));
        let winner = maps.max_by(|left, right| self.order(left).cmp(&self.order(right)));
        winner.unwrap_or_else(|| {
            let overwrites = standing.into_iter().map(|(op, _)| op).collect();
            self.emit(place, OpType::Make(ObjType::Map), overwrites)
        })
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

    fn standing(&self, place: &(Map, SmolStr)) -> Vec<(Op, bool)> {
        self.standing.get(place).cloned().unwrap_or_else(|| {
            let written = self.document.index.standing_now(place.0, &place.1);
            written.map(|Written { op, is_map, .. }| (*op, *is_map)).collect()
        })
    }

    fn emit(&mut self, place: (Map, SmolStr), action: OpType, overwrites: Vec<Op>) -> Op {
        let op = Op { counter: self.next, writer: self.writer };
        self.next += 1;
        self.bytes += place.1.len() + 4 * overwrites.len() + 4;
        if let OpType::Put(ScalarValue::Str(text)) = &action {
            self.bytes += text.len();
        } else if let OpType::Put(ScalarValue::Bytes(bytes)) = &action {
            self.bytes += bytes.len();
        }
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
        self.standing.insert(place, stands);
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
