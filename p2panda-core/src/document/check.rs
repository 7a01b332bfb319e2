//! The last step of the gate: each operation against what stands before it.

use std::collections::{HashMap, HashSet};

use automerge::{
    ActorId, ObjType, ScalarValue,
    legacy::{Key as ChangeKey, ObjectId, Op as ChangeOp, OpId, OpType},
};
use smol_str::SmolStr;

use super::{
    Refusal,
    changes::{Op, Past},
    gate::Known,
    place::{Slot, Written, overwritten},
    places::{At, Brought, Key, Map, MapInfo, Placed, ROOT},
};
use crate::id::{Incarnation, LocalId};

/// The deepest map: an entity's own map has depth 1.
pub(super) const MAX_DEPTH: u8 = 8;

/// The longest field name, in bytes.
pub(super) const MAX_KEY: usize = 128;

/// Checks the operations of one change, one after the other; each sees those before it.
pub(super) struct Checker<'a> {
    known: Known<'a>,
    actor: &'a ActorId,
    past: &'a Past,
    start: u32,
    keys: HashMap<SmolStr, Key>,
    maps: HashMap<Op, Map>,
    brought: Brought,
    written: HashMap<At, Wrote>,
    /// Maps that are known to stand.
    stand: HashSet<Map>,
}

/// What the change has done at a place so far.
struct Wrote {
    last: Written,
    /// The operations that stand there now.
    standing: Vec<Op>,
    /// The operations of earlier changes that it overwrote.
    overwrites: Vec<Op>,
}

impl<'a> Checker<'a> {
    /// Starts checking a change whose first operation has the counter `start`.
    pub(super) fn new(known: Known<'a>, actor: &'a ActorId, past: &'a Past, start: u32) -> Self {
        Self {
            known,
            actor,
            past,
            start,
            keys: HashMap::new(),
            maps: HashMap::new(),
            brought: Brought::default(),
            written: HashMap::new(),
            stand: HashSet::new(),
        }
    }

    pub(super) fn check(&mut self, counter: u32, operation: &ChangeOp) -> Result<(), Refusal> {
        let ChangeKey::Map(name) = &operation.key else { return Err(Refusal::Profile) };
        if operation.insert || name.is_empty() || name.len() > MAX_KEY {
            return Err(Refusal::Profile);
        }
        let map = match &operation.obj {
            ObjectId::Root => ROOT,
            ObjectId::Id(id) => self.map(self.op(id)?).ok_or(Refusal::Reference)?,
        };
        if !self.stands(map) {
            return Err(Refusal::Reference);
        }
        let slot = slot(&operation.action).ok_or(Refusal::Profile)?;
        let depth = self.info(map).map_or(0, |info| info.depth);
        if slot == Slot::Map && depth >= MAX_DEPTH {
            return Err(Refusal::Depth);
        }
        if map == ROOT && !LocalId::is_valid(name) {
            return Err(Refusal::EntityId);
        }
        let named = operation.pred.iter().map(|id| self.op(id)).collect::<Result<Vec<_>, _>>();
        // An incarnation that this device has not met is one that the past does not hold.
        let mut named = named.map_err(|refusal| match refusal {
            Refusal::Reference => Refusal::Predecessors,
            other => other,
        })?;
        if map == ROOT {
            check_root(name, &operation.action, &named)?;
        }
        let key = self.key(name);
        let at = (map, key);
        let mut standing = self.standing(at);
        let mut expected = overwritten(standing.clone(), self.past.writer, self.known.changes);
        named.sort_unstable();
        expected.sort_unstable();
        if named != expected || (slot == Slot::Deleted && named.is_empty()) {
            return Err(Refusal::Predecessors);
        }

        let entity = self.info(map).map_or(key, |info| info.entity);
        let op = Op { counter, writer: self.past.writer };
        if slot == Slot::Map {
            let number = u32::try_from(self.brought.maps.len()).unwrap_or(u32::MAX);
            self.maps.insert(op, Map(self.known.places.next_map().saturating_add(number)));
            self.brought.maps.push(MapInfo { op, at, entity, depth: depth + 1 });
        }
        if named.iter().any(|op| self.map(*op).is_some()) {
            self.stand.clear();
        }
        standing.retain(|op| named.binary_search(op).is_err());
        if slot != Slot::Deleted {
            standing.push(op);
        }
        self.write(at, Written { op, slot }, standing, named);
        Ok(())
    }

    /// What the change brings.
    pub(super) fn finish(self) -> Brought {
        let mut placed = Vec::with_capacity(self.written.len());
        for (at, Wrote { last, overwrites, .. }) in &self.written {
            // Nobody ever sees what the change itself took away again.
            let was_there = last.slot != Slot::Deleted || !overwrites.is_empty();
            if was_there && self.remains(at.0) {
                placed.push((*at, last.op));
            }
        }
        let Self { mut brought, mut written, .. } = self;
        for (at, _) in placed {
            if let Some(Wrote { last, overwrites, .. }) = written.remove(&at) {
                brought.placed.push(Placed { at, written: last, overwrites });
            }
        }
        brought
    }

