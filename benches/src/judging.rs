//! Verdicts, beside algorithms that anyone would write first.

use p2panda_core::{
    EntityId, Festival, Identity, Replica,
    schema::{Event, Instant, PolicySpec, Record, Request, Resource, Span, Terms},
    store::{MemoryStore, NoResume},
    view::ResourceFacts,
};
use p2panda_policy::{Act, Duty, Judge, Policies, Tokens, Verdict, evaluate, steward};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

const NOW: Instant = Instant::from_millis(0);
const HOUR: i64 = 3_600_000;

/// A festival of stages, each with as many requests, signed by its owner's steward.
pub struct Judging {
    replica: Replica,
    festival: Festival,
    stages: Vec<EntityId>,
    event: EntityId,
    rng: ChaCha20Rng,
    policies: Policies,
    judge: Judge,
}

impl Judging {
    /// So many stages and so many requests for each.
    ///
    /// # Panics
    /// Where the library refuses what it wrote.
    #[must_use]
    pub fn new(stages: usize, requests: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let identity = Identity::generate(&mut rng);
        let festival = Festival::found(&identity, &mut rng);
        let mut replica = Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume))
            .expect("memory does not fail");
        replica.join(&festival).expect("memory does not fail");
        let made = replica.edit(festival.id(), NOW, &mut rng, |edit| {
            let event = edit.create(&Event { title: "A concert".into(), ..Event::default() })?;
            let stage = Resource {
                title: "Stage".into(),
                capacity: 1,
                policy: PolicySpec::new("first-come"),
                ..Resource::default()
            };
            let stages = (0..stages).map(|_| edit.create(&stage)).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, p2panda_core::EditError>((event, stages))
        });
        let (event, stages) = made.expect("an edit");
        let policies = Policies::default();
        let judge = Judge::new(Policies::default());
        let mut judging = Self { replica, festival, stages, event, rng, policies, judge };
        for stage in 0..judging.stages.len() {
            judging.ask(stage, requests);
            judging.sign(stage);
        }
        judging
    }

    /// Asks so often for a stage.
    ///
    /// # Panics
    /// Where the library refuses the requests.
    pub fn ask(&mut self, stage: usize, requests: usize) {
        let hours = i64::try_from(requests.max(20) / 2).unwrap_or(i64::MAX);
        let mut wishes = Vec::new();
        for _ in 0..requests {
            let at = i64::from(self.rng.next_u32()) % hours;
            let [starts, ends] = [at, at + 1].map(|hour| Instant::from_millis(hour * HOUR));
            let claimed = Instant::from_millis(i64::from(self.rng.next_u32()));
            wishes.push((Span { starts, ends }, claimed));
        }
        let (event, resource) = (&self.event, &self.stages[stage]);
        let asked = self.replica.edit(self.festival.id(), NOW, &mut self.rng, |edit| {
            wishes.into_iter().try_for_each(|(span, claimed)| {
                let (event, resource) = (event.clone(), resource.clone());
                let terms = Terms { event, resource, span, units: 1 };
                edit.request(Request { terms, claimed, note: String::new() }).map(drop)
            })
        });
        asked.expect("an edit");
    }

    fn sign(&mut self, stage: usize) {
        let facts = self.facts(stage);
        let view = self.replica.view(self.festival.id());
        let arrivals = view.arrivals(&facts.id).expect("memory does not fail");
        let me = self.replica.user();
        let duty = Duty { me, arrivals: &arrivals, previous_run: None, now: NOW, seed: None };
        let acts = steward(&self.policies, &facts, &Tokens::none(), &duty);
        let signed = self.replica.edit(self.festival.id(), NOW, &mut self.rng, |edit| {
            acts.into_iter().try_for_each(|act| match act {
                Act::Decide(decision) => edit.decide(decision).map(drop),
                _ => Ok(()),
            })
        });
        signed.expect("an edit");
    }

    /// What is known of a stage.
    ///
    /// # Panics
    /// Never: the stage is there.
    #[must_use]
    pub fn facts(&self, stage: usize) -> ResourceFacts {
        let view = self.replica.view(self.festival.id());
        view.facts(&self.stages[stage]).expect("memory does not fail").expect("the stage is there")
    }

    /// Verdicts on all requests for a stage, with their reasons; how many are confirmed.
    #[must_use]
    pub fn evaluate(&self, facts: &ResourceFacts) -> usize {
        let evaluation = evaluate(&self.policies, facts, &Tokens::none());
        let confirmed = |verdict: &&Verdict| matches!(verdict, Verdict::Confirmed { .. });
        evaluation.verdicts.values().filter(confirmed).count()
    }

    /// The baseline: each confirmed request is compared with all others, without reasons; how many
    /// overlap nothing that was confirmed before.
    #[must_use]
    pub fn pairs(&self, facts: &ResourceFacts) -> usize {
        let decided = |id: &EntityId| {
            facts.records.iter().any(
                |fact| matches!(&fact.record, Record::Decision(decision) if decision.request == *id),
            )
        };
        let mut granted: Vec<Span> = Vec::new();
        for fact in &facts.records {
            let Record::Request(request) = &fact.record else { continue };
            let span = request.terms.span;
            if decided(&fact.id) && granted.iter().all(|other| !other.overlaps(&span)) {
                granted.push(span);
            }
        }
        granted.len()
    }

    /// Verdicts on all stages, by a judge who remembers; how many were evaluated for it.
    ///
    /// # Panics
    /// Never: memory does not fail.
    pub fn judge(&mut self) -> u64 {
        let before = self.judge.evaluations();
        let view = self.replica.view(self.festival.id());
        self.judge.follow(view).expect("memory does not fail");
        for stage in &self.stages {
            self.judge.resource(view, stage).expect("memory does not fail");
        }
        self.judge.evaluations() - before
    }

    /// The baseline: all stages are evaluated anew.
    #[must_use]
    pub fn judge_all(&self) -> usize {
        (0..self.stages.len()).map(|stage| self.evaluate(&self.facts(stage))).sum()
    }
}
