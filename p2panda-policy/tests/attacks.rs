//! Attacks, each with what the attacker gains.

mod common;

use common::*;
use p2panda_core::{
    schema::{PolicySpec, Resource},
    view::Fact,
};
use p2panda_policy::{EventConfirmation, Finding, Majority, NOfM, Verdict};

/// Gains: a place in front of those who arrived in the same batch. Not: what arrived before.
#[test]
fn backdating_overtakes_only_the_same_batch() {
    let (mut rita, mut eve, mut olga) =
        (Device::new(RITA, 1), Device::new(EVE, 1), Device::new(OLGA, 1));
    let honest = [(1, 3), (5, 7)].map(|(from, to)| rita.request(terms(from, to, 1), 40));
    let backdated = [(2, 4), (6, 8)].map(|(from, to)| eve.request(terms(from, to, 1), -1_000_000));
    let mut facts = view(stage(1, "first-come"), honest.iter().chain(&backdated));
    let batches =
        arrivals([(&honest[0], 1), (&backdated[0], 2), (&honest[1], 3), (&backdated[1], 3)]);
    // Until the steward has signed, a claim is all that peers have.
    assert_eq!(verdict(&facts, &backdated[0]), "tentative");
    run_steward(&mut facts, &mut olga, &batches, None);
    assert_eq!(
        (verdict(&facts, &honest[0]), verdict(&facts, &backdated[0])),
        ("confirmed", "conflicted")
    );
    assert_eq!(
        (verdict(&facts, &honest[1]), verdict(&facts, &backdated[1])),
        ("conflicted", "confirmed")
    );
}

/// Gains nothing: the place in the order is that of the new arrival.
#[test]
fn withdrawing_and_returning_keeps_no_place() {
    let (mut eve, mut rita, mut olga) =
        (Device::new(EVE, 1), Device::new(RITA, 1), Device::new(OLGA, 1));
    let first = eve.request(terms(1, 3, 1), 0);
    let withdrawn = eve.withdraw(&first);
    let waiting = rita.request(terms(2, 4, 1), 5);
    let returned = eve.request(terms(1, 4, 1), 0);
    let mut facts = view(stage(1, "first-come"), [&first, &withdrawn, &waiting, &returned]);
    let order = arrivals([(&first, 1), (&waiting, 2), (&returned, 3)]);
    run_steward(&mut facts, &mut olga, &order, None);
    assert_eq!(verdict(&facts, &first), "withdrawn");
    assert_eq!(
        (verdict(&facts, &waiting), verdict(&facts, &returned)),
        ("confirmed", "conflicted")
    );
    // The same content again is the same record: it stays withdrawn.
    assert_eq!(Device::new(EVE, 2).request(terms(1, 3, 1), 0).id, first.id);
}

/// Gains: the request is gone. Not: its units, which the owner's decision holds until released; nor
/// anybody else's place.
#[test]
fn erasing_ones_own_request_frees_nothing() {
    let (mut eve, mut rita) = (Device::new(EVE, 1), Device::new(RITA, 1));
    let (erased, rival) = (eve.request(terms(1, 3, 1), 0), rita.request(terms(2, 4, 1), 0));
    let promise = Device::new(OLGA, 1).confirm(&erased);
    let before = view(stage(1, "first-come"), [&erased, &rival, &promise]);
    // Eve signs two histories; her log is cut before the request, at every peer.
    let after = view(stage(1, "first-come"), [&rival, &promise]);
    assert_eq!(judge(&before).verdicts[&rival.id], judge(&after).verdicts[&rival.id]);
    assert_eq!(judge(&before).allocation, judge(&after).allocation);
}

/// Gains: the owner is rid of the promise, which shows with the proof of the two histories, and the
/// rest of the owner's own log after it. Not: more than there is, in any view.
#[test]
fn erasing_ones_own_decision_is_the_owners_act() {
    let mut rita = Device::new(RITA, 1);
    let requests = [(1, 3), (2, 4), (5, 6)].map(|(from, to)| rita.request(terms(from, to, 1), 0));
    let mut olga = Device::new(OLGA, 1);
    let promises = [olga.confirm(&requests[2]), olga.confirm(&requests[0])];
    let other_history = Device::new(OLGA, 2).confirm(&requests[1]);
    for cut in 0..=2 {
        let held = promises[..cut].iter().chain([&other_history]);
        let facts = view(stage(1, "manual"), requests.iter().chain(held));
        // `judge` counts moment by moment.
        let evaluation = judge(&facts);
        let kept = evaluation.verdicts[&requests[2].id].name() == "confirmed";
        assert_eq!(kept, cut > 0, "what stands before the cut stands");
    }
}

/// Gains: the votes of those who fall for it, until they release. Not: the votes of others; and what
/// was voted for before stays.
#[test]
fn a_request_that_overlaps_everything_burns_only_who_votes_for_it() {
    let policy = Majority::spec(voters());
    let [mut vera, mut vic, mut val] =
        [VERA, VIC, VAL].map(|voter| Device::under(&policy, voter, 1));
    let (early, late) = (
        Device::new(RITA, 1).request(terms(1, 3, 1), 0),
        Device::new(RITA, 2).request(terms(5, 6, 1), 1),
    );
    let greedy = Device::new(EVE, 1).request(terms(-1_000_000, 1_000_000, 1), 0);
    let mut facts = view(stage_by(policy), [&early, &late, &greedy]);
    facts.records.extend([vera.confirm(&early), vic.confirm(&early)]);
    assert_eq!((verdict(&facts, &early), verdict(&facts, &greedy)), ("confirmed", "conflicted"));
    // Val and Vera fall for it; Vera's earlier vote leaves no room, so hers does not count.
    let burned = val.confirm(&greedy);
    facts.records.extend([burned.clone(), vera.confirm(&greedy)]);
    assert_eq!((verdict(&facts, &early), verdict(&facts, &greedy)), ("confirmed", "conflicted"));
    let broken = |finding: &Finding| matches!(finding, Finding::BrokenPromise { user: who, .. } if *who == user(VERA));
    assert!(judge(&facts).findings.iter().any(broken));
    // Val cannot vote for the late one until Val releases.
    facts.records.extend([vic.confirm(&late), val.confirm(&late)]);
    assert_eq!(verdict(&facts, &late), "requested");
    facts.records.push(val.release(&[&burned]));
    assert_eq!(verdict(&facts, &late), "confirmed");
}

