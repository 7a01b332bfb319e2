//! How many units are in use at every moment, and by whom: a segment tree over the moments at which
//! anything starts or ends, so that n spans are placed in O(n log n) however much they overlap.

use std::ops::Range;

use p2panda_core::schema::{Instant, Resource, Span, Terms};

use crate::{Obstacle, Open};

/// How many obstacles a verdict names. Beyond it a list helps nobody, and all the lists together
/// would grow with the square of the requests.
pub const MAX_NAMED: usize = 16;

/// What is left of a resource's capacity at every moment. Policies get a copy of what the owner's
/// decisions left, and place open requests in it.
#[derive(Clone, Debug)]
pub struct Room {
    capacity: i64,
    occupied: Occupied,
    /// Sorted, without repetition. Slot `i` is the time from `bounds[i]` to `bounds[i + 1]`.
    bounds: Vec<Instant>,
    /// Node 1 is the root, node `n` has the children `2n` and `2n + 1`.
    nodes: Vec<Node>,
    leaves: usize,
    holders: Vec<Holder>,
}

/// What a use of a span occupies: the resource, without what does not bear on that.
#[derive(Clone, Debug)]
struct Occupied(Resource);

impl Occupied {
    fn by(resource: &Resource) -> Self {
        let &Resource { consumable, buffer_before, buffer_after, .. } = resource;
        Self(Resource { consumable, buffer_before, buffer_after, ..Resource::default() })
    }

    fn span(&self, span: &Span) -> Span {
        self.0.occupied(span)
    }
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Units held over the node's whole time.
    units: i64,
    /// The most units held at any moment of it, the own included.
    peak: i64,
    /// Who holds the node's own units, in the order in which they were placed.
    holders: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Holder {
    obstacle: Obstacle,
    ends: Instant,
}

impl Room {
    /// Places an open request if there is room for it over its whole span.
    ///
    /// # Errors
    /// What stands in the way, at most [`MAX_NAMED`] of it; at the first moment without room the
    /// list is complete up to that number. Nothing is placed then.
    pub fn take(&mut self, open: &Open<'_>) -> Result<(), Vec<Obstacle>> {
        let obstacle = Obstacle { request: open.fact.id.clone(), decision: None };
        self.place(&open.request.terms, obstacle)
    }

    /// Whether there is room for an open request over its whole span.
    #[must_use]
    pub fn fits(&self, open: &Open<'_>) -> bool {
        let Terms { span, units, .. } = &open.request.terms;
        let limit = self.capacity.saturating_sub(*units);
        self.first_above(&self.occupied.span(span), limit).is_none()
    }

    /// Places an open request whether or not there is room.
    pub fn crowd(&mut self, open: &Open<'_>) {
        let obstacle = Obstacle { request: open.fact.id.clone(), decision: None };
        self.reserve(&open.request.terms, obstacle);
    }

    /// Whether more is placed at some moment of an open request's time than there is.
    #[must_use]
    pub fn is_crowded(&self, open: &Open<'_>) -> bool {
        let span = self.occupied.span(&open.request.terms.span);
        self.first_above(&span, self.capacity).is_some()
    }

    /// An empty room for terms with these spans; other spans cannot be placed in it.
    pub(crate) fn new(resource: &Resource, spans: impl Iterator<Item = Span>) -> Self {
        let occupied = Occupied::by(resource);
        let spans = spans.filter(|span| span.starts < span.ends).map(|span| occupied.span(&span));
        let mut bounds: Vec<Instant> = spans.flat_map(|span| [span.starts, span.ends]).collect();
        bounds.sort_unstable();
        bounds.dedup();
        let leaves = bounds.len().next_power_of_two();
        let nodes = vec![Node::default(); 2 * leaves];
        Self { capacity: resource.capacity, occupied, bounds, nodes, leaves, holders: Vec::new() }
    }

    pub(crate) fn place(&mut self, terms: &Terms, by: Obstacle) -> Result<(), Vec<Obstacle>> {
        if let Some(with) = self.obstacles(terms) {
            return Err(with);
        }
        self.reserve(terms, by);
        Ok(())
    }

    /// Places terms whether or not there is room.
    pub(crate) fn reserve(&mut self, terms: &Terms, obstacle: Obstacle) {
        let span = self.occupied.span(&terms.span);
        self.holders.push(Holder { obstacle, ends: span.ends });
        let slots = self.slots(&span);
        self.add(1, 0..self.leaves, &slots, terms.units);
    }

    /// What leaves no room for these terms; `None` if there is room.
    pub(crate) fn obstacles(&self, terms: &Terms) -> Option<Vec<Obstacle>> {
        let limit = self.capacity.saturating_sub(terms.units);
        let mut rest = self.occupied.span(&terms.span);
        let mut full = self.first_above(&rest, limit)?;
        let mut named: Vec<usize> = Vec::new();
        loop {
            let covering = self.covering(full);
            // Until one of them ends, whatever else has no room here has these in its way too.
            let next = covering.iter().map(|&holder| self.holders[holder].ends).min();
            let new: Vec<usize> = covering.into_iter().filter(|h| !named.contains(h)).collect();
            named.extend(new);
            let Some(next) = next.filter(|next| *next < rest.ends && named.len() < MAX_NAMED)
            else {
                break;
            };
            rest.starts = next;
            let Some(slot) = self.first_above(&rest, limit) else {
                break;
            };
            full = slot;
        }
        named.truncate(MAX_NAMED);
        Some(named.into_iter().map(|holder| self.holders[holder].obstacle.clone()).collect())
    }

    fn slots(&self, span: &Span) -> Range<usize> {
        let slot = |moment: Instant| self.bounds.partition_point(|bound| *bound < moment);
        slot(span.starts)..slot(span.ends)
    }

