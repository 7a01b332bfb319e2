//! Histories of several incarnations, made by what honest devices do, and taken in by others in any
//! order.

use std::collections::{BTreeMap, VecDeque};

use super::*;

/// Logs by incarnation.
pub(super) type Logs = BTreeMap<Incarnation, Vec<Vec<u8>>>;

/// One run of writing on a device.
pub(super) struct Device {
    pub(super) document: Document,
    pub(super) incarnation: Incarnation,
    pub(super) logs: Logs,
}

pub(super) fn incarnation(number: u64) -> Incarnation {
    // Mixed, so that the order of incarnations is not the one in which they wrote.
    Incarnation::from_bytes(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
}

impl Device {
    pub(super) fn new(number: u64) -> Self {
        let (document, incarnation) = (Document::new(USER), incarnation(number));
        Self { document, incarnation, logs: Logs::new() }
    }

    /// Edits until the draft is used up; returns the number of payloads.
    pub(super) fn edit(&mut self, edit: impl FnOnce(&mut Draft)) -> usize {
        let mut draft = Draft::default();
        edit(&mut draft);
        let mut payloads = 0;
        while let Some(payload) = self.document.next_payload(self.incarnation, NOW, &mut draft) {
            assert!(payload.len() <= crate::log::MAX_PAYLOAD, "{}", payload.len());
            let position = self.document.length(&self.incarnation);
            let outcome = self.document.offer(self.incarnation, position, &payload);
            assert!(matches!(outcome, Outcome::Valid(_)), "{outcome:?}");
            self.logs.entry(self.incarnation).or_default().push(payload);
            payloads += 1;
        }
        payloads
    }

    pub(super) fn put(&mut self, path: &[&str], value: impl Into<Value>) -> usize {
        let value = value.into();
        self.edit(|draft| draft.put(&local("e"), path, &value).unwrap())
    }

    /// Takes in all that another device holds.
    pub(super) fn merge(&mut self, other: &Self) {
        for (incarnation, log) in &other.logs {
            let own = self.logs.entry(*incarnation).or_default();
            own.extend(log.iter().skip(own.len()).cloned());
        }
        take_in(&mut self.document, &self.logs, self.logs.keys().copied());
    }

    /// Another run of writing on the same device.
    pub(super) fn restart(&mut self, number: u64) {
        self.incarnation = incarnation(number);
    }

    pub(super) fn fields(&self) -> crate::schema::Fields {
        match self.document.read(&local("e")) {
            Some(Content::Entity(fields)) => fields,
            _ => crate::schema::Fields::new(),
        }
    }
}

/// Offers logs to a document in an order of their incarnations, each as far as it goes and again
/// once it is woken. Returns what was refused.
pub(super) fn take_in(
    document: &mut Document,
    logs: &Logs,
    order: impl Iterator<Item = Incarnation>,
) -> Vec<(Incarnation, u64, Refusal)> {
    let mut refused = Vec::new();
    let mut ready: VecDeque<Incarnation> = order.collect();
    while let Some(incarnation) = ready.pop_front().or_else(|| document.woken()) {
        loop {
            let at = document.length(&incarnation);
            let Some(payload) = logs[&incarnation].get(usize::try_from(at).unwrap()) else { break };
            match document.offer(incarnation, at, payload) {
                Outcome::Valid(_) => {}
                Outcome::Waiting => break,
                Outcome::Refused(refusal) => {
                    refused.push((incarnation, at, refusal));
                    break;
                }
            }
        }
    }
    refused
}

/// Takes the same logs in, one payload of a log at a time, in an order of one's own.
pub(super) fn take_in_slowly(logs: &Logs, mut choose: impl FnMut(usize) -> usize) -> Document {
    let mut document = Document::new(USER);
    let mut open: Vec<Incarnation> = logs.keys().copied().collect();
    let mut blocked: Vec<Incarnation> = Vec::new();
    loop {
        while let Some(woken) = document.woken() {
            blocked.retain(|other| *other != woken);
            open.push(woken);
        }
        if open.is_empty() {
            assert_eq!(blocked, [], "all that they wait for is there");
            return document;
        }
        let chosen = choose(open.len());
        let incarnation = open[chosen];
        let at = document.length(&incarnation);
        let next = logs[&incarnation].get(usize::try_from(at).unwrap());
        let Some(payload) = next else {
            open.swap_remove(chosen);
            continue;
        };
        match document.offer(incarnation, at, payload) {
            Outcome::Valid(_) => {}
            Outcome::Waiting => {
                open.swap_remove(chosen);
                blocked.push(incarnation);
            }
            Outcome::Refused(refusal) => panic!("{refusal}"),
        }
    }
}