    fn write(&mut self, at: At, written: Written, standing: Vec<Op>, mut named: Vec<Op>) {
        let (writer, start) = (self.past.writer, self.start);
        named.retain(|op| op.writer != writer || op.counter < start);
        match self.written.get_mut(&at) {
            Some(wrote) => {
                wrote.last = written;
                wrote.standing = standing;
                wrote.overwrites.append(&mut named);
            }
            None => {
                self.written.insert(at, Wrote { last: written, standing, overwrites: named });
            }
        }
    }

    fn standing(&self, at: At) -> Vec<Op> {
        match self.written.get(&at) {
            Some(wrote) => wrote.standing.clone(),
            None => self.known.places.standing(at, self.known.changes, self.past),
        }
    }

    /// Whether a map and all around it stand: writing into one that was taken away changes nothing
    /// that anybody could read.
    fn stands(&mut self, map: Map) -> bool {
        let mut passed = Vec::new();
        let mut at = map;
        while at != ROOT && !self.stand.contains(&at) {
            let Some(info) = self.info(at) else { return false };
            if !self.standing(info.at).contains(&info.op) {
                return false;
            }
            passed.push(at);
            at = info.at.0;
        }
        self.stand.extend(passed);
        true
    }

    /// Whether a map is left at the end of the change, as far as the change itself made it.
    fn remains(&self, mut map: Map) -> bool {
        while map >= Map(self.known.places.next_map()) {
            let Some(info) = self.info(map) else { return false };
            let stands = self.written.get(&info.at).map(|wrote| wrote.standing.contains(&info.op));
            if stands != Some(true) {
                return false;
            }
            map = info.at.0;
        }
        true
    }

    fn key(&mut self, name: &SmolStr) -> Key {
        if let Some(key) = self.known.places.key(name).or_else(|| self.keys.get(name).copied()) {
            return key;
        }
        let number = u32::try_from(self.brought.keys.len()).unwrap_or(u32::MAX);
        let key = Key(self.known.places.next_key().saturating_add(number));
        self.keys.insert(name.clone(), key);
        self.brought.keys.push(name.clone());
        key
    }

    fn op(&self, id: &OpId) -> Result<Op, Refusal> {
        let counter = u32::try_from(id.counter()).map_err(|_| Refusal::Reference)?;
        if id.actor() == self.actor {
            return Ok(Op { counter, writer: self.past.writer });
        }
        let (user, incarnation) =
            id.actor().to_bytes().split_at_checked(32).ok_or(Refusal::Actor)?;
        let incarnation = <[u8; 8]>::try_from(incarnation).map_err(|_| Refusal::Actor)?;
        if user != self.known.user.as_bytes() {
            return Err(Refusal::Actor);
        }
        let writer = self.known.changes.find_writer(&Incarnation::from_bytes(incarnation));
        Ok(Op { counter, writer: writer.ok_or(Refusal::Reference)? })
    }

    fn map(&self, op: Op) -> Option<Map> {
        self.maps.get(&op).copied().or_else(|| self.known.places.map(op))
    }

    fn info(&self, map: Map) -> Option<&MapInfo> {
        match map.0.checked_sub(self.known.places.next_map()) {
            Some(new) => self.brought.maps.get(usize::try_from(new).unwrap_or(usize::MAX)),
            None => self.known.places.map_info(map),
        }
    }
}

/// At the root stand entities, which are maps, and records, which are bytes named by their hash
/// and never overwritten.
fn check_root(name: &str, action: &OpType, overwrites: &[Op]) -> Result<(), Refusal> {
    let is_record = name.starts_with('#');
    match action {
        OpType::Put(ScalarValue::Bytes(content)) if is_record => {
            if name != LocalId::of_record(content).as_str() {
                Err(Refusal::RecordId)
            } else if overwrites.is_empty() {
                Ok(())
            } else {
                Err(Refusal::RecordChanged)
            }
        }
        _ if is_record => Err(Refusal::RecordChanged),
        OpType::Make(_) | OpType::Delete => Ok(()),
        _ => Err(Refusal::Profile),
    }
}

/// What an operation leaves; `None` where the profile does not have it.
fn slot(action: &OpType) -> Option<Slot> {
    Some(match action {
        OpType::Make(ObjType::Map) => Slot::Map,
        OpType::Delete => Slot::Deleted,
        OpType::Put(ScalarValue::Null) => Slot::Null,
        OpType::Put(ScalarValue::Boolean(value)) => Slot::Bool(*value),
        OpType::Put(ScalarValue::Int(value)) => Slot::Int(*value),
        OpType::Put(ScalarValue::Timestamp(value)) => Slot::Instant(*value),
        OpType::Put(ScalarValue::Str(text)) => Slot::Text(text.as_str().into()),
        OpType::Put(ScalarValue::Bytes(bytes)) => Slot::Bytes(bytes.as_slice().into()),
        _ => return None,
    })
}
