use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    codec::{self, CodecError},
    id::{LogId, UserId},
    identity::{Identity, Signature},
    log::{
        ForkError, ForkProof, MAX_LENGTH, MAX_PAYLOAD, MAX_SEGMENT, PayloadHash, Run, Tip,
        VerifiedFork, block_end,
        head::{sign_head, verify_head},
    },
};

/// What proves the chain that a segment ends in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// The author's signature of the head after the last entry.
    Signature(Signature),
    /// The log is cut there: the proof that its author signed two chains from there on stands in
    /// for the signature, for the heads of both.
    Fork(Box<ForkProof>),
}

/// Entries of a log up to a proved place, as somebody sent them: **not verified**.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The log.
    pub log: LogId,
    /// The length of the log before the first entry.
    pub from: u64,
    /// The entries, oldest first.
    pub payloads: Vec<Vec<u8>>,
    /// What proves them.
    pub seal: Seal,
}

/// Entries of a log whose chain was recomputed and whose seal was verified. The only kind of
/// segment that a replica stores. Nobody can make one but by verifying or by signing:
///
/// ```compile_fail,E0451
/// use p2panda_core::{Segment, Tip, VerifiedSegment};
///
/// fn believe(segment: Segment, start: Tip, end: Tip) -> VerifiedSegment {
///     let Segment { log, payloads, seal, .. } = segment;
///     VerifiedSegment { log, start, payloads, end, seal }
/// }
/// ```
///
/// Nor does what was only received pass for one:
///
/// ```compile_fail,E0308
/// use p2panda_core::{Segment, VerifiedSegment};
///
/// fn believe(segment: Segment) -> VerifiedSegment {
///     segment
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSegment {
    log: LogId,
    start: Tip,
    payloads: Vec<Vec<u8>>,
    end: Tip,
    seal: Seal,
}

/// Why a segment was refused. Every one is the fault of whoever made or sent it, except `NotContiguous`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// There are no entries.
    #[error("a segment has at least one entry")]
    Empty,
    /// A payload is empty or larger than [`MAX_PAYLOAD`].
    #[error("entry {at} has {size} bytes, allowed are 1 to {MAX_PAYLOAD}")]
    PayloadSize {
        /// The entry, counted from the start of the log.
        at: u64,
        /// Its size in bytes.
        size: usize,
    },
    /// More than [`MAX_SEGMENT`] bytes.
    #[error("the segment has {size} bytes, at most {MAX_SEGMENT} are allowed")]
    TooLarge {
        /// Its payload bytes.
        size: usize,
    },
    /// It crosses a multiple of 128 entries, or the log would be too long.
    #[error("entries {from} to {to} cross a multiple of 128 entries or the longest log")]
    Misaligned {
        /// The length before the segment.
        from: u64,
        /// The length after it.
        to: u64,
    },
    /// It does not start at the length it was verified against.
    #[error("the segment starts at entry {from}, expected was {expected}")]
    NotContiguous {
        /// Where the segment starts.
        from: u64,
        /// The length that is held.
        expected: u64,
    },
    /// The signature is not the author's, or the chain is not the one that was signed.
    #[error("the head's signature does not prove this chain")]
    Signature,
    /// The fork proof at its end is of another place, or proves nothing.
    #[error("the fork proof at the segment's end does not prove this chain: {0}")]
    Fork(ForkError),
}

impl Segment {
    /// Where the segment would end, continuing a chain at `tip`. Nothing is verified yet.
    pub(crate) fn end(&self, tip: &Tip) -> Result<Tip, SegmentError> {
        check_bounds(self.from, &self.payloads)?;
        Ok(tip.after(&self.payloads))
    }

    /// Recomputes the chain from `tip` and verifies the seal.
    ///
    /// # Errors
    /// [`SegmentError`], with nothing kept.
    pub fn verify(self, tip: &Tip, author: &UserId) -> Result<VerifiedSegment, SegmentError> {
        check_bounds(self.from, &self.payloads)?;
        if self.from != tip.length {
            return Err(SegmentError::NotContiguous { from: self.from, expected: tip.length });
        }
        let Self { log, payloads, seal, .. } = self;
        let end = tip.after(&payloads);
        let seal = match seal {
            Seal::Signature(signature) if verify_head(author, &log, &end, &signature) => {
                Seal::Signature(signature)
            }
            Seal::Signature(_) => return Err(SegmentError::Signature),
            Seal::Fork(proof) if proof.log != log || proof.at != end => {
                return Err(SegmentError::Fork(ForkError::NoParting));
            }
            Seal::Fork(proof) => {
                let proof = proof.verify(author).map_err(SegmentError::Fork)?;
                Seal::Fork(Box::new(proof.into_proof()))
            }
        };
        Ok(VerifiedSegment { log, start: *tip, payloads, end, seal })
    }
}

