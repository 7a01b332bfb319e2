//! What each policy says, and which parameters it does not take.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use p2panda_core::{
    UserId,
    schema::{Fields, PolicySpec, Resource, Value},
    view::Fact,
};
use p2panda_policy::{
    All, Any, ByDraw, FirstCome, Majority, Manual, NOfM, Otherwise, Pending, Policies, Token,
    Tokens, UnlessConflict, Verdict, evaluate,
};

fn unsupported(policy: PolicySpec) -> String {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let verdicts = judge(&view(stage_by(policy), [&request])).verdicts;
    match &verdicts[&request.id] {
        Verdict::Unsupported { reason, .. } => reason.clone(),
        other => panic!("{other:?}"),
    }
}

fn with(kind: &str, params: &[(&str, Value)]) -> PolicySpec {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    PolicySpec { kind: kind.to_owned(), params: params.collect() }
}

fn voter_map(voters: &[(String, Value)]) -> Value {
    Value::Map(voters.iter().cloned().collect())
}

#[test]
fn parameters_without_sense_are_unsupported_and_say_why() {
    let vera = user(VERA).to_string();
    let yes = Value::Bool(true);
    let voters = voter_map(&[(vera.clone(), yes.clone())]);
    let twice = voter_map(&[(vera.clone(), yes.clone()), (vera.to_uppercase(), yes.clone())]);
    let no_voter = voter_map(&[(vera.clone(), Value::Bool(false))]);
    let nobody = voter_map(&[("vera".to_owned(), yes)]);
    let int = Value::Int;
    let manual = Value::Map(Fields::from([("kind".to_owned(), "manual".into())]));
    let of = |members: &[Value]| {
        let named = members.iter().enumerate().map(|(at, of)| (at.to_string(), of.clone()));
        Value::Map(named.collect())
    };
    for (policy, reason) in [
        (NOfM::named(4, voters_of(3)), "it needs 4 votes of 3 voters"),
        (NOfM::named(0, voters_of(3)), "it needs 0 votes, at least 1 makes sense"),
        (NOfM::named(i64::MIN, voters_of(3)), "it needs -9223372036854775808 votes, at least"),
        (NOfM::anyone(0), "it needs 0 votes, at least 1 makes sense"),
        (NOfM::named(1, []), "it names no voter"),
        (Majority::spec([]), "it names no voter"),
        (with("majority", &[]), "it names no voter"),
        (with("majority", &[("voters", twice)]), "it names a voter twice"),
        (with("majority", &[("voters", no_voter)]), "its parameter \"voters\" is not a map from"),
        (with("majority", &[("voters", nobody)]), "its parameter \"voters\" is not a map from"),
        (with("majority", &[("voters", int(3))]), "its parameter \"voters\" is not a map from"),
        (with("n-of-m", &[("voters", voters.clone())]), "its parameter \"n\" is missing"),
        (with("n-of-m", &[("n", "two".into())]), "its parameter \"n\" is not a whole number"),
        (with("n-of-m", &[("n", int(1)), ("m", int(3))]), "it has the unknown parameter \"m\""),
        (with("first-come", &[("n", int(1))]), "it has the unknown parameter \"n\""),
        (Majority::spec([user(OLGA)]), "it names the owner as a voter"),
        (with("all", &[]), "its parameter \"of\" is missing"),
        (All::of([]), "it combines no policies"),
        (
            with("any", &[("of", of(&[manual.clone(), int(1)]))]),
            "its parameter \"of\" is not a map",
        ),
        (Any::of([Manual::spec(), PolicySpec::new("dice")]), "the kind \"dice\" is unknown"),
        (All::of([NOfM::named(2, voters_of(1))]), "it needs 2 votes of 1 voters"),
        (with("otherwise", &[("first", manual.clone())]), "its parameter \"then\" is missing"),
        (with("unless-conflict", &[("else", "manual".into())]), "its parameter \"else\" is not a"),
        (with("token", &[("resource", "badge".into())]), "its parameter \"resource\" is not an"),
        (with("draw", &[("commitment", int(1))]), "its parameter \"commitment\" is not a hash"),
        (with("dice", &[]), "the kind \"dice\" is unknown"),
    ] {
        let said = unsupported(policy.clone());
        assert!(said.starts_with(reason), "{policy:?}: {said}");
    }
}

fn voters_of(number: u8) -> impl Iterator<Item = UserId> {
    (0..number).map(|number| user(VERA + number))
}

