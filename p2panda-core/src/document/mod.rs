//! The only door to Automerge. Payloads that pass the [gate](gate) become changes of an Automerge
//! document that one user writes; everything else sees plain fields.
//!
//! Automerge is safe with friends and unsafe with strangers: malformed changes make it panic, use
//! unbounded memory, or accept what it cannot load again. So each payload is judged here, before
//! Automerge sees it, by rules under which applying it cannot fail.

mod draft;
mod gate;
mod index;
mod read;
mod refusal;
mod scan;
#[cfg(test)]
mod tests;
mod touched;

use automerge::{Automerge, Change};

pub(crate) use draft::Draft;
pub use draft::DraftError;
use gate::Gate;
use index::Index;
pub(crate) use read::Content;
pub use refusal::Refusal;
pub(crate) use touched::{Touched, Wrote};

use crate::id::{Incarnation, UserId};

/// What became of a payload that was offered to its document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is part of the document; these places may have changed.
    Valid(Touched),
    /// Something it depends on has not arrived.
    Waiting,
    /// It never will be part of it.
    Refused(Refusal),
}

/// One user's document: a pure function of the valid prefixes of its logs.
#[derive(Debug)]
pub(crate) struct Document {
    user: UserId,
    automerge: Automerge,
    index: Index,
    /// Judged valid, not yet applied: applying in batches is several times faster.
    pending: Vec<Change>,
}

impl Document {
    pub(crate) fn new(user: UserId) -> Self {
        Self { user, automerge: Automerge::new(), index: Index::default(), pending: Vec::new() }
    }

    /// Offers the payload at `position` (from 0) of an incarnation's log. Call
    /// [`settle`](Self::settle) before reading.
    pub(crate) fn offer(
        &mut self,
        incarnation: Incarnation,
        position: u64,
        payload: &[u8],
    ) -> Outcome {
        match gate::judge(&mut self.index, &self.user, incarnation, position, payload) {
            Err(refusal) => Outcome::Refused(refusal),
            Ok(Gate::Waiting) => Outcome::Waiting,
            Ok(Gate::Passed(passed)) => {
                let hash = passed.change.hash();
                let gate::Passed { change, dependencies, past, max_op, placed } = *passed;
                let touched = self.index.insert(hash, &dependencies, past, max_op, placed);
                self.pending.push(change);
                Outcome::Valid(touched)
            }
        }
    }

    /// Applies what was judged valid. An error is a bug in the gate: the document is to be dropped
    /// and the payloads since the last call to be set aside.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        let pending = std::mem::take(&mut self.pending);
        self.automerge.apply_changes(pending).map_err(|error| error.to_string())
    }

    /// How many payloads of an incarnation's log are part of the document.
    pub(crate) fn length(&self, incarnation: &Incarnation) -> u64 {
        let writer = self.index.find_writer(incarnation);
        writer.map_or(0, |writer| self.index.writers[writer].changes.len() as u64)
    }
}
