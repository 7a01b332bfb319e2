//! The only door to Automerge. Payloads are Automerge changes; those that pass the [gate](gate)
//! become part of a document that one user writes; everything else sees plain fields.
//!
//! Automerge is safe with friends and unsafe with strangers: malformed changes make it panic, use
//! unbounded memory, or accept what it cannot load again. So each payload is judged here before
//! Automerge parses it, by rules under which any Automerge can apply it. To judge them this keeps
//! what stands at each place, which is all that reading needs: what Automerge would make of the same
//! changes (the tests hold the two together), in a third of the time, and without its store of
//! operations, which grows up to 70 times as large as the payloads.

mod changes;
mod check;
mod clock;
mod draft;
mod export;
mod gate;
mod place;
mod places;
mod read;
mod refusal;
mod replay;
mod scan;
#[cfg(test)]
pub(crate) mod tests;
mod touched;
mod waiting;
mod writing;

use changes::Changes;
pub(crate) use clock::{Clock, Writer};
pub(crate) use draft::Draft;
pub use draft::DraftError;
pub(crate) use export::to_automerge;
use gate::{Gate, Known};
use places::Places;
pub use refusal::Refusal;
pub(crate) use replay::Replay;
pub(crate) use touched::{Merges, Touched, Wrote};
use waiting::Waiting;

use crate::{
    id::{Incarnation, UserId},
    schema::Fields,
};

/// What became of a payload that was offered to its document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is part of the document; these places may have changed.
    Valid(Touched),
    /// Something it depends on has not arrived. [`Document::woken`] names the log once it has.
    Waiting,
    /// It never will be part of it.
    Refused(Refusal),
}

/// An entity's merged fields, or a record with its place in the user's logs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Entity(Fields),
    Record {
        bytes: Vec<u8>,
        incarnation: Incarnation,
        index: u64,
        /// Whether the entry had seen any other incarnation's.
        merged: bool,
    },
}

/// An entry that depends on entries of other incarnations: its incarnation and number, from 0.
pub(crate) type Merge = (Incarnation, u64);

/// One user's document: a pure function of the valid prefixes of its logs.
#[derive(Debug)]
pub(crate) struct Document {
    user: UserId,
    changes: Changes,
    places: Places,
    waiting: Waiting,
    /// How many payloads were judged.
    judged: u64,
}

impl Document {
    pub(crate) fn new(user: UserId) -> Self {
        Self {
            user,
            changes: Changes::default(),
            places: Places::default(),
            waiting: Waiting::default(),
            judged: 0,
        }
    }

    /// Offers the payload at `position` (from 0) of an incarnation's log.
    pub(crate) fn offer(
        &mut self,
        incarnation: Incarnation,
        position: u64,
        payload: &[u8],
    ) -> Outcome {
        match self.judge(&incarnation, position, payload) {
            Err(refusal) => Outcome::Refused(refusal),
            Ok(Gate::Waiting(missing)) => {
                self.waiting.add(incarnation, missing);
                Outcome::Waiting
            }
            Ok(Gate::Passed(passed)) => {
                let gate::Passed { hash, dependencies, past, max_op, brought } = *passed;
                let mut touched = self.places.insert(brought, &self.changes, &past);
                self.changes.insert(incarnation, hash, &dependencies, max_op, past);
                if self.seen_directly((incarnation, position)).next().is_some() {
                    touched.merge((incarnation, position));
                }
                let changes = &self.changes;
                self.waiting.arrived(&hash, |other| changes.knows(other));
                Outcome::Valid(touched)
            }
        }
    }

    /// Lets a log wait for what its next entry depends on, without taking that entry in: where
    /// nothing is missing, [`woken`](Self::woken) names the log.
    pub(crate) fn await_missing(
        &mut self,
        incarnation: Incarnation,
        position: u64,
        payload: &[u8],
    ) {
        let missing = match self.judge(&incarnation, position, payload) {
            Ok(Gate::Waiting(missing)) => missing,
            _ => Vec::new(),
        };
        self.waiting.add(incarnation, missing);
    }

    fn judge(
        &mut self,
        incarnation: &Incarnation,
        position: u64,
        payload: &[u8],
    ) -> Result<Gate, Refusal> {
        self.judged += 1;
        #[cfg(test)]
        tests::faults::strike(payload);
        let known = Known { user: &self.user, changes: &self.changes, places: &self.places };
        gate::judge(known, incarnation, position, payload)
    }

    /// The next log that waited and may go on.
    pub(crate) fn woken(&mut self) -> Option<Incarnation> {
        self.waiting.next()
    }

    /// How many payloads of an incarnation's log are part of the document.
    pub(crate) fn length(&self, incarnation: &Incarnation) -> u64 {
        self.changes.find_writer(incarnation).map_or(0, |writer| self.changes.length(writer))
    }

    /// What an entry names as seen of other incarnations: how many entries of each. Whatever else
    /// it had seen follows from these and from the entry before it.
    pub(crate) fn seen_directly(
        &self,
        (incarnation, index): Merge,
    ) -> impl Iterator<Item = (Incarnation, u64)> {
        let writer = self.changes.find_writer(&incarnation);
        writer.into_iter().flat_map(move |writer| self.changes.dependencies(writer, index))
    }

    /// Every entry that depends on entries of other incarnations.
    pub(crate) fn merges(&self) -> impl Iterator<Item = Merge> {
        self.changes.merges()
    }

    /// About how much memory the document takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.changes.bytes() + self.places.bytes() + self.waiting.bytes()
    }

    /// How many payloads were judged.
    #[cfg(test)]
    pub(crate) const fn judged(&self) -> u64 {
        self.judged
    }
}