#[test]
fn combinations_are_bounded_in_depth_and_number() {
    let mut deep = Manual::spec();
    for _ in 0..Policies::MAX_DEPTH {
        deep = All::of([deep]);
    }
    let policies = Policies::default();
    assert_eq!(policies.check(&deep, user(OLGA)), Ok(()));
    assert!(unsupported(All::of([deep.clone()])).contains("deep"));
    for _ in 0..40 {
        deep = UnlessConflict::or_else(deep);
    }
    assert!(unsupported(deep).contains("deep"));
    let many = |number| Any::of(vec![Manual::spec(); number]);
    assert_eq!(policies.check(&many(Policies::MAX_MEMBERS - 1), user(OLGA)), Ok(()));
    assert!(unsupported(many(Policies::MAX_MEMBERS)).contains("more than 32 policies"));
    let draw = || ByDraw::spec(&[1; 32], at(0));
    assert!(unsupported(All::of([draw(), draw()])).contains("draws lots more than once"));
}

#[test]
fn a_policy_is_written_and_read_back() {
    let token = Token::spec(&named(OLGA, "badge"));
    let policy = Otherwise::of(
        All::of([token, Majority::spec(voters())]),
        UnlessConflict::or_else(Any::of([NOfM::anyone(2), ByDraw::spec(&[3; 32], at(9))])),
    );
    let fields = p2panda_core::schema::write_fields(&stage_by(policy.clone())).unwrap();
    let back: Resource = p2panda_core::schema::read_fields(&fields).unwrap();
    assert_eq!(back.policy, policy);
    assert_eq!(Policies::default().check(&back.policy, user(OLGA)), Ok(()));
}

/// What a stage by this policy says of one request with these votes by named voters.
fn said(policy: &PolicySpec, votes: &[(u8, bool)]) -> Verdict {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let vote = |(voter, yes): &(u8, bool)| {
        let mut device = Device::under(policy, *voter, 1);
        if *yes { device.confirm(&request) } else { device.deny(&request, "too loud") }
    };
    let votes: Vec<Fact> = votes.iter().map(vote).collect();
    let facts = view(stage_by(policy.clone()), [&request].into_iter().chain(&votes));
    let verdict = judge(&facts).verdicts.remove(&request.id).unwrap();
    let known: Vec<_> = facts.records.iter().map(|fact| &fact.id).collect();
    assert!(verdict.signatures().iter().all(|id| known.contains(id)));
    verdict
}

#[test]
fn a_majority_of_named_voters_confirms_or_denies() {
    let policy = Majority::spec(voters());
    let Verdict::Requested { have: 0, need: 2, from, pending: Pending::Votes, .. } =
        said(&policy, &[])
    else {
        panic!()
    };
    assert_eq!(from, voters());
    assert_eq!(
        said(&policy, &[(VERA, true), (VIC, false)]).explanation(),
        format!(
            "1 of 2 answers are there (decision {}); {} can give one.",
            &said(&policy, &[(VERA, true)]).signatures()[0].local.as_str()[1..9],
            &user(VAL).to_string()[..8]
        )
    );
    assert_eq!(said(&policy, &[(VERA, true), (VAL, true)]).name(), "confirmed");
    let denied = said(&policy, &[(VERA, false), (VAL, false), (VIC, true)]);
    assert_eq!((denied.name(), denied.signatures().len()), ("denied", 2));
    assert!(denied.explanation().ends_with(": too loud."));
    // Strangers, the requester and the owner are no voters.
    assert_eq!(said(&policy, &[(EVE, true), (RITA, true), (TOM, true)]).name(), "requested");
}

#[test]
fn any_users_but_the_requester_and_their_votes_need_the_steward() {
    let policy = NOfM::anyone(2);
    let Verdict::Requested { have: 1, need: 2, from, .. } =
        said(&policy, &[(TOM, true), (RITA, true)])
    else {
        panic!("the requester has no vote")
    };
    assert_eq!(from, []);
    let explanation = said(&policy, &[]).explanation();
    assert_eq!(explanation, "0 of 2 answers are there; anyone but its requester can give one.");
    let let_in = said(&policy, &[(TOM, true), (EVE, true), (VERA, false)]);
    assert_eq!((let_in.name(), let_in.signatures().len()), ("tentative", 2));
}

#[test]
fn unless_there_is_a_conflict_requests_are_let_in() {
    let policy = UnlessConflict::or_else(Majority::spec(voters()));
    let mut rita = Device::new(RITA, 1);
    let alone = rita.request(terms(8, 9, 1), 9);
    let rivals = [(1, 3), (2, 4)].map(|(from, to)| rita.request(terms(from, to, 1), from));
    let mut facts = view(stage_by(policy.clone()), [&alone, &rivals[0], &rivals[1]]);
    assert_eq!(verdict(&facts, &alone), "tentative");
    assert_eq!(rivals.each_ref().map(|rival| verdict(&facts, rival)), ["requested"; 2]);
    for voter in [VERA, VIC] {
        facts.records.push(Device::under(&policy, voter, 1).confirm(&rivals[1]));
    }
    // Here votes are approvals: the fallback is not the whole policy.
    assert_eq!(verdict(&facts, &rivals[1]), "tentative");
    let mut olga = Device::new(OLGA, 1);
    assert_eq!(run_steward(&mut facts, &mut olga, &arrivals([]), None).len(), 2);
    let names = [&alone, &rivals[0], &rivals[1]].map(|request| verdict(&facts, request));
    assert_eq!(names, ["confirmed", "conflicted", "confirmed"]);

    // Two units hold both of them, and a third one makes them compete.
    let two = Resource { capacity: 2, ..stage_by(policy) };
    let mut facts = view(two, &rivals);
    assert_eq!(rivals.each_ref().map(|rival| verdict(&facts, rival)), ["tentative"; 2]);
    facts.records.push(rita.request(terms(2, 3, 1), 0));
    assert_eq!(rivals.each_ref().map(|rival| verdict(&facts, rival)), ["requested"; 2]);
}

