//! What the gate remembers of a document besides Automerge's own state: which change wrote which
//! operation, what each change had seen, and which operations stand at each place.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use automerge::ChangeHash;
use smol_str::SmolStr;

use super::Touched;
use crate::id::Incarnation;

/// A writer: an incarnation of the document's user, in the order in which this device met them.
pub(super) type Writer = usize;

/// An operation: Automerge's counter, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Op {
    pub(super) counter: u64,
    pub(super) writer: Writer,
}

/// A map: the root, or the operation that made it.
pub(super) type Map = Option<Op>;

/// How many changes of each *other* writer a change has seen.
pub(super) type Seen = BTreeMap<Writer, u64>;

#[derive(Debug)]
pub(super) struct ChangeInfo {
    pub(super) hash: ChangeHash,
    pub(super) max_op: u64,
    pub(super) seen: Arc<Seen>,
}

#[derive(Debug)]
pub(super) struct WriterInfo {
    pub(super) incarnation: Incarnation,
    pub(super) changes: Vec<ChangeInfo>,
}

/// One operation at a place, and the operations that name it as overwritten.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) op: Op,
    pub(super) is_map: bool,
    overwritten_by: Vec<Op>,
}

#[derive(Clone, Debug)]
pub(super) struct MapInfo {
    /// The entity that the map belongs to.
    pub(super) entity: SmolStr,
    /// 1 for an entity's own map.
    pub(super) depth: usize,
    /// The names that lead to it from the entity's own map.
    pub(super) path: Arc<[SmolStr]>,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) writers: Vec<WriterInfo>,
    by_incarnation: HashMap<Incarnation, Writer>,
    by_hash: HashMap<ChangeHash, (Writer, usize)>,
    heads: HashSet<ChangeHash>,
    places: HashMap<Map, HashMap<SmolStr, Vec<Written>>>,
    maps: HashMap<Op, MapInfo>,
}

/// The causal past of a change: its own writer's earlier changes and what it has seen of others.
pub(super) struct Past {
    pub(super) writer: Writer,
    pub(super) seen: Arc<Seen>,
    pub(super) max_op: u64,
}

/// An operation to be recorded at a place, once the whole change has been checked.
pub(super) struct Placed {
    pub(super) map: Map,
    pub(super) key: SmolStr,
    /// `None` for a deletion, which stands nowhere itself.
    pub(super) op: Op,
    pub(super) kind: PlacedKind,
    pub(super) overwrites: Vec<Op>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PlacedKind {
    Map,
    Scalar,
    Delete,
}

impl Index {
    pub(super) fn writer(&mut self, incarnation: Incarnation) -> Writer {
        *self.by_incarnation.entry(incarnation).or_insert_with(|| {
            self.writers.push(WriterInfo { incarnation, changes: Vec::new() });
            self.writers.len() - 1
        })
    }

    pub(super) fn find_writer(&self, incarnation: &Incarnation) -> Option<Writer> {
        self.by_incarnation.get(incarnation).copied()
    }

    pub(super) fn knows(&self, hash: &ChangeHash) -> bool {
        self.by_hash.contains_key(hash)
    }

    /// The changes that no other change depends on.
    pub(super) fn heads(&self) -> impl Iterator<Item = &ChangeHash> {
        self.heads.iter()
    }

    pub(super) fn map_info(&self, op: &Op) -> Option<&MapInfo> {
        self.maps.get(op)
    }

    /// The causal past of a change of `writer` with these dependencies, which are all known.
    pub(super) fn past(&self, writer: Writer, dependencies: &[ChangeHash]) -> Past {
        let mut max_op = 0;
        let mut own: Option<Arc<Seen>> = None;
        let mut merged: Option<Seen> = None;
        for hash in dependencies {
            let Some((of, at)) = self.by_hash.get(hash).copied() else { continue };
            let change = &self.writers[of].changes[at];
            max_op = max_op.max(change.max_op);
            if of == writer && own.is_none() {
                own = Some(Arc::clone(&change.seen));
                continue;
            }
            let merged = merged.get_or_insert_with(Seen::new);
            for (other, length) in change.seen.iter() {
                raise(merged, *other, *length);
            }
            raise(merged, of, at as u64 + 1);
        }
        let mut seen = own.unwrap_or_default();
        if let Some(mut merged) = merged {
            for (other, length) in seen.iter() {
                raise(&mut merged, *other, *length);
            }
            merged.remove(&writer);
            seen = Arc::new(merged);
        }
        Past { writer, seen, max_op }
    }

