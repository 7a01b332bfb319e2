//! From facts to verdicts.

use std::collections::BTreeMap;

use p2panda_core::{
    EntityId, UserId,
    schema::{Answer, Resource},
    view::ResourceFacts,
};

use crate::{
    Allocation, BadTerms, Case, Finding, Obstacle, Open, Pending, Policies, Policy, Room, Standing,
    Verdict, docket::Docket, finding::findings,
};

/// What all that is known of a resource amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// A verdict on every request, by request.
    pub verdicts: BTreeMap<EntityId, Verdict>,
    /// What the owner's decisions hold. Empty while the resource itself is missing.
    pub allocation: Allocation,
    /// Decisions that contradict each other or do not do what they say.
    pub findings: Vec<Finding>,
}

/// Judges every request for a resource.
///
/// The result depends on the facts alone, not on their order, and no facts make it exceed the
/// resource's capacity. A change of a resource's records or fields needs only this resource to be
/// evaluated again.
#[must_use]
pub fn evaluate(policies: &Policies, facts: &ResourceFacts) -> Evaluation {
    let docket = Docket::new(facts);
    let Some(resource) = &facts.resource else {
        return without_resource(&docket);
    };
    let settled = Settled::of(&docket, resource);
    let policy = policies.find(&resource.policy);

    let verdicts = match &policy {
        Ok(policy) => settled.judged_by(*policy, facts, resource),
        Err(reason) => settled.unsupported(&resource.policy.kind, reason),
    };
    let hears = |user: &UserId| policy.as_ref().map_or(true, |p| p.hears(&resource.policy, user));
    let findings = findings(&docket, &settled.allocation, hears);
    Evaluation { verdicts, allocation: settled.allocation, findings }
}

fn without_resource(docket: &Docket<'_>) -> Evaluation {
    let verdict = |request| match docket.withdrawn.get(request) {
        Some(by) => Verdict::Withdrawn { by: (*by).clone() },
        None => Verdict::Requested {
            have: 0,
            need: 1,
            from: vec![docket.facts.owner],
            pending: Pending::Resource,
        },
    };
    let verdicts = docket.requests.keys().map(|request| ((*request).clone(), verdict(request)));
    Evaluation {
        verdicts: verdicts.collect(),
        allocation: Allocation::default(),
        findings: Vec::new(),
    }
}

/// What holds under every policy, and the requests that are left to the policy.
pub(crate) struct Settled<'a> {
    pub(crate) verdicts: BTreeMap<EntityId, Verdict>,
    /// By claimed time, then id.
    pub(crate) open: Vec<Open<'a>>,
    pub(crate) allocation: Allocation,
    pub(crate) room: Room,
}

/// The owner's standing answers to one request, under exactly its terms.
#[derive(Default)]
struct Answers<'a> {
    denial: Option<(&'a EntityId, &'a str)>,
    broken: Option<(&'a EntityId, Vec<Obstacle>)>,
    released: bool,
}

impl<'a> Settled<'a> {
    pub(crate) fn of(docket: &Docket<'a>, resource: &Resource) -> Self {
        let (allocation, room) = Allocation::of(docket, resource);
        let mut answers: BTreeMap<&EntityId, Answers<'_>> = BTreeMap::new();
        for (fact, decision) in docket.decisions.iter().filter(|(_, d)| docket.answers(d)) {
            let answer = answers.entry(&decision.request).or_default();
            match allocation.standing(&fact.id) {
                Some(Standing::Denial) => {
                    answer.denial.get_or_insert((&fact.id, &decision.reason));
                }
                Some(Standing::NoRoom(with)) => {
                    answer.broken.get_or_insert_with(|| (&fact.id, with.clone()));
                }
                Some(Standing::Released) => answer.released |= decision.answer == Answer::Confirm,
                _ => {}
            }
        }

        let mut verdicts = BTreeMap::new();
        let mut open = Vec::new();
        for (id, (fact, request)) in &docket.requests {
            let id: &EntityId = id;
            let answer = answers.remove(id).unwrap_or_default();
            let verdict = if let Some(by) = docket.withdrawn.get(id) {
                Verdict::Withdrawn { by: (*by).clone() }
            } else if let Err(reason) = BadTerms::check(&request.terms, resource.capacity) {
                Verdict::Invalid { reason }
            } else if let Some(grant) = allocation.grant(id, &request.terms) {
                Verdict::Confirmed { by: grant.decisions.clone() }
            } else if let Some((by, reason)) = answer.denial {
                Verdict::Denied { by: by.clone(), reason: reason.to_owned() }
            } else if let Some((decision, with)) = answer.broken {
                Verdict::Conflicted { with, broken: Some(decision.clone()) }
            } else if let Some(with) = room.obstacles(&request.terms) {
                Verdict::Conflicted { with, broken: None }
            } else {
                open.push(Open { fact, request, released: answer.released });
                continue;
            };
            verdicts.insert(id.clone(), verdict);
        }
        open.sort_by_key(|open| (open.request.claimed, &open.fact.id));
        Self { verdicts, open, allocation, room }
    }

    fn judged_by(
        &self,
        policy: &dyn Policy,
        facts: &ResourceFacts,
        resource: &Resource,
    ) -> BTreeMap<EntityId, Verdict> {
        let (allocation, room, open) = (&self.allocation, &self.room, &self.open);
        let case = Case { facts, resource, allocation, room, open };
        let mut waiting: BTreeMap<&EntityId, &Open<'_>> =
            open.iter().map(|open| (&open.fact.id, open)).collect();
        let mut verdicts = self.verdicts.clone();
        // Whatever a policy confirms by itself is held to the capacity here.
        let mut room = self.room.clone();
        for (id, verdict) in policy.judge(&case) {
            let Some(open) = waiting.remove(&id) else {
                continue;
            };
            let verdict = match verdict {
                Verdict::Confirmed { by } => match room.take(open) {
                    Ok(()) => Verdict::Confirmed { by },
                    Err(with) => Verdict::Conflicted { with, broken: by.into_iter().next() },
                },
                other => other,
            };
            verdicts.insert(id, verdict);
        }
        verdicts.extend(waiting.into_iter().map(|(id, open)| (id.clone(), case.ask_owner(open))));
        verdicts
    }

    /// Nobody knows what an unknown policy makes of the owner's decisions; they keep their room.
    fn unsupported(&self, kind: &str, reason: &str) -> BTreeMap<EntityId, Verdict> {
        let unsupported =
            || Verdict::Unsupported { kind: kind.to_owned(), reason: reason.to_owned() };
        let settled = self.verdicts.iter().map(|(id, verdict)| match verdict {
            Verdict::Withdrawn { .. } | Verdict::Invalid { .. } => (id.clone(), verdict.clone()),
            _ => (id.clone(), unsupported()),
        });
        let open = self.open.iter().map(|open| (open.fact.id.clone(), unsupported()));
        settled.chain(open).collect()
    }
}
