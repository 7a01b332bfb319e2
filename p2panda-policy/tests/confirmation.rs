//! How far events are confirmed.

mod common;

use std::collections::BTreeSet;

use common::*;
use p2panda_core::view::Fact;
use p2panda_policy::{EventConfirmation, Share, Verdict};

fn count(hosts: &[u8], requests: &[(Fact, Verdict)]) -> EventConfirmation {
    let hosts: BTreeSet<_> = hosts.iter().map(|host| user(*host)).collect();
    let requests = requests.iter().map(|(fact, verdict)| (fact, verdict));
    EventConfirmation::of(&named(RITA, "concert"), &hosts, requests)
}

fn all_verdicts(facts: &[&Fact]) -> Vec<(Fact, Verdict)> {
    let verdicts = judge(&view(stage(1, "first-come"), facts.iter().copied())).verdicts;
    let requests = facts.iter().filter_map(|fact| Some((fact, verdicts.get(&fact.id)?)));
    requests.map(|(fact, verdict)| ((*fact).clone(), verdict.clone())).collect()
}

#[test]
fn three_of_four_requests_are_seventy_five_percent() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let requests = [1, 2, 3, 4].map(|hour| rita.request(terms(hour, hour + 1, 1), 0));
    let decisions = [0, 1, 2].map(|number: usize| olga.confirm(&requests[number]));
    let facts: Vec<&Fact> = requests.iter().chain(&decisions).collect();
    let confirmation = count(&[RITA], &all_verdicts(&facts));
    assert_eq!(confirmation.percent(), Some(75));
    assert_eq!(confirmation.to_string(), "75% confirmed (3 of 4; 1 tentative)");
}

#[test]
fn editors_requests_count_and_strangers_requests_stand_apart() {
    let (mut rita, mut tom, mut eve) =
        (Device::new(RITA, 1), Device::new(TOM, 1), Device::new(EVE, 1));
    let own = rita.request(terms(1, 2, 1), 0);
    let editors = tom.request(terms(2, 3, 1), 0);
    let strangers = eve.request(terms(3, 4, 1), 0);
    let decision = Device::new(OLGA, 1).confirm(&editors);
    let confirmation = count(&[RITA, TOM], &all_verdicts(&[&own, &editors, &strangers, &decision]));
    assert_eq!(confirmation.percent(), Some(50));
    assert_eq!((confirmation.strangers.tentative, confirmation.strangers.total()), (1, 1));
    assert_eq!(confirmation.strangers.percent_tentative(), Some(100));
}

#[test]
fn withdrawn_requests_do_not_count() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (one, two) = (rita.request(terms(1, 2, 1), 0), rita.request(terms(5, 6, 1), 0));
    let (decision, withdrawn) = (olga.confirm(&one), rita.withdraw(&two));
    let confirmation = count(&[RITA], &all_verdicts(&[&one, &two, &decision, &withdrawn]));
    assert_eq!(confirmation.to_string(), "100% confirmed (1 of 1)");
}

#[test]
fn an_event_that_asks_for_nothing_has_no_percentage() {
    assert_eq!(count(&[RITA], &[]).percent(), None);
    assert_eq!(count(&[RITA], &[]).to_string(), "nothing requested");
}

#[test]
fn other_events_and_repetitions_are_left_out() {
    let mut rita = Device::new(RITA, 1);
    let one = rita.request(terms(1, 2, 1), 0);
    let mut other = terms(3, 4, 1);
    other.event = named(RITA, "reading");
    let other = rita.request(other, 0);
    let mut verdicts = all_verdicts(&[&one, &other]);
    verdicts.extend(verdicts.clone());
    assert_eq!(count(&[RITA], &verdicts).hosts.total(), 1);
}

#[test]
fn all_but_one_of_many_is_not_all() {
    let share = Share { confirmed_weight: 199, weight: 200, ..Share::default() };
    assert_eq!(share.percent(), Some(99));
    let share = Share { confirmed_weight: u64::MAX - 1, weight: u64::MAX, ..Share::default() };
    assert_eq!(share.percent(), Some(99));
}

#[test]
fn a_stage_can_weigh_more_than_a_fog_machine() {
    let (mut rita, mut olga) = (Device::new(RITA, 1), Device::new(OLGA, 1));
    let (stage, fog) = (rita.request(terms(1, 2, 1), 0), rita.request(terms(3, 4, 1), 0));
    let verdicts = all_verdicts(&[&stage, &fog, &olga.confirm(&stage)]);
    let weigh = |weight: u64| {
        EventConfirmation::weighted(
            &named(RITA, "concert"),
            &[user(RITA)].into(),
            verdicts.iter().map(|(fact, verdict)| (fact, verdict)),
            |fact, _| if fact.id == stage.id { weight } else { 1 },
        )
    };
    let percents = [0, 1, 9].map(|weight| weigh(weight).percent());
    assert_eq!(percents, [Some(0), Some(50), Some(90)]);
    assert_eq!(weigh(9).hosts.percent_tentative(), Some(10));
    assert_eq!(weigh(9).hosts.total(), 2);
}
