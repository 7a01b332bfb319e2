//! The automation that signs for an owner who is not at the keyboard.

use std::collections::BTreeMap;

use p2panda_core::{
    EntityId, UserId,
    schema::{Answer, Decision, Instant, Release},
    view::{Arrivals, ResourceFacts},
};

use crate::{Obstacle, Open, Policies, Standing, docket::Docket, evaluate::Settled};

/// How many decisions one release names, so that it stays far below the largest record.
const MAX_RELEASED: usize = 64;

/// Something that the steward would have its owner sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Gives the units of a withdrawn request back.
    Release(Release),
    /// Confirms a request.
    Decide(Decision),
}

/// What the steward of `me` signs next for one resource: releases first, then confirmations, to be
/// written in this order.
///
/// It acts only on resources that `me` owns and whose policy is automatic (`first-come`).
///
/// - Confirmations of withdrawn requests are released.
/// - Requests that have neither a verdict by the owner nor a conflict are taken in the order in
///   which they arrived at this device, within one arrival by claimed time, then by id, and
///   confirmed while there is room. A claimed time before `previous_run` (when the steward last
///   ran here, if ever) counts as `previous_run`: whoever backdates overtakes only those who came
///   in the same batch.
/// - What does not fit stays undecided, so that a release can let it in later.
/// - Units that a broken promise still claims are kept for it. So no release makes the steward
///   break what it promised.
/// - A request whose confirmation the owner released is left to the owner in person.
///
/// It is pure and idempotent: with its acts among the facts it has nothing more to do, so a crash
/// between two acts does no harm. A device that imported its key, or drew a fresh incarnation in
/// doubt, must not run it before it has synced its own documents once: two stewards that do not
/// know of each other promise one slot twice.
#[must_use]
pub fn steward(
    policies: &Policies,
    me: UserId,
    facts: &ResourceFacts,
    arrivals: &Arrivals,
    previous_run: Option<Instant>,
) -> Vec<Act> {
    let Some(resource) = facts.resource.as_ref().filter(|_| facts.owner == me) else {
        return Vec::new();
    };
    if !policies.find(&resource.policy).is_ok_and(|policy| policy.is_automatic()) {
        return Vec::new();
    }
    let mut docket = Docket::new(facts);
    let mut acts = release_withdrawn(&mut docket);

    let Settled { mut open, allocation, mut room, .. } = Settled::of(&docket, resource);
    for (fact, decision) in &docket.decisions {
        if let Some(Standing::NoRoom(_)) = allocation.standing(&fact.id) {
            let (request, by) = (decision.request.clone(), Some(fact.id.clone()));
            room.reserve(&decision.terms, Obstacle { request, decision: by });
        }
    }
    let by_arrival = |open: &Open<'_>| {
        let arrival = arrivals.0.get(&open.fact.id).copied().unwrap_or(u64::MAX);
        let claimed =
            previous_run.map_or(open.request.claimed, |run| run.max(open.request.claimed));
        (arrival, claimed)
    };
    open.retain(|open| !open.released);
    open.sort_by(|a, b| (by_arrival(a), &a.fact.id).cmp(&(by_arrival(b), &b.fact.id)));
    for open in open {
        if room.take(&open).is_ok() {
            acts.push(Act::Decide(Decision {
                request: open.fact.id.clone(),
                terms: open.request.terms.clone(),
                policy: resource.policy.hash(),
                answer: Answer::Confirm,
                reason: String::new(),
            }));
        }
    }
    acts
}

/// Releases the standing confirmations of withdrawn requests, in the docket too.
fn release_withdrawn(docket: &mut Docket<'_>) -> Vec<Act> {
    let mut ended: BTreeMap<&EntityId, Vec<&EntityId>> = BTreeMap::new();
    for (fact, decision) in &docket.decisions {
        let withdrawn = docket.withdrawn.contains_key(&decision.request);
        let standing = !docket.released.contains(&fact.id);
        if withdrawn && standing && decision.answer == Answer::Confirm {
            ended.entry(&decision.request).or_default().push(&fact.id);
        }
    }
    docket.released.extend(ended.values().flatten().copied());
    let decisions = ended.values().flat_map(|decisions| decisions.chunks(MAX_RELEASED));
    let release = |decisions: &[&EntityId]| Release {
        resource: docket.facts.id.clone(),
        decisions: decisions.iter().map(|id| (*id).clone()).collect(),
        reason: "the request was withdrawn".to_owned(),
    };
    decisions.map(|decisions| Act::Release(release(decisions))).collect()
}