/// Gains nothing but a line apart.
#[test]
fn flooding_an_event_with_foreign_requests_leaves_its_confirmation_alone() {
    let (mut rita, mut eve) = (Device::new(RITA, 1), Device::new(EVE, 1));
    let own = rita.request(terms(1, 2, 1), 0);
    let promise = Device::new(OLGA, 1).confirm(&own);
    let flood: Vec<Fact> =
        (2..500).map(|hour| eve.request(terms(hour, hour + 1, 1), hour)).collect();
    let verdicts =
        judge(&view(stage(1, "manual"), [&own, &promise].into_iter().chain(&flood))).verdicts;
    let requests = [&own].into_iter().chain(&flood).map(|fact| (fact, &verdicts[&fact.id]));
    let confirmation =
        EventConfirmation::of(&named(RITA, "concert"), &[user(RITA)].into(), requests);
    assert_eq!(confirmation.percent(), Some(100));
    assert_eq!((confirmation.hosts.total(), confirmation.strangers.total()), (1, 498));
}

/// Gains: the owner breaks the later promises, visibly. Not: the earlier ones, while they fit.
#[test]
fn lowering_the_capacity_or_changing_the_policy_is_the_owners_act_and_shows() {
    let mut rita = Device::new(RITA, 1);
    let requests = [0, 1, 2].map(|claimed| rita.request(terms(1, 3, 1), claimed));
    let mut olga = Device::new(OLGA, 1);
    let promises = requests.each_ref().map(|request| olga.confirm(request));
    let all = || requests.iter().chain(&promises);
    let words = |resource: Resource| {
        let facts = view(resource, all());
        (requests.each_ref().map(|request| verdict(&facts, request)), judge(&facts).findings.len())
    };
    assert_eq!(words(stage(3, "manual")), (["confirmed"; 3], 0));
    assert_eq!(words(stage(2, "manual")), (["confirmed", "confirmed", "conflicted"], 1));
    // The owner's promises stand under every policy.
    let other = Resource { capacity: 3, ..stage_by(Majority::spec(voters())) };
    assert_eq!(words(other), (["confirmed"; 3], 0));
    // A quorum's do not: the owner who changes the policy takes the decision back from the voters,
    // and each of their votes says so.
    let policy = NOfM::named(2, voters());
    let request = rita.request(terms(7, 8, 1), 9);
    let votes = [VERA, VIC].map(|voter| Device::under(&policy, voter, 1).confirm(&request));
    let said = |policy: PolicySpec| {
        let facts = view(stage_by(policy), [&request, &votes[0], &votes[1]]);
        (verdict(&facts, &request), judge(&facts).findings.len())
    };
    assert_eq!(said(policy), ("confirmed", 0));
    assert_eq!(said(Majority::spec(voters())), ("requested", 2));
}

/// Gains nothing: what was handed out stays counted.
#[test]
fn a_consumable_that_is_spent_and_withdrawn_stays_spent() {
    let (mut eve, mut olga) = (Device::new(EVE, 1), Device::new(OLGA, 1));
    let tokens = Resource { consumable: true, ..stage(3, "first-come") };
    let first = eve.request(terms(1, 2, 3), 0);
    let mut facts = view(tokens, [&first]);
    run_steward(&mut facts, &mut olga, &arrivals([]), None);
    facts.records.push(eve.withdraw(&first));
    for claimed in 1..4 {
        let again = eve.request(terms(1, 2, 1), claimed);
        facts.records.push(again.clone());
        assert_eq!(run_steward(&mut facts, &mut olga, &arrivals([]), None), []);
        assert_eq!(verdict(&facts, &again), "conflicted");
    }
}

/// Gains: one of two promises is broken, and it shows whose. Not: capacity, in any view.
#[test]
fn a_restored_device_that_decides_before_it_has_synced_contradicts_only_its_user() {
    let mut rita = Device::new(RITA, 1);
    let requests = [(1, 3), (2, 4)].map(|(from, to)| rita.request(terms(from, to, 1), 0));
    let (mut lost, mut restored) = (Device::new(OLGA, 1), Device::new(OLGA, 2));
    let promises = [lost.confirm(&requests[0]), restored.confirm(&requests[1])];
    for held in [&promises[..1], &promises[1..], &promises[..]] {
        let evaluation = judge(&view(stage(1, "manual"), requests.iter().chain(held)));
        let confirmed =
            evaluation.verdicts.values().filter(|v| matches!(v, Verdict::Confirmed { .. }));
        assert_eq!(confirmed.count(), 1);
        assert_eq!(evaluation.findings.len(), held.len() - 1);
        assert!(evaluation.findings.iter().all(|finding| finding.user() == user(OLGA)));
    }
}
