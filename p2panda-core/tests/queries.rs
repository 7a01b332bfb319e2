//! What the view answers, against answers from reading everything; and that asking costs what the
//! answer costs, not what the festival does.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{counting::Counting, *};
use p2panda_core::{
    EditError, EntityId, FestivalId, Identity, LocalId, Replica,
    schema::{
        Answer, Decision, Entity, Event, Instant, PolicySpec, Record, Release, Request, Resource,
        Span, Terms, Value, Withdrawal,
    },
    store::NoResume,
    view::{Booking, Fact, View},
};
use proptest::{prelude::*, sample::Index};
use rand_chacha::ChaCha20Rng;

#[derive(Clone, Debug)]
enum Step {
    Request { who: usize, stage: usize, starts: i64, length: i64 },
    Decide { who: usize, of: Index, confirm: bool, other_terms: bool },
    Release { who: usize, of: Index },
    Withdraw { who: usize, of: Index },
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..3_usize;
    prop_oneof![
        4 => (who(), 0..2_usize, 0..40_i64, 1..20_i64).prop_map(|(who, stage, starts, length)| Step::Request { who, stage, starts, length }),
        4 => (who(), any::<Index>(), any::<bool>(), any::<bool>()).prop_map(|(who, of, confirm, other)| Step::Decide { who, of, confirm, other_terms: other }),
        2 => (who(), any::<Index>()).prop_map(|(who, of)| Step::Release { who, of }),
        2 => (who(), any::<Index>()).prop_map(|(who, of)| Step::Withdraw { who, of }),
    ]
}

/// Three users who write without hearing of each other; the first owns both stages.
struct Bed {
    rng: ChaCha20Rng,
    festival: FestivalId,
    peers: Vec<Replica>,
    stages: Vec<EntityId>,
    requests: Vec<(EntityId, Terms)>,
    decisions: Vec<(EntityId, EntityId)>,
}

impl Bed {
    fn new() -> Self {
        let mut rng = rng(1);
        let mut peers: Vec<Replica> =
            (0..3).map(|_| replica(&Identity::generate(&mut rng))).collect();
        let festival = festival_of(&mut peers[0], &mut rng);
        let stages = ["one", "two"].map(|name| {
            let stage = Resource { title: name.into(), ..Resource::default() };
            peers[0]
                .edit(festival.id(), NOW, &mut rng, |edit| {
                    edit.label(name).put(&name.parse().unwrap(), &stage)
                })
                .unwrap()
        });
        for peer in &mut peers[1..] {
            peer.join(&festival).unwrap();
        }
        let (requests, decisions) = (vec![], vec![]);
        Self { rng, festival: festival.id(), peers, stages: stages.into(), requests, decisions }
    }

    fn take(&mut self, step: &Step, number: usize) {
        let reason = number.to_string(); // so that no two records are the same
        let edit = |bed: &mut Self, who: usize, record: Record| {
            bed.peers[who]
                .edit(bed.festival, NOW, &mut bed.rng, |edit| match record {
                    Record::Request(request) => edit.request(request),
                    Record::Decision(decision) => edit.decide(decision),
                    Record::Release(release) => edit.release(release),
                    Record::Withdrawal(withdrawal) => edit.withdraw(withdrawal),
                })
                .unwrap_or_else(|error: EditError| panic!("{error}"))
        };
        match step {
            Step::Request { who, stage, starts, length } => {
                let event = put(
                    &mut self.peers[*who],
                    self.festival,
                    &format!("talk{}", starts % 4),
                    &event("Talk"),
                    &mut self.rng,
                );
                let span = span(*starts, starts + length);
                let terms = Terms { event, resource: self.stages[*stage].clone(), span, units: 1 };
                let request = Request { terms: terms.clone(), claimed: NOW, note: reason };
                let id = edit(self, *who, Record::Request(request));
                self.requests.push((id, terms));
            }
            Step::Decide { who, of, confirm, other_terms } if !self.requests.is_empty() => {
                let (request, mut terms) = of.get(&self.requests).clone();
                if *other_terms {
                    terms.units = 2;
                }
                let answer = if *confirm { Answer::Confirm } else { Answer::Deny };
                let policy = PolicySpec::new("manual").hash();
                let decision = Decision { request, terms, policy, answer, reason };
                let stage = decision.terms.resource.clone();
                let id = edit(self, *who, Record::Decision(decision));
                self.decisions.push((id, stage));
            }
            Step::Release { who, of } if !self.decisions.is_empty() => {
                let (decision, resource) = of.get(&self.decisions).clone();
                let decisions = vec![decision.clone(), decision];
                edit(self, *who, Record::Release(Release { resource, decisions, reason }));
            }
            Step::Withdraw { who, of } if !self.requests.is_empty() => {
                let (request, terms) = of.get(&self.requests).clone();
                let resource = terms.resource;
                edit(self, *who, Record::Withdrawal(Withdrawal { resource, request, reason }));
            }
            _ => {}
        }
    }
}

