//! From facts to verdicts.

use std::collections::BTreeMap;

use p2panda_core::{
    EntityId,
    schema::{Answer, Request, Resource, Span},
    view::{Fact, ResourceFacts},
};

use crate::{
    Allocation, BadTerms, Case, Finding, Gate, MAX_NAMED, Obstacle, Open, Pending, Policies,
    Policy, Room, Scope, Standing, Tokens, Verdict, Votes, docket::Docket, finding::findings,
};

/// What all that is known of a resource amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// A verdict on every request, by request.
    pub verdicts: BTreeMap<EntityId, Verdict>,
    /// What the owner's decisions hold. Empty while the resource itself is missing.
    pub allocation: Allocation,
    /// The votes of those whom the policy asks.
    pub votes: Votes,
    /// Decisions that contradict each other or do not do what they say.
    pub findings: Vec<Finding>,
}

/// Judges every request for a resource.
///
/// The result depends on the facts and the tokens alone, not on their order, and no facts make it
/// exceed the resource's capacity. A change of a resource's records or fields needs only this
/// resource to be evaluated again, and those that it is a token of: see [`Judge`](crate::Judge).
#[must_use]
pub fn evaluate(policies: &Policies, facts: &ResourceFacts, tokens: &Tokens) -> Evaluation {
    let docket = Docket::new(facts);
    let Some(resource) = &facts.resource else {
        return without_resource(&docket);
    };
    let court = Court::open(policies, facts, resource, tokens);
    let votes = Votes::count(&docket, resource, |user| court.hears(user));
    let settled = Settled::of(&docket, resource);
    let verdicts = court.judge(&settled, &votes);
    // Whom an unknown policy asks is unknown too.
    let asked = court.policy().is_some().then_some(&votes);
    let findings = findings(&docket, &settled.allocation, asked);
    Evaluation { verdicts, allocation: settled.allocation, votes, findings }
}

fn without_resource(docket: &Docket<'_>) -> Evaluation {
    let verdict = |request| match docket.withdrawn.get(request) {
        Some((by, withdrawal)) => {
            Verdict::Withdrawn { by: (*by).clone(), reason: withdrawal.reason.clone() }
        }
        None => Verdict::waits(Pending::Resource, vec![docket.facts.owner]),
    };
    let verdicts = docket.requests.keys().map(|request| ((*request).clone(), verdict(request)));
    Evaluation {
        verdicts: verdicts.collect(),
        allocation: Allocation::default(),
        votes: Votes::default(),
        findings: Vec::new(),
    }
}

/// A resource's policy, if it can be evaluated, with all that it may read.
pub(crate) struct Court<'a> {
    facts: &'a ResourceFacts,
    pub(crate) resource: &'a Resource,
    tokens: &'a Tokens,
    policy: Result<(&'a dyn Policy, Scope<'a>), String>,
}

impl<'a> Court<'a> {
    pub(crate) fn open(
        policies: &'a Policies,
        facts: &'a ResourceFacts,
        resource: &'a Resource,
        tokens: &'a Tokens,
    ) -> Self {
        let policy = match tokens.problem() {
            Some(problem) => Err(problem.to_owned()),
            None => policies.find(&resource.policy, facts.owner),
        };
        Self { facts, resource, tokens, policy }
    }

    /// The policy; `None` where it cannot be evaluated.
    pub(crate) fn policy(&self) -> Option<(&'a dyn Policy, Scope<'a>)> {
        self.policy.as_ref().ok().copied()
    }

    pub(crate) fn hears(&self, user: &p2panda_core::UserId) -> bool {
        self.policy.as_ref().is_ok_and(|(policy, scope)| policy.hears(scope, user))
    }

