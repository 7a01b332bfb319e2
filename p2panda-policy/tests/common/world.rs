//! Random histories: an owner on two devices, voters, requesters, a token's issuer; policies and
//! other fields that are edited; logs of which peers hold any prefixes.
#![allow(dead_code, reason = "each test uses a part of it")]

use p2panda_core::{
    EntityId,
    schema::{Answer, Draw, Instant, PolicySpec, Record, Resource, Span, Spans, Terms},
    view::{Arrivals, Fact, ResourceFacts},
};
use p2panda_policy::{
    All, Any, ByDraw, Duty, FirstCome, Majority, Manual, NOfM, Otherwise, Policies, Token, Tokens,
    UnlessConflict, steward,
};
use proptest::prelude::*;

use crate::common::*;

pub(crate) const SEED: [u8; 32] = [7; 32];

pub(crate) fn badge() -> EntityId {
    named(TOM, "badge")
}

/// Every built-in policy, and combinations of them.
pub(crate) fn all_policies() -> Vec<(&'static str, PolicySpec)> {
    let token = || Token::spec(&badge());
    vec![
        ("manual", Manual::spec()),
        ("first-come", FirstCome::spec()),
        ("majority", Majority::spec(voters())),
        ("2 of 3", NOfM::named(2, voters())),
        ("1 of 3", NOfM::named(1, voters())),
        ("2 of anyone", NOfM::anyone(2)),
        ("unless-conflict", UnlessConflict::or_else(Majority::spec(voters()))),
        ("all", All::of([Majority::spec(voters()), token()])),
        ("any", Any::of([Majority::spec(voters()), token()])),
        ("any of quorums", Any::of([Majority::spec(voters()), NOfM::named(1, [user(VAL)])])),
        ("otherwise", Otherwise::of(token(), NOfM::named(1, [user(VERA)]))),
        ("token", token()),
        ("draw", ByDraw::spec(&SEED, at(0))),
        ("lost seed", ByDraw::spec(&[8; 32], at(0))),
        ("unknown", PolicySpec::new("org.example/dice")),
    ]
}

/// Who writes: the number of a device in [`World::devices`].
pub(crate) const OWNERS: std::ops::Range<usize> = 0..2;
pub(crate) const VOTERS: std::ops::Range<usize> = 2..6;
pub(crate) const REQUESTERS: std::ops::Range<usize> = 6..9;
pub(crate) const ISSUER: usize = 9;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Request { by: usize, from: i64, hours: i64, units: i64 },
    Withdraw { request: usize },
    Answer { device: usize, request: usize, yes: bool, other_terms: bool },
    Release { device: usize, decision: usize },
    Sync { from: usize, to: usize },
    Steward { device: usize },
    AskForBadge { by: usize, from: i64 },
    GiveBadge { request: usize, yes: bool },
    TakeBadge { decision: usize },
    Edit(Edit),
}

impl Step {
    pub(crate) fn is_by_owner(&self) -> bool {
        match self {
            Self::Answer { device, .. } => OWNERS.contains(device),
            Self::Steward { .. } => true,
            _ => false,
        }
    }
}

/// A change of the resource's fields.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Policy(usize),
    Capacity(i64),
    Consumable(bool),
    Buffers(i64, i64),
    Available(Option<(i64, i64)>),
    Draw(Vec<bool>),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    // Few different ones, so that many meet at one.
    let number = || 0..3usize;
    let decider = || prop_oneof![2 => OWNERS, 6 => VOTERS, 1 => REQUESTERS];
    prop_oneof![
        4 => (REQUESTERS, 0..4i64, prop_oneof![1 => Just(0), 9 => 1..5i64], units())
            .prop_map(|(by, from, hours, units)| Step::Request { by, from, hours, units }),
        1 => number().prop_map(|request| Step::Withdraw { request }),
        16 => (decider(), number(), prop::bool::weighted(0.85), prop::bool::weighted(0.1))
            .prop_map(|(device, request, yes, other_terms)| {
                Step::Answer { device, request, yes, other_terms }
            }),
        2 => (decider(), number()).prop_map(|(device, decision)| Step::Release { device, decision }),
        3 => prop_oneof![(OWNERS, OWNERS), (VOTERS, VOTERS)]
            .prop_map(|(from, to)| Step::Sync { from, to }),
        2 => OWNERS.prop_map(|device| Step::Steward { device }),
        2 => (REQUESTERS, 0..3i64).prop_map(|(by, from)| Step::AskForBadge { by, from }),
        2 => (number(), any::<bool>())
            .prop_map(|(request, yes)| Step::GiveBadge { request, yes }),
        1 => number().prop_map(|decision| Step::TakeBadge { decision }),
        1 => edit().prop_map(Step::Edit),
    ]
}

