//! What holds for every history, in every view and in every order.

mod common;

use std::collections::BTreeMap;

use common::*;
use p2panda_core::{
    EntityId,
    schema::{Answer, Record, Terms},
    view::{Fact, ResourceFacts},
};
use p2panda_policy::{Act, Evaluation, Standing};
use proptest::prelude::*;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Request { by: u8, from: i64, hours: i64, units: i64 },
    Confirm { device: usize, request: usize },
    ConfirmOtherTerms { device: usize, request: usize, from: i64 },
    Deny { device: usize, request: usize },
    Release { device: usize, decision: usize },
    Withdraw { request: usize },
    Sync { from: usize, to: usize },
    Steward { device: usize },
    Forge { request: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let (device, number) = (0..3usize, 0..64usize);
    prop_oneof![
        4 => (RITA..=EVE, 0..12i64, 0..5i64, 0..4i64)
            .prop_map(|(by, from, hours, units)| Step::Request { by, from, hours, units }),
        5 => (device.clone(), number.clone())
            .prop_map(|(device, request)| Step::Confirm { device, request }),
        1 => (device.clone(), number.clone(), 0..12i64).prop_map(|(device, request, from)| {
            Step::ConfirmOtherTerms { device, request, from }
        }),
        1 => (device.clone(), number.clone())
            .prop_map(|(device, request)| Step::Deny { device, request }),
        2 => (device.clone(), number.clone())
            .prop_map(|(device, decision)| Step::Release { device, decision }),
        1 => number.clone().prop_map(|request| Step::Withdraw { request }),
        3 => (device.clone(), device.clone()).prop_map(|(from, to)| Step::Sync { from, to }),
        1 => device.prop_map(|device| Step::Steward { device }),
        1 => number.prop_map(|request| Step::Forge { request }),
    ]
}

/// Everything that was ever written, in the order of writing.
struct History {
    capacity: i64,
    facts: Vec<Fact>,
}

impl History {
    fn of(capacity: i64, steps: &[Step]) -> Self {
        let mut olga = [1, 2, 3].map(|number| Device::new(OLGA, number));
        let mut others = [RITA, TOM, EVE].map(|number| Device::new(number, 9));
        let mut history = Self { capacity, facts: Vec::new() };
        for (claimed, step) in (0..).zip(steps) {
            let requests = history.select(|record| matches!(record, Record::Request(_)));
            let request = |number: usize| requests.get(number % requests.len().max(1));
            let written = match *step {
                Step::Request { by, from, hours, units } => {
                    let asked = terms(from, from + hours, units);
                    Some(others[usize::from(by - RITA)].request(asked, claimed))
                }
                Step::Confirm { device, request: number } => {
                    request(number).map(|request| olga[device].confirm(request))
                }
                Step::ConfirmOtherTerms { device, request: number, from } => {
                    request(number).map(|request| {
                        let other = terms(from, from + 2, 1);
                        olga[device].decide(&request.id, other, Answer::Confirm, "")
                    })
                }
                Step::Deny { device, request: number } => {
                    request(number).map(|request| olga[device].deny(request, ""))
                }
                Step::Release { device, decision } => {
                    let decisions = history.select(|r| matches!(r, Record::Decision(_)));
                    let decision = decisions.get(decision % decisions.len().max(1));
                    decision.map(|decision| olga[device].release(&[decision]))
                }
                Step::Withdraw { request: number } => request(number).map(|request| {
                    let author = others.iter_mut().find(|d| user(d.user) == request.author);
                    author.expect("requests are written by the others").withdraw(request)
                }),
                Step::Sync { from, to } => {
                    let source = olga[from].clone();
                    olga[to].sync_from(&source);
                    None
                }
                Step::Steward { device } => {
                    let mut facts = history.view(history.facts.iter());
                    let before = facts.records.len();
                    run_steward(&mut facts, &mut olga[device], &arrivals([]), None);
                    facts.records.drain(before..).for_each(|fact| history.push(fact));
                    None
                }
                Step::Forge { request: number } => {
                    request(number).map(|request| others[2].confirm(request))
                }
            };
            written.into_iter().for_each(|fact| history.push(fact));
        }
        history
    }

    /// A record that says the same again is the same record, and stands where it first stood.
    fn push(&mut self, fact: Fact) {
        if self.facts.iter().all(|known| known.id != fact.id) {
            self.facts.push(fact);
        }
    }

    fn select(&self, which: impl Fn(&Record) -> bool) -> Vec<Fact> {
        self.facts.iter().filter(|fact| which(&fact.record)).cloned().collect()
    }

