//! A door to the gate for fuzzers, without the logs, signatures and stores around it. No part of the
//! library: it is there under `cfg(fuzzing)` alone.

use crate::{
    document::{Document, Outcome, to_automerge},
    id::{Incarnation, UserId},
};

/// A document with a past, to which one payload after the other is offered as its next.
pub struct Gate {
    user: UserId,
    past: Vec<(Incarnation, Vec<u8>)>,
    document: Document,
}

impl Gate {
    /// A document with these entries, each valid after those before it.
    #[must_use]
    pub fn new(user: UserId, past: Vec<(Incarnation, Vec<u8>)>) -> Self {
        let document = build(user, &past);
        Self { user, past, document }
    }

    /// Whether a payload is valid as an incarnation's next entry. Where it is, the document reads
    /// alike when it is built anew, and Automerge takes it.
    ///
    /// # Panics
    /// If it does not, or if the gate panics: what the fuzzer looks for.
    pub fn offer(&mut self, incarnation: Incarnation, payload: &[u8]) -> bool {
        let position = self.document.length(&incarnation);
        let is_valid =
            matches!(self.document.offer(incarnation, position, payload), Outcome::Valid(_));
        if is_valid {
            let mut past = self.past.clone();
            past.push((incarnation, payload.to_vec()));
            let again = build(self.user, &past);
            let payloads = past.into_iter().map(|(_, payload)| payload);
            to_automerge(payloads).expect("Automerge takes what is valid");
            for local in again.locals() {
                assert_eq!(self.document.read(&local), again.read(&local), "{local}");
            }
            self.document = build(self.user, &self.past);
        }
        is_valid
    }
}

fn build(user: UserId, entries: &[(Incarnation, Vec<u8>)]) -> Document {
    let mut document = Document::new(user);
    for (incarnation, payload) in entries {
        let position = document.length(incarnation);
        let outcome = document.offer(*incarnation, position, payload);
        assert!(matches!(outcome, Outcome::Valid(_)), "{outcome:?}");
    }
    document
}
