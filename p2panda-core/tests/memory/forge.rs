//! Valid changes of any content, as a hostile user with the right key would write them.

use std::collections::HashMap;

use automerge::{
    ActorId, Change, ChangeHash, ExpandedChange, ObjType, ScalarValue,
    legacy::{Key, ObjectId, Op, OpId, OpType},
};
use p2panda_core::{Incarnation, UserId};

use std::num::NonZeroU64;

pub(crate) struct Forge {
    user: UserId,
    /// By writer: sequence number and last change.
    writers: HashMap<Incarnation, (u64, ChangeHash)>,
    max_op: HashMap<ChangeHash, u64>,
}

/// One operation, its object and predecessors by id.
pub(crate) fn op(obj: Option<OpId>, key: &str, action: OpType, pred: Vec<OpId>) -> Op {
    Op {
        action,
        obj: obj.map_or(ObjectId::Root, ObjectId::Id),
        key: Key::Map(key.into()),
        pred: pred.into(),
        insert: false,
    }
}

pub(crate) const MAP: OpType = OpType::Make(ObjType::Map);
pub(crate) const NULL: OpType = OpType::Put(ScalarValue::Null);

pub(crate) fn incarnation(number: u64) -> Incarnation {
    Incarnation::from_bytes(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
}

impl Forge {
    pub(crate) fn new(user: UserId) -> Self {
        Self { user, writers: HashMap::new(), max_op: HashMap::new() }
    }

    pub(crate) fn actor(&self, writer: Incarnation) -> ActorId {
        let mut bytes = [0; 40];
        bytes[..32].copy_from_slice(self.user.as_bytes());
        bytes[32..].copy_from_slice(writer.as_bytes());
        ActorId::from(bytes)
    }

    pub(crate) fn id(&self, counter: u64, writer: Incarnation) -> OpId {
        OpId(counter, self.actor(writer))
    }

    pub(crate) fn last(&self, writer: Incarnation) -> Option<ChangeHash> {
        self.writers.get(&writer).map(|(_, hash)| *hash)
    }

    /// The counter of the first operation of a writer's next change with these dependencies.
    pub(crate) fn start(&self, writer: Incarnation, others: &[ChangeHash]) -> u64 {
        let deps = self.last(writer).into_iter().chain(others.iter().copied());
        deps.map(|hash| self.max_op[&hash]).max().unwrap_or(0) + 1
    }

    fn expanded(
        &self,
        writer: Incarnation,
        others: &[ChangeHash],
        operations: Vec<Op>,
    ) -> ExpandedChange {
        let (seq, own) =
            self.writers.get(&writer).map_or((0, None), |(seq, own)| (*seq, Some(*own)));
        let mut deps: Vec<ChangeHash> = own.into_iter().chain(others.iter().copied()).collect();
        deps.sort_unstable();
        deps.dedup();
        ExpandedChange {
            operations,
            actor_id: self.actor(writer),
            hash: None,
            seq: seq + 1,
            start_op: NonZeroU64::new(self.start(writer, others)).unwrap(),
            time: 0,
            message: None,
            deps,
            extra_bytes: vec![],
            author: None,
        }
    }

    /// A writer's next change.
    pub(crate) fn change(
        &mut self,
        writer: Incarnation,
        others: &[ChangeHash],
        operations: Vec<Op>,
    ) -> Vec<u8> {
        let expanded = self.expanded(writer, others, operations);
        let max_op = expanded.start_op.get() + expanded.operations.len() as u64 - 1;
        let seq = expanded.seq;
        let change = Change::from(expanded);
        self.writers.insert(writer, (seq, change.hash()));
        self.max_op.insert(change.hash(), max_op);
        change.raw_bytes().to_vec()
    }

    /// The same, with a text that pays for the operations where they are too dense. The text is
    /// one more operation.
    pub(crate) fn paid(
        &mut self,
        writer: Incarnation,
        mut operations: Vec<Op>,
        (obj, key): (Option<OpId>, &str),
        mut pred: Vec<OpId>,
    ) -> Vec<u8> {
        let name = |op: &Op| match &op.key {
            Key::Map(name) => name.len(),
            Key::Seq(_) => 0,
        };
        let own = |op: &Op| if matches!(op.action, OpType::Make(_)) { 48 } else { 8 };
        let weight: usize =
            operations.iter().map(|op| own(op) + name(op)).sum::<usize>() + 8 + key.len();
        let text = |length| OpType::Put(ScalarValue::Str("t".repeat(length).into()));
        operations.push(op(obj.clone(), key, text(1), pred.clone()));
        let bare = Change::from(self.expanded(writer, &[], operations.clone())).raw_bytes().len();
        operations.pop();
        operations.push(op(
            obj,
            key,
            text(1 + weight.saturating_sub(bare)),
            std::mem::take(&mut pred),
        ));
        self.change(writer, &[], operations)
    }
}
