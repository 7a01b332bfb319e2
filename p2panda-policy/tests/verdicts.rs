//! Verdicts on single requests, and their explanations.

mod common;

use common::*;
use p2panda_core::{
    EntityId, UserId,
    schema::{Answer, PolicySpec, Record, Value},
};
use p2panda_policy::{
    BadTerms, Case, Finding, Pending, Policies, Policy, Scope, Standing, Tokens, Verdict, evaluate,
};

#[test]
fn a_manual_resource_waits_for_its_owner() {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let evaluation = judge(&view(stage(1, "manual"), [&request]));
    let waiting = Verdict::waits(Pending::Answers, vec![user(OLGA)]);
    assert_eq!(evaluation.verdicts[&request.id], waiting);
    assert!(waiting.explanation().starts_with("0 of 1 answers are there"));
}

#[test]
fn first_come_pencils_in_by_claimed_time_what_fits() {
    let mut rita = Device::new(RITA, 1);
    let late = rita.request(terms(1, 3, 1), 9);
    let early = rita.request(terms(2, 4, 1), 5);
    let beside = rita.request(terms(4, 5, 1), 9);
    let facts = view(stage(1, "first-come"), [&late, &early, &beside]);
    assert_eq!(verdict(&facts, &early), "tentative");
    assert_eq!(verdict(&facts, &beside), "tentative");
    let Verdict::Conflicted { with, broken: None } = &judge(&facts).verdicts[&late.id] else {
        panic!("the late one has no room")
    };
    assert_eq!((&with[0].request, &with[0].decision), (&early.id, &None));
}

#[test]
fn the_owners_decision_confirms_and_is_named() {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let confirmed = Device::new(OLGA, 1).confirm(&request);
    for policy in ["manual", "first-come"] {
        let evaluation = judge(&view(stage(1, policy), [&request, &confirmed]));
        assert_eq!(evaluation.verdicts[&request.id].signatures(), [&confirmed.id]);
        assert_eq!(evaluation.verdicts[&request.id].name(), "confirmed");
        assert_eq!(evaluation.findings, []);
    }
}

#[test]
fn nobody_else_confirms_anything() {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let forged = Device::new(EVE, 1).confirm(&request);
    let facts = view(stage(1, "manual"), [&request, &forged]);
    assert_eq!(verdict(&facts, &request), "requested");
    let finding = Finding::NotAsked { user: user(EVE), decision: forged.id };
    assert_eq!(judge(&facts).findings, [finding]);
}

#[test]
fn a_denial_says_why_on_one_line() {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let denied = Device::new(OLGA, 1).deny(&request, "too loud,\nsorry.");
    let evaluation = judge(&view(stage(1, "manual"), [&request, &denied]));
    let verdict = &evaluation.verdicts[&request.id];
    assert_eq!(verdict.name(), "denied");
    assert!(verdict.explanation().ends_with(": too loud, sorry."));
}

#[test]
fn a_confirmation_stands_beside_denials() {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let (mut phone, mut laptop) = (Device::new(OLGA, 1), Device::new(OLGA, 2));
    let (yes, no) = (phone.confirm(&request), laptop.deny(&request, ""));
    let facts = view(stage(1, "manual"), [&request, &yes, &no]);
    assert_eq!(verdict(&facts, &request), "confirmed");
    let [finding] = &judge(&facts).findings[..] else { panic!("one contradiction") };
    assert!(finding.is_self_contradiction());
    assert_eq!(finding.signatures(), [&yes.id, &no.id]);

    let no_later = phone.deny(&request, "changed my mind");
    let facts = view(stage(1, "manual"), [&request, &yes, &no_later]);
    assert_eq!(verdict(&facts, &request), "confirmed");
    let [finding] = &judge(&facts).findings[..] else { panic!("one contradiction") };
    assert!(!finding.is_self_contradiction());

    let released = phone.release(&[&yes]);
    let facts = view(stage(1, "manual"), [&request, &yes, &no_later, &released]);
    assert_eq!(verdict(&facts, &request), "denied");
    assert_eq!(judge(&facts).findings, []);
}

#[test]
fn a_released_denial_leaves_the_request_open() {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let mut olga = Device::new(OLGA, 1);
    let denied = olga.deny(&request, "");
    let released = olga.release(&[&denied]);
    let facts = view(stage(1, "first-come"), [&request, &denied, &released]);
    assert_eq!(verdict(&facts, &request), "tentative");
}

