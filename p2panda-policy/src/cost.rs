//! What evaluating costs: n log n in the requests for one resource, however they overlap.

use p2panda_core::{
    DocumentId, EntityId, Incarnation, LocalId, UserId,
    schema::{Answer, Decision, Instant, PolicySpec, Record, Request, Resource, Span, Terms},
    view::{Causality, Fact, Position, ResourceFacts},
};

use crate::{
    All, FirstCome, Majority, Manual, Policies, Tokens, UnlessConflict, evaluate, room::cost,
};

fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 32])
}

fn fact(author: u8, index: i64, record: Record) -> Fact {
    let document = DocumentId::from_bytes([author; 32]);
    let id = EntityId::new(document, LocalId::of_record(&record.to_bytes()));
    let incarnation = Incarnation::from_bytes([author; 8]);
    let index = u64::try_from(index).expect("few facts");
    Fact {
        id,
        author: user(author),
        record,
        position: Position { incarnation, index, causality: Causality::default() },
    }
}

/// So many days of requests for up to six hours; the owner confirms every third, a voter every
/// second.
fn busy(n: i64, days: i64, capacity: i64, policy: PolicySpec) -> ResourceFacts {
    let id =
        |name: &str| EntityId::new(DocumentId::from_bytes([1; 32]), name.parse().expect("a name"));
    let (event, resource) = (id("event"), id("room"));
    let mut state = 7u64;
    let mut random = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        i64::try_from(state >> 16).expect("48 bits") % below
    };
    let hash = policy.hash();
    let mut records = Vec::new();
    for at in 0..n {
        let starts = random(days * 86_400_000);
        let ends = starts + 60_000 + random(6 * 3_600_000);
        let [starts, ends] = [starts, ends].map(Instant::from_millis);
        let terms = Terms {
            event: event.clone(),
            resource: resource.clone(),
            span: Span { starts, ends },
            units: 1,
        };
        let claimed = Instant::from_millis(random(n));
        let request = Request { terms: terms.clone(), claimed, note: String::new() };
        let request = fact(2, at, Record::Request(request));
        let decide = |by: u8| {
            let (request, terms) = (request.id.clone(), terms.clone());
            let (answer, reason) = (Answer::Confirm, String::new());
            fact(
                by,
                at,
                Record::Decision(Decision { request, terms, policy: hash, answer, reason }),
            )
        };
        if at % 3 == 0 {
            records.push(decide(1));
        }
        if at % 2 == 0 {
            records.push(decide(3));
        }
        records.push(request);
    }
    let resource = Resource { capacity, policy, ..Resource::default() };
    ResourceFacts { id: id("room"), owner: user(1), resource: Some(resource), records }
}

/// Nodes visited for this many requests within so many days.
fn visits(n: i64, days: i64, capacity: i64, policy: &PolicySpec) -> u64 {
    let facts = busy(n, days, capacity, policy.clone());
    cost::take();
    let evaluation = evaluate(&Policies::default(), &facts, &Tokens::none());
    let visits = cost::take();
    assert_eq!(evaluation.verdicts.len(), usize::try_from(n).expect("few requests"));
    let each = visits / u64::try_from(n).expect("a number");
    println!("{}: {n} requests in {days} days, {each} visits each", policy.kind);
    visits
}

fn some_policies() -> [(PolicySpec, i64); 6] {
    let voters = [3, 4, 5].map(user);
    [
        (Manual::spec(), 1),
        (FirstCome::spec(), 1),
        (FirstCome::spec(), 100),
        (Majority::spec(voters), 1),
        (UnlessConflict::or_else(Majority::spec(voters)), 20),
        (All::of([Majority::spec(voters), FirstCome::spec()]), 20),
    ]
}

#[test]
fn evaluating_grows_as_n_log_n() {
    for (policy, capacity) in some_policies() {
        let [small, large] =
            [(500, 15), (4_000, 120)].map(|(n, days)| visits(n, days, capacity, &policy));
        // 8 x log(4,000) / log(500) = 10.7; the square would be 64.
        assert!(large < small * 12, "{}: {small}, then {large}", policy.kind);
    }
}

#[test]
fn however_crowded_each_request_costs_a_few_paths_through_the_tree() {
    // A refusal names at most 16 obstacles, each found on a path; so crowding costs a factor only.
    for (policy, capacity) in some_policies() {
        for (n, paths) in [(500_i64, 16), (4_000, 16)] {
            let depth = u64::from((2 * n.unsigned_abs()).ilog2() + 1);
            let n_visits = visits(n, 1, capacity, &policy);
            assert!(n_visits < n.unsigned_abs() * depth * 2 * paths, "{}: {n_visits}", policy.kind);
        }
    }
}

/// `cargo test -p p2panda-policy --lib figures -- --ignored --nocapture` prints the figures.
#[test]
#[ignore = "a measurement: 100,000 requests take a while unoptimised"]
fn figures_for_one_ten_and_a_hundred_thousand() {
    for policy in [FirstCome::spec(), Majority::spec([3, 4, 5].map(user))] {
        let [one, ten, hundred] = [(1_000, 30), (10_000, 300), (100_000, 3_000)]
            .map(|(n, days)| visits(n, days, 4, &policy));
        assert!(ten < one * 15 && hundred < ten * 13, "{one}, {ten}, {hundred}");
    }
}
