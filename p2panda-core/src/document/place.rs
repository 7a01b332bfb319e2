//! One key of one map: what stands there now, apart from what stood there before.
//!
//! Most changes have seen all that was written at a place, and for them what stands is what stands
//! now. The history is kept for changes that come from an older past: a device that was away.

use std::collections::BTreeMap;

use super::{
    changes::{Changes, Op, Past},
    clock::Writer,
};

/// The most operations that one operation overwrites.
///
/// Each of them may be another incarnation's, and a change names these at 41 bytes each. Beside so
/// many, and the largest scalar, a change still fits into a payload. Where more stand, the new
/// operation wins by its counter, and the next ones go on overwriting.
pub(super) const MAX_OVERWRITES: usize = 256;

/// An operation that stands at a place, with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) op: Op,
    pub(super) slot: Slot,
}

/// What an operation leaves at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing.
    Deleted,
    /// A map.
    Map,
    Null,
    Bool(bool),
    Int(i64),
    /// Milliseconds.
    Instant(i64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
}

impl Written {
    pub(super) fn is_map(&self) -> bool {
        self.slot == Slot::Map
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.slot {
                Slot::Text(text) => text.len() + 16,
                Slot::Bytes(bytes) => bytes.len() + 16,
                _ => 0,
            }
    }
}

#[derive(Debug)]
pub(super) enum Place {
    /// Written once.
    Once(Written),
    Often(Box<Often>),
}

#[derive(Debug)]
pub(super) struct Often {
    /// What stands now.
    now: Vec<Written>,
    /// The operations that no other one here has seen: who has seen these has seen all.
    tips: Vec<Op>,
    /// All operations by writer, each writer's in their order. A writer's operation overwrites its
    /// earlier one, so in any past only a writer's last can stand.
    writers: BTreeMap<Writer, Vec<Step>>,
    /// What another writer's operation overwrote, and whose.
    overwritten: BTreeMap<Op, Vec<Op>>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    counter: u32,
    deletes: bool,
}

impl Step {
    fn of(written: &Written) -> Self {
        Self { counter: written.op.counter, deletes: written.slot == Slot::Deleted }
    }
}

impl Place {
    pub(super) const fn new(written: Written) -> Self {
        Self::Once(written)
    }

    /// What stands now.
    pub(super) fn now(&self) -> &[Written] {
        match self {
            Self::Once(written) => std::slice::from_ref(written),
            Self::Often(often) => &often.now,
        }
    }

    /// The operations that stand for a reader with this causal past.
    pub(super) fn standing(&self, changes: &Changes, past: &Past) -> Vec<Op> {
        match self {
            Self::Once(written) if covers(changes, past, written.op) => vec![written.op],
            Self::Once(_) => Vec::new(),
            Self::Often(often) => often.standing(changes, past),
        }
    }

    /// Writes once more: what overwrites these operations of earlier changes, from this past.
    pub(super) fn write(
        &mut self,
        written: Written,
        overwrites: &[Op],
        changes: &Changes,
        past: &Past,
    ) {
        if let Self::Once(first) = self {
            let (op, step) = (first.op, Step::of(first));
            let slot = std::mem::replace(&mut first.slot, Slot::Null);
            *self = Self::Often(Box::new(Often {
                now: vec![Written { op, slot }],
                tips: vec![op],
                writers: BTreeMap::from([(op.writer, vec![step])]),
                overwritten: BTreeMap::new(),
            }));
        }
        if let Self::Often(often) = self {
            often.write(written, overwrites, changes, past);
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        match self {
            Self::Once(_) => 1,
            Self::Often(often) => often.writers.values().map(Vec::len).sum(),
        }
    }
}

impl Often {
    fn standing(&self, changes: &Changes, past: &Past) -> Vec<Op> {
        if self.tips.iter().all(|op| covers(changes, past, *op)) {
            return self.now.iter().map(|written| written.op).collect();
        }
        let last = |(writer, steps): (&Writer, &Vec<Step>)| {
            let reach = changes.reach(*writer, past);
            let seen = steps.partition_point(|step| step.counter <= reach);
            let step = steps.get(seen.checked_sub(1)?).filter(|step| !step.deletes)?;
            Some(Op { counter: step.counter, writer: *writer })
        };
        let stands = |op: &Op| {
            let overwritten = self.overwritten.get(op).map_or(&[][..], Vec::as_slice);
            !overwritten.iter().any(|by| covers(changes, past, *by))
        };
        self.writers.iter().filter_map(last).filter(stands).collect()
    }

    fn write(&mut self, written: Written, overwrites: &[Op], changes: &Changes, past: &Past) {
        let op = written.op;
        for other in overwrites.iter().filter(|other| other.writer != op.writer) {
            self.overwritten.entry(*other).or_default().push(op);
        }
        self.writers.entry(op.writer).or_default().push(Step::of(&written));
        self.now.retain(|standing| !overwrites.contains(&standing.op));
        if written.slot != Slot::Deleted {
            self.now.push(written);
        }
        self.tips.retain(|tip| !covers(changes, past, *tip));
        self.tips.push(op);
    }
}

fn covers(changes: &Changes, past: &Past, op: Op) -> bool {
    #[cfg(test)]
    cost::LOOKED_AT.with(|count| count.set(count.get() + 1));
    changes.covers(past, op)
}

/// The predecessors that an operation of `writer` names: what stands, or the first 256 of it, the
/// writer's own before others' and then the lowest. What remains loses to the new operation.
pub(super) fn overwritten(mut standing: Vec<Op>, writer: Writer, changes: &Changes) -> Vec<Op> {
    if standing.len() > MAX_OVERWRITES {
        standing.sort_unstable_by_key(|op| {
            (op.writer != writer, op.counter, changes.incarnation(op.writer))
        });
        standing.truncate(MAX_OVERWRITES);
    }
    standing
}

/// Counts the operations that were looked at to know what stands.
#[cfg(test)]
pub(super) mod cost {
    use std::cell::Cell;

    thread_local! {
        pub(in super::super) static LOOKED_AT: Cell<u64> = const { Cell::new(0) };
    }
}
