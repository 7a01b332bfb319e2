//! An exhaustive search through the states of a small festival, in the spirit of a model checker:
//! three users (one on two devices), two resources, two voters, who meet and part in every way.

mod common;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use common::*;
use p2panda_core::{
    EntityId, UserId,
    schema::{PolicySpec, Record, Resource, Terms},
    view::{Arrivals, Fact, ResourceFacts},
};
use p2panda_policy::{
    Act, Duty, Evaluation, FirstCome, Majority, Policies, Tokens, Verdict, evaluate, steward,
};

/// Requests that are there from the start.
const FIRST: usize = 4;
const PHONE: usize = 0;
const LAPTOP: usize = 1;
const DEVICES: usize = 4;
/// Payloads that are signed in one history, besides the first requests. `P2PANDA_SIGNED` asks for
/// more.
const SIGNED: usize = 2;

fn hall() -> EntityId {
    named(OLGA, "hall")
}

/// What each device knows: a bit for each fact.
#[derive(Clone)]
struct State {
    facts: Vec<Fact>,
    devices: [Device; DEVICES],
    knows: [u32; DEVICES],
}

/// A record and where it stands: its name, its index and its log.
type Place = (EntityId, u64, u8);

struct Search {
    policies: Policies,
    resources: BTreeMap<EntityId, Resource>,
    /// By the facts of one resource that are known, what they amount to.
    judged: BTreeMap<(EntityId, Vec<Place>), Evaluation>,
    /// By everything that was signed, what it ends in.
    settled: HashSet<Vec<u8>>,
    signed: usize,
    changes: usize,
}

impl Search {
    fn new(signed: usize) -> Self {
        let majority = Majority::spec([user(VERA), user(VIC)]);
        let resources =
            [(hall(), stage_by(majority)), (named(OLGA, "stage"), stage_by(FirstCome::spec()))];
        Self {
            policies: Policies::default(),
            resources: resources.into(),
            judged: BTreeMap::new(),
            settled: HashSet::new(),
            signed,
            changes: 0,
        }
    }

    fn policy(&self, of: &EntityId) -> &PolicySpec {
        &self.resources[of].policy
    }

    fn facts(&self, state: &State, device: usize, of: &EntityId) -> ResourceFacts {
        let known = state.facts.iter().enumerate();
        let known = known.filter(|(at, fact)| {
            state.knows[device] & (1 << at) != 0 && fact.record.resource() == of
        });
        let records = known.map(|(_, fact)| fact.clone()).collect();
        let resource = Some(self.resources[of].clone());
        ResourceFacts { id: of.clone(), owner: user(OLGA), resource, records }
    }

    /// Judges what a device sees, and checks it where nobody has seen that before.
    fn judge(&mut self, state: &State, device: usize, of: &EntityId) -> Evaluation {
        let facts = self.facts(state, device, of);
        let mut key: Vec<_> = facts.records.iter().map(place).collect();
        key.sort();
        let judged = self.judged.entry((of.clone(), key));
        // `common::judge` counts moment by moment.
        judged.or_insert_with(|| common::judge(&facts)).clone()
    }

    /// A confirmed grant is lost only by an act of its deciders, its requester or the owner.
    fn check(&mut self, before: &State, after: &State) {
        for device in (0..DEVICES).filter(|device| before.knows[*device] != after.knows[*device]) {
            for of in [hall(), named(OLGA, "stage")] {
                let (was, is) = (self.judge(before, device, &of), self.judge(after, device, &of));
                for (id, verdict) in &was.verdicts {
                    let Verdict::Confirmed { by, .. } = verdict else { continue };
                    if matches!(is.verdicts[id], Verdict::Confirmed { .. }) {
                        continue;
                    }
                    self.changes += 1;
                    let involved = |fact: &&Fact| by.contains(&fact.id) || fact.id == *id;
                    let involved = after.facts.iter().filter(involved).map(|fact| fact.author);
                    let involved: BTreeSet<UserId> = involved.chain([user(OLGA)]).collect();
                    let learned = after.knows[device] & !before.knows[device];
                    let mut learned =
                        after.facts.iter().enumerate().filter(|(at, _)| learned & (1 << at) != 0);
                    assert!(learned.any(|(_, fact)| involved.contains(&fact.author)));
                }
            }
        }
    }

    /// What a steward of the owner writes on a device.
    fn steward(&self, state: &State, device: usize, of: &EntityId) -> Vec<Record> {
        let facts = self.facts(state, device, of);
        let arrivals = Arrivals::default();
        let duty = Duty {
            me: user(OLGA),
            arrivals: &arrivals,
            previous_run: None,
            now: at(0),
            seed: None,
        };
        let acts = steward(&self.policies, &facts, &Tokens::none(), &duty);
        acts.into_iter()
            .map(|act| match act {
                Act::Decide(decision) => Record::Decision(decision),
                Act::Release(release) => Record::Release(release),
                Act::Draw(_) => unreachable!("no lots here"),
            })
            .collect()
    }

