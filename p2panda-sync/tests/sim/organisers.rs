//! What people do in the scenarios: they plan events, ask for resources, change their minds, and
//! let stewards sign. Capacity has to hold in every view of every peer at any time.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use p2panda_core::{
    EditError, EntityId, FestivalId, LocalId, Replica, UserId,
    schema::{Event, Instant, PolicySpec, Record, Request, Resource, Span, Terms, Withdrawal},
    view::{Arrivals, Fact, ResourceFacts},
};
use p2panda_policy::{
    Act, Duty, EventConfirmation, Policies, Standing, Tokens, Verdict, evaluate, steward,
};
use p2panda_sync::{
    SyncEvent,
    sim::{App, PeerId, Random, Turn},
};

/// The slots for which anything is requested: hours of a day.
pub(crate) const SLOTS: u64 = 24;

/// Peers that offer resources and peers that ask for them.
pub(crate) struct Organisers {
    policies: Policies,
    festivals: Vec<FestivalId>,
    /// Who offers how many resources, and of which capacity.
    pub(crate) owners: BTreeMap<PeerId, (usize, i64)>,
    /// Other devices of an owner, which run stewards for the same resources.
    pub(crate) stewards: BTreeSet<PeerId>,
    /// The slots that are asked for: the fewer, the more contested.
    pub(crate) slots: u64,
    /// Whether the agreement on every single event is told.
    pub(crate) tells_events: bool,
    /// Which of its festivals a peer plans in, by its number; the first where it says nothing.
    pub(crate) plans_in: BTreeMap<PeerId, Vec<usize>>,
}

impl Organisers {
    pub(crate) fn new(owners: impl IntoIterator<Item = PeerId>) -> Self {
        Self {
            policies: Policies::default(),
            festivals: Vec::new(),
            owners: owners.into_iter().map(|peer| (peer, (2, 1))).collect(),
            stewards: BTreeSet::new(),
            slots: SLOTS,
            tells_events: false,
            plans_in: BTreeMap::new(),
        }
    }

    /// Offers what this peer has to offer, once.
    fn offer(&self, turn: &mut Turn<'_>, festival: FestivalId) -> Result<(), EditError> {
        let Some((count, capacity)) = self.owners.get(&turn.peer) else { return Ok(()) };
        let stage = |n| Resource {
            title: format!("Stage {n}"),
            capacity: *capacity,
            policy: PolicySpec::new("first-come"),
            ..Resource::default()
        };
        for n in 0..*count {
            let local: LocalId = format!("stage-{n}").parse().unwrap();
            let Turn { replica, now, random, .. } = turn;
            replica.edit(festival, *now, *random, |edit| edit.put(&local, &stage(n)))?;
        }
        Ok(())
    }

    /// Asks for a resource for a new event, ends a request, or changes an event.
    fn plan(&self, turn: &mut Turn<'_>, festival: FestivalId) -> Result<(), EditError> {
        let Turn { replica, now, random, peer, .. } = turn;
        let view = replica.view(festival);
        let resources: Vec<EntityId> =
            view.list::<Resource>()?.into_iter().map(|(id, _)| id).collect();
        let mine: Vec<_> = own_requests(replica, festival, &resources)?;
        let what = random.below(10);
        if what == 0 && !mine.is_empty() {
            let (resource, request) = random.pick(&mine).unwrap().clone();
            let withdrawal = Withdrawal { resource, request, reason: String::new() };
            return replica
                .edit(festival, *now, *random, |edit| edit.withdraw(withdrawal).map(drop));
        }
        if what < 4 || resources.is_empty() {
            let local: LocalId = format!("event-{}", random.below(5)).parse().unwrap();
            let event = Event {
                title: format!("Talk {} of {}", random.below(1000), peer.0),
                starts: Some(*now),
                ..Event::default()
            };
            return replica
                .edit(festival, *now, *random, |edit| edit.put(&local, &event).map(drop));
        }
        let resource = random.pick(&resources).unwrap().clone();
        let span = self.span(random);
        let claimed = *now;
        replica.edit(festival, *now, *random, |edit| {
            let event = edit.create(&Event { title: "A concert".into(), ..Event::default() })?;
            let terms = Terms { event, resource, span, units: 1 };
            edit.request(Request { terms, claimed, note: String::new() }).map(drop)
        })
    }

    fn span(&self, random: &mut Random) -> Span {
        let hour = |n: u64| Instant::from_millis(i64::try_from(n).unwrap() * 3_600_000);
        let starts = random.below(self.slots);
        Span::new(hour(starts), hour(starts + 1 + random.below(2))).unwrap()
    }

