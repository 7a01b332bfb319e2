//! Writing: turns drafts into payloads, which then pass the gate like everybody else's.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU64,
};

use automerge::{
    Change, ChangeHash, ExpandedChange, ObjType, ScalarValue,
    legacy::{Key, ObjectId, Op as ChangeOp, OpId, OpType},
};
use smol_str::SmolStr;

use super::{
    Document, Draft,
    changes::Op,
    clock::Writer,
    draft::Step,
    gate::actor,
    place::{MAX_OVERWRITES, overwritten},
    places::{Map, ROOT},
    scan::{MAP_WEIGHT, MAX_ACTORS, MAX_DEPENDENCIES, MAX_OPERATIONS, OPERATION_WEIGHT},
};
use crate::{
    id::{Incarnation, LocalId},
    schema::Instant,
};

/// A change is closed when it has become this large.
const CHANGE_BYTES: usize = 20 * 1024;

/// An operation that would make a change larger than this goes into the next one. By this estimate
/// any operation fits alone, and what fits stays below the limit of a payload.
const CHANGE_BYTES_MAX: usize = 57 * 1024;

/// What an operation costs at most besides its key and value, and what naming another actor costs.
const OPERATION_BYTES: usize = 16;
const OVERWRITE_BYTES: usize = 8;
const ACTOR_BYTES: usize = 41;

/// A change takes at least this, and this for each dependency.
const FRAME_BYTES: usize = 57;
const DEPENDENCY_BYTES: usize = 32;

/// A change is closed when it has this many operations.
const CHANGE_OPERATIONS: usize = 2048;

