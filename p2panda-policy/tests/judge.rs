//! A judge who follows a view judges again only what a change touches.
#![allow(clippy::unwrap_used)]

#[path = "../../p2panda-core/tests/common/counting.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used)]
mod counting;

use std::collections::BTreeSet;

use counting::Counting;
use p2panda_core::{
    EntityId, Festival, Identity, Replica,
    schema::{
        Answer, Decision, Event, FestivalInfo, Instant, Record, Release, Request, Resource, Span,
        Terms,
    },
    store::{MemoryStore, NoResume},
};
use p2panda_policy::{FirstCome, Judge, Manual, Policies, Token, Tokens, evaluate};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

struct Bed {
    replica: Replica,
    festival: Festival,
    rng: ChaCha20Rng,
    event: EntityId,
    hour: i64,
}

impl Bed {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let user = Identity::generate(&mut rng);
        let store = Box::new(MemoryStore::new());
        let mut replica = Replica::open(store, user, Box::new(NoResume)).unwrap();
        let now = Instant::default();
        let festival = replica.create_festival(&FestivalInfo::default(), now, &mut rng).unwrap();
        let event = Event::default();
        let event = replica.edit(festival.id(), now, &mut rng, |edit| edit.create(&event)).unwrap();
        Self { replica, festival, rng, event, hour: 0 }
    }

    fn offer(&mut self, policy: p2panda_core::schema::PolicySpec) -> EntityId {
        let resource = Resource { policy, ..Resource::default() };
        let (id, now) = (self.festival.id(), Instant::default());
        self.replica.edit(id, now, &mut self.rng, |edit| edit.create(&resource)).unwrap()
    }

    fn write(&mut self, record: Record) -> EntityId {
        let (id, now) = (self.festival.id(), Instant::default());
        let write = |edit: &mut p2panda_core::Edit<'_>| match record {
            Record::Request(request) => edit.request(request),
            Record::Decision(decision) => edit.decide(decision),
            Record::Release(release) => edit.release(release),
            Record::Withdrawal(withdrawal) => edit.withdraw(withdrawal),
        };
        self.replica.edit(id, now, &mut self.rng, write).unwrap()
    }

    fn request(&mut self, resource: &EntityId) -> (EntityId, Terms) {
        self.hour += 1;
        let [starts, ends] =
            [self.hour, self.hour + 1].map(|h| Instant::from_millis(h * 3_600_000));
        let (event, resource) = (self.event.clone(), resource.clone());
        let terms = Terms { event, resource, span: Span { starts, ends }, units: 1 };
        let claimed = Instant::default();
        let request = Request { terms: terms.clone(), claimed, note: String::new() };
        (self.write(Record::Request(request)), terms)
    }

    fn confirm(&mut self, (request, terms): &(EntityId, Terms)) -> EntityId {
        let (request, terms, policy) = (request.clone(), terms.clone(), Manual::spec().hash());
        let (answer, reason) = (Answer::Confirm, String::new());
        self.write(Record::Decision(Decision { request, terms, policy, answer, reason }))
    }

    /// What the judge touches; each of the resources is then asked for.
    fn follow(&self, judge: &mut Judge, resources: &[EntityId]) -> (BTreeSet<EntityId>, u64) {
        let view = self.replica.view(self.festival.id());
        let before = judge.evaluations();
        let touched = judge.follow(view).unwrap();
        for id in resources {
            let judged = judge.resource(view, id).unwrap().unwrap();
            let facts = view.facts(id).unwrap().unwrap();
            let tokens = Tokens::find(judge.policies(), &facts, |id| view.facts(id)).unwrap();
            assert_eq!(judged.evaluation, evaluate(judge.policies(), &facts, &tokens));
        }
        (touched, judge.evaluations() - before)
    }
}

#[test]
fn a_change_costs_an_evaluation_of_what_it_touches_and_of_nothing_else() {
    let mut bed = Bed::new();
    let badge = bed.offer(Manual::spec());
    let gated: Vec<EntityId> = (0..2).map(|_| bed.offer(Token::spec(&badge))).collect();
    let free: Vec<EntityId> = (0..20).map(|_| bed.offer(FirstCome::spec())).collect();
    let all: Vec<EntityId> = [&badge].into_iter().chain(&gated).chain(&free).cloned().collect();
    let mut judge = Judge::new(Policies::default());
    assert_eq!(bed.follow(&mut judge, &all).1, 23);
    assert_eq!(bed.follow(&mut judge, &all), (BTreeSet::new(), 0));

    // A request for one costs one, however many there are.
    let request = bed.request(&free[3]);
    assert_eq!(bed.follow(&mut judge, &all), ([free[3].clone()].into(), 1));
    let decision = bed.confirm(&request);
    assert_eq!(bed.follow(&mut judge, &all), ([free[3].clone()].into(), 1));
    let release =
        Release { resource: free[3].clone(), decisions: vec![decision], reason: String::new() };
    bed.write(Record::Release(release));
    assert_eq!(bed.follow(&mut judge, &all).1, 1);

    // An event, or many requests for one resource at once.
    let festival = bed.festival.id();
    bed.replica
        .edit(festival, Instant::default(), &mut bed.rng, |edit| edit.create(&Event::default()))
        .unwrap();
    assert_eq!(bed.follow(&mut judge, &all), (BTreeSet::new(), 0));
    (0..10).for_each(|_| drop(bed.request(&free[7])));
    assert_eq!(bed.follow(&mut judge, &all).1, 1);

    // The token costs those that ask about it too.
    let token = bed.request(&badge);
    assert_eq!(bed.follow(&mut judge, &all).1, 3);
    bed.confirm(&token);
    assert_eq!(
        bed.follow(&mut judge, &all),
        ([&badge].into_iter().chain(&gated).cloned().collect(), 3)
    );

    // So does an edit of a resource's fields, or that it is gone.
    bed.replica
        .edit(festival, Instant::default(), &mut bed.rng, |edit| {
            edit.set(&free[5], &["capacity"], 7.into())
        })
        .unwrap();
    assert_eq!(bed.follow(&mut judge, &all).1, 1);
    bed.replica
        .edit(festival, Instant::default(), &mut bed.rng, |edit| edit.delete(&badge, &[]))
        .unwrap();
    assert_eq!(bed.follow(&mut judge, &all).1, 3);
}

