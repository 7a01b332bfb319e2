//! The gate: decides whether a payload is a change that this document can take, without asking
//! Automerge to try.
//!
//! The verdict depends on the payload, its position in its log and its causal past alone, so every
//! peer that has the same past comes to the same verdict.

use std::collections::{BTreeSet, HashMap};

use automerge::{
    ActorId, Change, ChangeHash, ExpandedChange, ObjType, ScalarValue,
    legacy::{Key, ObjectId, Op as ChangeOp, OpId, OpType},
};
use smol_str::SmolStr;

use super::{
    Refusal,
    index::{Index, Map, Op, Past, Placed, PlacedKind},
    scan::scan,
};
use crate::id::{Incarnation, LocalId, UserId};

/// The deepest map: an entity's own map has depth 1.
pub(super) const MAX_DEPTH: usize = 8;

/// The longest field name, in bytes.
pub(super) const MAX_KEY: usize = 128;

/// Far below the 2^32 at which Automerge's own counters end, far above any honest document.
const MAX_COUNTER: u64 = 1 << 31;

/// A change that passed the gate, ready to be recorded and applied.
pub(super) struct Passed {
    pub(super) change: Change,
    pub(super) dependencies: Vec<ChangeHash>,
    pub(super) past: Past,
    pub(super) max_op: u64,
    pub(super) placed: Vec<Placed>,
}

pub(super) enum Gate {
    Passed(Box<Passed>),
    /// A dependency is not here yet.
    Waiting,
}

/// The Automerge actor of an incarnation of a user.
pub(super) fn actor(user: &UserId, incarnation: &Incarnation) -> ActorId {
    let mut bytes = [0; 40];
    bytes[..32].copy_from_slice(user.as_bytes());
    bytes[32..].copy_from_slice(incarnation.as_bytes());
    ActorId::from(bytes)
}

/// Judges the payload at `position` (from 0) of an incarnation's log.
pub(super) fn judge(
    index: &mut Index,
    user: &UserId,
    incarnation: Incarnation,
    position: u64,
    payload: &[u8],
) -> Result<Gate, Refusal> {
    scan(payload)?;
    let change = Change::from_bytes(payload.to_vec()).map_err(|_| Refusal::NotAChange)?;
    if *change.actor_id() != actor(user, &incarnation) {
        return Err(Refusal::Actor);
    }
    if change.seq() != position + 1 {
        return Err(Refusal::Sequence);
    }
    let expanded = change.decode();
    let dependencies: BTreeSet<ChangeHash> = expanded.deps.iter().copied().collect();
    if dependencies.len() != expanded.deps.len() {
        return Err(Refusal::Dependencies);
    }
    if Change::from(expanded.clone()).raw_bytes() != payload {
        return Err(Refusal::NotCanonical);
    }
    if expanded.operations.is_empty() && expanded.deps.len() < 2 {
        return Err(Refusal::Empty);
    }
    let writer = index.writer(incarnation);
    if let Some(previous) = index.writers[writer].changes.last()
        && !dependencies.contains(&previous.hash)
    {
        return Err(Refusal::Dependencies);
    }
    if !expanded.deps.iter().all(|hash| index.knows(hash)) {
        return Ok(Gate::Waiting);
    }
    let past = index.past(writer, &expanded.deps);
    let start = expanded.start_op.get();
    let max_op = start + expanded.operations.len() as u64 - 1;
    if start != past.max_op + 1 || max_op >= MAX_COUNTER {
        return Err(Refusal::Counter);
    }
    let mut checker = Checker {
        index,
        user,
        past: &past,
        start,
        placed: Vec::new(),
        places: HashMap::new(),
        maps: HashMap::new(),
    };
    for (counter, operation) in (start..).zip(&expanded.operations) {
        checker.check(counter, operation)?;
    }
    let Checker { placed, .. } = checker;
    let ExpandedChange { deps, .. } = expanded;
    Ok(Gate::Passed(Box::new(Passed { change, dependencies: deps, past, max_op, placed })))
}

/// Checks the operations of one change, one after the other; each sees those before it.
struct Checker<'a> {
    index: &'a Index,
    user: &'a UserId,
    past: &'a Past,
    start: u64,
    placed: Vec<Placed>,
    /// What this change itself wrote at a place: the operations that stand there after it.
    places: HashMap<(Map, SmolStr), Vec<Op>>,
    /// Maps that this change made: their entity and depth.
    maps: HashMap<Op, (SmolStr, usize)>,
}

