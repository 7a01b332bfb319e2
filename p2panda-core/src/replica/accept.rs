//! Taking in segments from other peers: verified, stored and materialised in one batch.

use crate::{
    codec,
    id::{FestivalId, LogId},
    log::{DocumentDescriptor, Segment, SegmentError, Tip, VerifiedSegment},
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
    /// Nobody's fault: earlier entries are missing. Ask from `held`.
    #[error("entries before the segment are missing: {held} are held")]
    Gap {
        /// The length that is held.
        held: u64,
    },
    /// The author's fault: at this length the log held here has another chain value.
    #[error("the log has another chain at entry {length}: its author signed two")]
    Fork {
        /// A length at which the two chains differ.
        length: u64,
    },
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
        if descriptor.id() != log.document || descriptor.label.len() > DocumentDescriptor::MAX_LABEL
        {
            return Err(AcceptError::Descriptor);
        }
        let festival = descriptor.festival;
        if self.festival(festival)?.is_none() {
            return Err(AcceptError::UnknownFestival(festival));
        }
        let state = self.log_state(festival, &log)?;
        let held = state.as_ref().map_or_else(|| Tip::start(&log), LogState::tip);
        if segment.from > held.length {
            return Err(AcceptError::Gap { held: held.length });
        }
        let start = if segment.from == held.length {
            held
        } else {
            let chain = self.chain_at(&log, segment.from)?;
            let chain = chain.ok_or(AcceptError::Gap { held: held.length })?;
            Tip { length: segment.from, chain }
        };
        let end = segment.end(&start)?;
        let known = if end.length > held.length { None } else { self.chain_at(&log, end.length)? };
        if known == Some(end.chain) {
            return Ok(Accepted::Duplicate); // its head was verified when it first came
        }
        let verified = segment.verify(&start, &descriptor.user)?;
        if Some(log.incarnation) == self.incarnation && descriptor.user == self.user() {
            // Our own incarnation went on elsewhere: whatever came of it, draw a fresh one.
            self.incarnation = None;
            self.unused_token = None;
        }
        if known.is_some() {
            return Err(AcceptError::Fork { length: end.length });
        }
        let overlap = usize::try_from(held.length - start.length).unwrap_or(usize::MAX);
        let fork = AcceptError::Fork { length: held.length };
        let new = verified.skip(overlap).ok_or(fork)?;
        if *new.start() != held {
            return Err(AcceptError::Fork { length: held.length });
        }
        let entries = new.payloads().len() as u64;
        let mut batch = Batch::new();
        self.append(&mut batch, descriptor, &new, state)?;
        self.commit(batch, &[(festival, log, Some(held).filter(|tip| tip.length > 0))])?;
        Ok(Accepted::New { entries })
    }

    /// Adds a verified segment, and what becomes of its document, to a batch.
    fn append(
        &mut self,
        batch: &mut Batch,
        descriptor: &DocumentDescriptor,
        segment: &VerifiedSegment,
        state: Option<LogState>,
    ) -> Result<(), StoreError> {
        let log = *segment.log();
        if state.is_none() {
            batch.put(Table::Documents, *log.document.as_bytes(), codec::encode(descriptor));
        }
        let state = store_segment(batch, segment, state);
        self.materialise(batch, descriptor, log, state, segment)
    }

    /// Commits a batch that lets logs grow; an error leaves the documents to be loaded again.
    pub(super) fn commit(
        &mut self,
        batch: Batch,
        grown: &[(FestivalId, LogId, Option<Tip>)],
    ) -> Result<(), StoreError> {
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
    let tip = segment.head().tip();
    batch.put(Table::Segments, segment_key(segment.log(), tip.length), segment.to_stored());
    LogState {
        length: tip.length,
        chain: tip.chain,
        materialised: state.as_ref().map_or(0, |state| state.materialised),
        stopped: state.and_then(|state| state.stopped),
    }
}

pub(super) fn put_state(batch: &mut Batch, festival: FestivalId, log: &LogId, state: &LogState) {
    batch.put(Table::Logs, log_key(festival, log), codec::encode(state));
}
