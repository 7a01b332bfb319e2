//! Availability, slots, buffers, consumables, units and shifts.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use p2panda_core::schema::{Resource, Span, Spans};
use p2panda_policy::{BadTerms, Filling, Judged, Majority, Tokens, Verdict, evaluate};

fn hours(from: i64, to: i64) -> Span {
    Span { starts: at(from), ends: at(to) }
}

fn spans(of: &[(i64, i64)]) -> Spans {
    Spans::new(of.iter().map(|(from, to)| hours(*from, *to))).unwrap()
}

#[test]
fn outside_its_available_times_a_resource_is_not_offered() {
    let open =
        Resource { available: spans(&[(8, 12), (12, 18), (20, 22)]), ..stage(1, "first-come") };
    let mut rita = Device::new(RITA, 1);
    for (from, to, expected) in [
        (8, 9, "tentative"),
        (11, 18, "tentative"),
        (7, 9, "outside"),
        (17, 21, "outside"),
        (20, 23, "outside"),
        (18, 20, "outside"),
    ] {
        let request = rita.request(terms(from, to, 1), from);
        let facts = view(open.clone(), [&request]);
        assert_eq!(verdict(&facts, &request), expected, "{from} to {to}");
        if let Verdict::Outside { offered } = &judge(&facts).verdicts[&request.id] {
            assert!(offered.contains(&hours(20, 22)), "{offered:?}");
        }
        // The owner can make an exception, and a steward makes none.
        let mut olga = Device::new(OLGA, 1);
        let mut without = facts.clone();
        let acts = run_steward(&mut without, &mut olga, &arrivals([]), None);
        assert_eq!(acts.is_empty(), expected == "outside");
        let exception = view(open.clone(), [&request, &olga.confirm(&request)]);
        assert_eq!(verdict(&exception, &request), "confirmed");
    }
}

#[test]
fn voters_make_no_exception_from_the_available_times() {
    let policy = Majority::spec(voters());
    let open = Resource { available: spans(&[(8, 12)]), ..stage_by(policy.clone()) };
    let request = Device::new(RITA, 1).request(terms(11, 13, 1), 0);
    let votes = [VERA, VIC].map(|voter| Device::under(&policy, voter, 1).confirm(&request));
    assert_eq!(verdict(&view(open, [&request, &votes[0], &votes[1]]), &request), "outside");
}

#[test]
fn slots_are_taken_as_they_are() {
    let slots = Resource { slots: spans(&[(8, 10), (10, 12)]), ..stage(1, "first-come") };
    let mut rita = Device::new(RITA, 1);
    for (from, to, expected) in
        [(8, 10, "tentative"), (10, 12, "tentative"), (8, 12, "outside"), (8, 9, "outside")]
    {
        let request = rita.request(terms(from, to, 1), from);
        assert_eq!(verdict(&view(slots.clone(), [&request]), &request), expected);
    }
}

#[test]
fn buffers_keep_uses_apart_and_none_lets_them_touch() {
    let hour = 3_600_000;
    let mut rita = Device::new(RITA, 1);
    let (one, close, apart) = (
        rita.request(terms(4, 6, 1), 0),
        rita.request(terms(8, 9, 1), 1),
        rita.request(terms(9, 10, 1), 2),
    );
    let promise = Device::new(OLGA, 1).confirm(&one);
    let words = |before: i64, after: i64| {
        let stage = Resource { buffer_before: before, buffer_after: after, ..stage(1, "manual") };
        let facts = view(stage, [&one, &close, &apart, &promise]);
        [&close, &apart].map(|request| verdict(&facts, request))
    };
    assert_eq!(words(0, 0), ["requested", "requested"]);
    assert_eq!(words(hour, hour), ["requested", "requested"], "they touch");
    assert_eq!(words(hour, 2 * hour), ["conflicted", "requested"]);
    assert_eq!(words(2 * hour, 2 * hour), ["conflicted", "conflicted"]);
    assert_eq!(words(-5 * hour, -hour), ["requested", "requested"], "none, not less than none");
    assert_eq!(words(i64::MAX, i64::MAX), ["conflicted", "conflicted"]);
    assert_eq!(words(i64::MIN, i64::MIN), ["requested", "requested"]);
}

