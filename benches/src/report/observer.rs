//! What is measured over all peers: how far their views and their verdicts agree, and what was
//! granted twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use p2panda_core::{
    EntityId, FestivalId, Replica,
    schema::{Instant, Record, Resource, Span},
    store::StoreError,
    view::{ResourceFacts, View},
};
use p2panda_policy::{Policies, Tokens, Verdict, evaluate};
use p2panda_sync::sim::PeerId;

/// Of a thousand online followers of a festival, how many hold the most common view of it; of the
/// festival where they are fewest.
pub const SAME_VIEW: &str = "same view, of 1000";
/// Of a thousand, the share of followers that have heard of an event and agree on its confirmation,
/// averaged over events.
pub const AGREEMENT: &str = "agreement on confirmations, of 1000";
/// How many different views there are, of the festival where there are most.
pub const VIEWS: &str = "views";
/// Events for which something is requested.
pub const EVENTS: &str = "events";
/// Requests, at the peer that sees most.
pub const REQUESTS: &str = "requests";
/// Requests that are confirmed, at the peer that sees most.
pub const CONFIRMED: &str = "confirmed";
/// Grants in one peer's view for which its resource has no room.
pub const DOUBLE_GRANTS: &str = "double grants";
/// Pairs of grants of one resource for one moment, of which each is confirmed in some peer's view.
pub const PROMISED_TWICE: &str = "promised twice";

/// What one view says.
#[derive(Default)]
struct Seen {
    /// What became of each event's requests.
    events: BTreeMap<EntityId, Vec<(EntityId, u8)>>,
    granted: BTreeMap<EntityId, Vec<(EntityId, Span)>>,
    requests: u64,
    confirmed: u64,
    double: u64,
}

/// Measures peers, and asks equal views once.
#[derive(Default)]
pub struct Observer {
    policies: Policies,
    seen: BTreeMap<(FestivalId, u64), Arc<Seen>>,
}

impl Observer {
    /// The figures of this moment.
    ///
    /// # Errors
    /// In words: a grant for which there is no room in some view, or a store that fails.
    pub fn measure(
        &mut self,
        peers: &[(PeerId, &Replica)],
    ) -> Result<BTreeMap<String, u64>, String> {
        let mut festivals: BTreeMap<FestivalId, Vec<Arc<Seen>>> = BTreeMap::new();
        let mut used = BTreeMap::new();
        for (_, replica) in peers {
            for festival in replica.festivals().map_err(text)? {
                let key = (festival.id(), held(replica, festival.id()).map_err(text)?);
                let seen = match self.seen.get(&key).or_else(|| used.get(&key)) {
                    Some(seen) => Arc::clone(seen),
                    None => Arc::new(self.look(replica.view(festival.id())).map_err(text)?),
                };
                used.insert(key, Arc::clone(&seen));
                festivals.entry(festival.id()).or_default().push(seen);
            }
        }
        self.seen = used;
        let mut figures = Figures::default();
        festivals.values().for_each(|views| figures.add(views));
        if figures.double > 0 {
            return Err(format!("{} {DOUBLE_GRANTS} in one view", figures.double));
        }
        Ok(figures.named())
    }

    /// Fails where a replica's view promises more than there is.
    ///
    /// # Errors
    /// What does not hold, in words.
    pub fn check(&self, replica: &Replica) -> Result<(), String> {
        for festival in replica.festivals().map_err(text)? {
            let seen = self.look(replica.view(festival.id())).map_err(text)?;
            if seen.double > 0 {
                return Err(format!("{} {DOUBLE_GRANTS} in one view", seen.double));
            }
        }
        Ok(())
    }

    fn look(&self, view: View<'_>) -> Result<Seen, StoreError> {
        let mut seen = Seen::default();
        for (id, _) in view.list::<Resource>()? {
            if let Some(facts) = view.facts(&id)? {
                self.judge(&facts, &mut seen);
            }
        }
        Ok(seen)
    }

    fn judge(&self, facts: &ResourceFacts, seen: &mut Seen) {
        // Nobody here rests a policy on tokens.
        let evaluation = evaluate(&self.policies, facts, &Tokens::none());
        let mut granted = Vec::new();
        for fact in &facts.records {
            let Record::Request(request) = &fact.record else { continue };
            let verdict = &evaluation.verdicts[&fact.id];
            let requests = seen.events.entry(request.terms.event.clone()).or_default();
            requests.push((fact.id.clone(), kind(verdict)));
            seen.requests += 1;
            if matches!(verdict, Verdict::Confirmed { .. }) {
                granted.push((fact.id.clone(), request.terms.span, request.terms.units));
            }
        }
        let capacity = facts.resource.as_ref().map_or(i64::MAX, |resource| resource.capacity);
        let promised = evaluation.allocation.grants().iter();
        let promised = promised.map(|grant| (grant.terms.span, grant.terms.units)).collect();
        let shown = granted.iter().map(|(_, span, units)| (*span, *units)).collect();
        seen.double += too_many(shown, capacity).max(too_many(promised, capacity));
        seen.confirmed += granted.len() as u64;
        let granted = granted.into_iter().map(|(id, span, _)| (id, span)).collect();
        seen.granted.insert(facts.id.clone(), granted);
    }
}