/// What is known of a stage, asked the slow way.
struct Slow {
    facts: Vec<Fact>,
}

impl Slow {
    fn of(view: View<'_>, stage: &EntityId) -> Option<(p2panda_core::UserId, Self)> {
        let facts = view.facts(stage).unwrap()?;
        Some((facts.owner, Self { facts: facts.records }))
    }

    fn withdrawn(&self, request: &Fact) -> bool {
        self.facts.iter().any(|fact| {
            fact.author == request.author
                && matches!(&fact.record, Record::Withdrawal(w) if w.request == request.id)
        })
    }

    fn released(&self, decision: &Fact) -> bool {
        self.facts.iter().any(|fact| {
            fact.author == decision.author
                && matches!(&fact.record, Record::Release(r) if r.decisions.contains(&decision.id))
        })
    }

    fn open(&self, owner: p2panda_core::UserId) -> BTreeSet<EntityId> {
        let answered = |request: &Fact| {
            self.facts.iter().any(|fact| {
                fact.author == owner
                    && matches!(&fact.record, Record::Decision(d) if d.request == request.id)
                    && !self.released(fact)
            })
        };
        let requests = self.facts.iter().filter(|fact| matches!(fact.record, Record::Request(_)));
        requests
            .filter(|fact| !self.withdrawn(fact) && !answered(fact))
            .map(|fact| fact.id.clone())
            .collect()
    }

    fn bookings(&self, span: Option<Span>) -> Vec<Booking> {
        let mut bookings: BTreeMap<(Span, EntityId, Terms), Booking> = BTreeMap::new();
        for fact in &self.facts {
            let (request, terms) = match &fact.record {
                Record::Request(r) if !self.withdrawn(fact) => (&fact.id, &r.terms),
                Record::Decision(d) if d.answer == Answer::Confirm && !self.released(fact) => {
                    (&d.request, &d.terms)
                }
                _ => continue,
            };
            if span.is_some_and(|span| !span.overlaps(&terms.span)) {
                continue;
            }
            let key = (terms.span, request.clone(), terms.clone());
            let booking = bookings.entry(key).or_insert_with(|| Booking {
                request: request.clone(),
                terms: terms.clone(),
                asked: false,
                confirmed_by: BTreeSet::new(),
            });
            match fact.record {
                Record::Request(_) => booking.asked = true,
                _ => drop(booking.confirmed_by.insert(fact.author)),
            }
        }
        bookings.into_values().collect()
    }
}