fn check_bounds(from: u64, payloads: &[Vec<u8>]) -> Result<(), SegmentError> {
    if payloads.is_empty() {
        return Err(SegmentError::Empty);
    }
    let to = from.saturating_add(payloads.len() as u64);
    if to > MAX_LENGTH || to > block_end(from) {
        return Err(SegmentError::Misaligned { from, to });
    }
    for (at, payload) in (from..).zip(payloads) {
        if payload.is_empty() || payload.len() > MAX_PAYLOAD {
            return Err(SegmentError::PayloadSize { at, size: payload.len() });
        }
    }
    let size = payloads.iter().map(Vec::len).sum();
    if size > MAX_SEGMENT { Err(SegmentError::TooLarge { size }) } else { Ok(()) }
}

impl VerifiedSegment {
    /// Signs entries of one's own log, continuing it at `tip`.
    ///
    /// # Errors
    /// [`SegmentError`] where the entries exceed the bounds of a segment.
    pub fn sign(
        identity: &Identity,
        log: LogId,
        tip: &Tip,
        payloads: Vec<Vec<u8>>,
    ) -> Result<Self, SegmentError> {
        check_bounds(tip.length, &payloads)?;
        let end = tip.after(&payloads);
        let seal = Seal::Signature(sign_head(identity, &log, &end));
        Ok(Self { log, start: *tip, payloads, end, seal })
    }

    /// The log.
    #[must_use]
    pub const fn log(&self) -> &LogId {
        &self.log
    }

    /// Length and chain value before the first entry.
    #[must_use]
    pub const fn start(&self) -> &Tip {
        &self.start
    }

    /// Length and chain value after the last entry.
    #[must_use]
    pub const fn end(&self) -> &Tip {
        &self.end
    }

    /// What proved the chain.
    #[must_use]
    pub const fn seal(&self) -> &Seal {
        &self.seal
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn payloads(&self) -> &[Vec<u8>] {
        &self.payloads
    }

    /// The same segment without its first entries, for a reader who holds them.
    /// `None` where nothing remains.
    #[must_use]
    pub fn skip(mut self, entries: usize) -> Option<Self> {
        if entries >= self.payloads.len() {
            return None;
        }
        let rest = self.payloads.split_off(entries);
        self.start = self.start.after(&self.payloads);
        self.payloads = rest;
        Some(self)
    }

    /// The segment up to the parting that a proof shows within it, and what it has beyond.
    pub(crate) fn cut(mut self, proof: &VerifiedFork) -> (Self, Option<Self>) {
        let kept = usize::try_from(proof.at().length.saturating_sub(self.start.length));
        let beyond = self.clone().skip(kept.unwrap_or(usize::MAX));
        if beyond.is_some() {
            self.payloads.truncate(kept.unwrap_or(usize::MAX));
            self.end = *proof.at();
            self.seal = Seal::Fork(Box::new(proof.proof().clone()));
        }
        (self, beyond)
    }

    /// The hashes from its start to a signed head.
    pub(crate) fn run(&self) -> Run {
        let hashes = self.payloads.iter().map(|payload| PayloadHash::of(payload)).collect();
        match &self.seal {
            Seal::Signature(signature) => Run { hashes, signature: *signature },
            Seal::Fork(proof) => VerifiedFork::trusted((**proof).clone()).run_after(hashes),
        }
    }

    /// The segment as it is sent.
    #[must_use]
    pub fn into_segment(self) -> Segment {
        let Self { log, start, payloads, seal, .. } = self;
        Segment { log, from: start.length, payloads, seal }
    }

    /// Entries that this device verified before it stored them.
    pub(crate) const fn from_store(
        log: LogId,
        start: Tip,
        payloads: Vec<Vec<u8>>,
        end: Tip,
        seal: Seal,
    ) -> Self {
        Self { log, start, payloads, end, seal }
    }

    /// The stored form; its key carries log and end, and the table of proofs a fork's.
    pub(crate) fn to_stored(&self) -> Vec<u8> {
        let payloads = self.payloads.iter().map(|bytes| serde_bytes::Bytes::new(bytes));
        let signature = match &self.seal {
            Seal::Signature(signature) => Some(signature),
            Seal::Fork(_) => None,
        };
        codec::encode(&(self.start.chain, payloads.collect::<Vec<_>>(), signature))
    }
}

/// A segment as this device stored it: chain value before it, entries, and the signature of its
/// head; without one it is the last of a cut log, and the log's fork proof its seal.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredSegment(
    pub(crate) crate::log::Chain,
    Vec<ByteBuf>,
    pub(crate) Option<Signature>,
);

impl StoredSegment {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode_stored(bytes)
    }

    pub(crate) fn payloads(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.1.iter().map(|bytes| bytes.as_slice())
    }
}