fn units() -> impl Strategy<Value = i64> {
    prop_oneof![6 => Just(1), 1 => 0..4i64]
}

/// The number of a policy: those with quorums more often than the others.
pub(crate) fn any_policy() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 2..10usize, 1 => 0..all_policies().len()]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => any_policy().prop_map(Edit::Policy),
        2 => (0..4i64).prop_map(Edit::Capacity),
        1 => any::<bool>().prop_map(Edit::Consumable),
        1 => (-1..3i64, -1..3i64).prop_map(|(before, after)| Edit::Buffers(before, after)),
        1 => prop::option::of((0..6i64, 1..9i64)).prop_map(Edit::Available),
        1 => prop::collection::vec(any::<bool>(), 8).prop_map(Edit::Draw),
    ]
}

/// Everything that was ever written.
pub(crate) struct World {
    pub(crate) policies: Policies,
    pub(crate) devices: Vec<Device>,
    /// The stage's fields, each version.
    pub(crate) versions: Vec<Resource>,
    pub(crate) stage: Vec<Fact>,
    pub(crate) badges: Vec<Fact>,
}

impl World {
    pub(crate) fn start(resource: Resource) -> Self {
        let users = [OLGA, OLGA, VERA, VERA, VIC, VAL, RITA, TOM, EVE, TOM];
        let numbers = [1, 2, 1, 2, 1, 1, 1, 1, 1, 9];
        let mut devices: Vec<Device> =
            users.iter().zip(numbers).map(|(user, number)| Device::new(*user, number)).collect();
        devices[ISSUER].resource = badge();
        Self {
            policies: Policies::default(),
            devices,
            versions: vec![resource],
            stage: Vec::new(),
            badges: Vec::new(),
        }
    }

    pub(crate) fn run(resource: Resource, steps: &[Step]) -> Self {
        let mut world = Self::start(resource);
        for (claimed, step) in (0..).zip(steps) {
            world.step(step, claimed);
        }
        world
    }

    pub(crate) fn resource(&self) -> &Resource {
        self.versions.last().expect("there is a first version")
    }

    fn step(&mut self, step: &Step, claimed: i64) {
        match *step {
            Step::Request { by, from, hours, units } => {
                let fact = self.devices[by].request(terms(from, from + hours, units), claimed);
                self.stage.push(fact);
            }
            Step::Withdraw { request } => {
                let Some(request) = pick(&self.stage, request, is_request) else { return };
                let by = self.device_of(&request);
                let fact = self.devices[by].withdraw(&request);
                push(&mut self.stage, fact);
            }
            Step::Answer { device, request, yes, other_terms } => {
                let Some(request) = pick(&self.stage, request, is_request) else { return };
                let Record::Request(asked) = &request.record else { unreachable!() };
                let mut terms = asked.terms.clone();
                if other_terms {
                    terms.span.ends = Instant::from_millis(terms.span.ends.millis() + 3_600_000);
                }
                let answer = if yes { Answer::Confirm } else { Answer::Deny };
                self.devices[device].policy = self.resource().policy.clone();
                let fact = self.devices[device].decide(&request.id, terms, answer, "");
                push(&mut self.stage, fact);
            }
            Step::Release { device, decision } => {
                let Some(decision) = pick(&self.stage, decision, is_decision) else { return };
                let fact = self.devices[device].release(&[&decision]);
                push(&mut self.stage, fact);
            }
            Step::Sync { from, to } => {
                let source = self.devices[from].clone();
                if source.user == self.devices[to].user {
                    self.devices[to].sync_from(&source);
                }
            }
            Step::Steward { device } => {
                let mut facts = self.view(self.stage.iter(), self.resource());
                let before = facts.records.len();
                let tokens = self.tokens(&facts, self.badges.iter());
                let arrivals = Arrivals::default();
                let duty = Duty { seed: Some(SEED), now: at(9), ..duty(&arrivals, None) };
                let acts = steward(&self.policies, &facts, &tokens, &duty);
                acts.iter().for_each(|act| write(&mut facts, &mut self.devices[device], act));
                if facts.resource.as_ref() != Some(self.resource()) {
                    self.versions.extend(facts.resource);
                }
                facts.records.drain(before..).for_each(|fact| push(&mut self.stage, fact));
            }
            Step::AskForBadge { by, from } => {
                let span = Span { starts: at(from), ends: at(12) };
                let asked = Terms { resource: badge(), span, ..terms(0, 1, 1) };
                let fact = self.devices[by].request(asked, claimed);
                self.badges.push(fact);
            }
            Step::GiveBadge { request, yes } => {
                let Some(request) = pick(&self.badges, request, is_request) else { return };
                let issuer = &mut self.devices[ISSUER];
                let fact = if yes { issuer.confirm(&request) } else { issuer.deny(&request, "") };
                push(&mut self.badges, fact);
            }
            Step::TakeBadge { decision } => {
                let Some(decision) = pick(&self.badges, decision, is_decision) else { return };
                let fact = self.devices[ISSUER].release(&[&decision]);
                push(&mut self.badges, fact);
            }
            Step::Edit(ref edit) => {
                let resource = self.edited(edit);
                self.versions.push(resource);
            }
        }
    }