#[test]
fn several_units_are_requested_at_once() {
    let mut rita = Device::new(RITA, 1);
    let (three, two) = (rita.request(terms(1, 3, 3), 0), rita.request(terms(2, 4, 2), 1));
    let facts = view(stage(4, "first-come"), [&three, &two]);
    assert_eq!((verdict(&facts, &three), verdict(&facts, &two)), ("tentative", "conflicted"));
    let facts = view(stage(5, "first-come"), [&three, &two]);
    assert_eq!((verdict(&facts, &three), verdict(&facts, &two)), ("tentative", "tentative"));
}

#[test]
fn money_comes_in_units_and_no_more_of_it_is_promised_than_there_is() {
    // 500 EUR in units of 10.
    let fund = Resource {
        consumable: true,
        unit: "EUR".to_owned(),
        unit_amount: 10,
        ..stage(50, "first-come")
    };
    let mut rita = Device::new(RITA, 1);
    let requests = [20, 25, 10, 5].map(|units| rita.request(terms(1, 2, units), 50 - units));
    let order = [1, 0, 2, 3].map(|at| requests[at].clone());
    let mut facts = view(fund, &order);
    let mut olga = Device::new(OLGA, 1);
    run_steward(&mut facts, &mut olga, &arrivals(order.iter().zip(0..)), None);
    let names = order.each_ref().map(|request| verdict(&facts, request));
    assert_eq!(names, ["confirmed", "confirmed", "conflicted", "confirmed"]);
}

#[test]
fn zero_length_and_inverted_spans_are_refused_with_a_reason_whatever_the_resource() {
    let mut rita = Device::new(RITA, 1);
    let plain = stage(1, "first-come");
    for resource in [
        plain.clone(),
        Resource { consumable: true, ..plain.clone() },
        Resource { buffer_before: 9, buffer_after: 9, ..plain.clone() },
        Resource { available: spans(&[(0, 9)]), ..plain },
    ] {
        for (from, to) in [(2, 2), (3, 2)] {
            let request = rita.request(terms(from, to, 1), 0);
            let promise = Device::new(OLGA, 1).confirm(&request);
            let verdicts = judge(&view(resource.clone(), [&request, &promise])).verdicts;
            let reason = BadTerms::Span;
            assert_eq!(verdicts[&request.id], Verdict::Invalid { reason });
            assert!(verdicts[&request.id].explanation().contains("ends before it has started"));
        }
    }
}

#[test]
fn a_shift_is_staffed_when_its_minimum_is_confirmed() {
    let shift = Resource { minimum: 2, ..stage(3, "first-come") };
    let sign_ups = [RITA, TOM, EVE, VERA].map(|by| Device::new(by, 1).request(terms(1, 4, 1), 0));
    let elsewhen = Device::new(VIC, 1).request(terms(1, 3, 1), 0);
    let mut facts = view(shift, sign_ups[..1].iter().chain([&elsewhen]));
    let mut olga = Device::new(OLGA, 1);
    let filling = |facts: &p2panda_core::view::ResourceFacts| {
        let evaluation = evaluate(&Default::default(), facts, &Tokens::none());
        Filling::of(&Judged { facts: facts.clone(), evaluation }, &hours(1, 4))
    };
    assert_eq!(filling(&facts), Filling { confirmed: 0, tentative: 1, minimum: 2, maximum: 3 });
    run_steward(&mut facts, &mut olga, &arrivals([]), None);
    assert_eq!((filling(&facts).percent(), filling(&facts).missing()), (50, 1));
    assert!(!filling(&facts).is_enough());
    facts.records.retain(|fact| fact.id != elsewhen.id);
    facts.records.extend(sign_ups[1..].iter().cloned());
    let acts = run_steward(&mut facts, &mut olga, &arrivals([]), None);
    // The one that left a third of its time open still holds it.
    assert_eq!(acts.len(), 1);
    assert_eq!((filling(&facts).confirmed, filling(&facts).percent()), (2, 100));
    assert!(filling(&facts).is_enough());
}
