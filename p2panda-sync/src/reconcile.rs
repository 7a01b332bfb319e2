//! Which logs differ: the comparison of one festival's logs with the peer's.
//!
//! One side tells and the other hears. What comes out are [`Difference`]s at the side that hears;
//! what is done about them is the session's business. Today every log is told, as (log, length,
//! chain value) in ascending order, so that the hearing side compares as it reads and keeps nothing.

use p2panda_core::{FestivalId, LogId, Tip};

use crate::{
    error::PeerFault,
    wire::{Fingerprint, Item, MAX_ITEMS, Token, Vector},
};

/// A festival's logs, ascending.
pub(crate) type Logs = Vec<(LogId, Tip)>;

/// A log that the two sides do not hold alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) log: LogId,
    pub(crate) ours: Option<Tip>,
    pub(crate) theirs: Option<Tip>,
}

/// One festival's comparison: this side's logs, as they were when the session began.
#[derive(Debug)]
pub(crate) struct Reconcile {
    logs: Logs,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first so many logs are told.
    Telling(usize),
    /// The first so many logs are compared, up to and including the peer's log.
    Hearing(usize, Option<LogId>),
    Over,
}

impl Reconcile {
    /// Of logs in ascending order, which turned out to be the peer's too.
    pub(crate) const fn equal() -> Self {
        Self { logs: Vec::new(), state: State::Over }
    }

    /// Tells these logs, in ascending order.
    pub(crate) const fn telling(logs: Logs) -> Self {
        Self { logs, state: State::Telling(0) }
    }

    /// Compares these logs, in ascending order, with what the peer tells.
    pub(crate) const fn hearing(logs: Logs) -> Self {
        Self { logs, state: State::Hearing(0, None) }
    }

    /// The next message to the peer; `None` where all is told.
    pub(crate) fn tell(&mut self, place: u64) -> Option<Vector> {
        let State::Telling(from) = self.state else { return None };
        let to = self.logs.len().min(from + MAX_ITEMS);
        let logs = self.logs[from..to].iter().map(|(log, tip)| Item::new(log, tip)).collect();
        let last = to == self.logs.len();
        if last {
            self.finish()
        } else {
            self.state = State::Telling(to)
        }
        Some(Vector { place, logs, last })
    }

    /// Compares with the peer's next message.
    pub(crate) fn hear(&mut self, message: &Vector) -> Result<Vec<Difference>, PeerFault> {
        let State::Hearing(mut next, mut previous) = self.state else {
            return Err(PeerFault::Unexpected("VECTOR"));
        };
        let mut differences = Vec::new();
        for item in &message.logs {
            let (log, tip) = (item.log(), item.tip());
            if previous.replace(log).is_some_and(|previous| previous >= log) || tip.length == 0 {
                return Err(PeerFault::Message("VECTOR"));
            }
            while let Some((ours, tip)) = self.logs.get(next).filter(|(ours, _)| *ours < log) {
                differences.push(Difference { log: *ours, ours: Some(*tip), theirs: None });
                next += 1;
            }
            let ours = self.logs.get(next).filter(|(ours, _)| *ours == log).map(|(_, tip)| *tip);
            next += usize::from(ours.is_some());
            if ours != Some(tip) {
                differences.push(Difference { log, ours, theirs: Some(tip) });
            }
        }
        self.state = State::Hearing(next, previous);
        if message.last {
            let rest = self.logs.drain(next..);
            differences.extend(rest.map(|(log, tip)| Difference {
                log,
                ours: Some(tip),
                theirs: None,
            }));
            self.finish();
        }
        Ok(differences)
    }

    /// Whether nothing is left to tell or to hear.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether something is left to tell.
    pub(crate) const fn is_telling(&self) -> bool {
        matches!(self.state, State::Telling(_))
    }

    fn finish(&mut self) {
        *self = Self::equal();
    }
}

/// A hash over logs in ascending order. The salt keeps strangers from following a festival's
/// growth from session to session.
pub(crate) fn fingerprint(
    salt: &Token,
    festival: &FestivalId,
    logs: &[(LogId, Tip)],
) -> Fingerprint {
    let mut hasher = blake3::Hasher::new_derive_key("p2panda 1 festival fingerprint");
    hasher.update(&salt.0).update(festival.as_bytes());
    for (log, tip) in logs {
        hasher
            .update(&log.to_bytes())
            .update(&tip.length.to_be_bytes())
            .update(tip.chain.as_bytes());
    }
    Fingerprint(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2panda_core::{Chain, DocumentId, Incarnation};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn logs(map: &BTreeMap<u16, u8>) -> Logs {
        let entry = |(&id, &length): (&u16, &u8)| {
            let mut document = [0; 32];
            document[..2].copy_from_slice(&id.to_be_bytes());
            let incarnation = Incarnation::from_bytes([0; 8]);
            let log = LogId { document: DocumentId::from_bytes(document), incarnation };
            (log, Tip { length: length.into(), chain: Chain::from_bytes([length; 32]) })
        };
        map.iter().map(entry).collect()
    }

    fn compare(ours: &[(LogId, Tip)], theirs: &[(LogId, Tip)]) -> Vec<Difference> {
        let mut telling = Reconcile::telling(theirs.to_vec());
        let mut hearing = Reconcile::hearing(ours.to_vec());
        let mut differences = Vec::new();
        while let Some(message) = telling.tell(0) {
            differences.extend(hearing.hear(&message).unwrap());
        }
        assert!(telling.is_over() && hearing.is_over());
        differences
    }

    fn map() -> impl Strategy<Value = BTreeMap<u16, u8>> {
        prop::collection::btree_map(0_u16..600, 1_u8..4, 0..400)
    }

    proptest! {
        #[test]
        fn the_differences_are_those_of_the_two_maps(ours in map(), theirs in map()) {
            let (ours, theirs) = (logs(&ours), logs(&theirs));
            let found = compare(&ours, &theirs);
            let (a, b): (BTreeMap<_, _>, BTreeMap<_, _>) =
                (ours.into_iter().collect(), theirs.into_iter().collect());
            let all: BTreeSet<LogId> = a.keys().chain(b.keys()).copied().collect();
            let expected: Vec<_> = all.into_iter()
                .map(|log| Difference { log, ours: a.get(&log).copied(), theirs: b.get(&log).copied() })
                .filter(|difference| difference.ours != difference.theirs)
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_vector_out_of_order_is_refused() {
        let logs = logs(&BTreeMap::from([(1, 1), (2, 1)]));
        let mut vector = Reconcile::telling(logs).tell(0).unwrap();
        vector.logs.reverse();
        assert!(Reconcile::hearing(Vec::new()).hear(&vector).is_err());
        vector.logs.truncate(1);
        vector.logs[0].length = 0;
        assert!(Reconcile::hearing(Vec::new()).hear(&vector).is_err());
    }
}