    /// Signs what the owner's steward says, where this device may.
    fn decide(&self, turn: &mut Turn<'_>, festival: FestivalId) -> Result<(), EditError> {
        if !turn.replica.may_decide(festival) {
            return Ok(());
        }
        let me = turn.replica.user();
        for (id, _) in turn.replica.view(festival).list::<Resource>()? {
            let view = turn.replica.view(festival);
            let Some(facts) = view.facts(&id)?.filter(|facts| facts.owner == me) else { continue };
            let arrivals = view.arrivals(&id)?;
            let acts = self.acts(me, &facts, &arrivals, turn.now);
            if acts.is_empty() {
                continue;
            }
            let Turn { replica, now, random, .. } = turn;
            replica.edit(festival, *now, *random, |edit| {
                acts.into_iter().try_for_each(|act| match act {
                    Act::Release(release) => edit.release(release).map(drop),
                    Act::Decide(decision) => edit.decide(decision).map(drop),
                    Act::Draw(_) => unreachable!("nobody here draws lots"),
                })
            })?;
            let view = turn.replica.view(festival);
            if let Some(facts) = view.facts(&id)? {
                let again = self.acts(me, &facts, &view.arrivals(&id)?, turn.now);
                assert_eq!(again, [], "a steward has nothing to add to itself");
            }
        }
        Ok(())
    }

    fn acts(
        &self,
        me: UserId,
        facts: &ResourceFacts,
        arrivals: &Arrivals,
        now: Instant,
    ) -> Vec<Act> {
        let duty = Duty { me, arrivals, previous_run: None, now, seed: None };
        steward(&self.policies, facts, &Tokens::none(), &duty)
    }
}

fn own_requests(
    replica: &Replica,
    festival: FestivalId,
    resources: &[EntityId],
) -> Result<Vec<(EntityId, EntityId)>, EditError> {
    let mut mine = Vec::new();
    for resource in resources {
        for fact in replica.view(festival).facts(resource)?.into_iter().flat_map(|f| f.records) {
            if fact.author == replica.user() && matches!(fact.record, Record::Request(_)) {
                mine.push((resource.clone(), fact.id));
            }
        }
    }
    Ok(mine)
}

impl App for Organisers {
    fn act(&mut self, mut turn: Turn<'_>) -> Result<(), EditError> {
        self.festivals = turn.festivals.to_vec();
        let number = match self.plans_in.get(&turn.peer) {
            Some(festivals) => *turn.random.pick(festivals).unwrap(),
            None => 0,
        };
        let festival = turn.festivals[number];
        self.offer(&mut turn, festival)?;
        if self.owners.contains_key(&turn.peer) || self.stewards.contains(&turn.peer) {
            self.decide(&mut turn, festival)?;
        }
        self.plan(&mut turn, festival)
    }

    fn heard(&mut self, turn: Turn<'_>, event: &SyncEvent) -> Result<(), EditError> {
        // It has synced once since it was switched on.
        if let SyncEvent::CaughtUp { own, .. } = event {
            own.iter().try_for_each(|festival| turn.replica.allow_decisions_in(*festival))?;
        }
        Ok(())
    }

    fn check(&mut self, _: PeerId, replica: &Replica) -> Result<(), String> {
        for festival in &self.festivals {
            let view = replica.view(*festival);
            for (id, _) in view.list::<Resource>().map_err(text)? {
                if let Some(facts) = view.facts(&id).map_err(text)? {
                    holds_capacity(&self.policies, &facts)?;
                }
            }
        }
        Ok(())
    }

    fn measure(&mut self, peers: &[(PeerId, &Replica)]) -> Result<BTreeMap<String, u64>, String> {
        // What a peer sees depends on its logs alone, and many hold the same.
        let mut seen: BTreeMap<[u8; 32], Seen> = BTreeMap::new();
        let mut held = Vec::new();
        for (_, replica) in peers {
            let logs = replica.fingerprint_logs().map_err(text)?;
            if let Entry::Vacant(free) = seen.entry(logs) {
                free.insert(self.look(replica)?);
            }
            held.push(logs);
        }
        let mut promised: BTreeMap<&EntityId, BTreeMap<&EntityId, Span>> = BTreeMap::new();
        for (resource, request, span) in seen.values().flat_map(|seen| &seen.promised) {
            promised.entry(resource).or_default().insert(request, *span);
        }
        // Pairs of grants for one moment, each of which some peer sees as confirmed.
        let mut doubled = 0;
        for spans in promised.values() {
            let spans: Vec<_> = spans.values().collect();
            for (n, span) in spans.iter().enumerate() {
                doubled +=
                    spans[n + 1..].iter().filter(|other| span.overlaps(other)).count() as u64;
            }
        }
        let most = |of: fn(&Seen) -> u64| seen.values().map(of).max().unwrap_or_default();
        let mut figures = BTreeMap::from([
            ("confirmed".to_owned(), most(|seen| seen.promised.len() as u64)),
            ("broken promises".to_owned(), most(|seen| seen.broken)),
            ("double grants".to_owned(), doubled),
        ]);
        let followed: Vec<&Seen> = held.iter().map(|logs| &seen[logs]).collect();
        figures.extend(self.agreement(&followed));
        Ok(figures)
    }
}