    fn edited(&self, edit: &Edit) -> Resource {
        let mut resource = self.resource().clone();
        let hour = 3_600_000;
        match edit {
            Edit::Policy(number) => resource.policy = all_policies()[*number].1.clone(),
            Edit::Capacity(capacity) => resource.capacity = *capacity,
            Edit::Consumable(is) => resource.consumable = *is,
            Edit::Buffers(before, after) => {
                (resource.buffer_before, resource.buffer_after) = (before * hour, after * hour);
            }
            Edit::Available(window) => {
                let spans =
                    window.map(|(from, hours)| Span { starts: at(from), ends: at(from + hours) });
                resource.available = Spans::new(spans).expect("a window is no empty span");
            }
            Edit::Draw(among) => {
                let requests = self.stage.iter().filter(|fact| is_request(&fact.record));
                let part = requests.zip(among).filter(|(_, takes)| **takes);
                resource.draw = Some(Draw::among(SEED, part.map(|(fact, _)| &fact.id)));
            }
        }
        resource
    }

    fn device_of(&self, fact: &Fact) -> usize {
        let own = |device: &Device| {
            user(device.user) == fact.author && device.log() == fact.position.incarnation
        };
        self.devices.iter().position(own).expect("somebody wrote it")
    }

    pub(crate) fn view<'a>(
        &self,
        facts: impl Iterator<Item = &'a Fact>,
        resource: &Resource,
    ) -> ResourceFacts {
        view(resource.clone(), facts)
    }

    pub(crate) fn tokens<'a>(
        &self,
        facts: &ResourceFacts,
        badges: impl Iterator<Item = &'a Fact>,
    ) -> Tokens {
        let records = badges.cloned().collect();
        let resource = Some(Resource { capacity: 2, ..Resource::default() });
        let badges = ResourceFacts { id: badge(), owner: user(TOM), resource, records };
        Tokens::among(&self.policies, facts, [&badges])
    }

    /// Whether a peer that holds these lengths of the logs holds a fact. A log shorter than it was
    /// is one that was cut.
    pub(crate) fn holds(&self, lengths: &[u64], fact: &Fact) -> bool {
        fact.position.index < lengths[self.device_of(fact) % lengths.len()]
    }
}

pub(crate) fn is_request(record: &Record) -> bool {
    matches!(record, Record::Request(_))
}

pub(crate) fn is_decision(record: &Record) -> bool {
    matches!(record, Record::Decision(_))
}

fn pick(facts: &[Fact], number: usize, which: fn(&Record) -> bool) -> Option<Fact> {
    let all: Vec<&Fact> = facts.iter().filter(|fact| which(&fact.record)).collect();
    all.get(number % all.len().max(1)).map(|fact| (*fact).clone())
}

/// A record that says the same again is the same record, and stands where it first stood.
fn push(facts: &mut Vec<Fact>, fact: Fact) {
    if facts.iter().all(|known| known.id != fact.id) {
        facts.push(fact);
    }
}

/// How many random histories: `P2PANDA_HISTORIES`, for the longer run that the documentation names.
pub(crate) fn histories(default: u32) -> u32 {
    let wanted = std::env::var("P2PANDA_HISTORIES").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(default)
}