fn check(peer: &Replica, festival: FestivalId, stages: &[EntityId], span: Span) {
    let view = peer.view(festival);
    let mut open: BTreeMap<p2panda_core::UserId, BTreeSet<EntityId>> = BTreeMap::new();
    for stage in stages {
        let Some((owner, slow)) = Slow::of(view, stage) else { continue };
        open.entry(owner).or_default().extend(slow.open(owner));
        for span in [None, Some(span)] {
            let bookings = view.bookings(stage, span).unwrap();
            assert_eq!(bookings, slow.bookings(span));
            let programme = view.programme(stage, span).unwrap();
            for (booking, event) in &programme {
                assert_eq!(*event, view.entity::<Event>(&booking.terms.event).unwrap());
            }
            let programme: Vec<Booking> =
                programme.into_iter().map(|(booking, _)| booking).collect();
            assert_eq!(programme, bookings);
            let groups = view.overlaps(stage, span).unwrap();
            let overlaps = |booking: &Booking| {
                let others = bookings.iter().filter(|other| *other != booking);
                others.into_iter().any(|other| other.terms.span.overlaps(&booking.terms.span))
            };
            let grouped: Vec<Booking> = groups.iter().flatten().cloned().collect();
            let expected: Vec<Booking> =
                bookings.iter().filter(|booking| overlaps(booking)).cloned().collect();
            assert_eq!(grouped, expected);
            for pair in groups.windows(2) {
                let first = pair[0].iter().map(|booking| booking.terms.span.ends).max();
                assert!(first <= pair[1].first().map(|booking| booking.terms.span.starts));
            }
        }
    }
    for (owner, expected) in open {
        let open = view.open_requests(&owner).unwrap();
        assert_eq!(open.into_iter().map(|fact| fact.id).collect::<BTreeSet<_>>(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn records_mean_the_same_in_whatever_order_they_arrive(
        steps in proptest::collection::vec(step(), 1..40),
        order in any::<u64>(),
        (starts, length) in (0..50_i64, 1..20_i64),
    ) {
        use p2panda_core::Segment;
        let mut bed = Bed::new();
        for (number, step) in steps.iter().enumerate() {
            bed.take(step, number);
        }
        let span = span(starts, starts + length);
        // Segments of all peers' logs, each log in order, the logs in any order.
        let mut waiting: Vec<(p2panda_core::DocumentDescriptor, Vec<Segment>)> = vec![];
        for peer in &bed.peers {
            for (log, tip) in peer.logs(bed.festival).unwrap() {
                let descriptor = peer.descriptor(&log.document).unwrap().unwrap();
                let mut segments = vec![];
                let mut from = 0;
                while from < tip.length {
                    let segment = peer.segment(&log, from).unwrap().unwrap().into_segment();
                    from += segment.payloads.len() as u64;
                    segments.push(segment);
                }
                segments.reverse();
                waiting.push((descriptor, segments));
            }
        }
        let mut fresh = replica(&Identity::generate(&mut bed.rng));
        fresh.join(&bed.peers[0].festival(bed.festival).unwrap().unwrap()).unwrap();
        let mut at = order;
        while !waiting.is_empty() {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let pick = usize::try_from(at >> 33).unwrap() % waiting.len();
            let (descriptor, segments) = &mut waiting[pick];
            match segments.pop() {
                Some(segment) => drop(fresh.accept(descriptor, segment).unwrap()),
                None => drop(waiting.swap_remove(pick)),
            }
            check(&fresh, bed.festival, &bed.stages, span);
        }
        for to in 0..3 {
            for from in (0..3).filter(|from| *from != to) {
                let [from, to] = bed.peers.get_disjoint_mut([from, to]).unwrap();
                hand_over(from, to, bed.festival);
            }
        }
        for peer in &bed.peers {
            check(peer, bed.festival, &bed.stages, span);
            assert_equal(peer, &fresh);
        }
    }

    #[test]
    fn the_schedule_of_a_span_is_what_reading_every_event_says(
        events in proptest::collection::vec((any::<i64>(), 0..63_u32, any::<u64>()), 0..40),
        spans in proptest::collection::vec((any::<i64>(), 0..63_u32), 1..10),
        near in any::<bool>(),
    ) {
        let mut rng = rng(1);
        let mut ada = replica(&Identity::generate(&mut rng));
        let festival = festival_of(&mut ada, &mut rng).id();
        let at = |at: i64| if near { at % 100_000_000 } else { at };
        ada.edit(festival, NOW, &mut rng, |edit| {
            for (starts, bits, length) in &events {
                let length = length % (1 << bits);
                let event = Event {
                    starts: Some(Instant::from_millis(at(*starts))),
                    ends: Some(Instant::from_millis(at(*starts).saturating_add_unsigned(length))),
                    ..Event::default()
                };
                edit.create(&event)?;
            }
            Ok::<_, EditError>(())
        }).unwrap();
        let view = ada.view(festival);
        let all = view.list::<Event>().unwrap();
        let expected = |asked: Option<Span>| {
            let mut found: Vec<_> = all.iter().filter_map(|(id, event)| {
                let event = event.clone().unwrap();
                let span = Span::new(event.starts.unwrap(), event.ends.unwrap())?;
                asked.is_none_or(|asked| asked.overlaps(&span)).then(|| (id.clone(), event))
            }).collect();
            found.sort_by_key(|(id, event)| (event.starts, id.clone()));
            found
        };
        prop_assert_eq!(view.schedule(None).unwrap(), expected(None));
        for (starts, bits) in spans {
            let ends = at(starts).saturating_add(1 << bits);
            let Some(span) = Span::new(Instant::from_millis(at(starts)), Instant::from_millis(ends)) else { continue };
            prop_assert_eq!(view.schedule(Some(span)).unwrap(), expected(Some(span)));
        }
    }
}

#[test]
fn asking_costs_what_the_answer_costs() {
    let mut rng = rng(1);
    let store = Counting::new();
    let user = Identity::generate(&mut rng);
    let mut ada = Replica::open(Box::new(store.clone()), user, Box::new(NoResume)).unwrap();
    let festival = festival_of(&mut ada, &mut rng).id();
    let hour = 3_600_000;
    let day = |day: i64, hours: i64| {
        let starts = day * 24 * hour;
        span(starts, starts + hours * hour)
    };
    let stage = Resource { title: "Stage".into(), ..Resource::default() };
    let local: LocalId = "stage".parse().unwrap();
    let stage = ada.edit(festival, NOW, &mut rng, |edit| edit.put(&local, &stage)).unwrap();
    // A thousand days ago, each with a short event, one of three days, and an answered request.
    ada.edit(festival, NOW, &mut rng, |edit| {
        for number in 0..500 {
            for hours in [1, 72] {
                let span = day(number, hours);
                let (starts, ends) = (Some(span.starts), Some(span.ends));
                let event = edit.create(&Event { starts, ends, ..Event::default() })?;
                let terms = Terms { event, resource: stage.clone(), span, units: 1 };
                let request = Request { terms: terms.clone(), claimed: NOW, note: String::new() };
                let request = edit.request(request)?;
                let policy = PolicySpec::new("manual").hash();
                let reason = String::new();
                let answer = Answer::Confirm;
                edit.decide(Decision { request, terms, policy, answer, reason })?;
            }
        }
        let event = edit.create(&event("today"))?;
        let terms = Terms { event, resource: stage.clone(), span: day(1000, 2), units: 1 };
        edit.request(Request { terms, claimed: NOW, note: String::new() })
    })
    .unwrap();
    let view = ada.view(festival);
    store.take();
    assert_eq!(view.schedule(Some(day(1000, 24))).unwrap().len(), 0);
    assert_eq!(store.take().read(), 0, "nothing runs, nothing is read");
    assert_eq!(view.schedule(Some(day(200, 24))).unwrap().len(), 4);
    let read = store.take().read();
    assert!(read < 200, "{read}");
    assert_eq!(view.bookings(&stage, Some(day(1000, 24))).unwrap().len(), 1);
    let read = store.take().read();
    assert!(read < 10, "{read}");
    assert_eq!(view.open_requests(&ada.user()).unwrap().len(), 1);
    let read = store.take().read();
    assert!(read < 10, "{read}");
    assert!(view.malformed().unwrap().is_empty());
    assert_eq!(store.take().read(), 0);
}

/// An application's own kind.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Menu {
    dish: String,
    served: Option<Instant>,
    #[serde(default)]
    prices: BTreeMap<String, i64>,
}
impl Entity for Menu {
    const KIND: &'static str = "org.example/menu";
}

/// The same application's newer version.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct NewerMenu {
    dish: String,
    vegan: bool,
}
impl Entity for NewerMenu {
    const KIND: &'static str = "org.example/menu";
}

#[test]
fn applications_add_kinds_and_fields_that_everybody_keeps_and_can_read() {
    let mut rng = rng(1);
    let mut ada = replica(&Identity::generate(&mut rng));
    let mut bob = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng);
    bob.join(&festival).unwrap();
    let festival = festival.id();
    let newer = NewerMenu { dish: "soup".into(), vegan: true };
    let id = ada.edit(festival, NOW, &mut rng, |edit| edit.create(&newer)).unwrap();
    // The older version writes, among it a list of prices as a map.
    let older = Menu {
        dish: "stew".into(),
        served: Some(NOW),
        prices: [("small".to_owned(), 350), ("large".to_owned(), 500)].into(),
    };
    ada.edit(festival, NOW, &mut rng, |edit| edit.update(&id, &older)).unwrap();
    hand_over(&ada, &mut bob, festival);
    let view = bob.view(festival);
    assert_eq!(view.list::<Menu>().unwrap(), [(id.clone(), Ok(older.clone()))]);
    assert_eq!(
        view.entity::<NewerMenu>(&id).unwrap().unwrap().unwrap(),
        NewerMenu { dish: "stew".into(), vegan: true }
    );
    let fields = view.fields(&id).unwrap().unwrap();
    assert_eq!(fields["served"], Value::Instant(NOW));
    assert_eq!(fields["vegan"], Value::Bool(true));
    assert_eq!(view.ids("org.example/menu").unwrap(), std::slice::from_ref(&id));
    // Read as another kind it is malformed, and nobody else's business.
    assert!(view.entity::<Event>(&id).unwrap().unwrap().is_err());
    assert!(view.malformed().unwrap().is_empty());
}

