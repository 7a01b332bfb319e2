//! Makes changes of Ada's document, as a careful client would, or nearly so.

use std::num::NonZeroU64;

use automerge::{
    ActorId, Change, ChangeHash, ExpandedChange, ObjType, ScalarValue,
    legacy::{Key, ObjectId, Op, OpId, OpType},
};

use crate::{chunk::Chunk, user::user};

/// The actor of an incarnation of Ada.
pub(crate) fn actor(incarnation: u8) -> ActorId {
    ActorId::from([&user().as_bytes()[..], &[incarnation; 8]].concat())
}

/// An operation's id: its counter, and the incarnation that made it.
pub(crate) fn id(counter: u64, incarnation: u8) -> OpId {
    OpId(counter, actor(incarnation))
}

/// An operation: where, what and instead of what.
pub(crate) fn op(map: Option<OpId>, key: &str, action: OpType, instead: &[OpId]) -> Op {
    Op {
        action,
        obj: map.map_or(ObjectId::Root, ObjectId::Id),
        key: Key::Map(key.into()),
        pred: instead.to_vec().into(),
        insert: false,
    }
}

pub(crate) fn make(map: Option<OpId>, key: &str, instead: &[OpId]) -> Op {
    op(map, key, OpType::Make(ObjType::Map), instead)
}

pub(crate) fn put(map: OpId, key: &str, value: impl Into<ScalarValue>, instead: &[OpId]) -> Op {
    op(Some(map), key, OpType::Put(value.into()), instead)
}

pub(crate) fn delete(map: Option<OpId>, key: &str, instead: &[OpId]) -> Op {
    op(map, key, OpType::Delete, instead)
}

/// A record's operation.
pub(crate) fn record(content: &[u8]) -> Op {
    let key = p2panda_core::LocalId::of_record(content);
    op(None, key.as_str(), OpType::Put(ScalarValue::Bytes(content.to_vec())), &[])
}

/// Payloads in an order in which all of them are valid.
#[derive(Clone, Default)]
pub(crate) struct Past(pub(crate) Vec<(u8, Vec<u8>)>);

impl Past {
    /// How many entries an incarnation has.
    pub(crate) fn length(&self, incarnation: u8) -> u64 {
        self.0.iter().filter(|(other, _)| *other == incarnation).count() as u64
    }

    /// The hash of an entry, counted over all incarnations.
    pub(crate) fn hash(&self, entry: usize) -> ChangeHash {
        ChangeHash(Chunk::hash(&self.0[entry].1))
    }

    fn last(&self, incarnation: u8) -> Option<usize> {
        self.0.iter().rposition(|(other, _)| *other == incarnation)
    }

    /// The highest counter of an entry and what it depends on.
    fn top(&self, entry: usize) -> u64 {
        let change = decoded(&self.0[entry].1);
        change.start_op.get() + change.operations.len() as u64 - 1
    }

    /// A change of an incarnation that has seen its own entries and these.
    pub(crate) fn change(
        &self,
        incarnation: u8,
        seen: &[usize],
        operations: Vec<Op>,
    ) -> ExpandedChange {
        let own = self.last(incarnation);
        let seen: Vec<usize> = own.into_iter().chain(seen.iter().copied()).collect();
        let top = seen.iter().map(|entry| self.top(*entry)).max().unwrap_or(0);
        ExpandedChange {
            operations,
            actor_id: actor(incarnation),
            hash: None,
            seq: self.length(incarnation) + 1,
            start_op: NonZeroU64::MIN.saturating_add(top),
            time: 1_700_000_000,
            message: None,
            deps: seen.iter().map(|entry| self.hash(*entry)).collect(),
            extra_bytes: Vec::new(),
            author: None,
        }
    }

    /// Adds a change.
    pub(crate) fn add(&mut self, incarnation: u8, seen: &[usize], operations: Vec<Op>) {
        let change = self.change(incarnation, seen, operations);
        self.0.push((incarnation, encoded(change)));
    }

    /// With one more change.
    pub(crate) fn and(mut self, incarnation: u8, seen: &[usize], operations: Vec<Op>) -> Self {
        self.add(incarnation, seen, operations);
        self
    }
}

pub(crate) fn encoded(change: ExpandedChange) -> Vec<u8> {
    Change::from(change).raw_bytes().to_vec()
}

fn decoded(payload: &[u8]) -> ExpandedChange {
    Change::from_bytes(payload.to_vec()).expect("written by Automerge").decode()
}

/// Nothing yet.
pub(crate) fn empty() -> Past {
    Past::default()
}

/// Entity `e` (1@1) with a title (2@1).
pub(crate) fn one() -> Past {
    empty().and(1, &[], vec![make(None, "e", &[]), put(id(1, 1), "title", "Opening", &[])])
}

/// As `one`; then incarnation 2, which has seen it, makes a map `place` (3@2) with `x` (4@2).
pub(crate) fn two() -> Past {
    let map = make(Some(id(1, 1)), "place", &[]);
    one().and(2, &[0], vec![map, put(id(3, 2), "x", 1_i64, &[])])
}

/// Two incarnations that have not met: each makes `e` and a title.
pub(crate) fn apart() -> Past {
    one().and(2, &[], vec![make(None, "e", &[]), put(id(1, 2), "title", "Beginning", &[])])
}
