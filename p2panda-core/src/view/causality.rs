//! What the entries of a document had seen of each other.
//!
//! A row says what one entry itself names as seen, and only entries that name anything have one. So
//! rows stay in proportion to payloads: all that an entry had seen follows from them, and said with
//! each entry it would grow with the number of incarnations times that of entries.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use crate::{
    document::{Clock, Document, Merges, Touched, Writer},
    id::{DocumentId, FestivalId, Incarnation},
    replica::damaged,
    store::{StoreError, Table},
    view::{
        keys::{IndexOf, index_key},
        reader::Reader,
        writer::RowWriter,
    },
};

/// An entry that names entries of other incarnations as seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// Whose entry it is.
    pub incarnation: Incarnation,
    /// Which one, from 0.
    pub index: u64,
    /// How many entries of which other incarnations it names. It had seen what the last of each had
    /// seen, too, and what its own previous entry had.
    pub seen: Vec<(Incarnation, u64)>,
}

/// What the entries of one document had seen of each other: shared by all the facts of it that one
/// question is answered with.
#[derive(Clone, Default)]
pub struct Causality(Option<Arc<Inner>>);

struct Inner {
    merges: Vec<Merge>,
    /// Only who compares positions needs them.
    pasts: OnceLock<Pasts>,
}

impl Causality {
    /// Of a document with these merges.
    pub fn new(merges: impl IntoIterator<Item = Merge>) -> Self {
        let mut merges: Vec<_> = merges.into_iter().collect();
        if merges.is_empty() {
            return Self(None);
        }
        merges.sort_by_key(|merge| (merge.incarnation, merge.index));
        Self(Some(Arc::new(Inner { merges, pasts: OnceLock::new() })))
    }

    /// The document's merges, by incarnation and index.
    #[must_use]
    pub fn merges(&self) -> &[Merge] {
        self.0.as_ref().map_or(&[], |inner| &inner.merges)
    }

    /// Whether two facts share it. Two that do not may still say the same.
    #[must_use]
    pub fn is_shared_with(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// How many entries of an incarnation another incarnation's entry had seen.
    pub(super) fn seen_of(&self, entry: (Incarnation, u64), of: &Incarnation) -> u64 {
        let known = |inner: &Arc<Inner>| {
            let pasts = inner.pasts();
            Some(u64::from(pasts.at(entry)?.get(*pasts.writers.get(of)?)))
        };
        self.0.as_ref().and_then(known).unwrap_or(0)
    }

    /// How many entries of each other incarnation an entry had seen.
    pub(super) fn seen(&self, entry: (Incarnation, u64)) -> BTreeMap<Incarnation, u64> {
        let mut seen = BTreeMap::new();
        let Some(inner) = &self.0 else { return seen };
        let pasts = inner.pasts();
        if let Some(past) = pasts.at(entry) {
            let incarnations: BTreeMap<Writer, Incarnation> =
                pasts.writers.iter().map(|(incarnation, writer)| (*writer, *incarnation)).collect();
            past.for_each(|writer, length| {
                let other = incarnations.get(&writer).filter(|other| **other != entry.0);
                seen.extend(other.map(|other| (*other, u64::from(length))));
            });
        }
        seen
    }
}

impl fmt::Debug for Causality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Causality").field(&self.merges()).finish()
    }
}

impl Inner {
    fn pasts(&self) -> &Pasts {
        self.pasts.get_or_init(|| Pasts::of(&self.merges))
    }

    /// The last merge of an incarnation among its first entries, by number.
    fn last(merges: &[Merge], incarnation: Incarnation, length: u64) -> Option<usize> {
        let end = merges
            .partition_point(|merge| (merge.incarnation, merge.index) < (incarnation, length));
        let last = end.checked_sub(1)?;
        (merges[last].incarnation == incarnation).then_some(last)
    }
}

/// The past of each merge; between two of them a log learns nothing of others.
struct Pasts {
    writers: BTreeMap<Incarnation, Writer>,
    merges: BTreeMap<(Incarnation, u64), Clock>,
}

impl Pasts {
    fn of(merges: &[Merge]) -> Self {
        let mut writers = BTreeMap::new();
        for merge in merges {
            let others = merge.seen.iter().map(|(other, _)| *other);
            for incarnation in others.chain([merge.incarnation]) {
                let next = Writer::try_from(writers.len()).unwrap_or(Writer::MAX);
                writers.entry(incarnation).or_insert(next);
            }
        }
        let before = |number: usize| {
            let Merge { incarnation, index, seen } = &merges[number];
            let own = Inner::last(merges, *incarnation, *index);
            let others =
                seen.iter().filter_map(|(other, length)| Inner::last(merges, *other, *length));
            own.into_iter().chain(others)
        };
        let mut pasts: Vec<Option<Clock>> = vec![None; merges.len()];
        let mut begun = vec![false; merges.len()];
        let mut stack = Vec::new();
        for number in 0..merges.len() {
            stack.push(number);
            while let Some(top) = stack.last().copied() {
                if pasts[top].is_some() {
                    stack.pop();
                } else if !begun[top] {
                    begun[top] = true;
                    stack.extend(before(top).filter(|earlier| !begun[*earlier]));
                } else {
                    // All before it are known, but for merges in a circle: no log has such.
                    let mut past = Clock::default();
                    for earlier in before(top) {
                        if let Some(earlier) = &pasts[earlier] {
                            past.merge(earlier);
                        }
                    }
                    for (other, length) in &merges[top].seen {
                        past.raise(writers[other], u32::try_from(*length).unwrap_or(u32::MAX));
                    }
                    pasts[top] = Some(past);
                    stack.pop();
                }
            }
        }
        let keys = merges.iter().map(|merge| (merge.incarnation, merge.index));
        let merges = keys.zip(pasts.into_iter().map(Option::unwrap_or_default)).collect();
        Self { writers, merges }
    }