impl Checker<'_> {
    fn check(&mut self, counter: u64, operation: &ChangeOp) -> Result<(), Refusal> {
        let Key::Map(key) = &operation.key else { return Err(Refusal::Profile) };
        if operation.insert || key.is_empty() || key.len() > MAX_KEY {
            return Err(Refusal::Profile);
        }
        let map = match &operation.obj {
            ObjectId::Root => None,
            ObjectId::Id(id) => Some(self.op(id)?),
        };
        let (entity, depth) = match map {
            None => (key.clone(), 0),
            Some(op) => self.map(op)?,
        };
        let kind = match &operation.action {
            OpType::Make(ObjType::Map) => PlacedKind::Map,
            OpType::Put(value) if is_plain(value) => PlacedKind::Scalar,
            OpType::Delete => PlacedKind::Delete,
            _ => return Err(Refusal::Profile),
        };
        if kind == PlacedKind::Map && depth >= MAX_DEPTH {
            return Err(Refusal::Depth);
        }
        let local: LocalId = entity.parse().map_err(|_| Refusal::EntityId)?;
        let overwrites = operation.pred.iter().map(|id| self.op(id)).collect::<Result<Vec<_>, _>>();
        // An incarnation that this device has not met is one that the past does not hold.
        let overwrites = overwrites.map_err(|refusal| match refusal {
            Refusal::Reference => Refusal::Predecessors,
            other => other,
        })?;
        if map.is_none() {
            check_root(&local, &operation.action, &overwrites)?;
        }
        self.check_overwrites(map, key, &overwrites)?;
        if kind == PlacedKind::Delete && overwrites.is_empty() {
            return Err(Refusal::Predecessors);
        }

        let op = Op { counter, writer: self.past.writer };
        if kind == PlacedKind::Map {
            self.maps.insert(op, (entity, depth + 1));
        }
        let stands = if kind == PlacedKind::Delete { vec![] } else { vec![op] };
        self.places.insert((map, key.clone()), stands);
        self.placed.push(Placed { map, key: key.clone(), op, kind, overwrites });
        Ok(())
    }

    /// An operation names as predecessors exactly what stands at its place.
    fn check_overwrites(&self, map: Map, key: &SmolStr, named: &[Op]) -> Result<(), Refusal> {
        let same = if let Some(own) = self.places.get(&(map, key.clone())) {
            named.len() == own.len() && own.iter().all(|op| named.contains(op))
        } else {
            let mut standing = 0;
            self.index
                .standing(map, key, self.past)
                .inspect(|_| standing += 1)
                .all(|written| named.contains(&written.op))
                && standing == named.len()
        };
        if same { Ok(()) } else { Err(Refusal::Predecessors) }
    }

    fn op(&self, id: &OpId) -> Result<Op, Refusal> {
        let bytes = id.actor().to_bytes();
        let (user, incarnation) = bytes.split_at_checked(32).ok_or(Refusal::Actor)?;
        let incarnation = <[u8; 8]>::try_from(incarnation).map_err(|_| Refusal::Actor)?;
        if user != self.user.as_bytes() {
            return Err(Refusal::Actor);
        }
        let writer = self
            .index
            .find_writer(&Incarnation::from_bytes(incarnation))
            .ok_or(Refusal::Reference)?;
        Ok(Op { counter: id.counter(), writer })
    }

    /// The entity and depth of a map that the change may write into.
    fn map(&self, op: Op) -> Result<(SmolStr, usize), Refusal> {
        if op.writer == self.past.writer && op.counter >= self.start {
            return self.maps.get(&op).cloned().ok_or(Refusal::Reference);
        }
        if !self.index.is_past(op, self.past) {
            return Err(Refusal::Reference);
        }
        let info = self.index.map_info(&op).ok_or(Refusal::Reference)?;
        Ok((info.entity.clone(), info.depth))
    }
}

/// At the root stand entities, which are maps, and records, which are bytes named by their hash
/// and never overwritten.
fn check_root(local: &LocalId, action: &OpType, overwrites: &[Op]) -> Result<(), Refusal> {
    match action {
        OpType::Put(ScalarValue::Bytes(content)) if local.is_record() => {
            if *local != LocalId::of_record(content) {
                Err(Refusal::RecordId)
            } else if overwrites.is_empty() {
                Ok(())
            } else {
                Err(Refusal::RecordChanged)
            }
        }
        _ if local.is_record() => Err(Refusal::RecordChanged),
        OpType::Make(_) | OpType::Delete => Ok(()),
        _ => Err(Refusal::Profile),
    }
}

const fn is_plain(value: &ScalarValue) -> bool {
    matches!(
        value,
        ScalarValue::Bytes(_)
            | ScalarValue::Str(_)
            | ScalarValue::Int(_)
            | ScalarValue::Timestamp(_)
            | ScalarValue::Boolean(_)
            | ScalarValue::Null
    )
}