    fn judge(&self, settled: &Settled<'a>, votes: &Votes) -> BTreeMap<EntityId, Verdict> {
        let Err(reason) = &self.policy else { return self.decide(settled, votes) };
        // Nobody knows what an unknown policy makes of the owner's decisions; they keep their room.
        let unsupported = || Verdict::Unsupported {
            kind: self.resource.policy.kind.clone(),
            reason: reason.clone(),
        };
        let known = settled.verdicts.iter().map(|(id, verdict)| match verdict {
            Verdict::Withdrawn { .. } | Verdict::Invalid { .. } => (id.clone(), verdict.clone()),
            _ => (id.clone(), unsupported()),
        });
        let open = settled.open.iter().map(|open| (open.fact.id.clone(), unsupported()));
        known.chain(open).collect()
    }

    fn case<'b>(&self, settled: &'b Settled<'a>, votes: &'b Votes) -> Option<Case<'b>>
    where
        'a: 'b,
    {
        let &Self { facts, resource, tokens, .. } = self;
        let (_, scope) = self.policy()?;
        let Settled { allocation, room, open, .. } = settled;
        Some(Case { scope, facts, resource, allocation, room, open, votes, tokens })
    }

    /// What the policy says of the open requests, in its order, before they are placed. Those that
    /// are confirmed without the owner come first, those that are tentative last.
    pub(crate) fn opinions<'b>(
        &self,
        settled: &'b Settled<'a>,
        votes: &Votes,
    ) -> Vec<(&'b Open<'a>, Verdict)> {
        let (Some(case), Some((policy, _))) = (self.case(settled, votes), self.policy()) else {
            return Vec::new();
        };
        let mut waiting: BTreeMap<&EntityId, &Open<'_>> =
            settled.open.iter().map(|open| (&open.fact.id, open)).collect();
        let mut opinions = Vec::with_capacity(settled.open.len());
        for (id, verdict) in policy.judge(&case) {
            let Some(open) = waiting.remove(&id) else { continue };
            let verdict = match verdict {
                Verdict::Tentative { .. } if open.released.is_some() => case.ask_owner(open),
                other => other,
            };
            opinions.push((open, verdict));
        }
        opinions.extend(waiting.into_values().map(|open| (open, case.ask_owner(open))));
        // What is confirmed takes its room first, and what is tentative last.
        opinions.sort_by_key(|(_, verdict)| match verdict {
            Verdict::Confirmed { .. } => 0,
            Verdict::Tentative { .. } => 2,
            _ => 1,
        });
        opinions
    }

    fn decide(&self, settled: &Settled<'a>, votes: &Votes) -> BTreeMap<EntityId, Verdict> {
        let mut verdicts = settled.verdicts.clone();
        let (Some(case), Some((policy, _))) = (self.case(settled, votes), self.policy()) else {
            return verdicts;
        };
        for (fact, request) in &settled.granted {
            match (policy.gate(&case, (fact, request)), verdicts.get_mut(&fact.id)) {
                (Gate::Open(needed), Some(Verdict::Confirmed { by, .. })) => by.extend(needed),
                (Gate::Shut(verdict), Some(confirmed)) => *confirmed = verdict,
                _ => {}
            }
        }
        // Whatever a policy lets in is held to the capacity here.
        let mut room = settled.room.clone();
        for (open, verdict) in self.opinions(settled, votes) {
            let placed = match &verdict {
                Verdict::Confirmed { by, .. } => {
                    let (request, decision) = (open.fact.id.clone(), by.first().cloned());
                    room.place(&open.request.terms, Obstacle { request, decision })
                }
                Verdict::Tentative { .. } => room.take(open),
                // No answer helps where votes gave the room to others.
                Verdict::Requested { .. } => {
                    room.obstacles(&open.request.terms).map_or(Ok(()), Err)
                }
                _ => Ok(()),
            };
            let verdict = match (placed, verdict) {
                (Ok(()), verdict) => verdict,
                (Err(with), Verdict::Confirmed { by, .. }) => {
                    Verdict::Conflicted { with, broken: by.into_iter().next() }
                }
                (Err(with), _) => Verdict::Conflicted { with, broken: None },
            };
            verdicts.insert(open.fact.id.clone(), verdict);
        }
        verdicts
    }
}

