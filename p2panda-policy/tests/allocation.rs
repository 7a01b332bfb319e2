//! Which of the owner's decisions count.

mod common;

use common::*;
use p2panda_core::{
    Incarnation,
    schema::{Answer, PolicySpec, Record},
};
use p2panda_policy::{Finding, Standing, Verdict};

#[test]
fn two_devices_that_promise_one_slot_twice_show_one_promise_and_one_broken_one() {
    let mut rita = Device::new(RITA, 1);
    let (one, two) = (rita.request(terms(1, 3, 1), 0), rita.request(terms(2, 4, 1), 0));
    let (mut phone, mut laptop) = (Device::new(OLGA, 1), Device::new(OLGA, 2));
    let mut promises = [phone.confirm(&one), laptop.confirm(&two)];
    promises.sort_by(|a, b| a.id.cmp(&b.id));
    let evaluation = judge(&view(stage(1, "manual"), [&one, &two].into_iter().chain(&promises)));
    // The lower id counts, and the other one is told as what it is.
    assert_eq!(evaluation.allocation.standing(&promises[0].id), Some(&Standing::Counted));
    let [finding] = &evaluation.findings[..] else { panic!("one broken promise") };
    assert!(finding.is_self_contradiction());
    assert_eq!(finding.signatures(), [&promises[1].id, &promises[0].id]);
    let lost = evaluation.verdicts.values().find_map(|verdict| match verdict {
        Verdict::Conflicted { broken, .. } => broken.as_ref(),
        _ => None,
    });
    assert_eq!(lost, Some(&promises[1].id));

    // Each device, by itself, saw its own promise kept.
    for (promise, request) in [(&promises[0], [&one, &two]), (&promises[1], [&one, &two])] {
        let facts = view(stage(1, "manual"), request.into_iter().chain([promise]));
        assert_eq!(judge(&facts).findings, []);
        assert_eq!(judge(&facts).allocation.grants().len(), 1);
    }
}

#[test]
fn what_a_device_knew_comes_before_what_it_promised_knowing_it() {
    // Whatever the ids are: the second promise was made in knowledge of the first.
    for claimed in 0..20 {
        let mut rita = Device::new(RITA, 1);
        let (one, two) =
            (rita.request(terms(1, 3, 1), claimed), rita.request(terms(2, 4, 1), claimed));
        let (mut phone, mut laptop) = (Device::new(OLGA, 9), Device::new(OLGA, 2));
        let first = phone.confirm(&one);
        laptop.sync_from(&phone);
        let second = laptop.confirm(&two);
        let facts = view(stage(1, "manual"), [&second, &first, &two, &one]);
        assert_eq!(verdict(&facts, &one), "confirmed");
        assert_eq!(verdict(&facts, &two), "conflicted");
        let [finding] = &judge(&facts).findings[..] else { panic!("one broken promise") };
        assert!(!finding.is_self_contradiction());
    }
}

#[test]
fn a_promise_waits_for_its_causes_even_through_a_third_device() {
    for claimed in 0..20 {
        let mut rita = Device::new(RITA, 1);
        let [one, two, three] =
            [(1, 3), (8, 9), (2, 4)].map(|(from, to)| rita.request(terms(from, to, 1), claimed));
        let (mut phone, mut laptop, mut tablet) =
            (Device::new(OLGA, 9), Device::new(OLGA, 2), Device::new(OLGA, 5));
        let first = phone.confirm(&one);
        laptop.sync_from(&phone);
        let second = laptop.deny(&two, "");
        tablet.sync_from(&laptop);
        let third = tablet.confirm(&three);
        let records = [&third, &second, &first, &three, &two, &one];
        assert_eq!(verdict(&view(stage(1, "manual"), records), &one), "confirmed");
    }
}

