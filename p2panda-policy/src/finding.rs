//! What deserves telling about decisions, apart from the verdicts on requests.

use std::collections::BTreeMap;

use p2panda_core::{EntityId, UserId, schema::Decision, view::Fact};
use serde::Serialize;

use crate::{
    Allocation, BadTerms, Obstacle, Standing, Votes,
    docket::{Decisions, Docket},
    explain::{list, obstacles, record, user},
};

/// A decision that contradicts another one or does not do what it says, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Finding {
    /// A confirmation that does not count, because the decider's other confirmations leave no room.
    BrokenPromise {
        /// The decider.
        user: UserId,
        /// The request that was confirmed. It need not have arrived.
        request: EntityId,
        /// The confirmation.
        decision: EntityId,
        /// What was promised before.
        with: Vec<Obstacle>,
        /// Whether it was signed without knowing one of those: two devices, apart.
        concurrent: bool,
    },
    /// A request that one user both confirmed and denied. The confirmation stands.
    Contradiction {
        /// The decider.
        user: UserId,
        /// The request.
        request: EntityId,
        /// The confirmation.
        confirmed: EntityId,
        /// The denial.
        denied: EntityId,
        /// Whether neither knew of the other: two devices, apart.
        concurrent: bool,
    },
    /// A decision whose terms are not those of its request. It does not answer the request; a
    /// confirmation holds the units that it names all the same.
    OtherTerms {
        /// The decider.
        user: UserId,
        /// The request.
        request: EntityId,
        /// The decision.
        decision: EntityId,
    },
    /// A decision whose terms make no sense. It never counts.
    Nonsense {
        /// The decider.
        user: UserId,
        /// The decision.
        decision: EntityId,
        /// What is wrong with it.
        reason: BadTerms,
    },
    /// A decision of somebody whom the policy does not ask. It never counts.
    NotAsked {
        /// Who decided.
        user: UserId,
        /// The decision.
        decision: EntityId,
    },
    /// A vote under another policy than the resource's. It does not count: its voter has to vote
    /// again.
    Stale {
        /// The voter.
        user: UserId,
        /// The request.
        request: EntityId,
        /// The vote.
        decision: EntityId,
    },
    /// A confirmation that holds its units although the request was withdrawn: the owner has to
    /// release it.
    Unreleased {
        /// The owner.
        user: UserId,
        /// The withdrawn request.
        request: EntityId,
        /// The confirmation.
        decision: EntityId,
        /// The withdrawal.
        withdrawal: EntityId,
    },
}

impl Finding {
    /// Whose decision it is about.
    #[must_use]
    pub const fn user(&self) -> UserId {
        match self {
            Self::BrokenPromise { user, .. }
            | Self::Contradiction { user, .. }
            | Self::OtherTerms { user, .. }
            | Self::Nonsense { user, .. }
            | Self::NotAsked { user, .. }
            | Self::Stale { user, .. }
            | Self::Unreleased { user, .. } => *user,
        }
    }

    /// Whether one user's signatures contradict each other, made without knowing of each other.
    #[must_use]
    pub const fn is_self_contradiction(&self) -> bool {
        matches!(
            self,
            Self::BrokenPromise { concurrent: true, .. }
                | Self::Contradiction { concurrent: true, .. }
        )
    }

    /// The signed records that it rests on.
    #[must_use]
    pub fn signatures(&self) -> Vec<&EntityId> {
        match self {
            Self::BrokenPromise { decision, with, .. } => {
                [decision].into_iter().chain(with.iter().map(Obstacle::signature)).collect()
            }
            Self::Contradiction { confirmed, denied, .. } => vec![confirmed, denied],
            Self::OtherTerms { request, decision, .. } | Self::Stale { request, decision, .. } => {
                vec![request, decision]
            }
            Self::Nonsense { decision, .. } | Self::NotAsked { decision, .. } => vec![decision],
            Self::Unreleased { decision, withdrawal, .. } => vec![decision, withdrawal],
        }
    }

    /// The finding in one sentence of one line. Ids are shortened.
    #[must_use]
    pub fn explanation(&self) -> String {
        let who = user(&self.user());
        let apart = |concurrent: &bool| match concurrent {
            true => ", each signed without knowing of the other",
            false => "",
        };
        match self {
            Self::BrokenPromise { request, decision, with, concurrent, .. } => format!(
                "{who} promised {} by {}, but there is no room for it beside {}{}.",
                record("request", request),
                record("decision", decision),
                obstacles(with),
                apart(concurrent),
            ),
            Self::Contradiction { request, confirmed, denied, concurrent, .. } => format!(
                "{who} both confirmed and denied {} by {}{}; the confirmation stands.",
                record("request", request),
                list([confirmed, denied].iter().map(|id| record("decision", id))),
                apart(concurrent),
            ),
            Self::OtherTerms { request, decision, .. } => format!(
                "{who} signed {} under other terms than those of {}, so it does not answer it.",
                record("decision", decision),
                record("request", request),
            ),
            Self::Nonsense { decision, reason, .. } => {
                let decision = record("decision", decision);
                format!("{who} signed {decision}, which never counts: {reason}.")
            }
            Self::NotAsked { decision, .. } => format!(
                "{who} signed {}, which does not count: the policy does not ask this user.",
                record("decision", decision),
            ),
            Self::Stale { request, decision, .. } => format!(
                "{who} voted on {} with {}, but the policy has changed since.",
                record("request", request),
                record("decision", decision),
            ),
            Self::Unreleased { request, decision, .. } => format!(
                "The units of {}, which is withdrawn, are held until {who} releases {}.",
                record("request", request),
                record("decision", decision),
            ),
        }
    }
}

