//! The requests for a source's rooms: which stand, and which an import has to change.

use std::collections::{HashMap, HashSet};

use p2panda_core::EntityId;
use p2panda_core::schema::Entity as _;
use p2panda_core::schema::{Instant, Record, Request, Resource, Span, Terms, Withdrawal};
use p2panda_core::store::StoreError;
use p2panda_core::view::{Fact, View};

use crate::source::Source;

/// Requests for rooms of one source, read once for a whole import.
pub(super) struct Requests {
    /// Those that this user's imports made, by event, in the order of claims.
    imported: HashMap<EntityId, Vec<Asked>>,
    /// The spans of what stands, whoever asked, room by room.
    spans: Vec<Vec<Span>>,
    note: String,
}

struct Asked {
    id: EntityId,
    terms: Terms,
    claimed: Instant,
    stands: bool,
}

impl Requests {
    pub(super) fn read(view: &View<'_>, source: &Source) -> Result<Self, StoreError> {
        let (imported, spans, note) = (HashMap::new(), Vec::new(), source.note());
        let mut requests = Self { imported, spans, note };
        let documents = source.room_documents();
        for id in view.ids(Resource::KIND)? {
            if documents.contains_key(&id.document) {
                let facts = view.facts(&id)?;
                requests.add(facts.map(|facts| facts.records).unwrap_or_default(), source);
            }
        }
        for asked in requests.imported.values_mut() {
            asked.sort_by(|a, b| (a.claimed, &a.id).cmp(&(b.claimed, &b.id)));
        }
        Ok(requests)
    }

    /// Adds all that is known of one room.
    fn add(&mut self, records: Vec<Fact>, source: &Source) {
        let standing = standing(&records);
        let mut spans = Vec::new();
        for Fact { id, author, record, .. } in records {
            let Record::Request(Request { terms, claimed, note }) = record else {
                continue;
            };
            let stands = standing.contains(&id);
            if stands && terms.span.starts < terms.span.ends {
                spans.push(terms.span);
            }
            if author == source.user() && note == self.note {
                let event = terms.event.clone();
                let asked = Asked { id, terms, claimed, stands };
                self.imported.entry(event).or_default().push(asked);
            }
        }
        self.spans.push(spans);
    }

    /// How many of the import's own requests stand.
    pub(super) fn standing(&self) -> usize {
        self.imported.values().flatten().filter(|asked| asked.stands).count()
    }

    /// How many pairs of standing requests for one room overlap.
    pub(super) fn conflicts(&self) -> usize {
        self.spans.iter().map(|spans| overlaps(spans)).sum()
    }

    /// The withdrawals and the request after which `event` asks for what is wanted.
    /// Where that is what it asked for before, only doubles are withdrawn: two devices
    /// of one user can import apart and meet later.
    pub(super) fn change(
        &self,
        event: &EntityId,
        wanted: Option<Terms>,
        is_new: bool,
        now: Instant,
    ) -> (Vec<Withdrawal>, Option<Request>) {
        let asked = self.imported.get(event).map_or(&[][..], Vec::as_slice);
        let standing: Vec<&Asked> = asked.iter().filter(|asked| asked.stands).collect();
        let same = standing.iter().find(|asked| Some(&asked.terms) == wanted.as_ref());
        let first = standing.first().filter(|_| !is_new);
        let kept = same.or(first).map(|asked| &asked.id);
        let withdrawn = standing.iter().filter(|asked| Some(&asked.id) != kept);
        let withdraw = withdrawn.map(|asked| Withdrawal {
            resource: asked.terms.resource.clone(),
            request: asked.id.clone(),
            reason: String::new(),
        });
        let withdraw = withdraw.collect();
        let request = wanted.filter(|_| is_new && kept.is_none()).map(|terms| {
            // What was withdrawn stays so for ever: asking for the same again has to
            // be another record.
            let earlier = asked.iter().filter(|asked| asked.terms == terms);
            let after = earlier.map(|asked| asked.claimed.millis().saturating_add(1)).max();
            let claimed = after.map_or(now, |after| now.max(Instant::from_millis(after)));
            let note = self.note.clone();
            Request { terms, claimed, note }
        });
        (withdraw, request)
    }
}

/// The requests that their authors have not withdrawn.
pub(crate) fn standing(records: &[Fact]) -> HashSet<EntityId> {
    let withdrawn: HashSet<_> = records
        .iter()
        .filter_map(|fact| match &fact.record {
            Record::Withdrawal(withdrawal) => Some((&withdrawal.request, fact.author)),
            _ => None,
        })
        .collect();
    let requests = records.iter().filter(|fact| matches!(fact.record, Record::Request(_)));
    let standing = requests.filter(|fact| !withdrawn.contains(&(&fact.id, fact.author)));
    standing.map(|fact| fact.id.clone()).collect()
}

/// How many pairs of spans share a moment: all pairs but those of which one ends
/// before the other starts.
fn overlaps(spans: &[Span]) -> usize {
    let mut ends: Vec<Instant> = spans.iter().map(|span| span.ends).collect();
    ends.sort_unstable();
    let over_before = |span: &Span| ends.partition_point(|end| *end <= span.starts);
    let apart: usize = spans.iter().map(over_before).sum();
    spans.len() * spans.len().saturating_sub(1) / 2 - apart
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn overlaps_are_counted_as_by_comparing_all_pairs(
            spans in proptest::collection::vec((0..40_i64, 1..9_i64), 0..30)
        ) {
            let instant = Instant::from_millis;
            let span = |(from, length)| Span { starts: instant(from), ends: instant(from + length) };
            let spans: Vec<Span> = spans.into_iter().map(span).collect();
            let pairs = spans.iter().enumerate().flat_map(|(i, a)| {
                spans[..i].iter().map(move |b| usize::from(a.overlaps(b)))
            });
            prop_assert_eq!(overlaps(&spans), pairs.sum::<usize>());
        }
    }
}
