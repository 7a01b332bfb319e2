//! Verdicts on all requests of a festival: each resource is evaluated once.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use p2panda_core::{
    EntityId, UserId,
    schema::{Record, Request, Resource},
    view::{Fact, ResourceFacts, View},
};
use p2panda_policy::{Evaluation, EventConfirmation, Policies, Verdict, evaluate};

/// A resource with everything that is known and concluded of it.
pub(crate) struct Judged {
    pub(crate) facts: ResourceFacts,
    pub(crate) evaluation: Evaluation,
}

/// All resources of a festival and all requests for them.
pub(crate) struct Judgement {
    pub(crate) resources: BTreeMap<EntityId, Judged>,
    /// Requests by their event: resource and request.
    by_event: BTreeMap<EntityId, Vec<(EntityId, EntityId)>>,
    /// The event of every request that is known, if only from a decision on it.
    events: BTreeMap<EntityId, EntityId>,
}

/// A request with the verdict on it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) resource: &'a Judged,
    pub(crate) fact: &'a Fact,
    pub(crate) request: &'a Request,
    pub(crate) verdict: &'a Verdict,
}

impl Judgement {
    pub(crate) fn of(view: View<'_>) -> Result<Self> {
        let policies = Policies::default();
        let mut judgement =
            Self { resources: BTreeMap::new(), by_event: BTreeMap::new(), events: BTreeMap::new() };
        let resources = view.ids(<Resource as p2panda_core::schema::Entity>::KIND)?;
        let mut wanted: BTreeSet<EntityId> = resources.into_iter().collect();
        // Requests for resources that have not arrived count too.
        for event in
            view.ids(<p2panda_core::schema::Event as p2panda_core::schema::Entity>::KIND)?
        {
            for fact in view.event_requests(&event)? {
                wanted.insert(fact.record.resource().clone());
            }
        }
        for id in wanted {
            if let Some(facts) = view.facts(&id)? {
                judgement.add(&policies, facts);
            }
        }
        Ok(judgement)
    }

    fn add(&mut self, policies: &Policies, facts: ResourceFacts) {
        for fact in &facts.records {
            match &fact.record {
                Record::Request(request) => {
                    let event = &request.terms.event;
                    self.events.insert(fact.id.clone(), event.clone());
                    let asked = (facts.id.clone(), fact.id.clone());
                    self.by_event.entry(event.clone()).or_default().push(asked);
                }
                Record::Decision(decision) => {
                    let known = self.events.entry(decision.request.clone());
                    known.or_insert_with(|| decision.terms.event.clone());
                }
                _ => {}
            }
        }
        let evaluation = evaluate(policies, &facts);
        self.resources.insert(facts.id.clone(), Judged { facts, evaluation });
    }

    /// Every request, by resource and then id.
    pub(crate) fn requests(&self) -> impl Iterator<Item = Asked<'_>> {
        self.resources.values().flat_map(Judged::requests)
    }

    /// The requests for an event, in the order in which they claim to be made: the place of an
    /// event is usually asked for first.
    pub(crate) fn of_event(&self, event: &EntityId) -> Vec<Asked<'_>> {
        let ids = self.by_event.get(event).into_iter().flatten();
        let asked = ids.filter_map(|(resource, id)| self.resources.get(resource)?.request(id));
        let mut asked: Vec<_> = asked.collect();
        asked.sort_by_key(|asked| (asked.request.claimed, &asked.fact.id));
        asked
    }

    /// The event that a request is made for.
    pub(crate) fn event_of(&self, request: &EntityId) -> Option<&EntityId> {
        self.events.get(request)
    }

    /// How far an event is confirmed, its document's user being its host.
    pub(crate) fn confirmation(&self, event: &EntityId, host: Option<UserId>) -> EventConfirmation {
        let asked = self.of_event(event);
        let requests = asked.iter().map(|asked| (asked.fact, asked.verdict));
        EventConfirmation::of(event, &host.into_iter().collect(), requests)
    }

    /// The events that stand in the way of requests for an event; itself is not among them.
    pub(crate) fn conflicts(&self, event: &EntityId) -> BTreeSet<EntityId> {
        let mut conflicts = BTreeSet::new();
        for asked in self.of_event(event) {
            if let Verdict::Conflicted { with, .. } = asked.verdict {
                conflicts.extend(with.iter().filter_map(|o| self.event_of(&o.request)).cloned());
            }
        }
        conflicts.remove(event);
        conflicts
    }
}

impl Judged {
    fn requests(&self) -> impl Iterator<Item = Asked<'_>> {
        self.facts.records.iter().filter_map(|fact| self.asked(fact))
    }

    fn request(&self, id: &EntityId) -> Option<Asked<'_>> {
        self.facts.records.iter().find(|fact| fact.id == *id).and_then(|fact| self.asked(fact))
    }

    fn asked<'a>(&'a self, fact: &'a Fact) -> Option<Asked<'a>> {
        let Record::Request(request) = &fact.record else { return None };
        let verdict = self.evaluation.verdicts.get(&fact.id)?;
        Some(Asked { resource: self, fact, request, verdict })
    }

    /// The resource's title, or the beginning of its id before it has arrived.
    pub(crate) fn title(&self) -> String {
        match &self.facts.resource {
            Some(resource) => crate::output::plain(&resource.title),
            None => crate::app::short(&self.facts.id.local),
        }
    }
}

impl Asked<'_> {
    pub(crate) const fn is_withdrawn(&self) -> bool {
        matches!(self.verdict, Verdict::Withdrawn { .. })
    }
}