#[test]
fn a_promise_holds_its_units_before_its_request_arrives() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(1, 3, 1), 0), rita.request(terms(2, 4, 1), 0));
    let decision = olga.confirm(&one);
    let facts = view(stage(1, "first-come"), [&decision, &two]);
    assert_eq!(verdict(&facts, &two), "conflicted");
    let facts = view(stage(1, "first-come"), [&decision, &two, &one]);
    assert_eq!((verdict(&facts, &one), verdict(&facts, &two)), ("confirmed", "conflicted"));
}

#[test]
fn a_released_promise_never_counts_and_lets_a_broken_one_count() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(1, 3, 1), 0), rita.request(terms(2, 4, 1), 0));
    let (first, second) = (olga.confirm(&one), olga.confirm(&two));
    let facts = view(stage(1, "manual"), [&one, &two, &first, &second]);
    assert_eq!((verdict(&facts, &one), verdict(&facts, &two)), ("confirmed", "conflicted"));
    let released = olga.release(&[&first]);
    // The release counts even where what it releases came later.
    for facts in [
        view(stage(1, "manual"), [&one, &two, &first, &second, &released]),
        view(stage(1, "manual"), [&released, &second, &first, &two, &one]),
    ] {
        assert_eq!((verdict(&facts, &one), verdict(&facts, &two)), ("conflicted", "confirmed"));
        let standing = judge(&facts).allocation.standing(&first.id).cloned();
        assert_eq!(standing, Some(Standing::Released));
    }
    let facts = view(stage(1, "manual"), [&one, &two, &second, &released]);
    assert_eq!((verdict(&facts, &one), verdict(&facts, &two)), ("conflicted", "confirmed"));
}

#[test]
fn releasing_one_promise_does_not_reorder_the_others() {
    // A released promise keeps its place, so those that knew it do not move before concurrent ones.
    for claimed in 0..20 {
        let mut rita = Device::new(RITA, 1);
        let [gone, one, two] =
            [(8, 9), (1, 3), (2, 4)].map(|(from, to)| rita.request(terms(from, to, 1), claimed));
        let (mut phone, mut laptop) = (Device::new(OLGA, 1), Device::new(OLGA, 2));
        let first = phone.confirm(&gone);
        let (second, other) = (phone.confirm(&one), laptop.confirm(&two));
        let records = [&gone, &one, &two, &first, &second, &other];
        let before = judge(&view(stage(1, "manual"), records)).verdicts;
        let released = phone.release(&[&first]);
        let records = records.into_iter().chain([&released]);
        let after = judge(&view(stage(1, "manual"), records)).verdicts;
        assert_eq!((&before[&one.id], &before[&two.id]), (&after[&one.id], &after[&two.id]));
    }
}

#[test]
fn equal_terms_are_one_grant_until_all_are_released() {
    let mut rita = Device::new(RITA, 1);
    let (one, two) = (rita.request(terms(1, 3, 2), 0), rita.request(terms(1, 3, 1), 0));
    let (mut phone, mut laptop) = (Device::new(OLGA, 1), Device::new(OLGA, 2));
    let first = phone.confirm(&one);
    let Record::Decision(mut again) = laptop.answer(&one, Answer::Confirm, "of course").record
    else {
        panic!()
    };
    // The owner's decisions count whatever policy they name.
    again.policy = PolicySpec::new("first-come").hash();
    let second = laptop.write(Record::Decision(again));
    let third = phone.confirm(&two);

    let mut facts = view(stage(3, "manual"), [&one, &two, &first, &second, &third]);
    let evaluation = judge(&facts);
    assert_eq!(evaluation.findings, []);
    assert_eq!(evaluation.verdicts[&two.id].name(), "confirmed");
    let mut by = evaluation.verdicts[&one.id].signatures();
    by.sort();
    assert!(by.len() == 2 && by.contains(&&first.id) && by.contains(&&second.id));

    facts.records.push(phone.release(&[&first]));
    assert_eq!(judge(&facts).verdicts[&one.id].signatures(), [&second.id]);
    facts.records.push(laptop.release(&[&second]));
    assert_eq!(verdict(&facts, &one), "requested");
}

