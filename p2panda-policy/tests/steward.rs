//! What the steward signs for its owner.

mod common;

use common::*;
use p2panda_core::view::{Fact, ResourceFacts};
use p2panda_policy::{Act, Duty, Policies, Tokens, steward};

/// The requests that the acts confirm, in order.
fn confirmed(acts: &[Act]) -> Vec<&p2panda_core::EntityId> {
    let decided = acts.iter().filter_map(|act| match act {
        Act::Decide(decision) => Some(&decision.request),
        _ => None,
    });
    decided.collect()
}

#[test]
fn whoever_arrived_first_gets_it_whatever_they_claim() {
    let (mut rita, mut tom) = (Device::new(RITA, 1), Device::new(TOM, 1));
    let (first, backdated) = (rita.request(terms(1, 3, 1), 9), tom.request(terms(2, 4, 1), 0));
    let mut facts = view(stage(1, "first-come"), [&backdated, &first]);
    let arrivals = arrivals([(&first, 1), (&backdated, 2)]);
    let mut olga = Device::new(OLGA, 1);
    let acts = run_steward(&mut facts, &mut olga, &arrivals, None);
    assert_eq!(confirmed(&acts), [&first.id]);
    assert_eq!((verdict(&facts, &first), verdict(&facts, &backdated)), ("confirmed", "conflicted"));
}

#[test]
fn within_one_arrival_the_claimed_time_decides_but_not_beyond_the_previous_run() {
    let mut rita = Device::new(RITA, 1);
    let (early, late) = (rita.request(terms(1, 3, 1), 4), rita.request(terms(2, 4, 1), 5));
    let facts = view(stage(1, "first-come"), [&late, &early]);
    let together = arrivals([(&early, 1), (&late, 1)]);
    for (previous_run, expected) in [
        (None, &early),
        (Some(at(4)), &early),
        (Some(at(5)), if early.id < late.id { &early } else { &late }),
        (Some(at(9)), if early.id < late.id { &early } else { &late }),
    ] {
        let mut olga = Device::new(OLGA, 1);
        let acts = run_steward(&mut facts.clone(), &mut olga, &together, previous_run);
        assert_eq!(confirmed(&acts), [&expected.id]);
    }
}

#[test]
fn what_does_not_fit_is_let_in_after_a_withdrawal() {
    let (mut rita, mut tom, mut olga) =
        (Device::new(RITA, 1), Device::new(TOM, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(1, 3, 1), 0), tom.request(terms(2, 4, 1), 0));
    let mut facts = view(stage(1, "first-come"), [&one, &two]);
    let arrivals = arrivals([(&one, 1), (&two, 2)]);
    run_steward(&mut facts, &mut olga, &arrivals, None);
    assert_eq!(verdict(&facts, &two), "conflicted");

    facts.records.push(rita.withdraw(&one));
    let acts = run_steward(&mut facts, &mut olga, &arrivals, Some(at(1)));
    let [Act::Release(release), Act::Decide(decision)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(release.decisions.len(), 1);
    assert_eq!(decision.request, two.id);
    assert_eq!((verdict(&facts, &one), verdict(&facts, &two)), ("withdrawn", "confirmed"));
    assert_eq!(judge(&facts).findings, []);
    assert_eq!(run_steward(&mut facts, &mut olga, &arrivals, Some(at(2))), []);
}

#[test]
fn a_crash_between_two_acts_does_no_harm() {
    let (mut rita, mut tom, mut olga) =
        (Device::new(RITA, 1), Device::new(TOM, 1), Device::new(OLGA, 1));
    let one = rita.request(terms(1, 3, 1), 0);
    let rest = [(2, 4), (5, 6), (6, 7)].map(|(from, to)| tom.request(terms(from, to, 1), from));
    let mut facts = view(stage(1, "first-come"), [&one]);
    run_steward(&mut facts, &mut olga, &arrivals([]), None);
    facts.records.push(rita.withdraw(&one));
    facts.records.extend(rest);

    let acts = run_steward(&mut facts.clone(), &mut olga.clone(), &arrivals([]), None);
    assert_eq!(acts.len(), 4);
    for crash_after in 0..=acts.len() {
        let (mut facts, mut olga) = (facts.clone(), olga.clone());
        for act in &acts[..crash_after] {
            write(&mut facts, &mut olga, act);
        }
        let left = run_steward(&mut facts, &mut olga, &arrivals([]), None);
        assert_eq!(left, acts[crash_after..]);
    }
}

#[test]
fn it_acts_only_for_its_owner_on_resources_that_are_first_come() {
    let request = Device::new(RITA, 1).request(terms(1, 3, 1), 0);
    let run = |facts: &ResourceFacts, me| {
        let arrivals = arrivals([]);
        let duty = Duty { me: user(me), ..duty(&arrivals, None) };
        steward(&Policies::default(), facts, &Tokens::none(), &duty)
    };
    let facts = view(stage(1, "first-come"), [&request]);
    assert_eq!(run(&facts, OLGA).len(), 1);
    assert_eq!(run(&facts, EVE), []);
    assert_eq!(run(&view(stage(1, "manual"), [&request]), OLGA), []);
    assert_eq!(run(&view(stage(1, "lottery"), [&request]), OLGA), []);
    let mut missing = facts.clone();
    missing.resource = None;
    assert_eq!(run(&missing, OLGA), []);
}

#[test]
fn it_leaves_alone_what_the_owner_answered_in_person() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let requests = [1, 2, 3].map(|hour| rita.request(terms(hour, hour + 1, 1), 0));
    let (denied, confirmed, taken_back) =
        (olga.deny(&requests[0], ""), olga.confirm(&requests[1]), olga.confirm(&requests[2]));
    let released = olga.release(&[&taken_back]);
    let decided = [&denied, &confirmed, &taken_back, &released];
    let mut facts = view(stage(1, "first-come"), requests.iter().chain(decided));
    assert_eq!(run_steward(&mut facts, &mut olga, &arrivals([]), None), []);
}

