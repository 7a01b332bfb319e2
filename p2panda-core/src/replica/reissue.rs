//! Writing again what a fork cut off: for an honest author whose key was stolen, or whose device
//! was set back to an earlier state.

use std::collections::BTreeMap;

use rand_core::CryptoRng;

use crate::{
    document::{Document, Draft, Outcome, Replay},
    id::{Incarnation, LogId},
    log::{Chain, ForkEvidence, PayloadHash},
    replica::{EditError, Replica, materialise::Halt},
    schema::Instant,
    store::{Batch, StoreError, Table},
};

/// One log as a document is built from it.
struct Source {
    log: LogId,
    payloads: Vec<Vec<u8>>,
    at: usize,
}

impl Replica {
    /// Writes a branch of an own cut log again, in a log of the present incarnation: every change
    /// that the cut took from the document, of this log and of those that depended on it. Returns
    /// how many changes were made again; where the branch builds on something that is not held here,
    /// the rest of it stays aside. Do it for the branch that you wrote: `end` is the chain
    /// value at its end, as [`forks`](Self::forks) lists it.
    ///
    /// # Errors
    /// [`EditError`] where the log is not one's own and cut, or the branch is not held.
    pub fn reissue(
        &mut self,
        log: &LogId,
        end: &Chain,
        now: Instant,
        rng: &mut impl CryptoRng,
    ) -> Result<usize, EditError> {
        let descriptor = self.descriptor(&log.document)?;
        let own = descriptor.filter(|descriptor| descriptor.user == self.user());
        let descriptor = own.ok_or(EditError::NothingToReissue(*log))?;
        let state = self.log_state(descriptor.festival, log)?.filter(|state| state.is_cut);
        let at = state.ok_or(EditError::NothingToReissue(*log))?.tip();
        let lost = self.cut_branch(log, &at, end)?;
        if lost.payloads.is_empty() {
            return Err(EditError::NothingToReissue(*log));
        }

        let present = self.take_document(&descriptor)?;
        let mut sources = Vec::new();
        for (other, state) in self.document_logs(descriptor.festival, &log.document)? {
            let mut payloads = self.payloads(&other, 0, state.length)?;
            if other == *log {
                payloads.extend(lost.payloads.iter().cloned());
            } else if state.is_cut
                && let [only] = self.cut_branches(&other, &state.tip())?[..]
            {
                // What is written again may have built on it.
                let beside = self.cut_branch(&other, &state.tip(), &only.end.chain)?;
                payloads.extend(beside.payloads);
            }
            sources.push(Source { log: other, payloads, at: 0 });
        }
        let counts = |log: &LogId| present.document.length(&log.incarnation);
        let (draft, changes, unread) = loop {
            let done = self.draft_what_is_lost(&mut sources, counts);
            match self.leave_net(done) {
                Ok(drafted) => break drafted,
                Err(Halt::Caught) => {} // it is set aside now, and passed over
                Err(Halt::Store(error)) => return Err(error.into()),
            }
        };
        self.cache(descriptor.id(), present);
        let fresh = Incarnation::random(rng);
        let drafts = BTreeMap::from([(descriptor.label.clone(), draft)]);
        self.write(descriptor.festival, now, fresh, drafts)?;
        if unread.contains(log) {
            return Ok(changes);
        }
        let mut batch = Batch::new();
        for key in lost.keys {
            batch.delete(Table::Cut, key);
        }
        self.store.commit(batch)?;
        self.store.flush()?;
        Ok(changes)
    }

    /// Evidence of a log's fork for third parties; `None` where it is not cut.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fork_evidence(&self, log: &LogId) -> Result<Option<ForkEvidence>, StoreError> {
        let (Some(descriptor), Some(proof)) =
            (self.descriptor(&log.document)?, self.fork_proof(log)?)
        else {
            return Ok(None);
        };
        let payloads = self.payloads(log, 0, proof.at().length)?;
        let prefix = payloads.iter().map(|payload| PayloadHash::of(payload)).collect();
        Ok(Some(ForkEvidence { descriptor, prefix, proof: proof.into_proof() }))
    }

    /// Builds the document as it was, and drafts the changes that the present one lacks. Returns how
    /// many these are, and the logs of which something still waits or was set aside.
    fn draft_what_is_lost(
        &mut self,
        sources: &mut [Source],
        counts: impl Fn(&LogId) -> u64,
    ) -> Result<(Draft, usize, Vec<LogId>), Halt> {
        let mut document = Document::new(self.user());
        let mut draft = Draft::default();
        let mut replay = Replay::default();
        let mut changes = 0;
        sources.iter_mut().for_each(|source| source.at = 0);
        let mut progress = true;
        while std::mem::take(&mut progress) {
            for Source { log, payloads, at } in &mut *sources {
                while let Some(payload) = payloads.get(*at) {
                    let position = *at as u64;
                    let lost = position >= counts(log);
                    let offer = || {
                        let outcome = document.offer(log.incarnation, position, payload);
                        let valid = matches!(outcome, Outcome::Valid(_));
                        if valid {
                            replay.change(payload, lost.then_some(&mut draft));
                        }
                        valid
                    };
                    if self.within_net(log, position, payload, offer)? != Some(true) {
                        break;
                    }
                    changes += usize::from(lost);
                    *at += 1;
                    progress = true;
                }
            }
        }
        let unread = sources.iter().filter(|source| source.at < source.payloads.len());
        let unread = unread.map(|source| source.log).collect();
        Ok((draft, changes, unread))
    }
}
