//! Verdicts on all requests of a festival: each resource is evaluated once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Result;
use p2panda_core::{
    EntityId, UserId,
    schema::{Entity as _, Event, Record, Request, Resource},
    view::{Fact, View},
};
use p2panda_policy::{EventConfirmation, Judge, Judged, Policies, Verdict};

/// All resources of a festival and all requests for them.
pub(crate) struct Judgement {
    pub(crate) resources: BTreeMap<EntityId, Arc<Judged>>,
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
        let mut judge = Judge::new(Policies::default());
        let mut judgement =
            Self { resources: BTreeMap::new(), by_event: BTreeMap::new(), events: BTreeMap::new() };
        let mut wanted: BTreeSet<EntityId> = view.ids(Resource::KIND)?.into_iter().collect();
        // Requests for resources that have not arrived count too.
        for event in view.ids(Event::KIND)? {
            for fact in view.event_requests(&event)? {
                wanted.insert(fact.record.resource().clone());
            }
        }
        for id in wanted {
            if let Some(judged) = judge.resource(view, &id)? {
                judgement.add(judged);
            }
        }
        Ok(judgement)
    }

    fn add(&mut self, judged: Arc<Judged>) {
        let facts = &judged.facts;
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
        self.resources.insert(facts.id.clone(), judged);
    }

    /// Every resource.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Judged> {
        self.resources.values().map(AsRef::as_ref)
    }

    /// Every request, by resource and then id.
    pub(crate) fn requests(&self) -> impl Iterator<Item = Asked<'_>> {
        self.all().flat_map(requests)
    }

    /// The requests for an event, in the order in which they claim to be made: the place of an
    /// event is usually asked for first.
    pub(crate) fn of_event(&self, event: &EntityId) -> Vec<Asked<'_>> {
        let ids = self.by_event.get(event).into_iter().flatten();
        let asked = ids.filter_map(|(resource, id)| request(self.resources.get(resource)?, id));
        let mut asked: Vec<_> = asked.collect();
        asked.sort_by_key(|asked| (asked.request.claimed, &asked.fact.id));
        asked
    }

    /// The event that a request is made for.
    pub(crate) fn event_of(&self, request: &EntityId) -> Option<&EntityId> {
        self.events.get(request)
    }

    /// How far an event is confirmed.
    pub(crate) fn confirmation(
        &self,
        event: &EntityId,
        hosts: &BTreeSet<UserId>,
    ) -> EventConfirmation {
        let asked = self.of_event(event);
        let requests = asked.iter().map(|asked| (asked.fact, asked.verdict));
        EventConfirmation::of(event, hosts, requests)
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

/// The users whose requests make an event's confirmation: its owner and editors.
pub(crate) fn hosts(event: &Event, owner: Option<UserId>) -> BTreeSet<UserId> {
    event.editors.iter().copied().chain(owner).collect()
}

fn requests(judged: &Judged) -> impl Iterator<Item = Asked<'_>> {
    let asked = |(fact, request, verdict)| Asked { resource: judged, fact, request, verdict };
    judged.requests().map(asked)
}

fn request<'a>(judged: &'a Judged, id: &EntityId) -> Option<Asked<'a>> {
    requests(judged).find(|asked| asked.fact.id == *id)
}

/// The resource's title, or the beginning of its id before it has arrived.
pub(crate) fn title(judged: &Judged) -> String {
    match &judged.facts.resource {
        Some(resource) => crate::output::plain(&resource.title),
        None => crate::app::short(&judged.facts.id.local),
    }
}

impl Asked<'_> {
    pub(crate) const fn is_withdrawn(&self) -> bool {
        matches!(self.verdict, Verdict::Withdrawn { .. })
    }

    /// The resource's title.
    pub(crate) fn title(&self) -> String {
        title(self.resource)
    }
}
