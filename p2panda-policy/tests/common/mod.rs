//! Facts without replicas: users, devices with logs that see each other or do not, and one resource.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;

use p2panda_core::{
    DocumentId, EntityId, Incarnation, LocalId, UserId,
    schema::{
        Answer, Decision, Instant, PolicySpec, Record, Release, Request, Resource, Span, Terms,
        Withdrawal,
    },
    view::{Arrivals, Causality, Fact, Merge, Position, ResourceFacts},
};
use p2panda_policy::{Act, Duty, Evaluation, Policies, Tokens, Verdict, evaluate, steward};

pub(crate) const OLGA: u8 = 1;
pub(crate) const RITA: u8 = 2;
pub(crate) const TOM: u8 = 3;
pub(crate) const EVE: u8 = 4;

/// Voters.
pub(crate) const VERA: u8 = 11;
pub(crate) const VIC: u8 = 12;
pub(crate) const VAL: u8 = 13;

pub(crate) fn voters() -> [UserId; 3] {
    [VERA, VIC, VAL].map(user)
}

pub(crate) fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 32])
}

pub(crate) fn document(user: u8) -> DocumentId {
    DocumentId::from_bytes([user; 32])
}

pub(crate) fn named(user: u8, name: &str) -> EntityId {
    EntityId::new(document(user), name.parse().expect("a local id"))
}

pub(crate) fn at(hour: i64) -> Instant {
    Instant::from_millis(hour * 3_600_000)
}

/// Terms for the stage.
pub(crate) fn terms(from: i64, to: i64, units: i64) -> Terms {
    let span = Span { starts: at(from), ends: at(to) };
    Terms { event: named(RITA, "concert"), resource: named(OLGA, "stage"), span, units }
}

pub(crate) fn stage(capacity: i64, policy: &str) -> Resource {
    Resource {
        title: "Stage".to_owned(),
        capacity,
        policy: PolicySpec::new(policy),
        ..Resource::default()
    }
}

/// A stage of one unit with this policy.
pub(crate) fn stage_by(policy: PolicySpec) -> Resource {
    Resource { policy, ..stage(1, "manual") }
}

/// One run of writing: a user's device.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) user: u8,
    /// Under which policy it decides.
    pub(crate) policy: PolicySpec,
    /// On which resource.
    pub(crate) resource: EntityId,
    incarnation: Incarnation,
    length: u64,
    seen: BTreeMap<Incarnation, u64>,
}

impl Device {
    pub(crate) fn new(user: u8, number: u8) -> Self {
        let incarnation = Incarnation::from_bytes([number; 8]);
        let (policy, resource) = (PolicySpec::new("manual"), named(OLGA, "stage"));
        Self { user, policy, resource, incarnation, length: 0, seen: BTreeMap::new() }
    }

    /// One that votes under this policy.
    pub(crate) fn under(policy: &PolicySpec, user: u8, number: u8) -> Self {
        Self { policy: policy.clone(), ..Self::new(user, number) }
    }

    pub(crate) fn log(&self) -> Incarnation {
        self.incarnation
    }

    /// Learns what another device of the user wrote and had seen.
    pub(crate) fn sync_from(&mut self, other: &Self) {
        let known = other.seen.iter().map(|(log, length)| (*log, *length));
        for (log, length) in known.chain([(other.incarnation, other.length)]) {
            if log != self.incarnation {
                let seen = self.seen.entry(log).or_default();
                *seen = length.max(*seen);
            }
        }
    }

    pub(crate) fn write(&mut self, record: Record) -> Fact {
        let fact = self.next(record);
        self.length += 1;
        fact
    }

    /// A record of the payload that the next `write` completes.
    pub(crate) fn next(&self, record: Record) -> Fact {
        let (incarnation, index) = (self.incarnation, self.length);
        Fact {
            id: EntityId::new(document(self.user), LocalId::of_record(&record.to_bytes())),
            author: user(self.user),
            record,
            position: position(incarnation, index, &self.seen),
        }
    }

    pub(crate) fn request(&mut self, terms: Terms, claimed: i64) -> Fact {
        let note = format!("{claimed}");
        self.write(Record::Request(Request { terms, claimed: at(claimed), note }))
    }

    pub(crate) fn answer(&mut self, request: &Fact, answer: Answer, reason: &str) -> Fact {
        let Record::Request(Request { terms, .. }) = &request.record else {
            panic!("{:?} is no request", request.id)
        };
        self.decide(&request.id, terms.clone(), answer, reason)
    }

    pub(crate) fn decide(
        &mut self,
        request: &EntityId,
        terms: Terms,
        answer: Answer,
        reason: &str,
    ) -> Fact {
        let (request, policy) = (request.clone(), self.policy.hash());
        let reason = reason.to_owned();
        self.write(Record::Decision(Decision { request, terms, policy, answer, reason }))
    }

    pub(crate) fn confirm(&mut self, request: &Fact) -> Fact {
        self.answer(request, Answer::Confirm, "")
    }

    pub(crate) fn deny(&mut self, request: &Fact, reason: &str) -> Fact {
        self.answer(request, Answer::Deny, reason)
    }

