use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    codec::{self, CodecError},
    id::{LogId, UserId},
    identity::{Identity, Signature},
    log::{MAX_LENGTH, MAX_PAYLOAD, MAX_SEGMENT, SignedHead, Tip, block_end},
};

/// Entries of a log up to a signed head, as somebody sent them: **not verified**.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The log.
    pub log: LogId,
    /// The length of the log before the first entry.
    pub from: u64,
    /// The entries, oldest first.
    pub payloads: Vec<Vec<u8>>,
    /// The author's signature of the head after the last entry.
    pub signature: Signature,
}

/// Entries of a log whose chain was recomputed and whose head's signature was verified. The only
/// kind of segment that a replica stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSegment {
    start: Tip,
    payloads: Vec<Vec<u8>>,
    head: SignedHead,
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
}

impl Segment {
    /// Where the segment would end, continuing a chain at `tip`. Nothing is verified yet.
    pub(crate) fn end(&self, tip: &Tip) -> Result<Tip, SegmentError> {
        check_bounds(self.from, &self.payloads)?;
        Ok(tip.after(&self.payloads))
    }

    /// Recomputes the chain from `tip` and verifies the head.
    ///
    /// # Errors
    /// [`SegmentError`], with nothing kept.
    pub fn verify(self, tip: &Tip, author: &UserId) -> Result<VerifiedSegment, SegmentError> {
        check_bounds(self.from, &self.payloads)?;
        if self.from != tip.length {
            return Err(SegmentError::NotContiguous { from: self.from, expected: tip.length });
        }
        let end = tip.after(&self.payloads);
        let head = SignedHead::verify(author, self.log, end, self.signature)
            .ok_or(SegmentError::Signature)?;
        Ok(VerifiedSegment { start: *tip, payloads: self.payloads, head })
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
        let head = SignedHead::sign(identity, log, tip.after(&payloads));
        Ok(Self { start: *tip, payloads, head })
    }

    /// The log.
    #[must_use]
    pub const fn log(&self) -> &LogId {
        self.head.log()
    }

    /// Length and chain value before the first entry.
    #[must_use]
    pub const fn start(&self) -> &Tip {
        &self.start
    }

    /// The verified head after the last entry.
    #[must_use]
    pub const fn head(&self) -> &SignedHead {
        &self.head
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
        Some(Self { start: self.start.after(&self.payloads), payloads: rest, head: self.head })
    }

    /// The segment as it is sent.
    #[must_use]
    pub fn into_segment(self) -> Segment {
        Segment {
            log: *self.head.log(),
            from: self.start.length,
            payloads: self.payloads,
            signature: *self.head.signature(),
        }
    }

    /// Entries that this device verified before it stored them.
    pub(crate) const fn from_store(start: Tip, payloads: Vec<Vec<u8>>, head: SignedHead) -> Self {
        Self { start, payloads, head }
    }

    /// The stored form; its key carries log and start.
    pub(crate) fn to_stored(&self) -> Vec<u8> {
        let payloads = self.payloads.iter().map(|bytes| serde_bytes::Bytes::new(bytes));
        codec::encode(&(self.start.chain, payloads.collect::<Vec<_>>(), self.head.signature()))
    }
}

/// A segment as this device stored it: chain value before it, entries, signature of its head.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredSegment(pub(crate) crate::log::Chain, Vec<ByteBuf>, pub(crate) Signature);

impl StoredSegment {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode_stored(bytes)
    }

    pub(crate) fn payloads(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.1.iter().map(|bytes| bytes.as_slice())
    }
}