    fn next(&self, state: &State) -> Vec<State> {
        let mut next = Vec::new();
        for a in 0..DEVICES {
            for b in a + 1..DEVICES {
                let both = state.knows[a] | state.knows[b];
                if state.knows[a] != both || state.knows[b] != both {
                    let mut met = state.clone();
                    (met.knows[a], met.knows[b]) = (both, both);
                    next.push(met);
                }
            }
        }
        if state.facts.len() - FIRST >= self.signed {
            return next;
        }
        for device in 0..DEVICES {
            let known = |at: usize| state.knows[device] & (1 << at) != 0;
            let facts = state.facts.iter().enumerate().filter(|(at, _)| known(*at));
            for (_, fact) in facts {
                let mut writer = state.devices[device].clone();
                let of = fact.record.resource();
                writer.resource = of.clone();
                writer.policy = self.policy(of).clone();
                let own = fact.author == user(writer.user);
                match &fact.record {
                    // Voters vote; the owner confirms in the hall in person, on the phone.
                    Record::Request(_) if *of == hall() && device != LAPTOP => {
                        next.extend(state.with(device, &[writer.confirm(fact).record]));
                    }
                    Record::Decision(_) if own => {
                        next.extend(state.with(device, &[writer.release(&[fact]).record]));
                    }
                    _ => {}
                }
                if matches!(fact.record, Record::Request(_)) && own {
                    next.extend(state.with(device, &[writer.withdraw(fact).record]));
                }
            }
        }
        for device in [PHONE, LAPTOP] {
            let records = self.steward(state, device, &named(OLGA, "stage"));
            if !records.is_empty() {
                next.extend(state.with(device, &records));
            }
        }
        next
    }
}

fn place(fact: &Fact) -> Place {
    (fact.id.clone(), fact.position.index, fact.position.incarnation.as_bytes()[0])
}

impl State {
    fn start() -> Self {
        let devices = [(OLGA, 1), (OLGA, 2), (VERA, 3), (VIC, 4)].map(|(by, n)| Device::new(by, n));
        let mut state = Self { facts: Vec::new(), devices, knows: [0; DEVICES] };
        for (device, hours, of) in [
            (2, (1, 3), hall()),
            (3, (2, 4), hall()),
            (2, (1, 3), named(OLGA, "stage")),
            (3, (2, 4), named(OLGA, "stage")),
        ] {
            let terms = Terms { resource: of, ..terms(hours.0, hours.1, 1) };
            let fact = state.devices[device].request(terms, 0);
            state.add(device, fact);
        }
        // All but the last request have got around.
        state.knows = state.knows.map(|knows| knows | 0b0111);
        state
    }

    fn add(&mut self, device: usize, fact: Fact) {
        self.knows[device] |= 1 << self.facts.len();
        self.facts.push(fact);
    }

    /// The state after a device wrote these; `None` where one of them is there already.
    fn with(&self, device: usize, records: &[Record]) -> Option<Self> {
        let mut after = self.clone();
        // A device that knows of its user's other device has seen that one's log.
        for other in (0..DEVICES).filter(|other| *other != device) {
            let source = self.devices[other].clone();
            let whole = source.user == after.devices[device].user
                && self.facts.iter().enumerate().all(|(at, fact)| {
                    fact.position.incarnation != source.log() || self.knows[device] & (1 << at) != 0
                });
            if whole {
                after.devices[device].sync_from(&source);
            }
        }
        for record in records {
            let fact = after.devices[device].write(record.clone());
            if after.facts.iter().any(|known| {
                known.id == fact.id && known.position.incarnation == fact.position.incarnation
            }) {
                return None;
            }
            after.add(device, fact);
        }
        Some(after)
    }

    /// The same for states that differ only in the order in which facts were numbered.
    fn key(&self) -> Vec<u8> {
        let mut facts: Vec<(Vec<u8>, [bool; DEVICES])> = Vec::new();
        for (at, fact) in self.facts.iter().enumerate() {
            let mut name = fact.id.local.as_str().as_bytes()[..12].to_vec();
            name.extend(fact.position.incarnation.as_bytes());
            name.push(u8::try_from(fact.position.index).expect("short logs"));
            name.extend(
                fact.position.seen().values().map(|seen| u8::try_from(*seen).expect("short logs")),
            );
            facts.push((name, self.knows.map(|knows| knows & (1 << at) != 0)));
        }
        facts.sort();
        facts.into_iter().flat_map(|(name, by)| name.into_iter().chain(by.map(u8::from))).collect()
    }
}

impl Search {
    /// Everybody meets, and the stewards run in either order: the same grants stand.
    fn settle(&mut self, state: &State) {
        let mut met = state.clone();
        met.knows = [state.knows.iter().fold(0, |all, knows| all | knows); DEVICES];
        if !self.settled.insert(met.key()) {
            return;
        }
        let ends = [[PHONE, LAPTOP], [LAPTOP, PHONE]].map(|order| {
            let mut state = met.clone();
            for device in order {
                let records = self.steward(&state, device, &named(OLGA, "stage"));
                state = state.with(device, &records).unwrap_or(state);
                state.knows = [state.knows[device]; DEVICES];
            }
            let facts = self.facts(&state, PHONE, &named(OLGA, "stage"));
            let verdicts = evaluate(&self.policies, &facts, &Tokens::none()).verdicts;
            verdicts.into_iter().map(|(id, verdict)| (id, verdict.name())).collect::<Vec<_>>()
        });
        assert_eq!(ends[0], ends[1]);
    }
}

#[test]
fn no_state_that_can_be_reached_breaks_a_promise() {
    let signed = std::env::var("P2PANDA_SIGNED").ok().and_then(|n| n.parse().ok());
    let mut search = Search::new(signed.unwrap_or(SIGNED));
    let start = State::start();
    let mut seen = HashSet::from([start.key()]);
    let mut queue = VecDeque::from([start]);
    let (mut states, mut steps) = (0, 0);
    while let Some(state) = queue.pop_front() {
        search.settle(&state);
        states += 1;
        for next in search.next(&state) {
            steps += 1;
            search.check(&state, &next);
            if seen.insert(next.key()) {
                queue.push_back(next);
            }
        }
    }
    println!(
        "{} signed: {states} states, {steps} steps, {} views, {} grants lost by those who may",
        search.signed,
        search.judged.len(),
        search.changes
    );
    assert!(search.signed < 2 || search.changes > 0, "it came to where grants are lost");
}
