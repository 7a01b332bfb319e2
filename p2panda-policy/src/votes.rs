//! Which votes count, and what named voters said.

use std::collections::{BTreeMap, BTreeSet};

use p2panda_core::{
    EntityId, UserId,
    schema::{Answer, Resource},
};

use crate::{Allocation, Case, Open, Standing, Verdict, docket::Docket};

/// The votes on a resource's requests: decisions of users who are not its owner.
///
/// A vote counts only under the resource's current policy, only for a request with exactly its
/// terms, and only if the voter's own earlier votes leave room for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    by_request: BTreeMap<EntityId, Vec<Vote>>,
    by_voter: BTreeMap<UserId, Allocation>,
}

/// What one user says of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Who votes.
    pub voter: UserId,
    /// Yes or no. Where a voter said both, the yes stands.
    pub answer: Answer,
    /// The record that says so, the first of several.
    pub decision: EntityId,
    /// The voter's words.
    pub reason: String,
}

impl Votes {
    /// The votes on a request: one for each voter, by voter.
    #[must_use]
    pub fn on(&self, request: &EntityId) -> &[Vote] {
        self.by_request.get(request).map_or(&[], Vec::as_slice)
    }

    /// What each voter's decisions amount to, by voter.
    pub fn voters(&self) -> impl Iterator<Item = (&UserId, &Allocation)> {
        self.by_voter.iter()
    }

    /// What a voter's decisions amount to.
    #[must_use]
    pub fn of(&self, voter: &UserId) -> Option<&Allocation> {
        self.by_voter.get(voter)
    }

    pub(crate) fn count(
        docket: &Docket<'_>,
        resource: &Resource,
        hears: impl Fn(&UserId) -> bool,
    ) -> Self {
        let mut votes = Self::default();
        let policy = resource.policy.hash();
        for (voter, decisions) in &docket.others {
            if !hears(voter) {
                continue;
            }
            let spans = decisions.iter().map(|(_, decision)| decision.terms.span);
            let (allocation, _) =
                Allocation::of(decisions, &docket.released, resource, spans, Some(policy));
            let mut said: BTreeMap<&EntityId, Vote> = BTreeMap::new();
            for (fact, decision) in decisions.iter().filter(|(_, d)| docket.answers(d)) {
                let vote = || Vote {
                    voter: *voter,
                    answer: decision.answer,
                    decision: fact.id.clone(),
                    reason: decision.reason.clone(),
                };
                match allocation.standing(&fact.id) {
                    Some(Standing::Counted) => {
                        let first = said.entry(&decision.request).or_insert_with(vote);
                        if first.answer == Answer::Deny {
                            *first = vote();
                        }
                    }
                    Some(Standing::Denial) => {
                        said.entry(&decision.request).or_insert_with(vote);
                    }
                    _ => {}
                }
            }
            for (request, vote) in said {
                votes.by_request.entry(request.clone()).or_default().push(vote);
            }
            votes.by_voter.insert(*voter, allocation);
        }
        votes
    }
}

/// What these voters say of the open requests, where n of them are needed.
pub(crate) fn poll(
    case: &Case<'_>,
    voters: &BTreeSet<UserId>,
    n: usize,
) -> Vec<(EntityId, Verdict)> {
    let alone = 2 * n > voters.len() && case.resource().capacity == 1;
    let said = |open: &Open<'_>| {
        let heard =
            case.votes().on(&open.fact.id).iter().filter(|vote| voters.contains(&vote.voter));
        let (yes, no): (Vec<_>, Vec<_>) = heard.partition(|vote| vote.answer == Answer::Confirm);
        let ids = |votes: &[&crate::Vote]| votes.iter().map(|vote| vote.decision.clone()).collect();
        if yes.len() >= n {
            let by = ids(&yes);
            if !alone {
                return case.let_in(by);
            }
            let words = yes.iter().map(|vote| vote.reason.as_str());
            return Verdict::confirmed(by, words);
        }
        if voters.len() - no.len() < n {
            let reason =
                no.iter().map(|vote| vote.reason.as_str()).find(|reason| !reason.is_empty());
            return Verdict::Denied { by: ids(&no), reason: reason.unwrap_or_default().to_owned() };
        }
        let silent = |voter: &&UserId| !yes.iter().chain(&no).any(|vote| vote.voter == **voter);
        let silent = voters.iter().filter(silent).copied().collect();
        Verdict::votes(ids(&yes), n, silent)
    };
    case.open().iter().map(|open| (open.fact.id.clone(), said(open))).collect()
}