/// What holds under every policy, and the requests that are left to the policy.
pub(crate) struct Settled<'a> {
    pub(crate) verdicts: BTreeMap<EntityId, Verdict>,
    /// The requests that the owner confirmed.
    granted: Vec<(&'a Fact, &'a Request)>,
    /// By claimed time, then id.
    pub(crate) open: Vec<Open<'a>>,
    pub(crate) allocation: Allocation,
    pub(crate) room: Room,
}

/// The owner's standing answers to one request, under exactly its terms.
#[derive(Default)]
struct Answers<'a> {
    confirmed: Vec<(&'a EntityId, &'a str)>,
    denial: Option<(&'a EntityId, &'a str)>,
    broken: Option<(&'a EntityId, Vec<Obstacle>)>,
    released: Option<&'a EntityId>,
}

impl<'a> Settled<'a> {
    pub(crate) fn of(docket: &Docket<'a>, resource: &Resource) -> Self {
        let spans = docket.requests.values().map(|(_, request)| request.terms.span);
        let (allocation, room) =
            Allocation::of(&docket.decisions, &docket.released, resource, spans, None);
        let mut answers: BTreeMap<&EntityId, Answers<'_>> = BTreeMap::new();
        for (fact, decision) in docket.decisions.iter().filter(|(_, d)| docket.answers(d)) {
            let answer = answers.entry(&decision.request).or_default();
            match allocation.standing(&fact.id) {
                Some(Standing::Counted) => {
                    answer.confirmed.push((&fact.id, decision.reason.as_str()));
                }
                Some(Standing::Denial) => {
                    answer.denial.get_or_insert((&fact.id, &decision.reason));
                }
                Some(Standing::NoRoom(with)) => {
                    answer.broken.get_or_insert_with(|| (&fact.id, with.clone()));
                }
                Some(Standing::Released) if decision.answer == Answer::Confirm => {
                    let release = docket.released.get(&fact.id).copied().flatten();
                    answer.released =
                        answer.released.or_else(|| Some(release.map_or(&fact.id, |(id, _)| id)));
                }
                _ => {}
            }
        }

        let mut verdicts = BTreeMap::new();
        let (mut open, mut granted) = (Vec::new(), Vec::new());
        for (id, (fact, request)) in &docket.requests {
            let id: &EntityId = id;
            let answer = answers.remove(id).unwrap_or_default();
            let verdict = if let Some((by, withdrawal)) = docket.withdrawn.get(id) {
                Verdict::Withdrawn { by: (*by).clone(), reason: withdrawal.reason.clone() }
            } else if let Err(reason) = BadTerms::check(&request.terms, resource.capacity) {
                Verdict::Invalid { reason }
            } else if !answer.confirmed.is_empty() {
                granted.push((*fact, *request));
                let by = answer.confirmed.iter().map(|(id, _)| (*id).clone()).collect();
                Verdict::confirmed(by, answer.confirmed.iter().map(|(_, words)| *words))
            } else if let Some((by, reason)) = answer.denial {
                Verdict::Denied { by: vec![by.clone()], reason: reason.to_owned() }
            } else if let Some((decision, with)) = answer.broken {
                Verdict::Conflicted { with, broken: Some(decision.clone()) }
            } else if !resource.offers(&request.terms.span) {
                Verdict::Outside { offered: nearest(resource, &request.terms.span) }
            } else if let Some(with) = room.obstacles(&request.terms) {
                Verdict::Conflicted { with, broken: None }
            } else {
                open.push(Open { fact, request, released: answer.released });
                continue;
            };
            verdicts.insert(id.clone(), verdict);
        }
        open.sort_by_key(|open| (open.request.claimed, &open.fact.id));
        Self { verdicts, granted, open, allocation, room }
    }
}

/// The offered times around a span that is not offered.
fn nearest(resource: &Resource, span: &Span) -> Vec<Span> {
    let offered = if resource.slots.is_empty() { &resource.available } else { &resource.slots };
    let offered = offered.as_slice();
    let at = offered.partition_point(|own| own.starts < span.starts);
    let from = at.saturating_sub(MAX_NAMED / 2);
    offered[from..].iter().take(MAX_NAMED).copied().collect()
}