    /// Whether an operation of an accepted change lies in a causal past.
    pub(super) fn is_past(&self, op: Op, past: &Past) -> bool {
        if op.writer == past.writer {
            return true;
        }
        let Some(length) = past.seen.get(&op.writer) else { return false };
        let last = usize::try_from(*length).unwrap_or(usize::MAX).saturating_sub(1);
        self.writers[op.writer].changes.get(last).is_some_and(|change| op.counter <= change.max_op)
    }

    /// The operations that stand at a place for a reader with this causal past.
    pub(super) fn standing<'a>(
        &'a self,
        map: Map,
        key: &str,
        past: &'a Past,
    ) -> impl Iterator<Item = &'a Written> + use<'a> {
        let written = self.places.get(&map).and_then(|keys| keys.get(key));
        written.map_or(&[][..], Vec::as_slice).iter().filter(|written| {
            self.is_past(written.op, past)
                && !written.overwritten_by.iter().any(|by| self.is_past(*by, past))
        })
    }

    /// The operations that stand at a place now.
    pub(super) fn standing_now(&self, map: Map, key: &str) -> impl Iterator<Item = &Written> {
        let written = self.places.get(&map).and_then(|keys| keys.get(key));
        let written = written.map_or(&[][..], Vec::as_slice).iter();
        written.filter(|written| written.overwritten_by.is_empty())
    }

    /// The change that an operation belongs to: its writer's entry, from 0.
    pub(super) fn position(&self, op: Op) -> usize {
        self.writers[op.writer].changes.partition_point(|change| change.max_op < op.counter)
    }

    /// Records an accepted change; returns the places that it wrote.
    pub(super) fn insert(
        &mut self,
        hash: ChangeHash,
        dependencies: &[ChangeHash],
        past: Past,
        max_op: u64,
        placed: Vec<Placed>,
    ) -> Touched {
        for dependency in dependencies {
            self.heads.remove(dependency);
        }
        self.heads.insert(hash);
        let writer = past.writer;
        let changes = &mut self.writers[writer].changes;
        self.by_hash.insert(hash, (past.writer, changes.len()));
        changes.push(ChangeInfo { hash, max_op, seen: past.seen });
        // A causal past holds changes whole, so what a change itself overwrites again never stands
        // for anybody: only what remains is kept, however often a change writes one place.
        let first = placed.first().map_or(0, |placed| placed.op.counter);
        let is_own = |op: &Op| op.writer == writer && op.counter >= first;
        let overwritten = placed.iter().flat_map(|placed| &placed.overwrites).copied();
        let gone: HashSet<Op> = overwritten.filter(is_own).collect();
        let mut touched = Touched::default();
        for mut placed in placed {
            placed.overwrites.retain(|op| !is_own(op));
            match placed.map.and_then(|map| self.maps.get(&map)) {
                None => touched.add(&placed.key, &[]),
                Some(map) => {
                    touched.add(&map.entity, &[&map.path[..], &[placed.key.clone()]].concat())
                }
            }
            let stands = !gone.contains(&placed.op);
            self.place(placed, stands);
        }
        touched
    }

    /// How many operations are remembered at places.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.places.values().flat_map(HashMap::values).map(Vec::len).sum()
    }

    fn place(&mut self, Placed { map, key, op, kind, overwrites }: Placed, stands: bool) {
        if kind == PlacedKind::Map {
            let info = match map.and_then(|map| self.maps.get(&map)) {
                None => MapInfo { entity: key.clone(), depth: 1, path: Arc::default() },
                Some(parent) => MapInfo {
                    entity: parent.entity.clone(),
                    depth: parent.depth + 1,
                    path: parent.path.iter().chain([&key]).cloned().collect(),
                },
            };
            self.maps.insert(op, info);
        }
        if overwrites.is_empty() && !stands {
            return;
        }
        let written = self.places.entry(map).or_default().entry(key).or_default();
        if !overwrites.is_empty() {
            for old in written.iter_mut().filter(|old| overwrites.contains(&old.op)) {
                old.overwritten_by.push(op);
            }
        }
        if stands && kind != PlacedKind::Delete {
            let is_map = kind == PlacedKind::Map;
            written.push(Written { op, is_map, overwritten_by: Vec::new() });
        }
    }
}

fn raise(seen: &mut Seen, writer: Writer, length: u64) {
    let known = seen.entry(writer).or_default();
    *known = (*known).max(length);
}
