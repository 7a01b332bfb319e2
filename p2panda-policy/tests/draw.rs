//! Lots that everyone can draw again.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use p2panda_core::{
    schema::{Draw, Instant, Resource},
    view::Fact,
};
use p2panda_policy::{Act, ByDraw, Duty, Pending, Policies, Tokens, Verdict, steward};

const SEED: [u8; 32] = [7; 32];

fn rivals(number: i64) -> Vec<Fact> {
    (0..number).map(|n| Device::new(RITA, 1).request(terms(1, 3, 1), n)).collect()
}

fn by_lot() -> Resource {
    stage_by(ByDraw::spec(&SEED, at(5)))
}

fn run(facts: &mut p2panda_core::view::ResourceFacts, now: Instant, seed: [u8; 32]) -> Vec<Act> {
    let arrivals = arrivals([]);
    let duty = Duty { now, seed: Some(seed), ..duty(&arrivals, None) };
    let acts = steward(&Policies::default(), facts, &Tokens::none(), &duty);
    let mut olga = Device::new(OLGA, u8::try_from(facts.records.len()).unwrap());
    acts.iter().for_each(|act| write(facts, &mut olga, act));
    acts
}

#[test]
fn before_the_time_everyone_waits_and_then_the_lowest_lot_wins() {
    let requests = rivals(6);
    let mut facts = view(by_lot(), &requests);
    let waits = &judge(&facts).verdicts[&requests[0].id];
    assert!(matches!(waits, Verdict::Requested { pending: Pending::Draw, .. }), "{waits:?}");
    assert_eq!(run(&mut facts, at(4), SEED), []);
    assert_eq!(
        run(&mut facts, at(5), [8; 32]),
        [],
        "another seed is not the one it is committed to"
    );

    let acts = run(&mut facts, at(5), SEED);
    let [Act::Draw(draw), Act::Decide(decision)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(draw.place(&decision.request), Some(0));
    // Anyone draws again: from the seed and the requests alone.
    let again = Draw::among(draw.seed, requests.iter().map(|fact| &fact.id));
    assert_eq!(again, *draw);
    assert_eq!(judge(&facts).verdicts[&decision.request].name(), "confirmed");
    assert_eq!(run(&mut facts, at(6), SEED), [], "it draws once");
}

#[test]
fn a_crash_between_the_draw_and_the_decision_changes_nothing() {
    let requests = rivals(6);
    let mut whole = view(by_lot(), &requests);
    let acts = run(&mut whole, at(5), SEED);
    let mut crashed = view(by_lot(), &requests);
    write(&mut crashed, &mut Device::new(OLGA, 1), &acts[0]);
    // Between the two everybody sees who will win.
    let Act::Decide(decision) = &acts[1] else { panic!() };
    assert_eq!(judge(&crashed).verdicts[&decision.request].name(), "tentative");
    assert_eq!(run(&mut crashed, at(9), SEED), acts[1..]);
}

#[test]
fn whoever_comes_after_the_seed_is_out_comes_last_whatever_they_write() {
    let requests = rivals(3);
    let draw = Draw::among(SEED, requests.iter().map(|fact| &fact.id));
    let drawn = Resource { draw: Some(draw.clone()), ..by_lot() };
    // Eve knows the seed now and tries requests, however early dated, until a lot is lower.
    let winner = requests.iter().find(|fact| draw.place(&fact.id) == Some(0)).unwrap();
    let lowest = |fact: &Fact| {
        let all = requests.iter().chain([fact]).map(|fact| &fact.id);
        Draw::among(SEED, all).place(&fact.id) == Some(0)
    };
    let mut eve = Device::new(EVE, 1);
    let late = (0..).map(|n| eve.request(terms(1, 3, 1), -n)).find(lowest).unwrap();
    let facts = view(drawn, requests.iter().chain([&late]));
    assert_eq!(verdict(&facts, winner), "tentative");
    assert_eq!(verdict(&facts, &late), "conflicted");
}

#[test]
fn a_seed_that_the_owner_was_not_committed_to_decides_nothing() {
    let requests = rivals(2);
    let other = Draw::among([9; 32], requests.iter().map(|fact| &fact.id));
    let facts = view(Resource { draw: Some(other), ..by_lot() }, &requests);
    let Verdict::Unsupported { reason, .. } = &judge(&facts).verdicts[&requests[0].id] else {
        panic!()
    };
    assert!(reason.contains("not the one it was committed to"));
}

#[test]
fn leaving_a_request_out_or_deciding_against_the_order_shows() {
    let requests = rivals(3);
    let fair = Draw::among(SEED, requests.iter().map(|fact| &fact.id));
    let winner = requests.iter().position(|fact| fair.place(&fact.id) == Some(0)).unwrap();
    let others = requests.iter().enumerate().filter(|(at, _)| *at != winner);
    let others: Vec<&Fact> = others.map(|(_, fact)| fact).collect();
    let unfair = Draw::among(SEED, others.iter().map(|fact| &fact.id));
    assert_eq!(unfair.place(&requests[winner].id), None, "everyone sees who was left out");
    // Deciding against the order: the winner is told by which decision there is no room.
    let promise = Device::new(OLGA, 1).confirm(others[0]);
    let drawn = Resource { draw: Some(fair), ..by_lot() };
    let facts = view(drawn, requests.iter().chain([&promise]));
    let verdict = &judge(&facts).verdicts[&requests[winner].id];
    assert_eq!(verdict.signatures(), [&promise.id]);
}

#[test]
fn every_requester_wins_about_as_often() {
    // 400 seeds, 4 requests: each expects 100; 5 deviations are 43.
    let requests = rivals(4);
    let mut wins = [0; 4];
    for n in 0..400u16 {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&n.to_be_bytes());
        let draw = Draw::among(seed, requests.iter().map(|fact| &fact.id));
        wins[requests.iter().position(|fact| draw.place(&fact.id) == Some(0)).unwrap()] += 1;
    }
    assert!(wins.iter().all(|wins| (57..=143).contains(wins)), "{wins:?}");
}
