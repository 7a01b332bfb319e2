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
    assert_eq!(confirmation.strangers, Share { tentative: 1, ..Share::default() });
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
    let share = Share { confirmed: 199, denied: 1, ..Share::default() };
    assert_eq!(share.percent(), Some(99));
    let share = Share { confirmed: usize::MAX / 2, denied: 1, ..Share::default() };
    assert!(share.percent().is_some_and(|percent| percent < 100));
}