/// Everything there is to tell: of the owner's decisions in the order in which they count, then of
/// each other user's where it is known whose votes count.
pub(crate) fn findings(
    docket: &Docket<'_>,
    allocation: &Allocation,
    votes: Option<&Votes>,
) -> Vec<Finding> {
    let mut findings = of_user(docket, docket.facts.owner, &docket.decisions, allocation);
    let Some(votes) = votes else { return findings };
    for (user, decisions) in &docket.others {
        match votes.of(user) {
            Some(allocation) => findings.extend(of_user(docket, *user, decisions, allocation)),
            None => findings.extend(
                decisions
                    .iter()
                    .map(|(fact, _)| Finding::NotAsked { user: *user, decision: fact.id.clone() }),
            ),
        }
    }
    findings
}

fn of_user(
    docket: &Docket<'_>,
    user: UserId,
    decisions: &Decisions<'_>,
    allocation: &Allocation,
) -> Vec<Finding> {
    let facts: BTreeMap<&EntityId, &Fact> =
        decisions.iter().map(|(fact, _)| (&fact.id, *fact)).collect();
    let mut findings = Vec::new();
    for (fact, decision) in decisions {
        let (request, id) = (decision.request.clone(), fact.id.clone());
        match allocation.standing(&fact.id) {
            None | Some(Standing::Released) => continue,
            Some(Standing::Nonsense(reason)) => {
                findings.push(Finding::Nonsense { user, decision: id, reason: *reason });
                continue;
            }
            Some(Standing::Stale) => {
                findings.push(Finding::Stale { user, request, decision: id });
                continue;
            }
            Some(Standing::NoRoom(with)) => {
                let before = with.iter().filter_map(|obstacle| obstacle.decision.as_ref());
                let concurrent = before.filter_map(|id| facts.get(id)).any(|o| apart(o, fact));
                let (decision, with) = (id, with.clone());
                findings.push(Finding::BrokenPromise { user, request, decision, with, concurrent });
            }
            Some(Standing::Counted) => {
                let owners = user == docket.facts.owner;
                if let Some((withdrawal, _)) =
                    docket.withdrawn.get(&decision.request).filter(|_| owners)
                {
                    let (decision, withdrawal) = (id, (*withdrawal).clone());
                    findings.push(Finding::Unreleased { user, request, decision, withdrawal });
                }
            }
            Some(Standing::Denial) => {}
        }
        if docket.requests.contains_key(&decision.request) && !docket.answers(decision) {
            let (request, decision) = (decision.request.clone(), fact.id.clone());
            findings.push(Finding::OtherTerms { user, request, decision });
        }
    }
    findings.extend(contradictions(user, decisions, allocation));
    findings
}

/// One for each request that a user both confirms and denies under the same terms. It names two
/// that were signed apart if the first of either kind has such a counterpart.
fn contradictions(
    user: UserId,
    decisions: &Decisions<'_>,
    allocation: &Allocation,
) -> Vec<Finding> {
    let mut answers: BTreeMap<_, (Vec<&Fact>, Vec<&Fact>)> = BTreeMap::new();
    for (fact, decision) in decisions {
        let Decision { request, terms, .. } = decision;
        let (confirmed, denied) = answers.entry((request, terms)).or_default();
        match allocation.standing(&fact.id) {
            Some(Standing::Counted | Standing::NoRoom(_)) => confirmed.push(fact),
            Some(Standing::Denial) => denied.push(fact),
            _ => {}
        }
    }
    let mut findings = Vec::new();
    for ((request, _), (confirmed, denied)) in &answers {
        let (Some(&yes), Some(&no)) = (confirmed.first(), denied.first()) else {
            continue;
        };
        let yes_apart = confirmed.iter().map(|other| (*other, no));
        let no_apart = denied.iter().map(|other| (yes, *other));
        let pair = yes_apart.chain(no_apart).find(|(yes, no)| apart(yes, no));
        let (yes, no) = pair.unwrap_or((yes, no));
        findings.push(Finding::Contradiction {
            user,
            request: (*request).clone(),
            confirmed: yes.id.clone(),
            denied: no.id.clone(),
            concurrent: apart(yes, no),
        });
    }
    findings
}

/// Whether neither of two of a user's decisions knew of the other. Between two documents nobody can
/// tell.
fn apart(one: &Fact, other: &Fact) -> bool {
    let same_payload = one.position == other.position;
    !(one.id.document == other.id.document
        && (same_payload
            || one.position.precedes(&other.position)
            || other.position.precedes(&one.position)))
}