#[test]
fn it_keeps_room_for_broken_promises_so_that_no_release_breaks_its_own() {
    let (mut rita, mut phone, mut laptop) =
        (Device::new(RITA, 1), Device::new(OLGA, 1), Device::new(OLGA, 2));
    let [a, b, c] = [(0, 2), (1, 4), (3, 5)].map(|(from, to)| rita.request(terms(from, to, 1), 0));
    let first = phone.confirm(&a);
    laptop.sync_from(&phone);
    let broken = laptop.confirm(&b);
    phone.sync_from(&laptop);
    let mut facts = view(stage(1, "first-come"), [&a, &b, &c, &first, &broken]);
    assert_eq!(verdict(&facts, &c), "tentative");
    assert_eq!(run_steward(&mut facts, &mut phone, &arrivals([]), None), []);

    let mut kept = facts.clone();
    kept.records.push(rita.withdraw(&a));
    run_steward(&mut kept, &mut phone, &arrivals([]), None);
    assert_eq!((verdict(&kept, &b), verdict(&kept, &c)), ("confirmed", "conflicted"));

    facts.records.push(laptop.release(&[&broken]));
    run_steward(&mut facts, &mut phone, &arrivals([]), None);
    assert_eq!(verdict(&facts, &c), "confirmed");
}

#[test]
fn a_broken_promise_to_a_withdrawn_request_is_released_too() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(1, 3, 1), 0), rita.request(terms(2, 4, 1), 0));
    let decisions = [olga.confirm(&one), olga.confirm(&two)];
    let withdrawn = rita.withdraw(&two);
    let records = [&one, &two, &withdrawn].into_iter().chain(&decisions);
    let mut facts = view(stage(1, "first-come"), records);
    let acts = run_steward(&mut facts, &mut olga, &arrivals([]), None);
    let [Act::Release(release)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(release.decisions, [decisions[1].id.clone()]);
}

#[test]
fn a_release_names_at_most_64_decisions() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let request = rita.request(terms(1, 3, 1), 0);
    let answer =
        |n: i32| olga.answer(&request, p2panda_core::schema::Answer::Confirm, &n.to_string());
    let decisions: Vec<Fact> = (0..130).map(answer).collect();
    let withdrawn = rita.withdraw(&request);
    let records = decisions.iter().chain([&request, &withdrawn]);
    let mut facts = view(stage(1, "first-come"), records);
    let acts = run_steward(&mut facts, &mut olga, &arrivals([]), None);
    assert_eq!(acts.len(), 3);
    assert_eq!(run_steward(&mut facts, &mut olga, &arrivals([]), None), []);
}
