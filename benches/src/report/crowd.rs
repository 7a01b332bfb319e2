//! People who plan: they make events, ask for stages, change their minds, and owners' stewards sign.

use std::collections::{BTreeMap, BTreeSet};

use p2panda_core::{
    EditError, EntityId, FestivalId, LocalId, Replica,
    schema::{Event, Instant, PolicySpec, Request, Resource, Span, Terms, Withdrawal},
};
use p2panda_policy::{Act, Duty, Policies, Tokens, steward};
use p2panda_sync::{
    SyncEvent,
    sim::{App, PeerId, Turn, named::Cast},
};

use super::observer::Observer;

const HOUR: i64 = 3_600_000;

/// Planners, with the part that each peer has.
pub(super) struct Crowd {
    observer: Observer,
    policies: Policies,
    owners: BTreeSet<PeerId>,
    /// Owners, and other devices of theirs that run stewards.
    deciders: BTreeSet<PeerId>,
    plans_in: BTreeMap<PeerId, Vec<usize>>,
    /// The hours that are asked for.
    slots: u64,
    /// How many stages an owner offers.
    stages: usize,
    /// For how many slots one event asks.
    wants: usize,
    /// What each has asked for: resources and requests.
    asked: BTreeMap<(PeerId, usize), Vec<(EntityId, EntityId)>>,
}

impl Crowd {
    /// Those of a scenario, who ask for one slot of two stages at a time.
    #[must_use]
    pub(super) fn new(cast: &Cast) -> Self {
        let owners: BTreeSet<_> = cast.owners.iter().copied().collect();
        Self {
            observer: Observer::default(),
            policies: Policies::default(),
            deciders: owners.iter().chain(&cast.seconds).copied().collect(),
            owners,
            plans_in: cast.plans_in.clone(),
            slots: cast.slots,
            stages: 2,
            wants: 1,
            asked: BTreeMap::new(),
        }
    }

    /// They rush: one stage with so many slots, and every event asks for several of them.
    #[must_use]
    pub(super) fn rushing(mut self, slots: u64, wants: usize) -> Self {
        (self.slots, self.stages, self.wants) = (slots, 1, wants);
        self
    }

    /// Offers what this peer has to offer.
    fn offer(&self, turn: &mut Turn<'_>, festival: FestivalId) -> Result<(), EditError> {
        for number in 0..self.stages {
            let local: LocalId = format!("stage-{number}").parse().expect("a valid name");
            let stage = Resource {
                title: format!("Stage {number}"),
                capacity: 1,
                policy: PolicySpec::new("first-come"),
                ..Resource::default()
            };
            let Turn { replica, now, random, .. } = turn;
            replica.edit(festival, *now, *random, |edit| edit.put(&local, &stage))?;
        }
        Ok(())
    }

    /// Signs what the owner's steward says, where this device may.
    fn decide(&self, turn: &mut Turn<'_>, festival: FestivalId) -> Result<(), EditError> {
        let Turn { replica, now, random, .. } = turn;
        if !replica.may_decide(festival) {
            return Ok(());
        }
        let me = replica.user();
        for (id, _) in replica.view(festival).list::<Resource>()? {
            let view = replica.view(festival);
            let Some(facts) = view.facts(&id)?.filter(|facts| facts.owner == me) else { continue };
            let arrivals = view.arrivals(&id)?;
            let duty = Duty { me, arrivals: &arrivals, previous_run: None, now: *now, seed: None };
            let acts = steward(&self.policies, &facts, &Tokens::none(), &duty);
            if acts.is_empty() {
                continue;
            }
            replica.edit(festival, *now, *random, |edit| {
                acts.into_iter().try_for_each(|act| match act {
                    Act::Release(release) => edit.release(release).map(drop),
                    Act::Decide(decision) => edit.decide(decision).map(drop),
                    Act::Draw(_) => Ok(()),
                })
            })?;
        }
        Ok(())
    }

    /// Makes an event and asks for stages, or takes a request back.
    fn plan(&mut self, turn: &mut Turn<'_>, number: usize) -> Result<(), EditError> {
        let Turn { replica, now, random, peer, festivals } = turn;
        let festival = festivals[number];
        let resources: Vec<EntityId> =
            replica.view(festival).list::<Resource>()?.into_iter().map(|(id, _)| id).collect();
        let asked = self.asked.entry((*peer, number)).or_default();
        if random.below(10) == 0 && !asked.is_empty() {
            let (resource, request) = asked.swap_remove(random.index(asked.len()));
            let withdrawal = Withdrawal { resource, request, reason: String::new() };
            return replica
                .edit(festival, *now, *random, |edit| edit.withdraw(withdrawal).map(drop));
        }
        let mut wishes = Vec::new();
        for _ in 0..self.wants {
            let hour = i64::try_from(random.below(self.slots)).unwrap_or(0);
            let [starts, ends] = [hour, hour + 1].map(|hour| Instant::from_millis(hour * HOUR));
            wishes.extend(random.pick(&resources).cloned().map(|to| (to, Span { starts, ends })));
        }
        // One event does not ask for one slot twice.
        wishes.sort();
        wishes.dedup();
        let title = format!("Talk {} of {}", random.below(1_000), peer.0);
        let claimed = *now;
        let made = replica.edit(festival, *now, *random, |edit| {
            let event = edit.create(&Event { title, starts: Some(claimed), ..Event::default() })?;
            let mut made = Vec::new();
            for (resource, span) in wishes {
                let terms =
                    Terms { event: event.clone(), resource: resource.clone(), span, units: 1 };
                let request = Request { terms, claimed, note: String::new() };
                made.push((resource, edit.request(request)?));
            }
            Ok::<_, EditError>(made)
        })?;
        asked.extend(made);
        Ok(())
    }
}

impl App for Crowd {
    fn act(&mut self, mut turn: Turn<'_>) -> Result<(), EditError> {
        let festivals = self.plans_in.get(&turn.peer);
        let number = festivals.and_then(|all| turn.random.pick(all)).copied().unwrap_or(0);
        let festival = turn.festivals[number];
        if self.owners.contains(&turn.peer) {
            self.offer(&mut turn, festival)?;
        }
        if self.deciders.contains(&turn.peer) {
            self.decide(&mut turn, festival)?;
        }
        self.plan(&mut turn, number)
    }

    fn heard(&mut self, turn: Turn<'_>, event: &SyncEvent) -> Result<(), EditError> {
        // It has synced once since it was switched on.
        if let SyncEvent::CaughtUp { own, .. } = event {
            own.iter().try_for_each(|festival| turn.replica.allow_decisions_in(*festival))?;
        }
        Ok(())
    }

    fn check(&mut self, _: PeerId, replica: &Replica) -> Result<(), String> {
        self.observer.check(replica)
    }

    fn measure(&mut self, peers: &[(PeerId, &Replica)]) -> Result<BTreeMap<String, u64>, String> {
        self.observer.measure(peers)
    }
}
