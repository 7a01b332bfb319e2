//! Signed logs: an append-only chain of opaque payloads, proved by one signature a head.
//!
//! `c0 = H(LogId)`, `c[n] = H(c[n-1], H(payload[n]))`. A signed head `(LogId, n, c[n])` proves the
//! whole chain up to `n`. Nothing here knows what a payload means.

mod chain;
mod descriptor;
mod early;
mod evidence;
mod fork;
mod head;
mod segment;

pub use chain::{Chain, Tip};
pub use descriptor::DocumentDescriptor;
pub use early::EarlySegments;
pub use evidence::{ForkEvidence, MAX_EVIDENCE};
pub use fork::{ForkError, ForkProof, MAX_FORK_PROOF, PayloadHash, Run, VerifiedFork};
pub(crate) use segment::StoredSegment;
pub use segment::{Seal, Segment, SegmentError, VerifiedSegment};

/// The largest payload, in bytes.
pub const MAX_PAYLOAD: usize = 60 * 1024;

/// The most payload bytes of one segment.
pub const MAX_SEGMENT: usize = 64 * 1024;

/// Segments never cross a multiple of this many entries, so every chain has a signed head at each.
pub const BLOCK: u64 = 128;

/// The longest log, in entries. Far beyond any honest one; keeps every counter far from overflow.
pub const MAX_LENGTH: u64 = 1 << 32;

/// The first multiple of [`BLOCK`] above a length: where a segment that starts there must end.
#[must_use]
pub const fn block_end(length: u64) -> u64 {
    (length / BLOCK + 1) * BLOCK
}