#[test]
fn what_is_malformed_is_listed_with_its_reason_until_it_is_mended() {
    let mut rng = rng(1);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let good = put(&mut ada, festival, "good", &event("Good"), &mut rng);
    let bad = put(&mut ada, festival, "bad", &event("Bad"), &mut rng);
    let mut set = |id: &EntityId, path: &[&str], value: Value| {
        ada.edit(festival, NOW, &mut rng, |edit| edit.set(id, path, value)).unwrap();
    };
    set(&bad, &["title"], 7.into());
    set(&bad, &["own field"], 7.into());
    set(&good, &["own field"], 7.into());
    let stage = EntityId::new(good.document, "stage".parse().unwrap());
    set(&stage, &["kind"], "resource".into());
    let listed: BTreeMap<EntityId, String> = ada
        .view(festival)
        .malformed()
        .unwrap()
        .into_iter()
        .map(|(id, why)| (id, why.to_string()))
        .collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(listed[&bad].contains("string"), "{}", listed[&bad]);
    assert!(listed[&stage].contains("policy"), "{}", listed[&stage]);
    put(&mut ada, festival, "bad", &event("Good"), &mut rng);
    ada.edit(festival, NOW, &mut rng, |edit| edit.delete(&stage, &[])).unwrap();
    assert!(ada.view(festival).malformed().unwrap().is_empty());
}