    fn at(&self, (incarnation, index): (Incarnation, u64)) -> Option<&Clock> {
        let mut own = self.merges.range((incarnation, 0)..=(incarnation, index));
        own.next_back().map(|(_, past)| past)
    }
}

/// Where what a document's entries name as seen is stored.
fn prefix(festival: FestivalId, document: &DocumentId) -> Vec<u8> {
    index_key(IndexOf::Merge, festival, &[document.as_bytes()])
}

impl Reader<'_> {
    /// What the entries of a document had seen of each other.
    pub(super) fn causality(&self, document: &DocumentId) -> Result<Causality, StoreError> {
        let prefix = prefix(self.festival, document);
        let merges = self.scan(Table::Index, &prefix)?.into_iter().map(|(key, value)| {
            let place = key[prefix.len()..].split_first_chunk::<8>();
            let (incarnation, index) = place.ok_or_else(|| damaged("a merge has no place"))?;
            let index = index.try_into().map(u64::from_be_bytes).map_err(damaged)?;
            let (seen, rest) = value.as_chunks::<16>();
            if !rest.is_empty() {
                return Err(damaged("a merge is cut off"));
            }
            let seen = seen.iter().map(|bytes| {
                let (incarnation, length) = bytes.split_at(8);
                let [incarnation, length] =
                    [incarnation, length].map(|part| part.try_into().unwrap_or_default());
                (Incarnation::from_bytes(incarnation), u64::from_be_bytes(length))
            });
            let incarnation = Incarnation::from_bytes(*incarnation);
            Ok(Merge { incarnation, index, seen: seen.collect() })
        });
        Ok(Causality::new(merges.collect::<Result<Vec<_>, _>>()?))
    }
}

impl RowWriter<'_> {
    /// Writes what new entries name as seen, or makes it all anew.
    pub(super) fn merges(
        &mut self,
        id: &DocumentId,
        document: &Document,
        touched: &Touched,
    ) -> Result<(), StoreError> {
        let prefix = prefix(self.festival, id);
        let entry = |merge: (Incarnation, u64)| {
            let (incarnation, index) = merge;
            let key = [&prefix[..], incarnation.as_bytes(), &index.to_be_bytes()].concat();
            let seen = document.seen_directly(merge).flat_map(|(other, length)| {
                [*other.as_bytes(), length.to_be_bytes()].into_iter().flatten()
            });
            (key, seen.collect())
        };
        match touched.merges() {
            Merges::These(merges) => {
                for (key, value) in merges.iter().copied().map(entry) {
                    self.put(Table::Index, key, value);
                }
            }
            Merges::All => {
                let old = self.reader().scan(Table::Index, &prefix)?.into_iter().collect();
                self.replace_entries(old, document.merges().map(entry).collect());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::view::Position;

    fn incarnation(number: usize) -> Incarnation {
        Incarnation::from_bytes((number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
    }

    /// Entries in an order in which they may be written: who writes, and up to three earlier
    /// entries that are named as seen.
    fn history() -> impl Strategy<Value = Vec<(usize, Vec<prop::sample::Index>)>> {
        let entry = (0_usize..6, proptest::collection::vec(any::<prop::sample::Index>(), 0..3));
        proptest::collection::vec(entry, 1..40)
    }

    proptest! {
        #[test]
        fn what_was_seen_is_all_that_was_named_and_what_that_had_seen(history in history()) {
            let mut lengths = [0_u64; 6];
            let mut entries: Vec<((usize, u64), BTreeMap<usize, u64>)> = Vec::new();
            let mut merges = Vec::new();
            for (writer, named) in history {
                let index = lengths[writer];
                lengths[writer] += 1;
                let own = entries.iter().rev().find(|((of, _), _)| *of == writer);
                let mut past = own.map(|(_, past)| past.clone()).unwrap_or_default();
                let mut seen = Vec::new();
                for other in named.iter().filter(|_| !entries.is_empty()) {
                    let ((of, at), of_other) = other.get(&entries).clone();
                    for (writer, length) in of_other.into_iter().chain([(of, at + 1)]) {
                        let known = past.entry(writer).or_default();
                        *known = length.max(*known);
                    }
                    if of != writer {
                        seen.push((incarnation(of), at + 1));
                    }
                }
                past.remove(&writer);
                if !seen.is_empty() {
                    merges.push(Merge { incarnation: incarnation(writer), index, seen });
                }
                entries.push(((writer, index), past));
            }
            let causality = Causality::new(merges);
            let position = |(writer, index)| {
                Position { incarnation: incarnation(writer), index, causality: causality.clone() }
            };
            for (entry, past) in &entries {
                let expected: BTreeMap<_, _> =
                    past.iter().map(|(other, length)| (incarnation(*other), *length)).collect();
                prop_assert_eq!(position(*entry).seen(), expected);
                for (other, _) in &entries {
                    let precedes = if other.0 == entry.0 {
                        other.1 < entry.1
                    } else {
                        past.get(&other.0).is_some_and(|length| other.1 < *length)
                    };
                    prop_assert_eq!(position(*other).precedes(&position(*entry)), precedes);
                }
            }
        }
    }

    #[test]
    fn merges_in_a_circle_end() {
        let [one, two] = [1, 2].map(incarnation);
        let merge = |of, seen| Merge { incarnation: of, index: 0, seen: vec![(seen, 9)] };
        let causality = Causality::new([merge(one, two), merge(two, one)]);
        let position =
            |incarnation| Position { incarnation, index: 0, causality: causality.clone() };
        assert!(position(one).precedes(&position(two)));
        assert!(position(two).precedes(&position(one)));
    }
}