    fn view<'a>(&self, facts: impl Iterator<Item = &'a Fact>) -> ResourceFacts {
        view(stage(self.capacity, "first-come"), facts)
    }

    /// What a peer sees that holds some length of each log; logs in the order of their first fact.
    fn prefixes(&self, lengths: &[u64]) -> ResourceFacts {
        let mut logs = BTreeMap::new();
        let held = self.facts.iter().filter(|fact| {
            let number = logs.len();
            let log = logs.entry((fact.id.document, fact.position.incarnation)).or_insert(number);
            fact.position.index < lengths[*log % lengths.len()]
        });
        self.view(held)
    }
}

/// Allocation as RULES A4 to A6 say it, without a thought for speed.
fn allocated_naively(facts: &ResourceFacts) -> Vec<EntityId> {
    let owners = facts.records.iter().filter(|fact| fact.author == facts.owner);
    let mut waiting: Vec<&Fact> = owners.collect();
    waiting.sort_by(|a, b| a.id.cmp(&b.id));
    waiting.retain(|fact| matches!(fact.record, Record::Decision(_)));
    let released = |id: &EntityId| {
        facts.records.iter().any(|fact| match &fact.record {
            Record::Release(release) => {
                fact.author == facts.owner && release.decisions.contains(id)
            }
            _ => false,
        })
    };
    let capacity = facts.resource.as_ref().expect("the stage is there").capacity;
    let mut held: Vec<(&EntityId, &Terms)> = Vec::new();
    let mut counted = Vec::new();
    while !waiting.is_empty() {
        let precedes =
            |a: &Fact, b: &Fact| a.id.document == b.id.document && a.position.precedes(&b.position);
        let next = waiting.iter().position(|fact| !waiting.iter().any(|o| precedes(o, fact)));
        let fact = waiting.remove(next.expect("causality has no cycles"));
        let Record::Decision(decision) = &fact.record else { unreachable!() };
        let terms = &decision.terms;
        if released(&fact.id)
            || decision.answer == Answer::Deny
            || terms.units < 1
            || terms.span.starts >= terms.span.ends
        {
            continue;
        }
        if held.contains(&(&decision.request, terms)) {
            counted.push(fact.id.clone());
            continue;
        }
        let overlapping = held.iter().filter(|(_, other)| other.span.overlaps(&terms.span));
        let moments =
            overlapping.clone().map(|(_, other)| other.span.starts.max(terms.span.starts));
        let used_at = |moment| -> i64 {
            let at = |terms: &&Terms| terms.span.starts <= moment && moment < terms.span.ends;
            overlapping.clone().map(|(_, terms)| *terms).filter(at).map(|terms| terms.units).sum()
        };
        if moments.map(used_at).max().unwrap_or(0) + terms.units <= capacity {
            held.push((&decision.request, terms));
            counted.push(fact.id.clone());
        }
    }
    counted.sort();
    counted
}

