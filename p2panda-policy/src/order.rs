//! The order in which an owner's decisions are looked at.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use p2panda_core::{
    DocumentId, EntityId, Incarnation,
    view::{Causality, Fact, Merge, Position},
};

/// Sorts one user's decisions: repeatedly the lowest id among those whose causal predecessors are
/// taken.
///
/// Views are causally closed, so a decision that arrives later never changes the order of those
/// that are there. Released decisions and denials keep their places, for the same reason.
///
/// Causality exists only within a document. It is followed payload by payload, those that merge
/// without deciding anything included: each waits for the one before it in its own log and for the
/// last ones that it names of others. So the work is O((n + s) log (n + s)) for n decisions in
/// documents whose payloads name s others.
pub(crate) fn causal_order<'a>(decisions: impl Iterator<Item = &'a Fact>) -> Vec<&'a Fact> {
    let decisions: BTreeMap<&EntityId, &Fact> = decisions.map(|fact| (&fact.id, fact)).collect();
    let mut payloads = payloads(&decisions);

    let mut ready: BinaryHeap<Reverse<(&EntityId, usize)>> = BinaryHeap::new();
    let mut order = Vec::with_capacity(decisions.len());
    let begin = (0..payloads.len()).filter(|number| payloads[*number].waits_for == 0);
    let mut free: Vec<usize> = begin.collect();
    loop {
        // Payloads that wait for nothing: their decisions are ready, and where all are taken, or
        // there are none, whatever waits for them goes on.
        while let Some(number) = free.pop() {
            if payloads[number].remaining > 0 {
                let decisions = payloads[number].decisions.iter();
                ready.extend(decisions.map(|id| Reverse((*id, number))));
                continue;
            }
            for follower in std::mem::take(&mut payloads[number].followers) {
                payloads[follower].waits_for -= 1;
                if payloads[follower].waits_for == 0 {
                    free.push(follower);
                }
            }
        }
        let Some(Reverse((id, number))) = ready.pop() else { break };
        order.push(decisions[id]);
        payloads[number].remaining -= 1;
        if payloads[number].remaining == 0 {
            free.push(number);
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

/// One entry of a log: one that put decisions, or merged others.
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
    let mut merges: Vec<(DocumentId, &Merge, usize)> = Vec::new();
    let mut last: Option<(DocumentId, &Causality)> = None;
    let mut number_of = |payloads: &mut Vec<Payload<'a>>, document, incarnation, index| {
        let log = logs.entry((document, incarnation)).or_default();
        let number = *log.entry(index).or_insert(payloads.len());
        if number == payloads.len() {
            payloads.push(Payload::default());
        }
        number
    };
    for fact in decisions.values() {
        let (document, Position { incarnation, index, causality }) =
            (fact.id.document, &fact.position);
        let number = number_of(&mut payloads, document, *incarnation, *index);
        payloads[number].decisions.push(&fact.id);
        payloads[number].remaining += 1;
        let is_known =
            last.is_some_and(|(of, known)| of == document && known.is_shared_with(causality));
        if !causality.merges().is_empty() && !is_known {
            last = Some((document, causality));
            for merge in causality.merges() {
                let number = number_of(&mut payloads, document, merge.incarnation, merge.index);
                merges.push((document, merge, number));
            }
        }
    }
    let mut wait = |number: usize, before: Option<&usize>| {
        if let Some(before) = before {
            payloads[*before].followers.push(number);
            payloads[number].waits_for += 1;
        }
    };
    for log in logs.values() {
        for (before, number) in log.values().zip(log.values().skip(1)) {
            wait(*number, Some(before));
        }
    }
    for (document, merge, number) in merges {
        for (other, length) in merge.seen.iter().filter(|(other, _)| *other != merge.incarnation) {
            let log = logs.get(&(document, *other));
            wait(number, log.and_then(|log| log.range(..length).last()).map(|(_, before)| before));
        }
    }
    payloads
}

#[cfg(test)]
mod tests {
    use p2panda_core::{
        LocalId, UserId,
        schema::{Record, Withdrawal},
    };
    use proptest::{prelude::*, sample::Index};

    use super::*;

    const DOCUMENT: DocumentId = DocumentId::from_bytes([1; 32]);

    fn fact(number: usize, incarnation: Incarnation, index: u64, causality: &Causality) -> Fact {
        let id = |name: &str| EntityId::new(DOCUMENT, name.parse().expect("a name"));
        let reason = number.to_string();
        let record =
            Record::Withdrawal(Withdrawal { resource: id("room"), request: id("#x"), reason });
        Fact {
            id: EntityId::new(DOCUMENT, LocalId::of_record(&record.to_bytes())),
            author: UserId::from_bytes([1; 32]),
            record,
            position: Position { incarnation, index, causality: causality.clone() },
        }
    }

    proptest! {
        /// Entries: who writes, which earlier ones are named as seen, how many records are put.
        #[test]
        fn the_order_is_the_lowest_id_of_those_whose_past_is_taken(
            history in proptest::collection::vec(
                (0_u8..5, proptest::collection::vec(any::<Index>(), 0..3), 0_usize..3),
                1..40,
            )
        ) {
            let mut lengths = [0_u64; 5];
            let mut entries: Vec<(Incarnation, u64, usize)> = Vec::new();
            let mut merges = Vec::new();
            for (writer, named, records) in history {
                let incarnation = Incarnation::from_bytes([writer; 8]);
                let index = lengths[usize::from(writer)];
                lengths[usize::from(writer)] += 1;
                let named = named.iter().filter(|_| !entries.is_empty());
                let named = named.map(|named| named.get(&entries)).map(|(of, at, _)| (*of, at + 1));
                let seen: Vec<_> = named.filter(|(other, _)| *other != incarnation).collect();
                if !seen.is_empty() {
                    merges.push(Merge { incarnation, index, seen });
                }
                entries.push((incarnation, index, records));
            }
            let causality = Causality::new(merges);
            let places = entries.iter().flat_map(|(incarnation, index, records)| {
                (0..*records).map(move |_| (*incarnation, *index))
            });
            let facts: Vec<_> = (0..)
                .zip(places)
                .map(|(number, (incarnation, index))| fact(number, incarnation, index, &causality))
                .collect();

            let mut waiting: Vec<&Fact> = facts.iter().collect();
            waiting.sort_by(|a, b| a.id.cmp(&b.id));
            let mut expected = Vec::new();
            while !waiting.is_empty() {
                let precedes = |a: &Fact, b: &Fact| a.position.precedes(&b.position);
                let free = |fact: &&Fact| !waiting.iter().any(|other| precedes(other, fact));
                let next = waiting.iter().position(free).expect("causality has no cycles");
                expected.push(&waiting.remove(next).id);
            }
            let found: Vec<_> = causal_order(facts.iter()).into_iter().map(|fact| &fact.id).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