#[test]
fn a_confirmation_that_was_taken_back_is_up_to_the_owner_in_person() {
    let request = Device::new(RITA, 1).request(terms(1, 2, 1), 0);
    let mut olga = Device::new(OLGA, 1);
    let confirmed = olga.confirm(&request);
    let released = olga.release(&[&confirmed]);
    for policy in ["manual", "first-come"] {
        let facts = view(stage(1, policy), [&request, &confirmed, &released]);
        let verdict = &judge(&facts).verdicts[&request.id];
        assert!(matches!(
            verdict,
            Verdict::Requested { pending: Pending::Reconsideration { .. }, .. }
        ));
    }
}

#[test]
fn a_request_conflicts_with_what_is_confirmed_and_names_it() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(1, 3, 1), 0), rita.request(terms(2, 4, 1), 0));
    let decision = olga.confirm(&one);
    for policy in ["manual", "first-come"] {
        let evaluation = judge(&view(stage(1, policy), [&one, &two, &decision]));
        let verdict = &evaluation.verdicts[&two.id];
        let Verdict::Conflicted { with, broken: None } = verdict else { panic!("{verdict:?}") };
        assert_eq!((&with[0].request, with[0].signature()), (&one.id, &decision.id));
        assert_eq!(evaluation.findings, []);
    }
}

#[test]
fn a_request_that_starts_where_another_ends_does_not_conflict() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(1, 2, 1), 0), rita.request(terms(2, 3, 1), 0));
    let decisions = [olga.confirm(&two), olga.confirm(&one)];
    let facts = view(stage(1, "manual"), [&one, &two].into_iter().chain(&decisions));
    assert_eq!((verdict(&facts, &one), verdict(&facts, &two)), ("confirmed", "confirmed"));
}

#[test]
fn a_withdrawn_request_never_comes_back() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let request = rita.request(terms(1, 2, 1), 0);
    let withdrawn = rita.withdraw(&request);
    let confirmed = olga.confirm(&request);
    let again = rita.request(terms(1, 2, 1), 1);
    let facts = view(stage(1, "manual"), [&request, &withdrawn, &confirmed, &again]);
    assert_eq!(verdict(&facts, &request), "withdrawn");
    // The units come back only when the owner releases them.
    assert_eq!(verdict(&facts, &again), "conflicted");
    let [Finding::Unreleased { decision, withdrawal, .. }] = &judge(&facts).findings[..] else {
        panic!("the units are still held")
    };
    assert_eq!((decision, withdrawal), (&confirmed.id, &withdrawn.id));

    let released = olga.release(&[&confirmed]);
    let all = [&request, &withdrawn, &confirmed, &again, &released];
    let facts = view(stage(1, "first-come"), all);
    assert_eq!(verdict(&facts, &request), "withdrawn");
    assert_eq!(verdict(&facts, &again), "tentative");
}

#[test]
fn only_the_requester_withdraws_and_only_the_owner_releases() {
    let (mut rita, mut olga, mut eve) =
        (Device::new(RITA, 1), Device::new(OLGA, 1), Device::new(EVE, 1));
    let request = rita.request(terms(1, 2, 1), 0);
    let confirmed = olga.confirm(&request);
    let forged = [eve.withdraw(&request), eve.release(&[&confirmed]), olga.withdraw(&request)];
    let facts = view(stage(1, "manual"), [&request, &confirmed].into_iter().chain(&forged));
    assert_eq!(verdict(&facts, &request), "confirmed");
}

#[test]
fn without_the_resource_nothing_can_be_said() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(1, 2, 1), 0), rita.request(terms(5, 6, 1), 0));
    let (confirmed, withdrawn) = (olga.confirm(&one), rita.withdraw(&two));
    let mut facts = view(stage(1, "manual"), [&one, &two, &confirmed, &withdrawn]);
    facts.resource = None;
    let verdicts = judge(&facts).verdicts;
    assert!(matches!(verdicts[&one.id], Verdict::Requested { pending: Pending::Resource, .. }));
    assert_eq!(verdicts[&two.id].name(), "withdrawn");
}

#[test]
fn terms_without_sense_are_invalid_and_hold_nothing() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    for (bad, reason) in [
        (terms(1, 2, 0), BadTerms::TooFew { units: 0 }),
        (terms(1, 2, i64::MIN), BadTerms::TooFew { units: i64::MIN }),
        (terms(1, 2, 4), BadTerms::TooMany { units: 4, capacity: 3 }),
        (terms(2, 2, 1), BadTerms::Span),
        (terms(3, 2, 1), BadTerms::Span),
    ] {
        let (request, other) = (rita.request(bad, 0), rita.request(terms(0, 9, 3), 0));
        let decisions = [olga.confirm(&request), olga.confirm(&other)];
        let facts = view(stage(3, "manual"), [&request, &other].into_iter().chain(&decisions));
        let evaluation = judge(&facts);
        assert_eq!(evaluation.verdicts[&request.id], Verdict::Invalid { reason });
        assert_eq!(evaluation.verdicts[&other.id].name(), "confirmed");
        let standing = evaluation.allocation.standing(&decisions[0].id);
        assert_eq!(standing, Some(&Standing::Nonsense(reason)));
        assert!(matches!(evaluation.findings[..], [Finding::Nonsense { .. }]));
    }
}