#[test]
fn capacity_is_counted_at_each_moment_not_over_the_whole_span() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let requests = [(0, 2, 2), (2, 4, 2), (4, 6, 1), (0, 6, 1), (4, 5, 1), (3, 5, 1)]
        .map(|(from, to, units)| rita.request(terms(from, to, units), 0));
    let decisions = requests.clone().map(|request| olga.confirm(&request));
    let facts = view(stage(3, "manual"), requests.iter().chain(&decisions));
    let names = requests.each_ref().map(|request| verdict(&facts, request));
    let yes = "confirmed";
    assert_eq!(names, [yes, yes, yes, yes, yes, "conflicted"]);
    let [Finding::BrokenPromise { with, .. }] = &judge(&facts).findings[..] else { panic!() };
    assert!(with.iter().any(|obstacle| obstacle.request == requests[1].id));
}

#[test]
fn lowering_the_capacity_keeps_the_earlier_promises() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let requests = [1, 1, 2].map(|units| rita.request(terms(1, 2, units), units));
    let requests = [&requests[0], &rita.request(terms(1, 2, 1), 9), &requests[2]].map(Clone::clone);
    let decisions = requests.clone().map(|request| olga.confirm(&request));
    for (capacity, expected) in [
        (4, ["confirmed", "confirmed", "confirmed"]),
        (3, ["confirmed", "confirmed", "conflicted"]),
        (1, ["confirmed", "conflicted", "invalid"]),
        (0, ["invalid", "invalid", "invalid"]),
        (-1, ["invalid", "invalid", "invalid"]),
    ] {
        let facts = view(stage(capacity, "manual"), requests.iter().chain(&decisions));
        assert_eq!(requests.each_ref().map(|request| verdict(&facts, request)), expected);
    }
}

#[test]
fn huge_units_do_not_overflow() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let requests = [i64::MAX, i64::MAX - 1, 1, 2].map(|units| rita.request(terms(1, 2, units), 0));
    let decisions = requests.each_ref().map(|request| olga.confirm(request));
    let facts = view(stage(i64::MAX, "first-come"), requests.iter().chain(&decisions));
    judge(&facts);
    assert_eq!(run_steward(&mut facts.clone(), &mut olga, &arrivals([]), None), []);
    let facts = view(stage(i64::MAX, "first-come"), requests.iter().chain(&decisions[1..]));
    judge(&facts);
    assert_eq!(verdict(&facts, &requests[1]), "confirmed");
    assert_eq!(verdict(&facts, &requests[2]), "confirmed");
    assert_eq!(verdict(&facts, &requests[3]), "conflicted");
}

#[test]
fn thousands_of_promises_that_all_overlap_are_placed() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let requests: Vec<_> =
        (0..5_000).map(|n| rita.request(terms(n % 2_000, n % 2_000 + 4_000, 1), n)).collect();
    let decisions: Vec<_> = requests.iter().map(|request| olga.confirm(request)).collect();
    let facts = view(stage(4_000, "manual"), requests.iter().chain(&decisions));
    let evaluation = p2panda_policy::evaluate(&Default::default(), &facts, &Default::default());
    // The first 4,000 share the hour from 1,999 to 2,000, and the last 1,000 reach it too.
    assert_eq!(evaluation.allocation.grants().len(), 4_000);
    assert_eq!(evaluation.findings.len(), 1_000);
}

#[test]
fn positions_that_no_log_can_have_lose_no_decision() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let requests = [1, 2].map(|hour| rita.request(terms(hour, hour + 1, 1), 0));
    let mut decisions = requests.each_ref().map(|request| olga.confirm(request));
    let [phone, laptop] = [1, 2].map(|number| Incarnation::from_bytes([number; 8]));
    decisions[0].position = position(phone, 0, &[(laptop, 9)].into());
    decisions[1].position = position(laptop, 1, &[(phone, 9)].into());
    let facts = view(stage(1, "manual"), requests.iter().chain(&decisions));
    assert_eq!(requests.each_ref().map(|request| verdict(&facts, request)), ["confirmed"; 2]);
}