impl Document {
    /// The next payload of an incarnation: as many steps as one change takes, removed from the
    /// draft; `None` when the draft is used up. The payload is to be offered before the next call.
    pub(crate) fn next_payload(
        &self,
        incarnation: Incarnation,
        now: Instant,
        draft: &mut Draft,
    ) -> Option<Vec<u8>> {
        if draft.is_empty() {
            return None;
        }
        let writer = self.changes.writer(&incarnation);
        let own = self.changes.last(writer).copied();
        let mut others = self.changes.heads().copied().filter(|hash| own != Some(*hash));
        let most = usize::try_from(MAX_DEPENDENCIES).unwrap_or(usize::MAX) - 1;
        let named: Vec<ChangeHash> = others.by_ref().take(most).collect();
        // More heads are folded first, so that what is written has seen them all.
        let folding = others.next().is_some();
        let dependencies: Vec<ChangeHash> = own.into_iter().chain(named).collect();
        let past = self.changes.past(writer, &dependencies);
        let mut change = Writing {
            document: self,
            incarnation,
            writer,
            next: past.max_op + 1,
            size: Size::new(dependencies.len()),
            operations: Vec::new(),
            standing: HashMap::new(),
            maps: Vec::new(),
            actors: HashSet::new(),
        };
        while !folding && !change.is_closed() {
            let Some(step) = draft.0.front() else { break };
            if change.write(step).is_err() {
                break; // what the step has not done yet, the next change does
            }
            draft.0.pop_front();
        }
        let operations = change.operations;
        if operations.is_empty() && !folding {
            return None; // only deletions of what is not there
        }
        let expanded = ExpandedChange {
            operations,
            actor_id: actor(&self.user, &incarnation),
            hash: None,
            seq: self.length(&incarnation) + 1,
            start_op: NonZeroU64::MIN.saturating_add(u64::from(past.max_op)),
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
    writer: Writer,
    next: u32,
    size: Size,
    operations: Vec<ChangeOp>,
    /// What stands at the places that this change has written.
    standing: HashMap<Place, Vec<Standing>>,
    /// The operations that made its new maps.
    maps: Vec<Op>,
    /// The other writers that the operations name.
    actors: HashSet<Writer>,
}

type Place = (Map, SmolStr);

/// An operation that stands at a place, and its map where it made one.
#[derive(Clone, Copy)]
struct Standing {
    op: Op,
    map: Option<Map>,
}

/// The change takes no more.
struct Full;

/// What a change has come to, by estimate.
#[derive(Clone, Copy)]
struct Size {
    /// At most.
    bytes: usize,
    /// At least: only what no column can shrink.
    floor: usize,
    /// What the gate demands of the payload's size.
    weight: usize,
    overwrites: usize,
}

impl Size {
    const fn new(dependencies: usize) -> Self {
        let floor = FRAME_BYTES + DEPENDENCY_BYTES * dependencies;
        Self { bytes: 0, floor, weight: 0, overwrites: 0 }
    }

    fn fits(&self) -> bool {
        self.bytes <= CHANGE_BYTES_MAX
            && self.weight <= self.floor
            && self.overwrites <= limit(MAX_OPERATIONS)
    }
}

fn limit(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Writing<'_> {
    fn is_closed(&self) -> bool {
        self.size.bytes > CHANGE_BYTES || self.operations.len() > CHANGE_OPERATIONS
    }

    /// Writes a step, or as much of it as the change has room for. Written again, a step goes on
    /// where it was.
    fn write(&mut self, step: &Step) -> Result<(), Full> {
        match step {
            Step::Put(local, path, value) => self.put(local, path, value.as_ref()),
            Step::Delete(local, path) => self.delete(local, path),
            Step::Record(local, content) => {
                let place = (ROOT, SmolStr::from(local.as_str()));
                if self.standing(&place).is_empty() {
                    self.emit(place, OpType::Put(ScalarValue::Bytes(content.clone())))?;
                }
                Ok(())
            }
        }
    }

    fn put(
        &mut self,
        local: &LocalId,
        path: &[SmolStr],
        value: Option<&ScalarValue>,
    ) -> Result<(), Full> {
        let entity = SmolStr::from(local.as_str());
        let depth = path.len() + usize::from(value.is_none());
        let mut level = Level { maps: vec![ROOT], winner: ROOT };
        for key in std::iter::once(&entity).chain(path).take(depth) {
            level = self.open(&level, key)?;
        }
        if let (Some(value), Some(key)) = (value, path.last()) {
            self.emit((level.winner, key.clone()), OpType::Put(value.clone()))?;
        }
        Ok(())
    }

    /// The maps below a key that are read as one, and the one that wins; made where none does.
    fn open(&mut self, level: &Level, key: &SmolStr) -> Result<Level, Full> {
        let place = |map: &Map| (*map, key.clone());
        let mut standing: Vec<(Map, Standing)> = Vec::new();
        for map in &level.maps {
            standing.extend(self.standing(&place(map)).into_iter().map(|found| (*map, found)));
        }
        let order = |op: Op| (op.counter, self.incarnation_of(op));
        let highest = standing.iter().max_by_key(|(_, found)| order(found.op));
        if let Some((_, Standing { map: Some(winner), .. })) = highest {
            let maps = standing.iter().filter_map(|(_, found)| found.map).collect();
            return Ok(Level { maps, winner: *winner });
        }
        // A scalar wins, if anything. The maps that it hid must not come back with the new one;
        // while they are taken away it stays, so that they stay hidden.
        let hiding = highest.map(|(map, _)| *map);
        let hidden: HashSet<Map> =
            standing.iter().filter(|(_, found)| found.map.is_some()).map(|(map, _)| *map).collect();
        let (mut last, mut first): (Vec<Map>, Vec<Map>) =
            hidden.into_iter().partition(|map| Some(*map) == hiding);
        first.sort_unstable();
        first.append(&mut last);
        for map in first {
            let place = place(&map);
            // Where the new map is made, it overwrites what stands there.
            if map != level.winner || self.standing(&place).len() > MAX_OVERWRITES {
                self.clear(&place)?;
            }
        }
        let new = self.emit(place(&level.winner), OpType::Make(ObjType::Map))?;
        let made = new.unwrap_or(ROOT);
        Ok(Level { maps: vec![made], winner: made })
    }

    /// Deletes what stands at a path, in every map that is read as part of it.
    fn delete(&mut self, local: &LocalId, path: &[SmolStr]) -> Result<(), Full> {
        let entity = SmolStr::from(local.as_str());
        let keys: Vec<SmolStr> = std::iter::once(entity).chain(path.iter().cloned()).collect();
        let Some((last, parents)) = keys.split_last() else { return Ok(()) };
        let mut maps = vec![ROOT];
        for key in parents {
            let below = maps.iter().flat_map(|map| self.standing(&(*map, key.clone())));
            maps = below.filter_map(|found| found.map).collect();
        }
        maps.into_iter().try_for_each(|map| self.clear(&(map, last.clone())))
    }

    fn clear(&mut self, place: &Place) -> Result<(), Full> {
        while !self.standing(place).is_empty() {
            self.emit(place.clone(), OpType::Delete)?;
        }
        Ok(())
    }

    fn standing(&self, place: &Place) -> Vec<Standing> {
        if let Some(standing) = self.standing.get(place) {
            return standing.clone();
        }
        let places = &self.document.places;
        let Some(key) = places.key(&place.1) else { return Vec::new() };
        let map = |written: &super::place::Written| {
            if written.is_map() { places.map(written.op) } else { None }
        };
        let now = places.now((place.0, key)).iter();
        now.map(|written| Standing { op: written.op, map: map(written) }).collect()
    }

    /// Adds an operation, unless the change has no room for it; returns the map that it made.
    fn emit(&mut self, place: Place, action: OpType) -> Result<Option<Map>, Full> {
        let mut standing = self.standing(&place);
        let ops = standing.iter().map(|found| found.op).collect();
        let overwrites = overwritten(ops, self.writer, &self.document.changes);
        let map = self.maker(place.0);
        let named = overwrites.iter().chain(&map).map(|op| op.writer);
        let new: HashSet<Writer> = named
            .filter(|writer| *writer != self.writer && !self.actors.contains(writer))
            .collect();
        let size = self.size_with(&place.1, &action, overwrites.len(), new.len());
        let has_room = size.fits()
            && self.operations.len() < limit(MAX_OPERATIONS)
            && self.actors.len() + new.len() <= limit(MAX_ACTORS);
        if !self.operations.is_empty() && !has_room {
            return Err(Full);
        }
        self.size = size;
        self.actors.extend(new);
        let op = Op { counter: self.next, writer: self.writer };
        self.next += 1;
        let made = matches!(action, OpType::Make(_)).then(|| {
            let number = u32::try_from(self.maps.len()).unwrap_or(u32::MAX);
            self.maps.push(op);
            Map(self.document.places.next_map() + number)
        });
        self.operations.push(ChangeOp {
            obj: map.map_or(ObjectId::Root, |op| ObjectId::Id(self.id(op))),
            key: Key::Map(place.1.clone()),
            pred: overwrites.iter().map(|op| self.id(*op)).collect(),
            insert: false,
            action,
        });
        standing.retain(|found| !overwrites.contains(&found.op));
        if !matches!(self.operations.last(), Some(ChangeOp { action: OpType::Delete, .. })) {
            standing.push(Standing { op, map: made });
        }
        self.standing.insert(place, standing);
        Ok(made)
    }

    fn size_with(&self, key: &str, action: &OpType, overwrites: usize, actors: usize) -> Size {
        let value = match action {
            OpType::Put(ScalarValue::Str(text)) => text.len(),
            OpType::Put(ScalarValue::Bytes(bytes)) => bytes.len(),
            _ => 0,
        };
        let repeats = self
            .operations
            .last()
            .is_some_and(|last| matches!(&last.key, Key::Map(last) if last.as_str() == key));
        let mut size = self.size;
        size.overwrites += overwrites;
        size.bytes += key.len()
            + value.max(10) // the longest integer
            + OPERATION_BYTES
            + OVERWRITE_BYTES * overwrites
            + ACTOR_BYTES * actors;
        size.floor += value + ACTOR_BYTES * actors + if repeats { 0 } else { key.len() };
        let makes_map = matches!(action, OpType::Make(_));
        size.weight += limit(if makes_map { MAP_WEIGHT } else { OPERATION_WEIGHT }) + key.len();
        size
    }

    /// The operation that made a map; `None` for the root.
    fn maker(&self, map: Map) -> Option<Op> {
        let places = &self.document.places;
        match map.0.checked_sub(places.next_map()) {
            Some(new) => self.maps.get(usize::try_from(new).unwrap_or(usize::MAX)).copied(),
            None => places.map_info(map).map(|info| info.op),
        }
    }

    fn id(&self, op: Op) -> OpId {
        OpId(u64::from(op.counter), actor(&self.document.user, &self.incarnation_of(op)))
    }

    fn incarnation_of(&self, op: Op) -> Incarnation {
        self.document.changes.incarnation(op.writer).unwrap_or(self.incarnation)
    }
}

/// Maps that are read as one, and the one that new fields are written into.
struct Level {
    maps: Vec<Map>,
    winner: Map,
}
