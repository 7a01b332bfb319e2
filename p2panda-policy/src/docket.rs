//! The records of one resource, sorted by what they do.

use std::collections::BTreeMap;

use p2panda_core::{
    EntityId, UserId,
    schema::{Decision, Record, Release, Request, Withdrawal},
    view::{Fact, ResourceFacts},
};

use crate::order::causal_order;

/// Decisions of one user, in the order in which they count.
pub(crate) type Decisions<'a> = Vec<(&'a Fact, &'a Decision)>;

/// Decisions that their deciders ended, with the release; without one where the steward is about to
/// sign it.
pub(crate) type Released<'a> = BTreeMap<&'a EntityId, Option<(&'a EntityId, &'a Release)>>;

/// What [`ResourceFacts`] hold, in an order that does not depend on theirs. Records about other
/// resources are left out.
pub(crate) struct Docket<'a> {
    pub(crate) facts: &'a ResourceFacts,
    /// Requests by id.
    pub(crate) requests: BTreeMap<&'a EntityId, (&'a Fact, &'a Request)>,
    /// The owner's decisions.
    pub(crate) decisions: Decisions<'a>,
    /// Everyone else's decisions.
    pub(crate) others: BTreeMap<UserId, Decisions<'a>>,
    pub(crate) released: Released<'a>,
    /// Requests that their requesters withdrew, with the withdrawal.
    pub(crate) withdrawn: BTreeMap<&'a EntityId, (&'a EntityId, &'a Withdrawal)>,
}

impl<'a> Docket<'a> {
    pub(crate) fn new(facts: &'a ResourceFacts) -> Self {
        let ours = facts.records.iter().filter(|fact| fact.record.resource() == &facts.id);
        let by_id: BTreeMap<&EntityId, &Fact> = ours.map(|fact| (&fact.id, fact)).collect();

        let mut requests = BTreeMap::new();
        let mut deciders: BTreeMap<UserId, Vec<&Fact>> = BTreeMap::new();
        let mut released = Released::new();
        let mut withdrawn = BTreeMap::new();
        let by =
            |author: UserId, id: &EntityId| by_id.get(id).is_some_and(|fact| fact.author == author);
        for fact in by_id.values() {
            match &fact.record {
                Record::Request(request) => {
                    requests.insert(&fact.id, (*fact, request));
                }
                Record::Decision(_) => deciders.entry(fact.author).or_default().push(fact),
                Record::Release(release) => {
                    for id in release.decisions.iter().filter(|id| by(fact.author, id)) {
                        released.entry(id).or_insert(Some((&fact.id, release)));
                    }
                }
                Record::Withdrawal(withdrawal) if by(fact.author, &withdrawal.request) => {
                    withdrawn.entry(&withdrawal.request).or_insert((&fact.id, withdrawal));
                }
                Record::Withdrawal(_) => {}
            }
        }
        let in_order = |facts: Vec<&'a Fact>| -> Decisions<'a> {
            let decisions = causal_order(facts.into_iter()).into_iter();
            let decisions = decisions.filter_map(|fact| match &fact.record {
                Record::Decision(decision) => Some((fact, decision)),
                _ => None,
            });
            decisions.collect()
        };
        let decisions = in_order(deciders.remove(&facts.owner).unwrap_or_default());
        let others = deciders.into_iter().map(|(user, facts)| (user, in_order(facts))).collect();
        Self { facts, requests, decisions, others, released, withdrawn }
    }

    /// Whether a decision is about a request that is here, under exactly its terms.
    pub(crate) fn answers(&self, decision: &Decision) -> bool {
        let request = self.requests.get(&decision.request);
        request.is_some_and(|(_, request)| request.terms == decision.terms)
    }
}
