//! Taking in segments from other peers: verified, stored and materialised in one batch.

use std::collections::BTreeSet;

use crate::{
    codec,
    id::{DocumentId, FestivalId, LogId, UserId},
    log::{
        DocumentDescriptor, ForkError, ForkProof, Seal, Segment, SegmentError, Tip, VerifiedFork,
        VerifiedSegment,
    },
    replica::{LogState, Replica, log_key, logs::segment_key},
    store::{Batch, StoreError, Table},
};

/// What an accepted segment brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// New entries, verified and stored; durable after the next flush.
    New {
        /// How many.
        entries: u64,
    },
    /// All of it was held already.
    Duplicate,
    /// Its author signed two chains, and the log counts up to where they part: nothing behind it
    /// is taken. Whoever sent more should be sent [`Replica::fork_proof`].
    Cut {
        /// The length at which the log is cut.
        at: u64,
    },
}

/// Why a segment was not accepted. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The sender's or author's fault.
    #[error("refused a segment: {0}")]
    Segment(#[from] SegmentError),
    /// The sender's fault: the descriptor is not that of the document.
    #[error("the document's descriptor does not match its id")]
    Descriptor,
    /// Nobody's fault: this replica does not follow the festival.
    #[error("this replica does not follow festival {0}")]
    UnknownFestival(FestivalId),
    /// Nobody's fault: this replica takes in nothing of the author.
    #[error("user {0} is blocked here")]
    Blocked(UserId),
    /// Nobody's fault: this replica keeps some documents of the festival, and this one is not among
    /// them.
    #[error("document {0} is not among those that this replica keeps of its festival")]
    NotKept(DocumentId),
    /// Nobody's fault: earlier entries are missing. Ask from `held`.
    #[error("entries before the segment are missing: {held} are held")]
    Gap {
        /// The length that is held.
        held: u64,
    },
    /// The author's fault, or the sender's: what is said to be a fork proof proves nothing.
    #[error("refused a fork proof: {0}")]
    Fork(#[from] ForkError),
    /// This device's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Replica {
    /// Verifies, stores and materialises a segment of a document of a followed festival. It is
    /// visible at once, and durable after the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`AcceptError`], with nothing of the segment kept.
    pub fn accept(
        &mut self,
        descriptor: &DocumentDescriptor,
        segment: Segment,
    ) -> Result<Accepted, AcceptError> {
        let log = segment.log;
        if let Err(error) = self.check_descriptor(descriptor, &log) {
            if matches!(error, AcceptError::Blocked(_)) {
                self.note_blocked_log(descriptor, log)?;
            }
            return Err(error);
        }
        let state = self.log_state(descriptor.festival, &log)?;
        let held = state.as_ref().map_or_else(|| Tip::start(&log), LogState::tip);
        let cut = state.as_ref().is_some_and(|state| state.is_cut);
        if segment.from > held.length {
            return if cut {
                Ok(Accepted::Cut { at: held.length })
            } else {
                Err(AcceptError::Gap { held: held.length })
            };
        }
        let chain = self.chain_at(&log, segment.from)?;
        let chain = chain.ok_or(AcceptError::Gap { held: held.length })?;
        let start = Tip { length: segment.from, chain };
        let end = segment.end(&start)?;
        if matches!(segment.seal, Seal::Signature(_))
            && end.length <= held.length
            && self.chain_at(&log, end.length)? == Some(end.chain)
        {
            return Ok(Accepted::Duplicate); // its head was verified when it first came
        }
        let verified = segment.verify(&start, &descriptor.user)?;
        self.leave(&log, &descriptor.user)?;
        if start.length < held.length
            && let Some(own) = self.run(&log, start.length)?
            && let Some(proof) = ForkProof::between(log, &start, own, verified.run())
            && !(cut && proof.at.length >= held.length)
        {
            // Both heads were verified when they came.
            let proof = VerifiedFork::trusted(proof);
            return self.cut(descriptor, state, &proof, Some(verified));
        }
        if end.length > held.length && cut {
            return Ok(Accepted::Cut { at: held.length });
        }
        let proof = match verified.seal() {
            Seal::Signature(_) => None,
            Seal::Fork(proof) => Some(VerifiedFork::trusted((**proof).clone())),
        };
        let overlap = usize::try_from(held.length - start.length).unwrap_or(usize::MAX);
        match (verified.skip(overlap), proof) {
            (Some(new), proof) => self.extend(descriptor, state, new, proof),
            (None, Some(proof)) if !cut || proof.at().length < held.length => {
                self.cut(descriptor, state, &proof, None)
            }
            (None, _) => Ok(Accepted::Duplicate),
        }
    }

    /// Checks that a log's document is what its descriptor says, and of a festival followed here.
    pub(super) fn check_descriptor(
        &self,
        descriptor: &DocumentDescriptor,
        log: &LogId,
    ) -> Result<(), AcceptError> {
        let too_long = descriptor.label.len() > DocumentDescriptor::MAX_LABEL;
        if too_long || descriptor.id() != log.document {
            return Err(AcceptError::Descriptor);
        }
        if self.festival(descriptor.festival)?.is_none() {
            return Err(AcceptError::UnknownFestival(descriptor.festival));
        }
        if self.is_blocked(&descriptor.user)? {
            return Err(AcceptError::Blocked(descriptor.user));
        }
        if !self.keeps(descriptor, &log.document) {
            return Err(AcceptError::NotKept(log.document));
        }
        Ok(())
    }

    /// Our own incarnation went on elsewhere, so this is an older copy: whatever came of it, the next
    /// edit draws a fresh one, and what was promised since has to be synced first.
    pub(super) fn leave(&mut self, log: &LogId, author: &UserId) -> Result<(), StoreError> {
        if Some(log.incarnation) != self.incarnation || *author != self.user() {
            return Ok(());
        }
        self.incarnation = None;
        self.unused_token = None;
        self.forbid_decisions()
    }

    /// Stores entries that follow what is held, up to the lowest parting that is known of.
    fn extend(
        &mut self,
        descriptor: &DocumentDescriptor,
        state: Option<LogState>,
        mut new: VerifiedSegment,
        proof: Option<VerifiedFork>,
    ) -> Result<Accepted, AcceptError> {
        let log = *new.log();
        let held = *new.start();
        if descriptor.user == self.user() {
            // The name in the store was given to what it held before.
            self.unused_token = None;
        }
        let mut batch = Batch::new();
        let proof = self.kept_fork_within(&new)?.or(proof);
        if let Some(proof) = &proof {
            (new, _) = new.cut(proof);
            self.put_fork(&mut batch, proof)?;
        }
        if state.is_none() {
            batch.put(Table::Documents, *log.document.as_bytes(), codec::encode(descriptor));
            self.unnote_blocked_log(&mut batch, descriptor, &log)?;
        }
        let entries = new.payloads().len() as u64;
        let mut state = store_segment(&mut batch, &new, state);
        state.is_cut = proof.is_some();
        self.materialise(&mut batch, descriptor, log, state, &new)?;
        let before = Some(held).filter(|tip| tip.length > 0);
        self.commit(batch, &[(descriptor.festival, log, before)])?;
        Ok(Accepted::New { entries })
    }

    /// Commits a batch that lets logs grow; an error leaves the documents to be loaded again.
    pub(super) fn commit(
        &mut self,
        mut batch: Batch,
        grown: &[(FestivalId, LogId, Option<Tip>)],
    ) -> Result<(), StoreError> {
        for festival in grown.iter().map(|(festival, ..)| *festival).collect::<BTreeSet<_>>() {
            self.count_change(&mut batch, festival)?;
        }
        if let Err(error) = self.store.commit(batch) {
            for (_, log, _) in grown {
                self.documents.remove(&log.document);
            }
            return Err(error);
        }
        self.dirty = true;
        for (festival, log, tip) in grown {
            self.unflushed.entry(*log).or_insert((*festival, *tip));
        }
        Ok(())
    }
}

/// Adds a segment's entries to a batch; the log's state is the caller's to write.
pub(super) fn store_segment(
    batch: &mut Batch,
    segment: &VerifiedSegment,
    state: Option<LogState>,
) -> LogState {
    let end = segment.end();
    batch.put(Table::Segments, segment_key(segment.log(), end.length), segment.to_stored());
    let before = state.unwrap_or_else(|| LogState::empty(Tip::start(segment.log())));
    LogState { length: end.length, chain: end.chain, ..before }
}

pub(super) fn put_state(batch: &mut Batch, festival: FestivalId, log: &LogId, state: &LogState) {
    batch.put(Table::Logs, log_key(festival, log), codec::encode(state));
}