    pub(crate) fn release(&mut self, decisions: &[&Fact]) -> Fact {
        let (resource, reason) = (self.resource.clone(), String::new());
        let decisions = decisions.iter().map(|fact| fact.id.clone()).collect();
        self.write(Record::Release(Release { resource, decisions, reason }))
    }

    pub(crate) fn withdraw(&mut self, request: &Fact) -> Fact {
        let (resource, reason) = (self.resource.clone(), String::new());
        let request = request.id.clone();
        self.write(Record::Withdrawal(Withdrawal { resource, request, reason }))
    }
}

/// The position of an entry that had seen so many entries of other incarnations.
pub(crate) fn position(
    incarnation: Incarnation,
    index: u64,
    seen: &BTreeMap<Incarnation, u64>,
) -> Position {
    let seen: Vec<_> = seen.iter().map(|(other, length)| (*other, *length)).collect();
    let merge = Some(Merge { incarnation, index, seen }).filter(|merge| !merge.seen.is_empty());
    Position { incarnation, index, causality: Causality::new(merge) }
}

/// What one peer holds of Olga's stage.
pub(crate) fn view<'a>(
    resource: Resource,
    facts: impl IntoIterator<Item = &'a Fact>,
) -> ResourceFacts {
    let records = facts.into_iter().cloned().collect();
    ResourceFacts { id: named(OLGA, "stage"), owner: user(OLGA), resource: Some(resource), records }
}

/// Evaluates, and checks that no more is promised than there is.
pub(crate) fn judge(facts: &ResourceFacts) -> Evaluation {
    judge_with(facts, &Tokens::none())
}

/// As [`judge`], with tokens.
pub(crate) fn judge_with(facts: &ResourceFacts, tokens: &Tokens) -> Evaluation {
    let evaluation = evaluate(&Policies::default(), facts, tokens);
    if let Some(resource) = &facts.resource {
        assert_within_capacity(resource.capacity, facts, &evaluation);
    }
    for verdict in evaluation.verdicts.values() {
        let explanation = verdict.explanation();
        assert!(explanation.ends_with('.') && !explanation.contains('\n'), "{explanation:?}");
    }
    for finding in &evaluation.findings {
        assert!(finding.explanation().ends_with('.'));
        assert!(!finding.signatures().is_empty());
    }
    evaluation
}

/// Counts moment by moment, both what is held and what requests are told.
fn assert_within_capacity(capacity: i64, facts: &ResourceFacts, evaluation: &Evaluation) {
    let resource = facts.resource.as_ref().expect("a resource");
    let grants = evaluation.allocation.grants();
    let held: Vec<&Terms> = grants.iter().map(|grant| &grant.terms).collect();
    let confirmed = |id| matches!(evaluation.verdicts.get(id), Some(Verdict::Confirmed { .. }));
    let told = facts.records.iter().filter_map(|fact| match &fact.record {
        Record::Request(request) if confirmed(&fact.id) => Some(&request.terms),
        _ => None,
    });
    for promised in [held, told.collect()] {
        let promised: Vec<(Span, i64)> =
            promised.iter().map(|terms| (resource.occupied(&terms.span), terms.units)).collect();
        for (Span { starts: moment, .. }, _) in &promised {
            let now = |(span, _): &&(Span, i64)| span.starts <= *moment && *moment < span.ends;
            let units: i64 = promised.iter().filter(now).map(|(_, units)| units).sum();
            assert!(units <= capacity, "{units} of {capacity} units are promised");
        }
    }
}

/// The verdict on a request, in one word.
pub(crate) fn verdict(facts: &ResourceFacts, request: &Fact) -> &'static str {
    judge(facts).verdicts[&request.id].name()
}

/// Runs Olga's steward once and writes what it says with her device.
pub(crate) fn run_steward(
    facts: &mut ResourceFacts,
    device: &mut Device,
    arrivals: &Arrivals,
    previous_run: Option<Instant>,
) -> Vec<Act> {
    let acts = steward(&Policies::default(), facts, &Tokens::none(), &duty(arrivals, previous_run));
    acts.iter().for_each(|act| write(facts, device, act));
    acts
}

pub(crate) fn duty(arrivals: &Arrivals, previous_run: Option<Instant>) -> Duty<'_> {
    Duty { me: user(OLGA), arrivals, previous_run, now: at(0), seed: None }
}

/// Writes what a steward says with a device.
pub(crate) fn write(facts: &mut ResourceFacts, device: &mut Device, act: &Act) {
    let record = match act.clone() {
        Act::Release(release) => Record::Release(release),
        Act::Decide(decision) => Record::Decision(decision),
        Act::Draw(draw) => {
            facts.resource.as_mut().expect("a resource").draw = Some(draw);
            return;
        }
    };
    facts.records.push(device.write(record));
}

pub(crate) fn arrivals<'a>(numbers: impl IntoIterator<Item = (&'a Fact, u64)>) -> Arrivals {
    Arrivals(numbers.into_iter().map(|(fact, number)| (fact.id.clone(), number)).collect())
}