#[test]
fn a_token_that_arrives_later_is_noticed() {
    let mut bed = Bed::new();
    let nowhere = EntityId::new(bed.event.document, "badge".parse().unwrap());
    let gated = bed.offer(Token::spec(&nowhere));
    let request = bed.request(&gated);
    let mut judge = Judge::new(Policies::default());
    let all = [gated.clone()];
    bed.follow(&mut judge, &all);
    let badge = Resource { policy: Manual::spec(), ..Resource::default() };
    let (festival, local) = (bed.festival.id(), nowhere.local.clone());
    bed.replica
        .edit(festival, Instant::default(), &mut bed.rng, |edit| edit.put(&local, &badge))
        .unwrap();
    assert!(bed.follow(&mut judge, &all).0.contains(&gated));
    bed.hour -= 1;
    let token = bed.request(&nowhere);
    bed.confirm(&token);
    bed.follow(&mut judge, &all);
    let view = bed.replica.view(festival);
    let judged = judge.resource(view, &gated).unwrap().unwrap();
    assert_eq!(judged.evaluation.verdicts[&request.0].name(), "tentative");
}

fn hand_over(from: &Replica, to: &mut Replica, festival: &Festival) {
    for (log, _) in from.logs(festival.id()).unwrap() {
        let descriptor = from.descriptor(&log.document).unwrap().unwrap();
        let held = |to: &Replica| to.held(&log).unwrap().map_or(0, |tip| tip.length);
        while let Some(segment) = from.segment(&log, held(to)).unwrap() {
            to.accept(&descriptor, segment.into_segment()).unwrap();
        }
    }
    to.flush().unwrap();
}

#[test]
fn following_many_decisions_that_merge_reads_what_each_is_about_and_no_more() {
    let reads = [20, 80].map(|rounds| {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let user = Identity::generate(&mut rng);
        let counting = Counting::new();
        let now = Instant::default();
        let mut devices = [
            Box::new(counting.clone()) as Box<dyn p2panda_core::store::Store>,
            Box::new(MemoryStore::new()),
        ]
        .map(|store: Box<dyn p2panda_core::store::Store>| {
            Replica::open(store, user.clone(), Box::new(NoResume)).unwrap()
        });
        let festival = devices[0].create_festival(&FestivalInfo::default(), now, &mut rng).unwrap();
        devices[1].join(&festival).unwrap();
        let offer = Resource { policy: Manual::spec(), ..Resource::default() };
        let id = festival.id();
        let resource = devices[0].edit(id, now, &mut rng, |edit| edit.create(&offer)).unwrap();
        let span = Span { starts: now, ends: Instant::from_millis(1) };
        let terms = Terms { event: resource.clone(), resource: resource.clone(), span, units: 1 };
        for round in 0..rounds {
            for at in 0..2 {
                let [one, other] = &mut devices;
                let (from, to) = if at == 0 { (other, one) } else { (one, other) };
                hand_over(from, to, &festival);
                let decision = Decision {
                    request: resource.clone(),
                    terms: terms.clone(),
                    policy: Manual::spec().hash(),
                    answer: Answer::Deny,
                    reason: format!("{round} {at}"),
                };
                devices[at].edit(id, now, &mut rng, |edit| edit.decide(decision)).unwrap();
            }
        }
        let [one, other] = &mut devices;
        hand_over(other, one, &festival);
        let view = devices[0].view(id);
        let facts = view.facts(&resource).unwrap().unwrap();
        assert_eq!(facts.records.len(), 2 * rounds);
        assert!(facts.records[0].position.causality.merges().len() >= 2 * rounds - 2);
        counting.take();
        let mut judge = Judge::new(Policies::default());
        assert!(judge.follow(view).unwrap().contains(&resource));
        counting.take().read()
    });
    assert!(reads[1] <= 5 * reads[0], "{reads:?}");
}