    fn add(&mut self, node: usize, covers: Range<usize>, slots: &Range<usize>, units: i64) {
        #[cfg(test)]
        cost::count();
        if covers.end <= slots.start || slots.end <= covers.start {
            return;
        }
        if slots.start <= covers.start && covers.end <= slots.end {
            let holder = self.holders.len() - 1;
            let node = &mut self.nodes[node];
            node.units = node.units.saturating_add(units);
            node.peak = node.peak.saturating_add(units);
            node.holders.push(holder);
            return;
        }
        let middle = covers.start.midpoint(covers.end);
        self.add(2 * node, covers.start..middle, slots, units);
        self.add(2 * node + 1, middle..covers.end, slots, units);
        let below = self.nodes[2 * node].peak.max(self.nodes[2 * node + 1].peak);
        self.nodes[node].peak = self.nodes[node].units.saturating_add(below);
    }

    /// The first slot of a span in which more than `limit` units are held.
    fn first_above(&self, span: &Span, limit: i64) -> Option<usize> {
        self.descend(1, 0..self.leaves, &self.slots(span), limit)
    }

    fn descend(
        &self,
        node: usize,
        covers: Range<usize>,
        slots: &Range<usize>,
        limit: i64,
    ) -> Option<usize> {
        #[cfg(test)]
        cost::count();
        let outside = covers.end <= slots.start || slots.end <= covers.start;
        if outside || self.nodes[node].peak <= limit {
            return None;
        }
        if covers.len() == 1 {
            return Some(covers.start);
        }
        let limit = limit.saturating_sub(self.nodes[node].units);
        let middle = covers.start.midpoint(covers.end);
        self.descend(2 * node, covers.start..middle, slots, limit)
            .or_else(|| self.descend(2 * node + 1, middle..covers.end, slots, limit))
    }

    /// The first [`MAX_NAMED`] holders of a slot, in the order in which they were placed.
    fn covering(&self, slot: usize) -> Vec<usize> {
        let mut holders = Vec::new();
        let mut node = self.leaves + slot;
        while node > 0 {
            holders.extend(self.nodes[node].holders.iter().take(MAX_NAMED));
            node /= 2;
        }
        holders.sort_unstable();
        holders.truncate(MAX_NAMED);
        holders
    }
}

/// Counts the nodes that are visited: what evaluating costs, on every machine the same.
#[cfg(test)]
pub(crate) mod cost {
    use std::cell::Cell;

    thread_local!(static VISITS: Cell<u64> = const { Cell::new(0) });

    pub(crate) fn count() {
        VISITS.set(VISITS.get() + 1);
    }

    pub(crate) fn take() -> u64 {
        VISITS.replace(0)
    }
}

#[cfg(test)]
mod tests {
    use p2panda_core::{DocumentId, EntityId, schema::Instant};

    use super::*;

    fn terms(starts: i64, ends: i64, units: i64) -> Terms {
        let id = |name: &str| EntityId::new(DocumentId::from_bytes([1; 32]), name.parse().unwrap());
        let [starts, ends] = [starts, ends].map(Instant::from_millis);
        Terms { event: id("event"), resource: id("room"), span: Span { starts, ends }, units }
    }

    #[test]
    fn the_tree_agrees_with_counting_moment_by_moment() {
        let mut state = 7u64;
        let mut random = |below: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            i64::try_from((state >> 33) % u64::try_from(below).unwrap()).unwrap()
        };
        for capacity in [1, 3, 8] {
            let all: Vec<Terms> = (0..120)
                .map(|_| {
                    let starts = random(40);
                    terms(starts, starts + 1 + random(12), 1 + random(capacity))
                })
                .collect();
            let of = Resource { capacity, ..Resource::default() };
            let mut room = Room::new(&of, all.iter().map(|terms| terms.span));
            let mut used = [0; 60];
            for (number, terms) in all.iter().enumerate() {
                let mut obstacle = Obstacle { request: terms.event.clone(), decision: None };
                obstacle.request.local = number.to_string().parse().unwrap();
                let moments = usize::try_from(terms.span.starts.millis()).unwrap()
                    ..usize::try_from(terms.span.ends.millis()).unwrap();
                let fits = used[moments.clone()].iter().all(|used| used + terms.units <= capacity);
                match room.place(terms, obstacle) {
                    Ok(()) => {
                        assert!(fits);
                        used[moments].iter_mut().for_each(|used| *used += terms.units);
                    }
                    Err(with) => {
                        assert!(!fits);
                        let number = |o: &Obstacle| o.request.local.as_str().parse::<usize>();
                        assert!(!with.is_empty());
                        let spans = with.iter().map(|with| all[number(with).unwrap()].span);
                        assert!(spans.into_iter().all(|span| span.overlaps(&terms.span)));
                    }
                }
            }
        }
    }

    #[test]
    fn whoever_holds_units_only_where_there_is_room_is_not_in_the_way() {
        let all = [terms(0, 1, 1), terms(5, 6, 8), terms(0, 10, 5)];
        let of = Resource { capacity: 10, ..Resource::default() };
        let mut room = Room::new(&of, all.iter().map(|terms| terms.span));
        for (number, terms) in all[..2].iter().enumerate() {
            let mut request = terms.event.clone();
            request.local = number.to_string().parse().unwrap();
            room.place(terms, Obstacle { request, decision: None }).unwrap();
        }
        let with = room.obstacles(&all[2]).unwrap();
        assert_eq!(with.iter().map(|o| o.request.local.as_str()).collect::<Vec<_>>(), ["1"]);
    }
}
