//! Following what a followed festival names: its parts, and festivals that it takes in.

use std::collections::BTreeSet;

use crate::{
    festival::Ticket,
    id::FestivalId,
    replica::{Replica, Subscription},
    schema::FestivalLink,
    store::{Batch, StoreError, Table},
};

/// The most links of one festival that are followed, the first by id.
pub const MAX_FOLLOWED_LINKS: usize = 64;

/// The most festivals that are followed for a link's sake: a sync session has room for so many.
const MAX_FESTIVALS: usize = 256;

const LEFT: &[u8] = b"left";

impl Replica {
    /// Joins the festivals that followed ones name in links, as deep as their
    /// [subscriptions](Subscription::depth) say, and returns those that are new. A festival's links
    /// are those of its founder: others may put them anywhere, and nobody is led by them. A festival
    /// that was left is not joined again for a link's sake.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn follow_links(&mut self) -> Result<Vec<FestivalId>, StoreError> {
        let mut joined = Vec::new();
        let deep = self.subscriptions.iter().filter(|(_, subscribed)| subscribed.depth > 0);
        let mut to_look: Vec<_> =
            deep.map(|(festival, subscribed)| (*festival, subscribed.depth)).collect();
        // The deepest first, so that each is looked at once with what it may reach.
        to_look.sort_by_key(|(_, depth)| *depth);
        let mut looked = BTreeSet::new();
        while let Some((festival, depth)) = to_look.pop() {
            if !looked.insert((festival, depth)) {
                continue;
            }
            for ticket in self.links_of(festival)? {
                let id = ticket.festival.id();
                let left = self.store.get(Table::Meta, &left_key(id))?.is_some();
                if left || id == festival {
                    continue;
                }
                if self.festival(id)?.is_none() {
                    if self.festivals()?.len() >= MAX_FESTIVALS {
                        return Ok(joined);
                    }
                    self.join(&ticket.festival)?;
                    joined.push(id);
                }
                let subscribed = self.subscription(id);
                if subscribed.depth < depth - 1 {
                    self.subscribe(id, Subscription { depth: depth - 1, ..subscribed })?;
                    to_look.push((id, depth - 1));
                    to_look.sort_by_key(|(_, depth)| *depth);
                }
            }
        }
        Ok(joined)
    }

    /// The tickets that a festival's founder links to, as far as they are any.
    fn links_of(&self, festival: FestivalId) -> Result<Vec<Ticket>, StoreError> {
        let Some(founder) = self.festival(festival)?.map(|festival| festival.founder()) else {
            return Ok(Vec::new());
        };
        let links = self.view(festival).list_by::<FestivalLink>(&founder, MAX_FOLLOWED_LINKS)?;
        let tickets = links.into_iter().filter_map(|(_, link)| link.ok()?.ticket.parse().ok());
        Ok(tickets.collect())
    }

    pub(super) fn note_left(festival: FestivalId, batch: &mut Batch) {
        batch.put(Table::Meta, left_key(festival), *b"");
    }

    pub(super) fn forget_left(festival: FestivalId, batch: &mut Batch) {
        batch.delete(Table::Meta, left_key(festival));
    }
}

fn left_key(festival: FestivalId) -> Vec<u8> {
    [LEFT, &festival.as_bytes()[..]].concat()
}
