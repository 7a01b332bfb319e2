//! Real replicas that request, decide, run stewards and meet: capacity holds in every view, and
//! peers with the same facts come to the same verdicts.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use p2panda_core::{
    EditError, EntityId, FestivalId, Identity, Replica,
    schema::{
        Answer, Decision, Event, FestivalInfo, Instant, PolicySpec, Record, Release, Request,
        Resource, Span, Terms, Withdrawal,
    },
    store::{MemoryStore, NoResume},
    view::Fact,
};
use p2panda_policy::{Act, Duty, Policies, Standing, Tokens, Verdict, evaluate, steward};
use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const PEERS: usize = 4;
const CAPACITY: i64 = 2;

#[derive(Clone, Debug)]
enum Step {
    Request { who: usize, starts: i64, length: i64, units: i64 },
    Withdraw { who: usize, which: usize },
    Decide { device: usize, which: usize, confirm: bool },
    Release { device: usize, which: usize },
    Steward { device: usize },
    Exchange { from: usize, to: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..8_usize;
    // Peers 0 and 1 are two devices of the resource's owner.
    prop_oneof![
        3 => (0..PEERS, 0..6_i64, 1..4_i64, 1..3_i64)
            .prop_map(|(who, starts, length, units)| Step::Request { who, starts, length, units }),
        1 => (0..PEERS, which.clone()).prop_map(|(who, which)| Step::Withdraw { who, which }),
        3 => (0..2_usize, which.clone(), any::<bool>())
            .prop_map(|(device, which, confirm)| Step::Decide { device, which, confirm }),
        1 => (0..2_usize, which).prop_map(|(device, which)| Step::Release { device, which }),
        2 => (0..2_usize).prop_map(|device| Step::Steward { device }),
        6 => (0..PEERS, 0..PEERS).prop_map(|(from, to)| Step::Exchange { from, to }),
    ]
}

fn hand_over(from: &Replica, to: &mut Replica, festival: FestivalId) {
    for (log, _) in from.logs(festival).unwrap() {
        let descriptor = from.descriptor(&log.document).unwrap().unwrap();
        let held = |to: &Replica| to.held(&log).unwrap().map_or(0, |tip| tip.length);
        while let Some(segment) = from.segment(&log, held(to)).unwrap() {
            to.accept(&descriptor, segment.into_segment()).unwrap();
        }
    }
    to.flush().unwrap();
}

fn requests(peer: &Replica, festival: FestivalId, resource: &EntityId) -> Vec<(Fact, Request)> {
    let Some(facts) = peer.view(festival).facts(resource).unwrap() else { return vec![] };
    let request = |fact: Fact| match &fact.record {
        Record::Request(request) => Some((fact.clone(), request.clone())),
        _ => None,
    };
    facts.records.into_iter().filter_map(request).collect()
}

/// Adds up, moment by moment, what a view shows as confirmed.
fn assert_capacity(peer: &Replica, festival: FestivalId, resource: &EntityId) {
    let Some(facts) = peer.view(festival).facts(resource).unwrap() else { return };
    let evaluation = evaluate(&Policies::default(), &facts, &Tokens::none());
    let mut confirmed: BTreeMap<i64, i64> = BTreeMap::new();
    for (fact, request) in requests(peer, festival, resource) {
        if matches!(evaluation.verdicts[&fact.id], Verdict::Confirmed { .. }) {
            let Span { starts, ends } = request.terms.span;
            *confirmed.entry(starts.millis()).or_default() += request.terms.units;
            *confirmed.entry(ends.millis()).or_default() -= request.terms.units;
        }
    }
    let mut used = 0;
    for change in confirmed.values() {
        used += change;
        assert!(used <= CAPACITY, "{used} of {CAPACITY} units are confirmed at one moment");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn capacity_holds_in_every_view_and_equal_facts_give_equal_verdicts(
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..50),
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let owner = Identity::generate(&mut rng);
        let identities =
            [owner.clone(), owner, Identity::generate(&mut rng), Identity::generate(&mut rng)];
        let open = |identity: &Identity| {
            Replica::open(Box::new(MemoryStore::new()), identity.clone(), Box::new(NoResume)).unwrap()
        };
        let mut peers: Vec<Replica> = identities.iter().map(open).collect();
        let now = Instant::from_millis(0);
        let festival = peers[0].create_festival(&FestivalInfo::default(), now, &mut rng).unwrap();
        let policy = PolicySpec::new("first-come");
        let stage = Resource {
            title: "Stage".into(),
            capacity: CAPACITY,
            policy: policy.clone(),
            ..Resource::default()
        };
        let id = festival.id();
        let resource = peers[0].edit(id, now, &mut rng, |edit| edit.create(&stage)).unwrap();
        for at in 1..PEERS {
            peers[at].join(&festival).unwrap();
            let [first, other] = peers.get_disjoint_mut([0, at]).unwrap();
            hand_over(first, other, id);
        }
        for (time, step) in (1..).zip(steps) {
            let now = Instant::from_millis(time);
            let write = |peer: &mut Replica, record: Record, rng: &mut ChaCha20Rng| {
                peer.edit(id, now, rng, |edit| match record.clone() {
                    Record::Request(request) => edit.request(request),
                    Record::Decision(decision) => edit.decide(decision),
                    Record::Release(release) => edit.release(release),
                    Record::Withdrawal(withdrawal) => edit.withdraw(withdrawal),
                }).map_err(|error: EditError| error).unwrap();
            };
            match step {
                Step::Request { who, starts, length, units } => {
                    let event = peers[who].edit(id, now, &mut rng, |edit| edit.create(&Event::default())).unwrap();
                    let span = Span::new(Instant::from_millis(starts), Instant::from_millis(starts + length)).unwrap();
                    let terms = Terms { event, resource: resource.clone(), span, units };
                    let request = Request { terms, claimed: now, note: String::new() };
                    write(&mut peers[who], Record::Request(request), &mut rng);
                }
                Step::Withdraw { who, which } => {
                    if let Some((fact, _)) = requests(&peers[who], id, &resource).into_iter().nth(which) {
                        let withdrawal = Withdrawal { resource: resource.clone(), request: fact.id, reason: String::new() };
                        write(&mut peers[who], Record::Withdrawal(withdrawal), &mut rng);
                    }
                }
                Step::Decide { device, which, confirm } => {
                    if let Some((fact, request)) = requests(&peers[device], id, &resource).into_iter().nth(which) {
                        let answer = if confirm { Answer::Confirm } else { Answer::Deny };
                        let decision = Decision { request: fact.id, terms: request.terms, policy: policy.hash(), answer, reason: String::new() };
                        write(&mut peers[device], Record::Decision(decision), &mut rng);
                    }
                }
                Step::Release { device, which } => {
                    let facts = peers[device].view(id).facts(&resource).unwrap().unwrap();
                    let mut decisions = facts.records.iter().filter(|fact| matches!(fact.record, Record::Decision(_)));
                    if let Some(decision) = decisions.nth(which) {
                        let release = Release { resource: resource.clone(), decisions: vec![decision.id.clone()], reason: String::new() };
                        write(&mut peers[device], Record::Release(release), &mut rng);
                    }
                }
                Step::Steward { device } => {
                    let me = peers[device].user();
                    let run = |peer: &Replica| {
                        let view = peer.view(id);
                        let facts = view.facts(&resource).unwrap().unwrap();
                        let arrivals = view.arrivals(&resource).unwrap();
                        let duty = Duty { me, arrivals: &arrivals, previous_run: None, now, seed: None };
                        steward(&Policies::default(), &facts, &Tokens::none(), &duty)
                    };
                    for act in run(&peers[device]) {
                        let record = match act {
                            Act::Release(release) => Record::Release(release),
                            Act::Decide(decision) => Record::Decision(decision),
                            Act::Draw(_) => unreachable!("no lots are drawn here"),
                        };
                        write(&mut peers[device], record, &mut rng);
                    }
                    prop_assert!(run(&peers[device]).is_empty(), "a steward has nothing to add to itself");
                }
                Step::Exchange { from, to } if from != to => {
                    let [from, to] = peers.get_disjoint_mut([from, to]).unwrap();
                    hand_over(from, to, id);
                }
                Step::Exchange { .. } => {}
            }
            for peer in &peers {
                assert_capacity(peer, id, &resource);
            }
        }
        for _ in 0..2 {
            for (from, to) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
                let [from, to] = peers.get_disjoint_mut([from, to]).unwrap();
                hand_over(from, to, id);
            }
        }
        let verdicts = |peer: &Replica| {
            let facts = peer.view(id).facts(&resource).unwrap().unwrap();
            evaluate(&Policies::default(), &facts, &Tokens::none()).verdicts
        };
        for peer in &peers {
            prop_assert_eq!(peer.fingerprint_view().unwrap(), peers[0].fingerprint_view().unwrap());
            prop_assert_eq!(verdicts(peer), verdicts(&peers[0]));
            assert_capacity(peer, id, &resource);
        }
        let facts = peers[0].view(id).facts(&resource).unwrap().unwrap();
        for (_, standing) in evaluate(&Policies::default(), &facts, &Tokens::none()).allocation.standings() {
            if let Standing::NoRoom(with) = standing {
                prop_assert!(!with.is_empty(), "a broken promise says what it lost to");
            }
        }
    }
}