#[test]
fn all_adds_up_and_confirms_by_itself_only_with_the_quorum_it_contains() {
    let crew = NOfM::named(1, [user(14)]);
    let policy = All::of([Majority::spec(voters()), crew.clone()]);
    let Verdict::Requested { have: 1, need: 3, from, .. } = said(&policy, &[(VERA, true)]) else {
        panic!()
    };
    assert_eq!(from, [user(VIC), user(VAL), user(14)]);
    let Verdict::Requested { have: 2, need: 3, .. } = said(&policy, &[(VERA, true), (VIC, true)])
    else {
        panic!("the crew has not voted")
    };
    let full = [(VERA, true), (VIC, true), (14, true)];
    assert_eq!(said(&policy, &full).name(), "confirmed");
    assert_eq!(said(&policy, &full).signatures().len(), 3);
    assert_eq!(said(&policy, &[(VERA, true), (VIC, true), (14, false)]).name(), "denied");
    // A member that leaves the order to the steward keeps the votes from confirming.
    let policy = All::of([Majority::spec(voters()), FirstCome::spec()]);
    assert_eq!(said(&policy, &[(VERA, true), (VIC, true)]).name(), "tentative");
    let policy = All::of([Majority::spec(voters()), Manual::spec()]);
    let Verdict::Requested { from, .. } = said(&policy, &[(VERA, true), (VIC, true)]) else {
        panic!("the owner has to answer too")
    };
    assert_eq!(from, [user(OLGA)]);
}

#[test]
fn any_takes_the_first_that_lets_in_and_otherwise_the_second_where_the_first_does_not() {
    let crew = NOfM::named(1, [user(14)]);
    let policy = Any::of([Majority::spec(voters()), crew.clone()]);
    let Verdict::Requested { have: 0, need: 1, from, .. } = said(&policy, &[]) else { panic!() };
    assert_eq!(from.len(), 4, "each of them can bring it on");
    assert_eq!(said(&policy, &[(14, true)]).name(), "tentative");
    assert_eq!(said(&policy, &[(VERA, true), (VIC, true)]).name(), "tentative");
    assert_eq!(said(&policy, &[(14, false)]).name(), "requested");
    assert_eq!(said(&policy, &[(14, false), (VERA, false), (VIC, false)]).name(), "denied");

    let policy = Otherwise::of(crew, Majority::spec(voters()));
    let Verdict::Requested { need: 2, from, .. } = said(&policy, &[]) else { panic!() };
    assert_eq!(from, voters());
    assert_eq!(said(&policy, &[(14, true)]).name(), "tentative");
    assert_eq!(said(&policy, &[(14, false), (VERA, true), (VIC, true)]).name(), "tentative");
}

#[test]
fn conditions_and_reasons_travel() {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let policy = Majority::spec(voters());
    let vote = |voter, words: &str| {
        Device::under(&policy, voter, 1).answer(
            &request,
            p2panda_core::schema::Answer::Confirm,
            words,
        )
    };
    let votes = [vote(VERA, "no fire"), vote(VIC, ""), vote(VAL, "no fire")];
    let facts = view(stage_by(policy.clone()), [&request].into_iter().chain(&votes));
    let verdict = &judge(&facts).verdicts[&request.id];
    let Verdict::Confirmed { conditions, by } = verdict else { panic!() };
    assert_eq!((conditions.as_slice(), by.len()), (["no fire".to_owned()].as_slice(), 3));
    assert!(verdict.explanation().ends_with(": no fire."));
}

#[test]
fn an_unknown_member_makes_the_whole_unsupported_and_keeps_the_owners_promises() {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let promise = Device::new(OLGA, 1).confirm(&request);
    let policy = Any::of([Manual::spec(), PolicySpec::new("org.example/dice")]);
    let facts = view(stage_by(policy), [&request, &promise]);
    let evaluation = evaluate(&Policies::default(), &facts, &Tokens::none());
    assert_eq!(evaluation.verdicts[&request.id].name(), "unsupported");
    assert_eq!(evaluation.allocation.grants().len(), 1);
}
