//! The changes of a document: who wrote which, and what each had seen.

use std::collections::{BTreeSet, HashMap};

use automerge::ChangeHash;

use super::clock::{Clock, Writer};
use crate::id::Incarnation;

/// An operation: Automerge's counter, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Op {
    pub(super) counter: u32,
    pub(super) writer: Writer,
}

#[derive(Debug)]
struct ChangeInfo {
    max_op: u32,
    /// What it has seen of other writers.
    seen: Clock,
    /// What of that it names itself: writers with how many of their changes.
    others: Box<[(Writer, u32)]>,
}

#[derive(Debug)]
struct WriterInfo {
    incarnation: Incarnation,
    changes: Vec<ChangeInfo>,
    last: ChangeHash,
}

/// All valid changes of a document.
#[derive(Debug, Default)]
pub(super) struct Changes {
    writers: Vec<WriterInfo>,
    by_incarnation: HashMap<Incarnation, Writer>,
    by_hash: HashMap<ChangeHash, (Writer, u32)>,
    heads: BTreeSet<ChangeHash>,
}

/// The causal past of a change: its own writer's earlier changes and what it has seen of others.
pub(super) struct Past {
    pub(super) writer: Writer,
    pub(super) seen: Clock,
    pub(super) max_op: u32,
}

fn index(writer: Writer) -> usize {
    usize::try_from(writer).unwrap_or(usize::MAX)
}

impl Changes {
    /// The number of an incarnation; of one that is new here, the one it gets with its first change.
    pub(super) fn writer(&self, incarnation: &Incarnation) -> Writer {
        self.find_writer(incarnation).unwrap_or_else(|| self.next_writer())
    }

    pub(super) fn find_writer(&self, incarnation: &Incarnation) -> Option<Writer> {
        self.by_incarnation.get(incarnation).copied()
    }

    fn next_writer(&self) -> Writer {
        Writer::try_from(self.writers.len()).unwrap_or(Writer::MAX)
    }

    /// Whose number it is; `None` for the number that the next new incarnation gets.
    pub(super) fn incarnation(&self, writer: Writer) -> Option<Incarnation> {
        self.writers.get(index(writer)).map(|info| info.incarnation)
    }

    /// How many changes there are of a writer.
    pub(super) fn length(&self, writer: Writer) -> u64 {
        self.writers.get(index(writer)).map_or(0, |info| info.changes.len() as u64)
    }

    /// The last change of a writer.
    pub(super) fn last(&self, writer: Writer) -> Option<&ChangeHash> {
        self.writers.get(index(writer)).map(|info| &info.last)
    }

    pub(super) fn knows(&self, hash: &ChangeHash) -> bool {
        self.by_hash.contains_key(hash)
    }

    /// The changes that no other change depends on, in the order of their hashes.
    pub(super) fn heads(&self) -> impl Iterator<Item = &ChangeHash> {
        self.heads.iter()
    }

    /// The causal past of a change of `writer` with these dependencies, which are all known.
    pub(super) fn past(&self, writer: Writer, dependencies: &[ChangeHash]) -> Past {
        let mut past = Past { writer, seen: Clock::default(), max_op: 0 };
        let own = self.last(writer);
        // The own previous change first: its past is mostly the largest, and then it is shared.
        let first = dependencies.iter().filter(|hash| Some(*hash) == own);
        let others = dependencies.iter().filter(|hash| Some(*hash) != own);
        for hash in first.chain(others) {
            let Some((of, at)) = self.by_hash.get(hash).copied() else { continue };
            let change = &self.writers[index(of)].changes[index(at)];
            past.max_op = past.max_op.max(change.max_op);
            past.seen.merge(&change.seen);
            if of != writer {
                past.seen.raise(of, at + 1);
            }
        }
        past
    }

    /// The highest counter of a writer's operations in a past.
    pub(super) fn reach(&self, writer: Writer, past: &Past) -> u32 {
        if writer == past.writer {
            return u32::MAX;
        }
        let last = past.seen.get(writer).checked_sub(1);
        last.map_or(0, |last| self.writers[index(writer)].changes[index(last)].max_op)
    }

    /// Whether an operation of a valid change lies in a causal past.
    pub(super) fn covers(&self, past: &Past, op: Op) -> bool {
        op.counter <= self.reach(op.writer, past)
    }

    /// The writer's entry, from 0, that an operation belongs to.
    pub(super) fn position(&self, op: Op) -> u64 {
        let changes = &self.writers[index(op.writer)].changes;
        changes.partition_point(|change| change.max_op < op.counter) as u64
    }

    fn change(&self, writer: Writer, position: u64) -> Option<&ChangeInfo> {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        self.writers.get(index(writer))?.changes.get(position)
    }

    /// Whether a writer's entry had seen any of others.
    pub(super) fn has_seen_others(&self, writer: Writer, position: u64) -> bool {
        self.change(writer, position).is_some_and(|change| !change.seen.is_empty())
    }

    /// What a writer's entry names as seen of others.
    pub(super) fn dependencies(
        &self,
        writer: Writer,
        position: u64,
    ) -> impl Iterator<Item = (Incarnation, u64)> {
        let others = self.change(writer, position).map(|change| &change.others[..]);
        let named = others.unwrap_or_default().iter();
        named.map(|(other, length)| (self.writers[index(*other)].incarnation, u64::from(*length)))
    }

    /// Every entry that names entries of others as seen.
    pub(super) fn merges(&self) -> impl Iterator<Item = (Incarnation, u64)> {
        self.writers.iter().flat_map(|WriterInfo { incarnation, changes, .. }| {
            let merges = (0..).zip(changes).filter(|(_, change)| !change.others.is_empty());
            merges.map(|(position, _)| (*incarnation, position))
        })
    }

    /// Records a valid change.
    pub(super) fn insert(
        &mut self,
        incarnation: Incarnation,
        hash: ChangeHash,
        dependencies: &[ChangeHash],
        max_op: u32,
        past: Past,
    ) {
        for dependency in dependencies {
            self.heads.remove(dependency);
        }
        self.heads.insert(hash);
        if self.find_writer(&incarnation).is_none() {
            self.by_incarnation.insert(incarnation, past.writer);
            self.writers.push(WriterInfo { incarnation, changes: Vec::new(), last: hash });
        }
        let known = dependencies.iter().filter_map(|hash| self.by_hash.get(hash));
        let others = known.filter(|(of, _)| *of != past.writer).map(|(of, at)| (*of, at + 1));
        let others = others.collect();
        let info = &mut self.writers[index(past.writer)];
        let at = u32::try_from(info.changes.len()).unwrap_or(u32::MAX);
        self.by_hash.insert(hash, (past.writer, at));
        info.last = hash;
        info.changes.push(ChangeInfo { max_op, seen: past.seen, others });
    }

    /// About how much memory this takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        // A writer with its number; a change with its clock, its hash in two tables.
        self.writers.len() * 256 + self.by_hash.len() * 256
    }
}