fn counted(evaluation: &Evaluation) -> Vec<EntityId> {
    let standings = evaluation.allocation.standings();
    let counted = standings.filter(|(_, standing)| **standing == Standing::Counted);
    counted.map(|(id, _)| id.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn no_view_promises_more_than_there_is(
        capacity in 0..4i64,
        steps in prop::collection::vec(step(), 1..60),
        views in prop::collection::vec(prop::collection::vec(0..20u64, 8), 6),
    ) {
        let history = History::of(capacity, &steps);
        for lengths in views {
            let facts = history.prefixes(&lengths);
            // `judge` counts moment by moment.
            prop_assert_eq!(counted(&judge(&facts)), allocated_naively(&facts));
        }
        let facts = history.view(history.facts.iter());
        prop_assert_eq!(counted(&judge(&facts)), allocated_naively(&facts));
    }

    #[test]
    fn the_order_of_the_facts_does_not_matter(
        capacity in 1..4i64,
        steps in prop::collection::vec(step(), 1..40),
        seed in any::<u64>(),
    ) {
        let history = History::of(capacity, &steps);
        let mut shuffled: Vec<&Fact> = history.facts.iter().collect();
        shuffled.sort_by_key(|fact| {
            let text = fact.id.to_string();
            text.bytes().fold(seed, |sum, byte| sum.rotate_left(7) ^ u64::from(byte))
        });
        let evaluation = judge(&history.view(shuffled.into_iter()));
        prop_assert_eq!(evaluation, judge(&history.view(history.facts.iter())));
    }

    #[test]
    fn only_the_owner_changes_what_is_allocated(
        capacity in 1..4i64,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let history = History::of(capacity, &steps);
        let owners = history.facts.iter().filter(|fact| fact.author == user(OLGA));
        let (alone, all) = (history.view(owners), history.view(history.facts.iter()));
        prop_assert_eq!(judge(&alone).allocation, judge(&all).allocation);
    }

    #[test]
    fn new_promises_break_none_that_were_known_to_them(
        capacity in 1..4i64,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        // All devices see everything at once and nothing is released: what counts goes on counting.
        let alone = steps.iter().copied().filter_map(|step| match step {
            Step::Release { .. } | Step::Sync { .. } | Step::Withdraw { .. } => None,
            Step::Confirm { request, .. } => Some(Step::Confirm { device: 0, request }),
            Step::ConfirmOtherTerms { request, from, .. } => {
                Some(Step::ConfirmOtherTerms { device: 0, request, from })
            }
            Step::Deny { request, .. } => Some(Step::Deny { device: 0, request }),
            Step::Steward { .. } => Some(Step::Steward { device: 0 }),
            other => Some(other),
        });
        let history = History::of(capacity, &alone.collect::<Vec<_>>());
        let mut before: Vec<EntityId> = Vec::new();
        for length in 0..=history.facts.len() {
            let after = counted(&judge(&history.view(history.facts[..length].iter())));
            prop_assert!(before.iter().all(|id| after.contains(id)));
            before = after;
        }
    }

    #[test]
    fn a_steward_that_has_acted_has_nothing_more_to_do(
        capacity in 1..4i64,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let history = History::of(capacity, &steps);
        let mut facts = history.view(history.facts.iter());
        // A device that has synced its own documents.
        let mut device = Device::new(OLGA, 7);
        for number in (1..=3).filter(|_| !facts.records.is_empty()) {
            let mut other = Device::new(OLGA, number);
            let log = other.next(facts.records[0].record.clone()).position.incarnation;
            let own = facts.records.iter().filter(|fact| {
                fact.author == user(OLGA) && fact.position.incarnation == log
            });
            let records: Vec<_> = own.map(|fact| fact.record.clone()).collect();
            records.into_iter().for_each(|record| drop(other.write(record)));
            device.sync_from(&other);
        }
        let broken_before = broken(&judge(&facts));
        let acts = run_steward(&mut facts, &mut device, &arrivals([]), None);
        let after = judge(&facts);
        for act in &acts {
            if let Act::Decide(decision) = act {
                prop_assert_eq!(after.verdicts[&decision.request].name(), "confirmed");
            }
        }
        // It breaks no promise itself; releases can only mend or move those that were broken.
        if acts.iter().all(|act| matches!(act, Act::Decide(_))) {
            prop_assert_eq!(broken(&after), broken_before);
        }
        prop_assert_eq!(run_steward(&mut facts, &mut device, &arrivals([]), None), []);

        // Whatever single decision the owner releases later, what the steward promised is kept.
        let promised = |facts: &ResourceFacts| {
            let verdicts = judge(facts).verdicts;
            acts.iter().all(|act| match act {
                Act::Decide(decision) => verdicts[&decision.request].name() == "confirmed",
                _ => true,
            })
        };
        let earlier = history.select(|record| matches!(record, Record::Decision(_)));
        for decision in earlier.iter().filter(|fact| fact.author == user(OLGA)) {
            let mut later = facts.clone();
            later.records.push(device.next(device.clone().release(&[decision]).record));
            prop_assert!(promised(&later));
        }
    }
}

fn broken(evaluation: &Evaluation) -> Vec<EntityId> {
    let standings = evaluation.allocation.standings();
    let broken = standings.filter(|(_, standing)| matches!(standing, Standing::NoRoom(_)));
    broken.map(|(id, _)| id.clone()).collect()
}

#[test]
fn all_orders_of_six_facts_lead_to_the_same_verdicts_and_none_exceeds_the_capacity() {
    let mut rita = Device::new(RITA, 1);
    let (mut phone, mut laptop) = (Device::new(OLGA, 1), Device::new(OLGA, 2));
    let (one, two) = (rita.request(terms(1, 3, 1), 1), rita.request(terms(2, 4, 1), 0));
    let (first, second) = (phone.confirm(&one), laptop.confirm(&two));
    let (no, withdrawn) = (laptop.deny(&one, ""), rita.withdraw(&two));
    let (released, again) = (phone.release(&[&first]), phone.deny(&two, "no"));
    for facts in [
        [&one, &two, &first, &second, &no, &withdrawn],
        [&one, &two, &first, &second, &released, &no],
        [&one, &two, &first, &second, &again, &released],
    ] {
        let end = judge(&view(stage(1, "first-come"), facts));
        let mut orders = 0;
        for_every_order(&mut facts.to_vec(), 0, &mut |order| {
            orders += 1;
            let whole = judge(&view(stage(1, "first-come"), order.iter().copied()));
            assert_eq!(whole, end);
            for length in 1..order.len() {
                judge(&view(stage(1, "first-come"), order[..length].iter().copied()));
            }
        });
        assert_eq!(orders, 720);
    }
}

fn for_every_order(items: &mut Vec<&Fact>, from: usize, visit: &mut impl FnMut(&[&Fact])) {
    if from == items.len() {
        return visit(items);
    }
    for other in from..items.len() {
        items.swap(from, other);
        for_every_order(items, from + 1, visit);
        items.swap(from, other);
    }
}
