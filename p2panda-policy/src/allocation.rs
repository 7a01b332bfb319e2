//! What one user has promised: which decisions count under the resource's capacity.

use std::collections::BTreeMap;

use p2panda_core::{
    EntityId,
    schema::{Answer, PolicyHash, Resource, Span, Terms},
};

use crate::{
    BadTerms, Obstacle, Room,
    docket::{Decisions, Released},
};

/// Units that a user's decisions hold over a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The request that is granted. It need not have arrived.
    pub request: EntityId,
    /// The terms, as the decider signed them.
    pub terms: Terms,
    /// The decisions that say so, earliest first; at least one. They hold the units once, until all
    /// of them are released.
    pub decisions: Vec<EntityId>,
}

/// What one of a user's decisions amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts: its units are held.
    Counted,
    /// It is a standing denial; it holds nothing.
    Denial,
    /// Its decider released it: it never counts again.
    Released,
    /// A broken promise: those that count before it leave no room. It may count again once they
    /// are released.
    NoRoom(Vec<Obstacle>),
    /// Its terms make no sense.
    Nonsense(BadTerms),
    /// A vote under another policy than the resource's.
    Stale,
}

/// One user's decisions about one resource, with what each amounts to: the owner's, or a voter's.
///
/// The order is the causal one, then that of the ids. A decision counts if those that already count
/// leave room over its whole span, so the capacity is kept at every moment in every view. No other
/// users' records change anything here, nor does the policy under which the owner decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocation {
    grants: Vec<Grant>,
    by_request: BTreeMap<EntityId, Vec<usize>>,
    standings: BTreeMap<EntityId, Standing>,
}

impl Allocation {
    /// What is held, in the order in which it was placed.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The grant of a request under exactly these terms.
    #[must_use]
    pub fn grant(&self, request: &EntityId, terms: &Terms) -> Option<&Grant> {
        let numbers = self.by_request.get(request)?;
        numbers.iter().map(|number| &self.grants[*number]).find(|grant| grant.terms == *terms)
    }

    /// What a decision of the user amounts to; `None` for anything else.
    #[must_use]
    pub fn standing(&self, decision: &EntityId) -> Option<&Standing> {
        self.standings.get(decision)
    }

    /// Every decision of the user, by id.
    pub fn standings(&self) -> impl Iterator<Item = (&EntityId, &Standing)> {
        self.standings.iter()
    }

    /// Places a user's decisions; also returns the room that they leave, for terms with these spans
    /// and theirs. Voters' decisions count under one policy only.
    pub(crate) fn of(
        decisions: &Decisions<'_>,
        released: &Released<'_>,
        resource: &Resource,
        spans: impl Iterator<Item = Span>,
        only_under: Option<PolicyHash>,
    ) -> (Self, Room) {
        let decided = decisions.iter().map(|(_, decision)| decision.terms.span);
        let mut room = Room::new(resource, decided.chain(spans));

        let mut allocation = Self::default();
        let mut seen: BTreeMap<(&EntityId, &Terms), Result<usize, Vec<Obstacle>>> = BTreeMap::new();
        for (fact, decision) in decisions {
            let standing = if released.contains_key(&fact.id) {
                Standing::Released
            } else if only_under.is_some_and(|policy| policy != decision.policy) {
                Standing::Stale
            } else if decision.answer == Answer::Deny {
                Standing::Denial
            } else if let Err(reason) = BadTerms::check(&decision.terms, resource.capacity) {
                Standing::Nonsense(reason)
            } else {
                let key = (&decision.request, &decision.terms);
                let outcome = seen.entry(key).or_insert_with(|| {
                    let request = decision.request.clone();
                    let by = Obstacle { request, decision: Some(fact.id.clone()) };
                    room.place(&decision.terms, by)?;
                    Ok(allocation.add(&decision.request, &decision.terms))
                });
                match outcome {
                    Ok(grant) => {
                        allocation.grants[*grant].decisions.push(fact.id.clone());
                        Standing::Counted
                    }
                    Err(with) => Standing::NoRoom(with.clone()),
                }
            };
            allocation.standings.insert(fact.id.clone(), standing);
        }
        (allocation, room)
    }

    fn add(&mut self, request: &EntityId, terms: &Terms) -> usize {
        let number = self.grants.len();
        let (request, terms) = (request.clone(), terms.clone());
        self.by_request.entry(request.clone()).or_default().push(number);
        self.grants.push(Grant { request, terms, decisions: Vec::new() });
        number
    }
}
