//! The gate: decides whether a payload is a change that this document can take, without asking
//! Automerge to try.
//!
//! The verdict depends on the payload, its position in its log and its causal past alone, so every
//! peer that has the same past comes to the same verdict.

use std::collections::BTreeSet;

use automerge::{ActorId, Change, ChangeHash, ExpandedChange};

use super::{
    Refusal,
    changes::{Changes, Past},
    check::Checker,
    places::{Brought, Places},
    scan::scan,
};
use crate::id::{Incarnation, UserId};

/// Where counters end: half of what Automerge can count to.
///
/// A change starts where its past ends, and each of its operations takes one number and 9 bytes of
/// its payload or more. So it takes 19 GB of accepted payloads of one document to get there, and no
/// writer, however hostile, gets an honest one anywhere near it with less.
pub(super) const MAX_COUNTER: u32 = 1 << 31;

/// A change that passed the gate, ready to be recorded.
pub(super) struct Passed {
    pub(super) hash: ChangeHash,
    pub(super) dependencies: Vec<ChangeHash>,
    pub(super) past: Past,
    pub(super) max_op: u32,
    pub(super) brought: Brought,
}

pub(super) enum Gate {
    Passed(Box<Passed>),
    /// These dependencies are not here yet.
    Waiting(Vec<ChangeHash>),
}

/// The Automerge actor of an incarnation of a user.
pub(super) fn actor(user: &UserId, incarnation: &Incarnation) -> ActorId {
    let mut bytes = [0; 40];
    bytes[..32].copy_from_slice(user.as_bytes());
    bytes[32..].copy_from_slice(incarnation.as_bytes());
    ActorId::from(bytes)
}

/// A document as far as the gate looks at it.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) user: &'a UserId,
    pub(super) changes: &'a Changes,
    pub(super) places: &'a Places,
}

/// Judges the payload at `position` (from 0) of an incarnation's log.
pub(super) fn judge(
    known: Known<'_>,
    incarnation: &Incarnation,
    position: u64,
    payload: &[u8],
) -> Result<Gate, Refusal> {
    scan(payload)?;
    let change = Change::try_from(payload).map_err(|_| Refusal::NotAChange)?;
    let actor = actor(known.user, incarnation);
    if *change.actor_id() != actor {
        return Err(Refusal::Actor);
    }
    if change.seq() != position + 1 {
        return Err(Refusal::Sequence);
    }
    let expanded = change.decode();
    let dependencies: BTreeSet<&ChangeHash> = expanded.deps.iter().collect();
    if dependencies.len() != expanded.deps.len() {
        return Err(Refusal::Dependencies);
    }
    let verdict = judge_change(known, incarnation, &expanded, change.hash());
    // Encoding takes the change apart, so it comes last; but what is not canonical is refused for
    // that before all else.
    if Change::from(expanded).raw_bytes() != payload {
        return Err(Refusal::NotCanonical);
    }
    verdict
}

fn judge_change(
    known: Known<'_>,
    incarnation: &Incarnation,
    change: &ExpandedChange,
    hash: ChangeHash,
) -> Result<Gate, Refusal> {
    if change.operations.is_empty() && change.deps.len() < 2 {
        return Err(Refusal::Empty);
    }
    let changes = known.changes;
    let writer = changes.writer(incarnation);
    if changes.last(writer).is_some_and(|previous| !change.deps.contains(previous)) {
        return Err(Refusal::Dependencies);
    }
    let missing: Vec<_> = change.deps.iter().filter(|hash| !changes.knows(hash)).copied().collect();
    if !missing.is_empty() {
        return Ok(Gate::Waiting(missing));
    }
    let past = changes.past(writer, &change.deps);
    let start = u32::try_from(change.start_op.get()).map_err(|_| Refusal::Counter)?;
    let count = u32::try_from(change.operations.len()).map_err(|_| Refusal::Operations)?;
    let max_op = start.checked_add(count).ok_or(Refusal::Counter)? - 1;
    if start != past.max_op + 1 || max_op >= MAX_COUNTER {
        return Err(Refusal::Counter);
    }
    let mut checker = Checker::new(known, &change.actor_id, &past, start);
    for (counter, operation) in (start..).zip(&change.operations) {
        checker.check(counter, operation)?;
    }
    let brought = checker.finish();
    let dependencies = change.deps.clone();
    Ok(Gate::Passed(Box::new(Passed { hash, dependencies, past, max_op, brought })))
}
