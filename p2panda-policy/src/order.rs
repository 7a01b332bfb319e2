//! The order in which an owner's decisions are looked at.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use p2panda_core::{DocumentId, EntityId, Incarnation, view::Fact};

/// Sorts one user's decisions: repeatedly the lowest id among those whose causal predecessors are
/// taken.
///
/// Views are causally closed, so a decision that arrives later never changes the order of those
/// that are there. Released decisions and denials keep their places, for the same reason.
///
/// Causality exists only within a document. It is followed payload by payload: each payload waits
/// for the one before it in its own log and for the last one it had seen of every other log, which
/// keeps the work at O((n + s) log n) for n decisions that name s logs as seen.
pub(crate) fn causal_order<'a>(decisions: impl Iterator<Item = &'a Fact>) -> Vec<&'a Fact> {
    let decisions: BTreeMap<&EntityId, &Fact> = decisions.map(|fact| (&fact.id, fact)).collect();
    let mut payloads = payloads(&decisions);

    let mut ready: BinaryHeap<Reverse<(&EntityId, usize)>> = BinaryHeap::new();
    for (number, payload) in payloads.iter().enumerate() {
        if payload.waits_for == 0 {
            ready.extend(payload.decisions.iter().map(|id| Reverse((*id, number))));
        }
    }
    let mut order = Vec::with_capacity(decisions.len());
    while let Some(Reverse((id, number))) = ready.pop() {
        order.push(decisions[id]);
        payloads[number].remaining -= 1;
        if payloads[number].remaining > 0 {
            continue;
        }
        for follower in std::mem::take(&mut payloads[number].followers) {
            let payload = &mut payloads[follower];
            payload.waits_for -= 1;
            if payload.waits_for == 0 {
                ready.extend(payload.decisions.iter().map(|id| Reverse((*id, follower))));
            }
        }
    }
    if order.len() < decisions.len() {
        // Positions that name each other: no log can contain them, but no decision may get lost.
        let taken: BTreeSet<&EntityId> = order.iter().map(|fact| &fact.id).collect();
        let rest = decisions.iter().filter(|(id, _)| !taken.contains(*id));
        order.extend(rest.map(|(_, fact)| *fact));
    }
    order
}

/// One entry of a log, with the decisions that it put.
#[derive(Default)]
struct Payload<'a> {
    decisions: Vec<&'a EntityId>,
    remaining: usize,
    waits_for: usize,
    followers: Vec<usize>,
}

fn payloads<'a>(decisions: &BTreeMap<&'a EntityId, &'a Fact>) -> Vec<Payload<'a>> {
    let mut logs: BTreeMap<(DocumentId, Incarnation), BTreeMap<u64, usize>> = BTreeMap::new();
    let mut payloads: Vec<Payload<'a>> = Vec::new();
    for fact in decisions.values() {
        let log = logs.entry((fact.id.document, fact.position.incarnation)).or_default();
        let number = *log.entry(fact.position.index).or_insert(payloads.len());
        if number == payloads.len() {
            payloads.push(Payload::default());
        }
        payloads[number].decisions.push(&fact.id);
        payloads[number].remaining += 1;
    }
    for ((document, incarnation), log) in &logs {
        for (index, number) in log {
            let position = &decisions[payloads[*number].decisions[0]].position;
            let others = position.seen.iter().filter(|(other, _)| *other != incarnation);
            for (log, length) in others.chain([(incarnation, index)]) {
                let before =
                    logs.get(&(*document, *log)).and_then(|log| log.range(..length).last());
                if let Some((_, before)) = before {
                    payloads[*before].followers.push(*number);
                    payloads[*number].waits_for += 1;
                }
            }
        }
    }
    payloads
}
