//! The records of one resource, sorted by what they do.

use std::collections::{BTreeMap, BTreeSet};

use p2panda_core::{
    EntityId,
    schema::{Decision, Record, Request},
    view::{Fact, ResourceFacts},
};

use crate::order::causal_order;

/// What [`ResourceFacts`] hold, in an order that does not depend on theirs. Records about other
/// resources are left out.
pub(crate) struct Docket<'a> {
    pub(crate) facts: &'a ResourceFacts,
    /// Requests by id.
    pub(crate) requests: BTreeMap<&'a EntityId, (&'a Fact, &'a Request)>,
    /// The owner's decisions, in the order in which they count.
    pub(crate) decisions: Vec<(&'a Fact, &'a Decision)>,
    /// Everyone else's decisions, by id.
    pub(crate) others: Vec<(&'a Fact, &'a Decision)>,
    /// The owner's decisions that the owner released.
    pub(crate) released: BTreeSet<&'a EntityId>,
    /// Requests that their requesters withdrew, with the withdrawal.
    pub(crate) withdrawn: BTreeMap<&'a EntityId, &'a EntityId>,
}

impl<'a> Docket<'a> {
    pub(crate) fn new(facts: &'a ResourceFacts) -> Self {
        let ours = facts.records.iter().filter(|fact| fact.record.resource() == &facts.id);
        let by_id: BTreeMap<&EntityId, &Fact> = ours.map(|fact| (&fact.id, fact)).collect();

        let mut requests = BTreeMap::new();
        let mut others = Vec::new();
        let mut released = BTreeSet::new();
        for fact in by_id.values() {
            match &fact.record {
                Record::Request(request) => {
                    requests.insert(&fact.id, (*fact, request));
                }
                Record::Decision(decision) if fact.author != facts.owner => {
                    others.push((*fact, decision));
                }
                Record::Release(release) if fact.author == facts.owner => {
                    released.extend(&release.decisions);
                }
                Record::Decision(_) | Record::Release(_) | Record::Withdrawal(_) => {}
            }
        }
        let mut withdrawn = BTreeMap::new();
        for fact in by_id.values() {
            let Record::Withdrawal(withdrawal) = &fact.record else {
                continue;
            };
            let request = requests.get(&withdrawal.request);
            if request.is_some_and(|(request, _)| request.author == fact.author) {
                withdrawn.entry(&withdrawal.request).or_insert(&fact.id);
            }
        }
        let owners = by_id.values().copied().filter(|fact| {
            fact.author == facts.owner && matches!(fact.record, Record::Decision(_))
        });
        let decisions = causal_order(owners).into_iter().filter_map(|fact| match &fact.record {
            Record::Decision(decision) => Some((fact, decision)),
            _ => None,
        });
        Self { facts, requests, decisions: decisions.collect(), others, released, withdrawn }
    }

    /// Whether a decision is about a request that is here, under exactly its terms.
    pub(crate) fn answers(&self, decision: &Decision) -> bool {
        let request = self.requests.get(&decision.request);
        request.is_some_and(|(_, request)| request.terms == decision.terms)
    }
}
