//! Which logs wait for which change: an arrival wakes exactly those that waited for it.

use std::collections::{HashMap, HashSet, VecDeque};

use automerge::ChangeHash;

use crate::id::Incarnation;

/// The logs of a document whose next entries depend on changes that are not here yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By one of the changes each log waits for: the log, and the others.
    logs: HashMap<ChangeHash, Vec<(Incarnation, Vec<ChangeHash>)>>,
    waits: HashSet<Incarnation>,
    /// What may go on, in the order in which it became able to.
    woken: VecDeque<Incarnation>,
}

impl Waiting {
    /// A log waits until all of these have arrived.
    pub(super) fn add(&mut self, log: Incarnation, missing: Vec<ChangeHash>) {
        if self.waits.insert(log) {
            self.wait(log, missing);
        }
    }

    fn wait(&mut self, log: Incarnation, mut missing: Vec<ChangeHash>) {
        match missing.pop() {
            Some(next) => self.logs.entry(next).or_default().push((log, missing)),
            None => {
                self.waits.remove(&log);
                self.woken.push_back(log);
            }
        }
    }

    /// A change has arrived; `knows` tells of the others.
    pub(super) fn arrived(&mut self, hash: &ChangeHash, knows: impl Fn(&ChangeHash) -> bool) {
        for (log, mut missing) in self.logs.remove(hash).unwrap_or_default() {
            missing.retain(|hash| !knows(hash));
            self.wait(log, missing);
        }
    }

    /// About how much memory this takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.waits.len() * 256
    }

    /// The next log that waits for nothing any more.
    pub(super) fn next(&mut self) -> Option<Incarnation> {
        self.woken.pop_front()
    }
}