/// A short name for what a replica holds of a festival: equal logs give equal views.
fn held(replica: &Replica, festival: FestivalId) -> Result<u64, StoreError> {
    let mut hasher = DefaultHasher::new();
    replica.logs(festival)?.hash(&mut hasher);
    for fork in replica.forks(festival)? {
        fork.log.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// How many grants begin while there are too many.
fn too_many(grants: Vec<(Span, i64)>, capacity: i64) -> u64 {
    let mut changes: BTreeMap<Instant, (i64, Vec<i64>)> = BTreeMap::new();
    for (span, units) in grants {
        changes.entry(span.starts).or_default().1.push(units);
        changes.entry(span.ends).or_default().0 += units;
    }
    let (mut used, mut many) = (0_i64, 0);
    for (ending, starting) in changes.into_values() {
        used = used.saturating_sub(ending);
        for units in starting {
            used = used.saturating_add(units);
            many += u64::from(used > capacity);
        }
    }
    many
}

const fn kind(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Confirmed { .. } => 1,
        Verdict::Tentative { .. } => 2,
        Verdict::Requested { .. } => 3,
        Verdict::Conflicted { .. } => 4,
        Verdict::Outside { .. } => 5,
        Verdict::Denied { .. } => 6,
        Verdict::Withdrawn { .. } => 7,
        _ => 0,
    }
}

struct Figures {
    same: u64,
    views: u64,
    events: u64,
    /// Millionths, summed over events.
    agreeing: u64,
    requests: u64,
    confirmed: u64,
    double: u64,
    twice: u64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            same: 1000,
            views: 0,
            events: 0,
            agreeing: 0,
            requests: 0,
            confirmed: 0,
            double: 0,
            twice: 0,
        }
    }
}

impl Figures {
    /// The views of one festival, one for each follower.
    fn add(&mut self, followers: &[Arc<Seen>]) {
        let mut views: Vec<(&Arc<Seen>, usize)> = Vec::new();
        for seen in followers {
            match views.iter_mut().find(|(known, _)| Arc::ptr_eq(known, seen)) {
                Some((_, count)) => *count += 1,
                None => views.push((seen, 1)),
            }
        }
        let largest = views.iter().map(|(_, count)| *count).max().unwrap_or(0);
        self.same = self.same.min((largest * 1000 / followers.len().max(1)) as u64);
        self.views = self.views.max(views.len() as u64);
        let events: BTreeSet<&EntityId> =
            views.iter().flat_map(|(seen, _)| seen.events.keys()).collect();
        for event in &events {
            // Who has not heard of it agrees with nobody.
            let mut states: BTreeMap<&Vec<_>, usize> = BTreeMap::new();
            for (seen, count) in &views {
                if let Some(state) = seen.events.get(*event) {
                    *states.entry(state).or_default() += count;
                }
            }
            let agreeing = states.into_values().max().unwrap_or(0);
            self.agreeing += (agreeing * 1_000_000 / followers.len()) as u64;
        }
        self.events += events.len() as u64;
        let most = |of: fn(&Seen) -> u64| views.iter().map(|(seen, _)| of(seen)).max();
        self.requests += most(|seen| seen.requests).unwrap_or(0);
        self.confirmed += most(|seen| seen.confirmed).unwrap_or(0);
        self.double = views.iter().map(|(seen, _)| seen.double).fold(self.double, u64::max);
        self.twice += promised_twice(&views);
    }

    fn named(self) -> BTreeMap<String, u64> {
        // Rounded down, so that 1000 means all.
        let agreement = self.agreeing.checked_div(self.events).unwrap_or(1_000_000) / 1000;
        let figures = [
            (SAME_VIEW, self.same),
            (VIEWS, self.views),
            (AGREEMENT, agreement),
            (EVENTS, self.events),
            (REQUESTS, self.requests),
            (CONFIRMED, self.confirmed),
            (DOUBLE_GRANTS, self.double),
            (PROMISED_TWICE, self.twice),
        ];
        figures.map(|(name, figure)| (name.to_owned(), figure)).into()
    }
}

fn promised_twice(views: &[(&Arc<Seen>, usize)]) -> u64 {
    let mut all: BTreeMap<&EntityId, BTreeSet<(Span, &EntityId)>> = BTreeMap::new();
    for (seen, _) in views {
        for (resource, granted) in &seen.granted {
            let grants = granted.iter().map(|(id, span)| (*span, id));
            all.entry(resource).or_default().extend(grants);
        }
    }
    let mut twice = 0;
    for grants in all.values() {
        let grants: Vec<Span> = grants.iter().map(|(span, _)| *span).collect();
        for (at, grant) in grants.iter().enumerate() {
            let later = grants[at + 1..].iter().take_while(|other| other.starts < grant.ends);
            twice += later.count() as u64;
        }
    }
    twice
}

fn text(error: StoreError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(starts: i64, ends: i64) -> Span {
        Span { starts: Instant::from_millis(starts), ends: Instant::from_millis(ends) }
    }

    #[test]
    fn a_grant_without_room_is_counted_and_one_that_follows_another_is_not() {
        let (first, next, over) = ((span(0, 10), 1), (span(10, 20), 1), (span(9, 11), 1));
        assert_eq!(too_many(vec![first, next], 1), 0);
        assert_eq!(too_many(vec![first, over], 1), 1);
        assert_eq!(too_many(vec![first, next, over], 1), 2);
        assert_eq!(too_many(vec![first, next, over], 2), 0);
    }
}