/// What one peer sees.
struct Seen {
    festivals: BTreeSet<FestivalId>,
    /// Requests that are confirmed, by resource.
    promised: Vec<(EntityId, EntityId, Span)>,
    /// Decisions that there was no room for.
    broken: u64,
    /// How far events are confirmed, in percent; `None` where nothing is requested for one.
    events: BTreeMap<(FestivalId, EntityId), Option<u8>>,
}

impl Organisers {
    fn look(&self, replica: &Replica) -> Result<Seen, String> {
        let followed = replica.festivals().map_err(text)?;
        let festivals = followed.iter().map(p2panda_core::Festival::id).collect();
        let mut seen = Seen { festivals, promised: Vec::new(), broken: 0, events: BTreeMap::new() };
        for festival in &self.festivals {
            let view = replica.view(*festival);
            let mut judged = Vec::new();
            for (id, _) in view.list::<Resource>().map_err(text)? {
                let Some(facts) = view.facts(&id).map_err(text)? else { continue };
                let evaluation = evaluate(&self.policies, &facts, &Tokens::none());
                for (fact, request) in requests(&facts) {
                    let verdict = &evaluation.verdicts[&fact.id];
                    judged.push((fact.clone(), verdict.clone()));
                    if matches!(verdict, Verdict::Confirmed { .. }) {
                        let (id, span) = (id.clone(), request.terms.span);
                        seen.promised.push((id, fact.id.clone(), span));
                    }
                }
                let standings = evaluation.allocation.standings();
                let without =
                    |(_, standing): &(_, &Standing)| matches!(standing, Standing::NoRoom(_));
                seen.broken += standings.filter(without).count() as u64;
            }
            for (id, _) in view.list::<Event>().map_err(text)? {
                let owner = replica.descriptor(&id.document).map_err(text)?.map(|of| of.user);
                let requests = judged.iter().map(|(fact, verdict)| (fact, verdict));
                let hosts = owner.into_iter().collect();
                let confirmed = EventConfirmation::of(&id, &hosts, requests).percent();
                seen.events.insert((*festival, id), confirmed);
            }
        }
        Ok(seen)
    }

    /// Plurality: which share of the peers that follow a festival agrees on how far each event is
    /// confirmed, in thousandths. Who does not know an event agrees with nobody who does.
    fn agreement(&self, peers: &[&Seen]) -> BTreeMap<String, u64> {
        let events: BTreeSet<_> = peers.iter().flat_map(|seen| seen.events.keys()).collect();
        let mut shares = BTreeMap::new();
        for event in events {
            let mut said: BTreeMap<Option<&Option<u8>>, u64> = BTreeMap::new();
            for seen in peers.iter().filter(|seen| seen.festivals.contains(&event.0)) {
                *said.entry(seen.events.get(event)).or_default() += 1;
            }
            let most = said.values().max().copied().unwrap_or_default();
            shares.insert(event, 1000 * most / said.values().sum::<u64>().max(1));
        }
        let count = shares.len() as u64;
        let at_least = |share| shares.values().filter(|is| **is >= share).count() as u64;
        let mean = shares.values().sum::<u64>().checked_div(count).unwrap_or(1000);
        let mut figures = BTreeMap::from([
            ("events".to_owned(), count),
            ("events all agree on".to_owned(), at_least(1000)),
            ("events nine in ten agree on".to_owned(), at_least(900)),
            ("events half agree on".to_owned(), at_least(500)),
            ("agreement in thousandths".to_owned(), mean),
        ]);
        if self.tells_events {
            figures
                .extend(shares.into_iter().map(|((_, id), share)| (format!("event {id}"), share)));
        }
        figures
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is a `map_err`")]
fn text(error: p2panda_core::store::StoreError) -> String {
    error.to_string()
}

fn requests(facts: &ResourceFacts) -> impl Iterator<Item = (&Fact, &Request)> {
    facts.records.iter().filter_map(|fact| match &fact.record {
        Record::Request(request) => Some((fact, request)),
        _ => None,
    })
}

/// Adds up, moment by moment, what a view shows as confirmed, and what decisions hold.
fn holds_capacity(policies: &Policies, facts: &ResourceFacts) -> Result<(), String> {
    let Some(resource) = &facts.resource else { return Ok(()) };
    let evaluation = evaluate(policies, facts, &Tokens::none());
    let confirmed = requests(facts)
        .filter(|(fact, _)| matches!(evaluation.verdicts[&fact.id], Verdict::Confirmed { .. }));
    let shown: Vec<_> = confirmed.map(|(_, request)| &request.terms).collect();
    let held: Vec<_> = evaluation.allocation.grants().iter().map(|grant| &grant.terms).collect();
    for all in [shown, held] {
        let mut changes: BTreeMap<Instant, i64> = BTreeMap::new();
        for terms in all {
            *changes.entry(terms.span.starts).or_default() += terms.units;
            *changes.entry(terms.span.ends).or_default() -= terms.units;
        }
        let mut used = 0;
        for (at, change) in changes {
            used += change;
            if used > resource.capacity {
                let capacity = resource.capacity;
                return Err(format!("{used} of {capacity} units of {} at {at:?}", facts.id));
            }
        }
    }
    Ok(())
}
