//! The contents of a document: what stands at each key of each map, and what stood there before.

use std::{
    collections::{BTreeMap, HashMap},
    mem::size_of,
};

use smol_str::SmolStr;

use super::{
    Touched,
    changes::{Changes, Op, Past},
    place::{Place, Written},
};

/// A map by its number; the root is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Map(pub(super) u32);

/// A key by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(pub(super) u32);

/// The map in which entities and records stand.
pub(super) const ROOT: Map = Map(0);

/// A key of a map.
pub(super) type At = (Map, Key);

/// What a map is besides its contents.
#[derive(Clone, Debug)]
pub(super) struct MapInfo {
    /// The operation that made it.
    pub(super) op: Op,
    /// Where it was put.
    pub(super) at: At,
    /// The entity that it belongs to.
    pub(super) entity: Key,
    /// 1 for an entity's own map.
    pub(super) depth: u8,
}

/// Names and maps that a change brings with it, in the order of the numbers they get, and what it
/// leaves at the places it wrote.
#[derive(Default)]
pub(super) struct Brought {
    pub(super) keys: Vec<SmolStr>,
    pub(super) maps: Vec<MapInfo>,
    pub(super) placed: Vec<Placed>,
}

/// What a change did at one place, all its operations there taken together: nobody ever sees less
/// than a whole change.
pub(super) struct Placed {
    pub(super) at: At,
    pub(super) written: Written,
    /// The operations of earlier changes that it overwrote.
    pub(super) overwrites: Vec<Op>,
}

#[derive(Debug, Default)]
pub(super) struct Places {
    keys: Vec<SmolStr>,
    by_name: HashMap<SmolStr, Key>,
    maps: Vec<MapInfo>,
    by_op: HashMap<Op, Map>,
    /// In the order of maps and then keys, so that a map's keys stand together.
    places: BTreeMap<At, Place>,
    bytes: usize,
}

impl Places {
    pub(super) fn key(&self, name: &str) -> Option<Key> {
        self.by_name.get(name).copied()
    }

    /// The name of a key; empty for one that is not known.
    pub(super) fn name(&self, key: Key) -> &str {
        self.keys.get(usize::try_from(key.0).unwrap_or(usize::MAX)).map_or("", SmolStr::as_str)
    }

    /// The number that the next new key gets.
    pub(super) fn next_key(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn map(&self, op: Op) -> Option<Map> {
        self.by_op.get(&op).copied()
    }

    /// What a map is; `None` for the root.
    pub(super) fn map_info(&self, map: Map) -> Option<&MapInfo> {
        let at = map.0.checked_sub(1)?;
        self.maps.get(usize::try_from(at).unwrap_or(usize::MAX))
    }

    /// The number that the next new map gets.
    pub(super) fn next_map(&self) -> u32 {
        u32::try_from(self.maps.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The operations that stand at a place for a reader with this causal past.
    pub(super) fn standing(&self, at: At, changes: &Changes, past: &Past) -> Vec<Op> {
        self.places.get(&at).map(|place| place.standing(changes, past)).unwrap_or_default()
    }

    /// What stands at a place now.
    pub(super) fn now(&self, at: At) -> &[Written] {
        self.places.get(&at).map(Place::now).unwrap_or_default()
    }

    /// The keys of a map with what stands there now.
    pub(super) fn contents(&self, map: Map) -> impl Iterator<Item = (Key, &[Written])> {
        let range = (map, Key(0))..=(map, Key(u32::MAX));
        self.places.range(range).map(|((_, key), place)| (*key, place.now()))
    }

    /// Records what a valid change brings; returns the places that it wrote.
    pub(super) fn insert(&mut self, brought: Brought, changes: &Changes, past: &Past) -> Touched {
        for name in brought.keys {
            self.bytes += 128 + 2 * name.len();
            self.by_name.insert(name.clone(), Key(self.next_key()));
            self.keys.push(name);
        }
        for info in brought.maps {
            self.bytes += 128;
            self.by_op.insert(info.op, Map(self.next_map()));
            self.maps.push(info);
        }
        let mut touched = Touched::default();
        for Placed { at, written, overwrites } in brought.placed {
            let path = self.path(at);
            if let Some((entity, path)) = path.split_first() {
                touched.add(entity, path);
            }
            // A tree's nodes are a little more than half full.
            self.bytes += written.bytes() + size_of::<Op>() * overwrites.len();
            match self.places.get_mut(&at) {
                Some(place) => place.write(written, &overwrites, changes, past),
                None => {
                    self.bytes += 2 * size_of::<(At, Place)>();
                    self.places.insert(at, Place::new(written));
                }
            }
        }
        touched
    }

    /// The names that lead to a place from the root.
    fn path(&self, (mut map, key): At) -> Vec<SmolStr> {
        let mut path = vec![SmolStr::from(self.name(key))];
        while let Some(info) = self.map_info(map) {
            path.push(self.name(info.at.1).into());
            map = info.at.0;
        }
        path.reverse();
        path
    }

    /// About how much memory this takes, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many operations are remembered at places.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.places.values().map(Place::remembered).sum()
    }
}