#[test]
fn a_policy_that_is_not_known_is_unsupported_but_its_promises_keep_their_room() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(1, 2, 1), 0), rita.request(terms(5, 6, 1), 0));
    let (confirmed, withdrawn) = (olga.confirm(&one), rita.withdraw(&two));
    let facts = view(stage(1, "lottery"), [&one, &two, &confirmed, &withdrawn]);
    let evaluation = judge(&facts);
    assert_eq!(evaluation.verdicts[&one.id].name(), "unsupported");
    assert!(evaluation.verdicts[&one.id].explanation().contains("\"lottery\""));
    assert_eq!(evaluation.verdicts[&two.id].name(), "withdrawn");
    assert_eq!(evaluation.allocation.grants().len(), 1);

    let mut resource = stage(1, "manual");
    resource.policy.params.insert("quorum".to_owned(), Value::Int(2));
    assert_eq!(verdict(&view(resource, [&one]), &one), "unsupported");
}

#[test]
fn a_decision_with_other_terms_does_not_answer_the_request_but_holds_its_units() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (request, other) = (rita.request(terms(1, 3, 1), 0), rita.request(terms(5, 6, 1), 0));
    let decision = olga.decide(&request.id, terms(5, 7, 1), Answer::Confirm, "");
    let facts = view(stage(1, "manual"), [&request, &other, &decision]);
    assert_eq!(verdict(&facts, &request), "requested");
    assert_eq!(verdict(&facts, &other), "conflicted");
    let (user, request) = (user(OLGA), request.id);
    let finding = Finding::OtherTerms { user, request, decision: decision.id };
    assert_eq!(judge(&facts).findings, [finding]);
}

#[test]
fn facts_about_other_things_change_nothing() {
    let (mut rita, mut olga, mut eve) =
        (Device::new(RITA, 1), Device::new(OLGA, 1), Device::new(EVE, 1));
    let request = rita.request(terms(1, 2, 1), 0);
    let confirmed = olga.confirm(&request);
    let facts = view(stage(1, "manual"), [&request, &confirmed]);
    let before = judge(&facts);

    let mut elsewhere = terms(1, 2, 1);
    elsewhere.resource = named(OLGA, "cellar");
    let mut more = facts.clone();
    let other = rita.request(elsewhere.clone(), 0);
    more.records.push(olga.decide(&other.id, elsewhere, Answer::Confirm, ""));
    let Record::Release(mut release) = olga.release(&[&confirmed]).record else { panic!() };
    release.resource = named(OLGA, "cellar");
    more.records.push(olga.write(Record::Release(release)));
    more.records.push(other);
    more.records.push(eve.release(&[&confirmed]));
    more.records.reverse();
    assert_eq!(judge(&more), before);
}

/// Confirms everything by itself, whether or not there is room.
struct Generous;

impl Policy for Generous {
    fn kind(&self) -> &'static str {
        "org.example/generous"
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let vote =
            |open: &EntityId| Verdict::Confirmed { by: vec![open.clone()], conditions: Vec::new() };
        let mut verdicts: Vec<_> =
            case.open().iter().map(|open| (open.fact.id.clone(), vote(&open.fact.id))).collect();
        verdicts.push((named(EVE, "nobody-asked"), vote(&named(EVE, "nobody-asked"))));
        verdicts
    }

    fn hears(&self, _scope: &Scope<'_>, user: &UserId) -> bool {
        *user == common::user(TOM)
    }
}

#[test]
fn an_applications_policy_is_held_to_the_capacity() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let mut tom = Device::under(&PolicySpec::new("org.example/generous"), TOM, 1);
    let requests =
        [(1, 3), (4, 6), (5, 7)].map(|(from, to)| rita.request(terms(from, to, 1), from));
    let owners = rita.request(terms(2, 4, 1), 0);
    let (decision, vote) = (olga.confirm(&owners), tom.confirm(&requests[1]));
    let policies = Policies::default().with(Box::new(Generous));
    let records = requests.iter().chain([&owners, &decision, &vote]);
    let facts = view(stage(1, "org.example/generous"), records);
    let evaluation = evaluate(&policies, &facts, &Tokens::none());
    let names: Vec<_> =
        requests.iter().map(|request| evaluation.verdicts[&request.id].name()).collect();
    assert_eq!(names, ["conflicted", "confirmed", "conflicted"]);
    assert_eq!(evaluation.verdicts.len(), 4);
    assert_eq!(evaluation.findings, []);
}
